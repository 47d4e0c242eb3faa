import Handover
import Testing

@testable import Registry

/// Commands until they are acknowledged, reports that count once and only in their generation, and runners that come and go.
@Suite struct ActorReportTests {
  private let actors: ActorFleet
  private var fleet: Fleet { actors.fleet }

  init() throws { actors = try ActorFleet() }

  private func checkpoint(_ id: ActorID, _ generation: Int64, _ index: Int64) -> ActorCheckpoint {
    ActorCheckpoint(actor: id, generation: generation, index: index)
  }

  @Test func commandsAreReadUntilTheyAreAcknowledged() throws {
    let runner = try actors.runner(1)
    let ids = try actors.create(3)
    #expect(try actors.commands(runner) == ["start 1/1", "start 2/1", "start 3/1"])
    try actors.apply(.commandsAcked(runner.runner, [checkpoint(ids[1], 1, 1)]))
    #expect(try actors.commands(runner) == ["start 1/1", "start 3/1"])
    #expect(try actors[ids[1]].isCommandAcked && !actors[ids[0]].isCommandAcked)
    // The latest command of each; what it replaces need not be said.
    try actors.wish(.destroy, ids[0])
    try actors.wish(.destroy, ids[1])
    #expect(try actors.commands(runner) == ["start 3/1", "stop destroy 1/2", "stop destroy 2/2"])
    try fleet.reopen()
    #expect(try actors.commands(runner) == ["start 3/1", "stop destroy 1/2", "stop destroy 2/2"])
    // What is not so, or another's, counts for nothing.
    let other = try actors.runner(1)
    let nonsense: [(Handover.Attachment, ActorCheckpoint)] = [
      (other, checkpoint(ids[0], 1, 2)), (runner, checkpoint(ids[0], 0, 2)),
      (runner, checkpoint(ids[0], 2, 2)), (runner, checkpoint(ids[0], 1, 1)),
      (runner, checkpoint(ActorID(99), 1, 1)), (runner, checkpoint(ids[0], 1, -1)),
    ]
    for (who, what) in nonsense {
      _ = try actors.apply(.commandsAcked(who.runner, [what]))
      #expect(try actors.commands(runner).contains("stop destroy 1/2"), "\(what)")
    }
    try actors.apply(.commandsAcked(runner.runner, [checkpoint(ids[0], 1, .max)]))
    #expect(try actors.commands(runner) == ["start 3/1", "stop destroy 2/2"])
  }

  /// Read piece by piece: as many as fit, at least one, and on from where the last ended.
  @Test func commandsAreReadAtTheRunnersPace() throws {
    let runner = try actors.runner(1, slots: 9)
    for _ in 0..<9 { _ = try actors.create("box", input: [UInt8](repeating: 1, count: 1000)) }
    var seen: [Int64] = []
    var (after, more) = (Int64(0), true)
    while more {
      guard
        case .commands(let commands, let upTo, let hasMore) = try fleet.read(
          .commands(runner.runner, after: after, limitBytes: 2500)
        ).content
      else { break }
      #expect(commands.count == 3 && upTo > after)
      seen += commands.map(\.checkpoint.actor.rawValue)
      (after, more) = (upTo, hasMore)
    }
    #expect(seen == Array(1...9))
    #expect(try actors.commands(runner, after: after) == [])
  }

  @Test func reportsCountOnce() throws {
    let runner = try actors.runner(1)
    let box = try actors.create()
    #expect(try actors.report(runner, box, .running, index: 1))
    #expect(try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000), index: 3))
    // Sent again after a lost answer: acknowledged, and nothing happens anew.
    actors.advance(seconds: 5)
    #expect(try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000), index: 3))
    #expect(try actors.report(runner, box, ActorFleet.error, index: 2))
    #expect(try actors.story(box) == "running on 1 generation 1")
    #expect(try actors.count(.actorRunning, box) == 1)
    #expect(try actors.report(runner, box, .sleepIntent, index: 4))
    #expect(try actors.report(runner, box, ActorFleet.ok, index: 5))
    #expect(try actors[box].dueNanoseconds == fleet.now.nanoseconds + 55_000_000_000)
    // It is no longer this runner's.
    #expect(try !actors.report(runner, box, ActorFleet.ok, index: 5))
  }

