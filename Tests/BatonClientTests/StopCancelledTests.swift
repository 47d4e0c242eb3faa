import Linux
import Testing

@testable import BatonClient

/// Stops that are taken back and deadlines that move, from the socket to whoever wrote the runner. The daemon is a script, which
/// says the next thing when it has heard what it waits for.
@Suite(.timeLimit(.minutes(2))) struct StopCancelledTests {
  /// Says `begin` to who attaches; then to each word that is heard, once, what follows it.
  private static func server(
    _ begin: [[UInt8]], _ answers: Locked<[String: [[UInt8]]]> = Locked([:])
  ) throws -> ScriptedServer {
    let registered = DaemonWords.registered(runner: 7, heartbeatIntervalMilliseconds: 100)
    return try ScriptedServer { arrival in
      switch arrival {
      case .call: ([registered] + begin).map { .message($0) }
      case .said(let bytes):
        DaemonWords.words(bytes).flatMap { word in answers.withLock { $0.removeValue(forKey: word) } ?? [] }
          .map { .message($0) }
      case .connected, .cancel, .end: []
      }
    }
  }

  private static func start(
    _ server: ScriptedServer, canStay: Bool, _ actors: (@Sendable (HeldActor) async throws -> Void)? = nil
  ) async throws -> BatonClient.Runner {
    var options = BatonClient.Runner.Options(name: "w", version: 1)
    options.socketPath = server.path
    options.canStay = canStay
    options.actors = actors
    return try await BatonClient.Runner.start(options)
  }

  /// What the daemon hears, up to this word.
  private static func heard(_ server: ScriptedServer, upTo last: String) async -> [String] {
    var words: [String] = []
    for await arrival in server.arrivals {
      guard case .said(let bytes) = arrival else { continue }
      words += DaemonWords.words(bytes)
      if words.contains(last) { break }
    }
    return words
  }

  @Test func whoCanStayIsToldAndTheDaemonHasItsAnswer() async throws {
    let server = try Self.server([DaemonWords.stop(5), DaemonWords.stopCancelled(5)])
    let runner = try await Self.start(server, canStay: true)
    #expect(await Self.heard(server, upTo: "resumed 5") == ["ack 5", "resumed 5"])
    var events = runner.events.makeAsyncIterator()
    guard case .attached? = await events.next(), case .stop(let stop)? = await events.next() else {
      Issue.record("no stop came after it was attached")
      return
    }
    #expect(stop.order == 5)
    #expect(await events.next() == .stopCancelled(order: 5, reason: "the wrong host"))
    #expect(await !runner.commit(to: stop))
  }

  @Test(arguments: [(true, "drain_cancelled"), (false, "drain_too_late")])
  func aRealDaemonAsksAndGoesByTheAnswer(canStay: Bool, kind: String) async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var options = BatonClient.Runner.Options.test(daemon, 1)
    options.canStay = canStay
    let runner = try await BatonClient.Runner.start(options)
    var stops = runner.stops.makeAsyncIterator()
    var happenings = fleet.watch(from: 0, name: "w").makeAsyncIterator()
    _ = try await fleet.drain(.runner(runner.id))
    let stop = try #require(await stops.next())
    _ = try await fleet.extendDrain(.order(stop.order), byMilliseconds: 60_000)
    _ = try await fleet.cancelDrain(.order(stop.order), reason: "the wrong host")
    var kinds: [String] = []
    while !kinds.contains(kind) { kinds += try #require(await happenings.next()).events.map(\.kind) }
    #expect(try await fleet.runner(runner.id).phase == (canStay ? "ready" : "draining"))
    #expect(await runner.commit(to: stop) != canStay)
    #expect(await runner.finish() == .finished)
    var moved: [Int64] = []
    for await case .deadlineMoved(let later) in runner.events { moved.append(later.order) }
    #expect(moved == [stop.order])
  }

  @Test func whoLeavesAtItsStopIsTooLate() async throws {
    let server = try Self.server(
      [DaemonWords.stopCancelled(4), DaemonWords.stop(5), DaemonWords.stopCancelled(5)])
    let runner = try await Self.start(server, canStay: false)
    #expect(await Self.heard(server, upTo: "too late 5") == ["resumed 4", "ack 5", "too late 5"])
    var stops = runner.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(await runner.commit(to: stop))
  }

  @Test func whoHasCommittedIsTooLate() async throws {
    let answers = Locked<[String: [[UInt8]]]>([:])
    let server = try Self.server([DaemonWords.stop(5)], answers)
    let runner = try await Self.start(server, canStay: true)
    var stops = runner.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(await runner.commit(to: stop))
    answers.withLock { $0["heartbeat"] = [DaemonWords.stopCancelled(5)] }
    #expect(await Self.heard(server, upTo: "too late 5").contains("ack 5"))
  }

  @Test func afterItsEndEverybodyLeaves() async throws {
    let server = try Self.server([DaemonWords.stop(5), DaemonWords.stopCancelled(5), DaemonWords.goodbye])
    let runner = try await Self.start(server, canStay: true)
    var stops = runner.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(await runner.ended() == .finished)
    #expect(await runner.commit(to: stop))
  }

  @Test func aDeadlineThatMovesIsTold() async throws {
    let server = try Self.server(
      [60_000, 120_000].map { DaemonWords.stop(5, milliseconds: $0) } + [DaemonWords.goodbye])
    let runner = try await Self.start(server, canStay: false)
    var remaining: [Int64] = []
    for await event in runner.events {
      switch event {
      case .stop(let stop), .deadlineMoved(let stop): remaining.append(stop.remainingMilliseconds)
      case .attached, .cutOff, .stopCancelled: break
      }
    }
    #expect(remaining == [55_000, 115_000])
    // For who reads no more than these it is one Stop.
    var orders: [Int64] = []
    for await stop in runner.stops { orders.append(stop.order) }
    #expect(orders == [5])
  }

  @Test func actorsAreTakenAgainAndLeaveWithTheStopThatStands() async throws {
    let server = try Self.server(
      [DaemonWords.start(actor: 1), DaemonWords.stop(5), DaemonWords.start(actor: 2)],
      Locked([
        "startRefused 2": [DaemonWords.stopCancelled(5), DaemonWords.start(actor: 3)],
        "running 3": [
          DaemonWords.stop(6), DaemonWords.stop(actor: 1, milliseconds: 60_000),
          DaemonWords.stop(actor: 3, milliseconds: 60_000),
        ],
        "ack 6": [DaemonWords.stop(6, milliseconds: 900_000)],
        "startRefused 3": [DaemonWords.goodbye], "detach": [DaemonWords.goodbye],
      ]))
    let deadlines = Locked<[Int64]>([])
    let runner = try await Self.start(server, canStay: true) { actor in
      var stops = actor.stops.makeAsyncIterator()
      // The second tells that there is more time.
      for _ in 0..<2 {
        guard let stop = await stops.next() else { return }
        deadlines.withLock { $0.append(stop.remainingMilliseconds) }
      }
    }
    var committed: [Bool] = []
    for await case .stop(let stop) in runner.events {
      await runner.actorsEnded()
      committed.append(await runner.commit(to: stop))
      if committed.last == true { #expect(await runner.finish() == .finished) }
    }
    #expect(committed == [false, true])
    #expect(deadlines.withLock { $0.sorted() } == [55_000, 55_000, 895_000, 895_000])
  }
}
