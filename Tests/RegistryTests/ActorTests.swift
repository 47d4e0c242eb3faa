import Handover
import Testing

@testable import Registry

/// An actor's life against the real store, by the names of the original's lifecycle suite.
@Suite struct ActorTests {
  private let actors: ActorFleet
  private var fleet: Fleet { actors.fleet }

  init() throws { actors = try ActorFleet() }

  // MARK: - Creation

  @Test func basicCreate() throws {
    let runner = try actors.runner(1)
    let box = try actors.create("box", key: "a")
    #expect(try actors.story(box) == "starting on 1 generation 1")
    #expect(try actors.commands(runner) == ["start 1/1"])
    #expect(actors.consequences.contains(.commandsIssued([runner.runner])))
    #expect(try actors.used(runner) == 1)
    try actors.report(runner, box, .running)
    #expect(try actors.story(box) == "running on 1 generation 1")
    #expect(try actors.commands(runner) == [], "to run is to have the start")
    let actor = try actors[box]
    #expect(actor.identity == ActorIdentity(pool: web, name: "box", key: "a", crashPolicy: .restart))
    #expect(actor.runnerVersion == version(1) && actor.who == peer() && actor.isCommandAcked)
    #expect(actor.times.runningAt == fleet.now.wallMilliseconds && actor.times.sleepingAt == nil)
    #expect(
      try fleet.events().filter { $0.actor == box }.map(\.kind)
        == [.actorCreated, .actorStarting, .actorRunning])
    #expect(try fleet.pool().pool.actors.running == 1)
    #expect(try fleet.counts().actors.running == 1)
  }

  @Test func createWithInput() throws {
    let runner = try actors.runner(1)
    let input = [UInt8]((0...255).map { $0 } + [0, 0])
    let box = try actors.create("box", key: "a", input: input)
    func start() throws -> ActorCommand.Kind? {
      guard
        case .commands(let commands, _, _) = try fleet.read(
          .commands(runner.runner, after: 0, limitBytes: 1)
        ).content
      else { return nil }
      return commands.first?.kind
    }
    let expected = ActorCommand.Kind.start(namespace: "default", name: "box", key: "a", input: input)
    #expect(try start() == expected)
    // Every start is given it.
    try actors.report(runner, box, ActorFleet.error)
    #expect(try actors.story(box) == "starting on 1 generation 2 (crashed)")
    #expect(try start() == expected)
    // It is forgotten with the actor: `verifyCounters` would say.
    try actors.report(runner, box, ActorFleet.ok)
    #expect(try actors.story(box) == "destroyed (crashed)")
  }

  @Test func theSameRequestIsTheSameActor() throws {
    let first = try actors.create(actors.creation(request: "r1"))
    let again = try actors.create(actors.creation(request: "r1"))
    #expect(again.id == first.id && again.isCreated)
    #expect(try actors.create(actors.creation(request: "r2")).id != first.id)
    #expect(try actors.create(actors.creation()).id != actors.create(actors.creation()).id)
    #expect(try actors.refusal(.createActor(actors.creation("other", request: "r1"))) == .alreadyExists)
    #expect(try actors.refusal(.createActor(actors.creation(key: "k", request: "r1"))) == .alreadyExists)
    // Over its end and a restart of the daemon, too.
    try actors.wish(.destroy, first.id)
    try fleet.reopen()
    #expect(try actors.create(actors.creation(request: "r1")).id == first.id)
    // Another user's is another request.
    #expect(try actors.create(actors.creation(request: "r1", uid: 0)).id != first.id)
  }

  @Test func aKeyIsTakenOnce() throws {
    let first = try actors.create("box", key: "a")
    #expect(try actors.refusal(.createActor(actors.creation(key: "a"))) == .alreadyExists)
    #expect(try actors.create("crate", key: "a") != first, "a key is unique for the name")
    let found = try actors.create(actors.creation(key: "a", mayExist: true))
    #expect(found.id == first && !found.isCreated)
    let made = try actors.create(actors.creation(key: "b", mayExist: true))
    #expect(made.isCreated)
    // In the whole namespace.
    let api = PoolName(namespace: "default", name: "api")
    #expect(try actors.refusal(.createActor(actors.creation(key: "a", in: api))) == .alreadyExists)
    #expect(
      try actors.refusal(.createActor(actors.creation(key: "a", mayExist: true, in: api))) == .alreadyExists)
    // It is free again when the actor is destroyed.
    try actors.wish(.destroy, first)
    let second = try actors.create(actors.creation(key: "a", mayExist: true))
    #expect(second.id != first && second.isCreated)
  }

  /// Whoever asked for the actor of a key was given one that was being destroyed, as if it would be there.
  @Test func whatIsBeingDestroyedIsNotGivenForItsKey() throws {
    _ = try actors.runner(1, slots: 1)
    let box = try actors.create("box", key: "a")
    try actors.wish(.destroy, box)
    #expect(try actors.refusal(.createActor(actors.creation(key: "a", mayExist: true))) == .aborted)
    #expect(try actors.refusal(.createActor(actors.creation(key: "a"))) == .alreadyExists)
  }

  @Test func nobodyElseMayCreateOrChange() throws {
    let box = try actors.create()
    #expect(try actors.refusal(.createActor(actors.creation(uid: otherUID))) == .permissionDenied)
    for wish in ActorWish.allCases {
      #expect(try actors.refusal(.changeActor(box, wish, who: peer(otherUID))) == .permissionDenied)
      #expect(try actors.refusal(.changeActor(ActorID(99), wish, who: peer())) == .notFound)
    }
    #expect(try actors.story(box) == "pending (noCapacity)")
    for uid in [0, daemonUID] { _ = try actors.create(actors.creation(uid: uid)) }
    let nowhere = PoolName(namespace: "nowhere", name: "web")
    #expect(try actors.refusal(.createActor(actors.creation(in: nowhere))) == .notFound)
  }

  /// Who creates the first actor owns the pool, as who registers the first runner does.
  @Test func theFirstCreatorOwnsThePool() throws {
    let api = PoolName(namespace: "default", name: "api")
    _ = try actors.create(actors.creation(in: api, uid: otherUID))
    #expect(try fleet.pool(api).pool.ownerUID == otherUID)
    #expect(try actors.refusal(.createActor(actors.creation(in: api))) == .permissionDenied)
    #expect(try fleet.register(1, in: api).admission != nil)
    #expect(try fleet.pool(api).pool.actors.queued == 1, "the word of the runner's user does not count")
  }

  @Test func aPoolWithActorsKeepsItsConfig() throws {
    let box = try actors.create()
    #expect(try actors.refusal(.deleteConfig(web, who: peer())) == .failedPrecondition)
    try actors.wish(.destroy, box)
    #expect(try actors.refusal(.deleteConfig(web, who: peer())) == nil)
  }

  // MARK: - Start

  @Test func startTimeout() throws {
    let runner = try actors.runner(1)
    let box = try actors.create()
    try actors.wait(seconds: 29)
    #expect(try actors.story(box) == "starting on 1 generation 1")
    try actors.wait(seconds: 1)
    // The first try is made at once; the runner, which may have begun late, is told to drop what it has.
    #expect(actors.drops == ["1 generation 1 from 1"])
    #expect(try actors.story(box) == "starting on 1 generation 2 (runnerNoResponse)")
    #expect(try !actors.report(runner, box, .running, generation: 1))
    #expect(try actors.story(box) == "starting on 1 generation 2 (runnerNoResponse)")
    try actors.wait(seconds: 30)
    #expect(try actors.story(box) == "pending (runnerNoResponse)")
    #expect(try actors[box].wait == .backoff && actors.used(runner) == 0)
  }

  @Test func aPoolsOwnStartThreshold() throws {
    try actors.configure { $0.actors.startThresholdMilliseconds = 5000 }
    try actors.runner(1)
    let box = try actors.create()
    try actors.wait(seconds: 4)
    #expect(try actors[box].generation == 1)
    try actors.wait(seconds: 1)
    #expect(try actors[box].generation == 2)
  }

  // MARK: - Stop

  @Test(arguments: CrashPolicy.allCases)
  func gracefulStop(_ policy: CrashPolicy) throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner, policy: policy)
    try actors.report(runner, box, .stopped(isOK: true, message: "all done"))
    #expect(try actors.story(box) == "destroyed")
    #expect(try actors[box].stopMessage == "all done" && actors.used(runner) == 0)
  }

  @Test(arguments: CrashPolicy.allCases)
  func stopIntent(_ policy: CrashPolicy) throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner, policy: policy)
    try actors.report(runner, box, .stopIntent)
    #expect(try actors.story(box) == "stopping stop on 1 generation 1")
    #expect(try actors.commands(runner) == ["stop stop 1/2"])
    #expect(try actors.refusal(.changeActor(box, .wake, who: peer())) == .failedPrecondition)
    #expect(try actors.refusal(.changeActor(box, .sleep, who: peer())) == .failedPrecondition)
    try actors.report(runner, box, ActorFleet.error)
    #expect(try actors.story(box) == "destroyed")
  }

  @Test(arguments: CrashPolicy.allCases, [true, false])
  func crash(_ policy: CrashPolicy, _ hasRun: Bool) throws {
    let runner = try actors.runner(1)
    let box = hasRun ? try actors.running(on: runner, policy: policy) : try actors.create(policy: policy)
    try actors.report(runner, box, ActorFleet.error)
    let becomes =
      switch policy {
      case .restart: "starting on 1 generation 2 (crashed)"
      case .sleep: "sleeping (crashed)"
      case .destroy: "destroyed (crashed)"
      }
    #expect(try actors.story(box) == becomes)
    #expect(try actors[box].stopMessage == "out of memory")
    #expect(try actors[box].failedAtMilliseconds == fleet.now.wallMilliseconds)
  }

  @Test func stopTimeout() throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner)
    try actors.report(runner, box, .sleepIntent)
    try actors.wait(seconds: 1799)
    #expect(try actors.story(box) == "stopping sleep on 1 generation 1")
    try actors.wait(seconds: 1)
    #expect(try actors.story(box) == "sleeping (runnerNoResponse)")
    #expect(actors.drops == ["1 generation 1 from 1"])
    #expect(try !actors.report(runner, box, ActorFleet.ok))
  }

  @Test func explicitDestroy() throws {
    let runner = try actors.runner(1, slots: 4)
    let starting = try actors.create()
    let running = try actors.running(on: runner)
    let sleepy = try actors.running(on: runner)
    let sleeping = try actors.running(on: runner)
    try actors.report(runner, sleepy, .sleepIntent)
    try actors.report(runner, sleeping, .sleepIntent)
    try actors.report(runner, sleeping, ActorFleet.ok)
    _ = try actors.running(on: runner)
    let pending = try actors.create()
    let all = [starting, running, sleepy, sleeping, pending]
    for id in all { try actors.wish(.destroy, id) }
    #expect(
      try actors.stories(all) == [
        "stopping destroy on 1 generation 1", "stopping destroy on 1 generation 1",
        "stopping destroy on 1 generation 1", "destroyed", "destroyed (noCapacity)",
      ])
    // The third is being stopped already; what becomes of it then is another matter.
    #expect(try actors.commands(runner) == ["stop destroy 3/2", "stop destroy 1/2", "stop destroy 2/2"])
    for id in [starting, running, sleepy] { try actors.report(runner, id, ActorFleet.error) }
    #expect(try actors.stories([starting, running, sleepy]) == ["destroyed", "destroyed", "destroyed"])
    for id in all { try actors.wish(.destroy, id) }
    #expect(try all.map { try actors.count(.actorDestroyed, $0) } == [1, 1, 1, 1, 1])
    #expect(try actors.used(runner) == 1)
  }

  /// Backing off and destroyed: nothing is left to be due.
  @Test func destroyWhileBackingOff() throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner)
    for _ in 0..<2 { try actors.report(runner, box, ActorFleet.error) }
    #expect(try actors[box].wait == .backoff)
    try actors.wish(.destroy, box)
    #expect(try fleet.store.apply([.timePassed], at: fleet.now).nextDue == nil)
  }

  // MARK: - Tries

  @Test func crashBackoff() throws {
    let runner = try actors.runner(1)
    let box = try actors.create()
    var pauses: [Int64] = []
    for failures in 1...11 {
      try actors.report(runner, box, ActorFleet.error)
      let actor = try actors[box]
      #expect(actor.retries == failures)
      let due = actor.state == .pending ? try #require(actor.dueNanoseconds) : fleet.now.nanoseconds
      pauses.append((due - fleet.now.nanoseconds) / 1_000_000)
      fleet.now.nanoseconds = due - 1
      try actors.apply(.timePassed)
      #expect(try failures == 1 || actors[box].state == .pending)
      fleet.now.nanoseconds = due
      try actors.apply(.timePassed)
      #expect(try actors.story(box) == "starting on 1 generation \(failures + 1) (crashed)")
    }
    let bases: [Int64] = [0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512].map { $0 * 1000 }
    for (pause, base) in zip(pauses, bases) {
      #expect(pause >= base && pause <= base + (base == 0 ? 0 : 500))
    }
  }

  @Test func crashBackoffReset() throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner)
    for expected in [1, 2] {
      try actors.report(runner, box, ActorFleet.error)
      #expect(try actors[box].retries == expected)
    }
    try actors.wait(seconds: 3)
    try actors.report(runner, box, .running)
    actors.advance(seconds: 599)
    try actors.report(runner, box, ActorFleet.error)
    #expect(try actors[box].retries == 3)
    try actors.wait(seconds: 5)
    try actors.report(runner, box, .running)
    actors.advance(seconds: 600)
    try actors.report(runner, box, ActorFleet.error)
    #expect(try actors[box].retries == 1)
    #expect(try actors.story(box).hasPrefix("starting"), "at once, as the first time")
  }

  /// The machine's clock begins anew with a restart; ten minutes of health are ten minutes of health.
  @Test func healthIsCountedOverARestartOfTheMachine() throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner)
    for _ in 0..<2 { try actors.report(runner, box, ActorFleet.error) }
    try actors.wait(seconds: 3)
    try actors.report(runner, box, .running)
    #expect(try actors[box].retries == 2)
    actors.advance(seconds: 3600)
    fleet.bootID = "boot-2"
    fleet.now.nanoseconds = 5_000_000_000
    try fleet.reopen()
    #expect(try actors.story(box) == "pending (noCapacity)", "tried at once; nobody has come back yet")
    #expect(try actors[box].retries == 1 && actors[box].wait == .runner)
  }

  @Test func retriesSurviveARestartOfTheDaemon() throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner)
    for _ in 0..<2 { try actors.report(runner, box, ActorFleet.error) }
    let before = try actors[box]
    actors.advance(seconds: 1)
    try fleet.reopen()
    #expect(try actors[box].dueNanoseconds == before.dueNanoseconds)
    #expect(fleet.snapshot.nextDue == before.dueNanoseconds)
    try actors.wait(seconds: 2)
    #expect(try actors.story(box) == "pending (noCapacity)", "nobody has come back yet")
    try actors.runner(1)
    #expect(try actors.story(box) == "starting on 2 generation 3 (noCapacity)")
    #expect(try actors[box].retries == 2)
  }

  /// The runner needs time to come back: nobody's deadline is shorter than that.
  @Test func deadlinesSurviveARestartOfTheDaemon() throws {
    let runner = try actors.runner(1)
    let starting = try actors.create()
    let stopping = try actors.running(on: runner)
    try actors.report(runner, stopping, .sleepIntent)
    actors.advance(seconds: 28)
    let before = try actors[stopping].dueNanoseconds
    try fleet.reopen()
    let lost = FleetTimes().lostThresholdMilliseconds * 1_000_000
    #expect(try actors[starting].dueNanoseconds == fleet.now.nanoseconds + lost)
    #expect(try actors[stopping].dueNanoseconds == before)
  }
}
