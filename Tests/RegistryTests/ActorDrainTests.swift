import Handover
import Testing

@testable import Registry

/// Actors whose runner must leave.
@Suite struct ActorDrainTests {
  private let actors: ActorFleet
  private var fleet: Fleet { actors.fleet }

  init() throws { actors = try ActorFleet() }

  /// Actors of every crash policy on several runners of several versions; then comes a newer one. Each ends on it with its
  /// generation raised by one, and none has crashed, however its stop went.
  @Test func drainOfSeveralVersions() throws {
    try actors.configure { $0.drainOnVersionUpgrade = false }
    var held: [(runner: Handover.Attachment, id: ActorID)] = []
    for number: UInt32 in [1, 2, 3] {
      for _ in 0..<2 {
        let runner = try actors.runner(number, slots: 6)
        for policy in CrashPolicy.allCases {
          for _ in 0..<2 { held.append((runner, try actors.running(on: runner, policy: policy))) }
        }
      }
    }
    let new = try actors.runner(4, slots: 36)
    try actors.configure { $0.drainOnVersionUpgrade = true }
    // The config alone orders nobody away; a newer version does.
    let newest = try actors.runner(5, slots: 36)
    #expect(try actors.used(new) == 0)
    for (runner, id) in held {
      #expect(try actors.story(id) == "stopping goingAway on \(runner.runner) generation 1")
    }
    for (place, (runner, id)) in held.enumerated() {
      try actors.report(runner, id, place.isMultiple(of: 2) ? ActorFleet.ok : ActorFleet.error)
      #expect(try actors.story(id) == "starting on \(newest.runner) generation 2")
      try actors.report(newest, id, .running)
    }
    for (_, id) in held {
      let actor = try actors[id]
      #expect(actor.state == .running && actor.generation == 2 && actor.retries == 0 && actor.failure == nil)
    }
    for (runner, _) in held where try actors.fleet.runner(runner.runner).phase == .draining {
      try actors.apply(.leave(runner, exitCode: 0, reason: ""))
    }
    #expect(try fleet.pool().pool.actors.running == 36)
  }

