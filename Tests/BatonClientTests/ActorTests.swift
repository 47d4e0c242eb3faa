import BatonClient
import Glibc
import Linux
import Testing

/// What the code of actors did, in the order in which it did it, for tests that wait for a fact.
private final class Diary: Sendable {
  private let lines = Locked<[String]>([])
  private let changed: AsyncStream<Void>
  private let change: AsyncStream<Void>.Continuation

  init() { (changed, change) = AsyncStream.makeStream(of: Void.self) }

  func write(_ line: String) {
    lines.withLock { $0.append(line) }
    change.yield()
  }

  var all: [String] { lines.withLock { $0 } }

  /// Waits until so many lines are like this one.
  func wait(for line: String, count: Int = 1) async {
    var changes = changed.makeAsyncIterator()
    while all.count(where: { $0 == line }) < count { await changes.next() }
  }
}

/// Runs until it is told to stop, and writes down both.
private func worker(_ diary: Diary, _ who: String) -> @Sendable (HeldActor) async throws -> Void {
  { actor in
    diary.write("\(who): \(actor.name) \(actor.key ?? "-") generation \(actor.generation)")
    for await stop in actor.stops {
      diary.write("\(who): stop \(stop.reason)")
      return
    }
    diary.write("\(who): taken away")
  }
}