  @Test func oneMessageOfManyReports() throws {
    let runner = try actors.runner(1)
    let ids = try actors.create(2)
    let reports = [
      ActorReport(checkpoint: checkpoint(ids[0], 1, 1), kind: .running),
      ActorReport(checkpoint: checkpoint(ids[1], 2, 1), kind: .running),
      ActorReport(checkpoint: checkpoint(ids[0], 1, 2), kind: ActorFleet.ok),
      ActorReport(checkpoint: checkpoint(ids[0], 1, 3), kind: .running),
      ActorReport(checkpoint: checkpoint(ActorID(99), 1, 1), kind: .running),
    ]
    let result = try actors.apply(.actorReports(runner, reports))
    #expect(
      result
        == .success(
          .reported(
            acked: [checkpoint(ids[0], 1, 1), checkpoint(ids[0], 1, 2)],
            refused: [
              checkpoint(ids[1], 2, 1), checkpoint(ids[0], 1, 3), checkpoint(ActorID(99), 1, 1),
            ])))
    #expect(try actors.stories(ids) == ["destroyed", "starting on 1 generation 1"])
  }

  @Test func aStaleGenerationIsRefused() throws {
    let runner = try actors.runner(1)
    let box = try actors.running(on: runner)
    try actors.report(runner, box, ActorFleet.error)
    #expect(try actors.story(box) == "starting on 1 generation 2 (crashed)")
    for generation: Int64 in [0, 1, 3] {
      for kind: ActorReport.Kind in [.running, ActorFleet.ok, .startRefused, .sleepIntent, .held] {
        #expect(try !actors.report(runner, box, kind, generation: generation))
      }
    }
    #expect(try actors.story(box) == "starting on 1 generation 2 (crashed)")
  }

  @Test func anothersActorIsRefused() throws {
    let first = try actors.runner(1)
    let second = try actors.runner(1)
    let box = try actors.create()
    #expect(try actors[box].runner == first.runner)
    #expect(try !actors.report(second, box, .running))
    #expect(try !actors.report(second, box, .held))
    #expect(try actors.report(first, box, .held, index: 0))
    #expect(try actors.story(box) == "starting on 1 generation 1")
  }

  /// What a connection said that is no longer the runner's.
  @Test func anOlderConnectionIsNotHeard() throws {
    var registration = actors.registration(1)
    let first = try actors.admit(registration)
    let box = try actors.create()
    registration.attachment = fleet.nextAttachment()
    try actors.admit(registration)
    let report = ActorReport(checkpoint: checkpoint(box, 1, 1), kind: .running)
    #expect(try actors.refusal(.actorReports(first, [report])) == .aborted)
    #expect(try actors.story(box) == "starting on 1 generation 1")
  }

  /// The Start crossed the runner's Stop on its way: no fault of the actor's.
  @Test func aStartThatIsRefused() throws {
    let first = try actors.runner(1, slots: 1)
    let box = try actors.create()
    let waiting = try actors.create()
    try actors.report(first, box, .startRefused)
    #expect(try actors.stories([box, waiting]) == ["starting on 1 generation 2", "pending (noCapacity)"])
    #expect(try actors[box].retries == 0)
  }

  @Test func aStartThatCrossedTheStop() throws {
    let old = try actors.runner(1)
    let box = try actors.create()
    let new = try actors.runner(2)
    #expect(try actors.story(box) == "stopping goingAway on 1 generation 1")
    try actors.report(old, box, .startRefused)
    #expect(try actors.story(box) == "starting on 2 generation 2")
    #expect(try actors[box].retries == 0 && actors[box].failure == nil)
    #expect(try actors.commands(new) == ["start 1/1"])
  }

  // MARK: - Runners that come and go

  @Test func actorSurvivesARunnersDisconnect() throws {
    var registration = actors.registration(1)
    let first = try actors.admit(registration)
    let box = try actors.running(on: first)
    try actors.apply(.detached([first]))
    #expect(try actors.story(box) == "running on 1 generation 1")
    try actors.wish(.sleep, box)
    registration.attachment = fleet.nextAttachment()
    let second = try actors.admit(registration)
    #expect(try actors.commands(second) == ["stop sleep 1/2"])
    #expect(try actors.report(second, box, .held, index: 0))
    #expect(try actors.report(second, box, ActorFleet.ok))
    #expect(try actors.story(box) == "sleeping")
  }

  @Test func actorSurvivesARestartOfTheDaemon() throws {
    var registration = actors.registration(1)
    let box = try actors.running(on: try actors.admit(registration))
    try fleet.reopen()
    registration.attachment = fleet.nextAttachment()
    let runner = try actors.admit(registration)
    #expect(try actors.report(runner, box, .held, index: 0))
    #expect(try actors.story(box) == "running on 1 generation 1")
    #expect(try actors.used(runner) == 1)
  }

  @Test func aLostRunnersActorsMove() throws {
    let first = try actors.runner(1, slots: 2)
    let (running, starting) = (try actors.running(on: first), try actors.create())
    let second = try actors.runner(1, slots: 1)
    try actors.apply(.lose([first], .processDied))
    #expect(
      try actors.stories([running, starting]) == [
        "starting on 2 generation 2 (runnerLost)", "pending (noCapacity)",
      ])
    #expect(try actors[starting].queuedBefore == 0 && actors[running].retries == 1)
    // It comes back as another: nothing of the old generation counts.
    let third = try actors.runner(1)
    #expect(try !actors.report(third, running, .held, generation: 1))
    #expect(try !actors.report(second, running, .running, generation: 1))
    #expect(try actors.story(starting) == "starting on 3 generation 2 (noCapacity)")
  }

  @Test func aRunnerThatLeavesGivesUpWhatItHeld() throws {
    let first = try actors.runner(1)
    let box = try actors.running(on: first)
    let sleepy = try actors.running(on: first)
    try actors.report(first, sleepy, .sleepIntent)
    try actors.apply(.leave(first, exitCode: 0, reason: ""))
    #expect(try actors.story(box) == "pending (noCapacity)")
    #expect(try actors.story(sleepy) == "sleeping")
    try actors.runner(1)
    #expect(try actors[box].runner == RunnerID(2))
  }
}