  /// Nothing is given to who must leave, in the very transaction that orders it.
  @Test func nobodyLandsOnWhoMustLeave() throws {
    let old = try actors.runner(1, slots: 2)
    _ = try actors.create(3)
    let batch = try fleet.apply([
      .register(actors.registration(2, slots: 1)), .createActor(actors.creation()),
    ])
    #expect(batch.results.count == 2)
    #expect(
      try actors.stories([ActorID(3), ActorID(4)]) == [
        "starting on 2 generation 1 (noCapacity)", "pending (noCapacity)",
      ])
    // A slot that becomes free at the old one stays free.
    try actors.report(old, ActorID(1), ActorFleet.ok)
    #expect(try actors.story(ActorID(4)) == "pending (noCapacity)")
    #expect(try actors.used(old) == 1)
  }

  @Test func drainDeadline() throws {
    let old = try actors.runner(1)
    let (box, sleepy) = (try actors.running(on: old), try actors.running(on: old))
    let doomed = try actors.running(on: old)
    try actors.report(old, sleepy, .sleepIntent)
    let new = try actors.runner(2)
    try actors.wish(.destroy, doomed)
    #expect(try actors[box].dueNanoseconds == fleet.now.nanoseconds + 60_000_000_000, "the order's deadline")
    actors.advance(seconds: 60)
    try actors.apply(.force([DrainOrderID(1)]))
    #expect(
      try actors.stories([box, sleepy, doomed]) == [
        "starting on 2 generation 2 (runnerDrainingTimeout)", "sleeping (runnerDrainingTimeout)",
        "destroyed (runnerDrainingTimeout)",
      ])
    #expect(try actors[box].retries == 0, "being drained is no failure of its own")
    #expect(try actors.refusal(.actorReports(old, [])) == .failedPrecondition)
    #expect(try !actors.report(new, box, .running, generation: 1))
  }

  /// Told to stop for another reason, with half an hour of its own: its runner has less.
  @Test func theSoonerDeadlineIsShown() throws {
    try actors.configure { $0.actors.stopThresholdMilliseconds = 30_000 }
    let old = try actors.runner(1)
    let (sleepy, box) = (try actors.running(on: old), try actors.running(on: old))
    try actors.report(old, sleepy, .sleepIntent)
    let own = fleet.now.nanoseconds + 30_000_000_000
    actors.advance(seconds: 10)
    try actors.runner(2)
    #expect(try actors[sleepy].dueNanoseconds == own)
    try actors.configure { $0.actors.stopThresholdMilliseconds = 1_800_000 }
    try actors.wish(.destroy, box)
    let order = fleet.now.nanoseconds + 60_000_000_000
    #expect(try actors[box].dueNanoseconds == order)
    guard
      case .commands(let commands, _, _) = try fleet.read(
        .commands(old.runner, after: 0, limitBytes: 1 << 20)
      ).content
    else { return }
    #expect(commands.map(\.deadlineNanoseconds) == [own, order])
  }

  @Test(arguments: CrashPolicy.allCases)
  func aRunnerLostWhileItDrains(_ policy: CrashPolicy) throws {
    let old = try actors.runner(1)
    let box = try actors.running(on: old, policy: policy)
    try actors.runner(2)
    try actors.apply(.lose([old], .processDied))
    #expect(try actors.story(box) == "starting on 2 generation 2 (runnerLost)")
    #expect(try actors[box].retries == 0)
  }

  @Test func aRunnersOwnDrain() throws {
    let first = try actors.runner(1)
    let box = try actors.running(on: first)
    try actors.apply(.stopping(first, reason: "SIGTERM", graceMilliseconds: 5000))
    #expect(try actors.story(box) == "stopping goingAway on 1 generation 1")
    #expect(try actors.commands(first) == ["stop goingAway 1/2"])
    let second = try actors.runner(1)
    try actors.apply(.leave(first, exitCode: 0, reason: ""))
    #expect(try actors.story(box) == "starting on 2 generation 2")
    #expect(try actors.used(second) == 1)
  }

  @Test func anOperatorsDrain() throws {
    let (first, second) = (try actors.runner(1), try actors.runner(1))
    let box = try actors.running(on: first)
    try actors.apply(
      .drain(
        DrainCommand(target: .runner(first.runner), graceMilliseconds: 0, reason: "", who: peer())))
    try actors.report(first, box, ActorFleet.ok)
    #expect(try actors[box].runner == second.runner)
  }

  /// Drained with nobody to go to: it waits, at the head, and gets the first slot there is.
  @Test func drainedActorsKeepTheirPlace() throws {
    let old = try actors.runner(1, slots: 3)
    let held = try (0..<3).map { _ in try actors.running(on: old) }
    let late = try actors.create(2)
    try actors.apply(
      .drain(DrainCommand(target: .wholePool(web), graceMilliseconds: 0, reason: "", who: peer())))
    for id in held.reversed() { try actors.report(old, id, ActorFleet.ok) }
    #expect(try (held + late).map { try actors[$0].queuedBefore } == [0, 1, 2, 3, 4])
    try actors.runner(2, slots: 4)
    #expect(
      try (held + late).map { try actors[$0].state } == [
        .starting, .starting, .starting, .starting, .pending,
      ])
  }

  /// Destroyed while it moves: it is not started again.
  @Test func destroyRacesTheMove() throws {
    let old = try actors.runner(1)
    let box = try actors.running(on: old)
    let new = try actors.runner(2)
    try actors.wish(.destroy, box)
    #expect(try actors.story(box) == "stopping destroy on 1 generation 1")
    try actors.report(old, box, ActorFleet.ok)
    #expect(try actors.story(box) == "destroyed" && actors.used(new) == 0)
  }

  /// A key's new runner takes the place of the old one: that one must leave, or is given up when it is not there. A process
  /// that is only cut off works on until its fence: nobody runs its actors beside it.
  @Test(
    arguments: [
      (true, "stopping goingAway on 1 generation 1"), (false, "starting on 2 generation 2 (runnerLost)"),
    ] as [(Bool, String)])
  func aSupersededRunnersActorsMove(_ isAttached: Bool, _ becomes: String) throws {
    var first = actors.registration(1)
    first.key = "a"
    let old = try actors.admit(first)
    let box = try actors.running(on: old)
    if !isAttached { try actors.apply(.detached([old])) }
    var second = actors.registration(2)
    second.key = "a"
    try actors.admit(second)
    if isAttached {
      #expect(try actors.story(box) == becomes)
    } else {
      #expect(try actors.story(box).hasPrefix("pending"))
      try actors.wait(seconds: 16)
      #expect(try actors.story(box) == becomes)
    }
  }
}
