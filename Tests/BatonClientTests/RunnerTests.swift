import BatonAPI
import Glibc
import Handover
import Linux
import Protobuf
import Testing
import Ttrpc

@testable import BatonClient

/// The thread behind a runner, against a real daemon and against servers that a test makes up.
@Suite(.timeLimit(.minutes(2))) struct RunnerTests {
  private static func options(_ server: ScriptedServer) -> BatonClient.Runner.Options {
    var options = BatonClient.Runner.Options(name: "w", version: 1)
    options.socketPath = server.path
    return options
  }

  @Test func itsOwnDrainIsToldAndWhateverItsReasonItIsTaken() async throws {
    // A reason over the limit was refused, which the runner took for being fenced.
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await BatonClient.Runner.start(.test(daemon, 1))
    runner.beginDrain(reason: "\u{1B}[1m" + String(repeating: "ü", count: 2000))
    var stops = runner.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(stop.cause == "self")
    let order = try await fleet.drain(order: stop.order)
    #expect(order.reason.utf8.count <= 1024)
    #expect(order.reason.hasPrefix(" [1müüü"))
    #expect(await runner.finish(reason: String(repeating: "\0", count: 5000)) == .finished)
  }

  /// A grace under the least was refused, too. What comes of it after that second is not this test's matter.
  @Test func itsOwnDrainHasAtLeastASecond() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await BatonClient.Runner.start(.test(daemon, 1))
    runner.beginDrain(reason: "at once", graceMilliseconds: 1)
    var stops = runner.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(try await fleet.drain(order: stop.order).graceMilliseconds == 1000)
    _ = await runner.finish()
  }

  @Test(arguments: [
    ("plain", "plain"), ("tab\tand\nline", "tab\tand\nline"), ("a\0b\u{7F}c\r", "a b c "),
    (String(repeating: "x", count: 1025), String(repeating: "x", count: 1024)),
    (String(repeating: "€", count: 400), String(repeating: "€", count: 341)),
  ]) func aReasonIsMadeToFit(_ given: String, _ expected: String) {
    #expect(BatonClient.Runner.sentence(given) == expected)
  }

  @Test func aFencedTokenIsFenced() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await BatonClient.Runner.start(.test(daemon, 1))
    // Forced by its drain's deadline: the work is taken away.
    _ = try await fleet.drain(.runner(runner.id), graceMilliseconds: 1000)
    guard case .fenced(let why) = await runner.ended() else {
      Issue.record("the runner was not fenced")
      return
    }
    #expect(why.contains("deadline"))
    var stops = runner.stops.makeAsyncIterator()
    #expect(await stops.next() != nil)
    #expect(await stops.next() == nil)
  }

  @Test func cutOffForTooLongItFencesItself() async throws {
    // The socket's file is gone, so nothing says that nobody gives its work away.
    let daemon = try TestDaemon()
    let runner = try await BatonClient.Runner.start(.test(daemon, 1))
    daemon.stop()
    unlink(daemon.socket)
    guard case .fenced(let why) = await runner.ended() else {
      Issue.record("the runner was not fenced")
      return
    }
    #expect(why.contains("too long"))
  }

  @Test func finishingWithoutADaemonReturnsAllTheSame() async throws {
    let daemon = try TestDaemon()
    let runner = try await BatonClient.Runner.start(.test(daemon, 1))
    daemon.stop()
    #expect(await runner.finish(timeoutMilliseconds: 1) != .finished)
    #expect(await runner.finish() != .finished)
  }

  @Test func aDaemonThatDropsEveryoneEndsTheStart() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.hangUp] }
      return []
    }
    let error = await #expect(throws: BatonError.self) {
      try await BatonClient.Runner.start(Self.options(server))
    }
    #expect(error?.code == .unavailable)
    #expect(error?.isConnectionFailure == true)
  }

  @Test func aStartThatIsCancelledHangsUp() async throws {
    let server = try ScriptedServer { _ in [] }
    let options = Self.options(server)
    let task = Task { try await BatonClient.Runner.start(options) }
    #expect(await server.first { $0 == .call(.attach, stream: 1) } != nil)
    task.cancel()
    let error = await #expect(throws: BatonError.self) { try await task.value }
    #expect(error?.code == .cancelled)
    #expect(await server.first { $0 == .end } != nil)
  }

  @Test func aRunnerThatIsLetGoHangsUp() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.message(DaemonWords.registered(runner: 7))] }
      return []
    }
    do {
      let runner = try await BatonClient.Runner.start(Self.options(server))
      #expect(runner.id == 7)
    }
    #expect(await server.first { $0 == .end } != nil)
  }

  @Test func whatFollowsTheEndOfACallIsNotTakenForTheNextConnections() async throws {
    // Bytes after the end were read as the new connection's: its Stop was acknowledged before it was registered.
    let server = try ScriptedServer { arrival in
      if case .call = arrival {
        return [
          .message(DaemonWords.registered(runner: 7)), .finish, .message(DaemonWords.stop(5)),
          .message(DaemonWords.registered(runner: 8)),
        ]
      }
      return []
    }
    let runner = try await BatonClient.Runner.start(Self.options(server))
    var events = runner.events.makeAsyncIterator()
    for _ in 0..<3 {
      guard case .attached(7, _, _)? = await events.next() else {
        Issue.record("it was attached as another")
        return
      }
      #expect(await events.next() == .cutOff)
    }
    #expect(runner.id == 7)
  }
}