@Suite(.timeLimit(.minutes(2))) struct ActorTests {
  private static func start(
    _ daemon: TestDaemon, _ version: UInt32, slots: UInt32 = 4,
    _ code: @escaping @Sendable (HeldActor) async throws -> Void
  ) async throws -> Runner {
    var options = Runner.Options.test(daemon, version)
    options.slots = slots
    options.actors = code
    return try await Runner.start(options)
  }

  private static func new(_ name: String = "job", key: String? = nil) -> NewActor {
    var actor = NewActor(name: name, runnerName: "w")
    actor.key = key
    return actor
  }

  /// Watches until the actor is so; fails when the watch ends before.
  @discardableResult
  private static func until(
    _ fleet: FleetClient, _ id: Int64, _ isSo: (ActorInfo) -> Bool
  ) async throws -> ActorInfo {
    for try await actor in fleet.watchActor(id) where isSo(actor) { return actor }
    throw BatonError(.notFound, "actor \(id) never was so")
  }

  @Test func itIsCreatedRunsAndFinishes() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let diary = Diary()
    let runner = try await Self.start(daemon, 1) { actor in
      diary.write(
        "\(actor.namespace) \(actor.name) \(actor.key ?? "-") \(String(decoding: actor.input, as: UTF8.self))"
      )
    }
    var new = Self.new(key: "a/1")
    new.input = Array("hello".utf8)
    let actor = try await fleet.createActor(new)
    let ended = try await Self.until(fleet, actor.id) { $0.state == "destroyed" }
    #expect(diary.all == ["default job a/1 hello"])
    #expect(ended.generation == 1 && ended.runningAtMilliseconds != nil && ended.failure == nil)
    #expect(try await fleet.actors() == [])
    await runner.actorsEnded()
    #expect(await runner.finish() == .finished)
  }

  @Test func aKeyIsOneActorAndARequestIDIsOneCreation() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let (first, isCreated) = try await fleet.getOrCreateActor(Self.new(key: "k"))
    #expect(isCreated && first.wait == "runner")
    let (second, isAnother) = try await fleet.getOrCreateActor(Self.new(key: "k"))
    #expect(!isAnother && second.id == first.id)
    var asked = Self.new()
    asked.requestID = "once"
    let third = try await fleet.createActor(asked)
    #expect(try await fleet.createActor(asked).id == third.id)
    #expect(try await fleet.createActor(Self.new()).id != fleet.createActor(Self.new()).id)
    var filter = ActorsFilter()
    filter.state = "pending"
    #expect(try await fleet.actors(filter).count == 4)
    filter.key = "k"
    #expect(try await fleet.actors(filter).map(\.id) == [first.id])
    filter.state = "dreaming"
    let refused = await #expect(throws: BatonError.self) { try await fleet.actors(filter) }
    #expect(refused?.code == .invalidArgument)
    try await fleet.destroyActor(first.id)
    let gone = await #expect(throws: BatonError.self) { try await fleet.awaitRunning(first.id) }
    #expect(gone?.code == .failedPrecondition)
    #expect(try await fleet.pools().first?.actors.pending == 3)
    #expect(try await fleet.status().actors.pending == 3)
  }

  /// Version 2 comes; what ran on version 1 runs there, one generation later.
  @Test func anUpgradeMovesTheActors() async throws {
    let daemon = try TestDaemon(lostThresholdMilliseconds: 60_000)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: nil)), name: "w")
    let diary = Diary()
    let old = try await Self.start(daemon, 1, slots: 20, worker(diary, "old"))
    var actors: [ActorInfo] = []
    for number in 0..<20 {
      let created = try await fleet.createActor(Self.new(key: "k\(number)"))
      actors.append(try await fleet.awaitRunning(created.id))
    }
    #expect(actors.allSatisfy { $0.runner == old.id && $0.generation == 1 })
    let new = try await Self.start(daemon, 2, slots: 20, worker(diary, "new"))
    var stops = old.stops.makeAsyncIterator()
    #expect(await stops.next()?.targetVersion == 2)
    await old.actorsEnded()
    #expect(await old.finish() == .finished)
    for actor in actors {
      let moved = try await Self.until(fleet, actor.id) { $0.state == "running" && $0.runner == new.id }
      #expect(moved.generation == 2 && moved.retries == 0 && moved.failure == nil)
    }
    #expect(diary.all.count { $0 == "old: stop going_away" } == 20)
    #expect(diary.all.count { $0.hasPrefix("new: job") } == 20)
    #expect(try await fleet.runner(old.id).phase == "stopped")
    #expect(await new.finish() == .finished)
    await new.actorsEnded()
    #expect(diary.all.count { $0 == "new: taken away" } == 20)
  }

  @Test func itSleepsUntilItsAlarm() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await Self.start(daemon, 1) { actor in
      guard actor.generation == 1 else { return }
      let wish = actor.sleep
      actor.setAlarm(afterMilliseconds: 300)
      wish()
      for await _ in actor.stops { return }
    }
    let actor = try await fleet.createActor(Self.new())
    let ended = try await Self.until(fleet, actor.id) { $0.state == "destroyed" }
    #expect(ended.generation == 2 && ended.sleepingAtMilliseconds != nil)
    _ = await runner.finish()
  }

  @Test func clientsPutItToSleepWakeItAndDestroyIt() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let diary = Diary()
    let runner = try await Self.start(daemon, 1, worker(diary, "r"))
    let actor = try await fleet.createActor(Self.new())
    _ = try await fleet.awaitRunning(actor.id)
    try await fleet.sleepActor(actor.id)
    try await Self.until(fleet, actor.id) { $0.state == "sleeping" }
    #expect(try await fleet.runner(runner.id).remainingSlots == 4)
    try await fleet.wakeActor(actor.id)
    #expect(try await fleet.awaitRunning(actor.id).generation == 2)
    #expect(try await fleet.destroyActor(actor.id).stopReason == "destroy")
    try await Self.until(fleet, actor.id) { $0.state == "destroyed" }
    #expect(
      diary.all == [
        "r: job - generation 1", "r: stop sleep", "r: job - generation 2", "r: stop destroy",
      ])
    _ = await runner.finish()
  }

  @Test(arguments: [
    (ActorCrashPolicy.restart, "destroyed", Int64(3)), (.sleep, "sleeping", 1), (.destroy, "destroyed", 1),
  ]) func aCrashIsTreatedByItsPolicy(_ policy: ActorCrashPolicy, _ state: String, _ generation: Int64)
    async throws
  {
    struct Crash: Error, CustomStringConvertible { var description: String { "out of ideas" } }
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var times = ActorPolicy()
    times.backoffMilliseconds = 50
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: nil, graceMilliseconds: nil, actors: times)), name: "w")
    #expect(
      try await fleet.config(name: "w").kind
        == .normal(drainOnVersionUpgrade: nil, graceMilliseconds: nil, actors: times))
    let runner = try await Self.start(daemon, 1) { actor in
      if actor.generation < 3 { throw Crash() }
    }
    var new = Self.new()
    new.crashPolicy = policy
    let actor = try await fleet.createActor(new)
    let ended = try await Self.until(fleet, actor.id) { $0.state == state }
    #expect(ended.generation == generation && ended.failure == "crashed")
    #expect(ended.stopMessage == (policy == .restart ? "" : "out of ideas"))
    _ = await runner.finish()
  }

  @Test func whatIsNotReadyInTimeIsTriedAgain() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var times = ActorPolicy()
    times.startMilliseconds = 1000
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: nil, graceMilliseconds: nil, actors: times)), name: "w")
    let diary = Diary()
    var options = Runner.Options.test(daemon, 1)
    options.prepareActor = { actor in
      guard actor.generation == 1 else { return }
      // Until it is cancelled, since its time is over.
      for await _ in actor.stops { return }
      diary.write("given up")
    }
    options.actors = worker(diary, "r")
    let runner = try await Runner.start(options)
    let actor = try await fleet.createActor(Self.new())
    #expect(try await Self.until(fleet, actor.id) { $0.state == "running" }.generation >= 2)
    #expect(diary.all.first == "given up")
    #expect(["crashed", "runner_no_response"].contains(try await fleet.actor(actor.id).failure))
    _ = await runner.finish()
  }

  /// The daemon goes and comes: the actor runs on, and what happened meanwhile is told.
  @Test func itRunsOnWhileTheDaemonIsGone() async throws {
    let daemon = try TestDaemon(lostThresholdMilliseconds: 60_000)
    var fleet = try await FleetClient.connect(path: daemon.socket)
    let diary = Diary()
    let runner = try await Self.start(daemon, 1) { actor in
      diary.write("\(actor.name) generation \(actor.generation)")
      guard actor.name == "short" else {
        for await _ in actor.stops { return }
        return
      }
      await diary.wait(for: "go")
      diary.write("done")
    }
    var events = runner.events.makeAsyncIterator()
    _ = await events.next()
    let (long, short) = (
      try await fleet.createActor(Self.new("long")), try await fleet.createActor(Self.new("short"))
    )
    _ = try await (fleet.awaitRunning(long.id), fleet.awaitRunning(short.id))
    daemon.stop()
    #expect(await events.next() == .cutOff)
    diary.write("go")
    try daemon.start()
    guard case .attached(runner.id, isResumed: true, _)? = await events.next() else {
      Issue.record("the runner did not come back")
      return
    }
    fleet = try await FleetClient.connect(path: daemon.socket)
    let ended = try await Self.until(fleet, short.id) { $0.state == "destroyed" }
    #expect(ended.generation == 1 && ended.failure == nil)
    let kept = try await fleet.actor(long.id)
    #expect(kept.state == "running" && kept.generation == 1)
    #expect(diary.all.sorted() == ["done", "go", "long generation 1", "short generation 1"])
    _ = await runner.finish()
  }

  /// Given up while it was cut off: what it held is another's, and is ended here.
  @Test func aRunnerThatIsGivenUpHoldsNothing() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let diary = Diary()
    let runner = try await Self.start(daemon, 1, worker(diary, "r"))
    let actor = try await fleet.createActor(Self.new())
    _ = try await fleet.awaitRunning(actor.id)
    daemon.stop()
    unlink(daemon.socket)
    guard case .fenced = await runner.ended() else {
      Issue.record("the runner was not fenced")
      return
    }
    await runner.actorsEnded()
    #expect(diary.all == ["r: job - generation 1", "r: taken away"])
  }

  /// At the end of its time the task is cancelled, and then it is said to have stopped.
  @Test func aStopHasATime() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var times = ActorPolicy()
    times.stopMilliseconds = 300
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: nil, graceMilliseconds: nil, actors: times)), name: "w")
    let diary = Diary()
    let runner = try await Self.start(daemon, 1) { actor in
      for await stop in actor.stops { diary.write(stop.reason) }
      diary.write("cancelled \(Task.isCancelled)")
    }
    let actor = try await fleet.createActor(Self.new())
    _ = try await fleet.awaitRunning(actor.id)
    try await fleet.sleepActor(actor.id)
    try await Self.until(fleet, actor.id) { $0.state == "sleeping" }
    await diary.wait(for: "cancelled true")
    #expect(diary.all == ["sleep", "cancelled true"])
    _ = await runner.finish()
  }
}
