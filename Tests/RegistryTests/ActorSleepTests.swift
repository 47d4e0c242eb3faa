import Handover
import Testing

@testable import Registry

/// Sleep, alarms and wakes.
@Suite struct ActorSleepTests {
  private let actors: ActorFleet
  private let runner: Handover.Attachment
  private let box: ActorID
  private var fleet: Fleet { actors.fleet }

  init() throws {
    actors = try ActorFleet()
    runner = try actors.runner(1)
    box = try actors.running(on: runner)
  }

  private func doze() throws {
    try actors.report(runner, box, .sleepIntent)
    try actors.report(runner, box, ActorFleet.ok)
  }

  @Test func sleepIntent() throws {
    try actors.report(runner, box, .sleepIntent)
    #expect(try actors.story(box) == "stopping sleep on 1 generation 1")
    #expect(try actors.commands(runner) == ["stop sleep 1/2"])
    #expect(try actors.used(runner) == 1)
    try actors.report(runner, box, ActorFleet.ok)
    #expect(try actors.story(box) == "sleeping")
    #expect(try actors.used(runner) == 0 && actors[box].generation == 1)
    try actors.wait(seconds: 86_400)
    #expect(try actors.story(box) == "sleeping", "without an alarm it sleeps on")
    try actors.wish(.wake, box)
    #expect(try actors.story(box) == "starting on 1 generation 2")
    try actors.wish(.wake, box)
    #expect(try actors.story(box) == "starting on 1 generation 2")
  }

  @Test func sleepAsAClientWants() throws {
    try actors.wish(.sleep, box)
    #expect(try actors.story(box) == "stopping sleep on 1 generation 1")
    try actors.wish(.sleep, box)
    #expect(try actors.commands(runner) == ["stop sleep 1/2"])
    try actors.report(runner, box, ActorFleet.ok)
    #expect(try actors.story(box) == "sleeping")
  }

  @Test func alarm() throws {
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    try doze()
    #expect(try actors[box].dueNanoseconds == fleet.now.nanoseconds + 60_000_000_000)
    try actors.wait(seconds: 59)
    #expect(try actors.story(box) == "sleeping")
    try actors.wait(seconds: 1)
    #expect(try actors.story(box) == "starting on 1 generation 2")
    // It rings once.
    try actors.report(runner, box, .running)
    try doze()
    try actors.wait(seconds: 600)
    #expect(try actors.story(box) == "sleeping")
  }

  @Test func anAlarmThatPassedWhileItRan() throws {
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    try actors.wait(seconds: 120)
    #expect(try actors.story(box) == "running on 1 generation 1", "it is awake")
    try doze()
    #expect(try actors.story(box) == "sleeping")
    try actors.wait(seconds: 0)
    #expect(try actors.story(box) == "starting on 1 generation 2")
  }

  @Test func anAlarmIsTakenBackOrReplaced() throws {
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 90_000))
    try doze()
    try actors.wait(seconds: 89)
    #expect(try actors.story(box) == "sleeping")
    try actors.wait(seconds: 1)
    try actors.report(runner, box, .running)
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    try actors.report(runner, box, .setAlarm(afterMilliseconds: nil))
    try doze()
    #expect(try actors[box].dueNanoseconds == nil)
  }

  @Test func anAlarmOutlivesTheDaemon() throws {
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    try doze()
    let due = try actors[box].dueNanoseconds
    actors.advance(seconds: 50)
    try fleet.reopen()
    #expect(try actors[box].dueNanoseconds == due && fleet.snapshot.nextDue == due)
  }

  /// The machine's clock begins anew; the wall clock says how long it slept meanwhile.
  @Test(arguments: [(20, 40), (60, 0), (900, 0)] as [(Int64, Int64)])
  func anAlarmOutlivesTheMachine(_ downSeconds: Int64, _ remains: Int64) throws {
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    try doze()
    actors.advance(seconds: downSeconds)
    fleet.now.nanoseconds = 5_000_000_000
    fleet.bootID = "boot-2"
    try fleet.reopen()
    #expect(try actors[box].dueNanoseconds == fleet.now.nanoseconds + remains * 1_000_000_000)
    try actors.wait(seconds: remains)
    #expect(try actors.story(box) == "pending (noCapacity)")
  }

  /// It is set while it runs, the machine restarts, and it sleeps without having run again.
  @Test func anAlarmOfOneThatRanOutlivesTheMachine() throws {
    try actors.report(runner, box, .setAlarm(afterMilliseconds: 60_000))
    actors.advance(seconds: 20)
    fleet.now.nanoseconds = 5_000_000_000
    fleet.bootID = "boot-2"
    try fleet.reopen()
    #expect(try actors.story(box) == "pending (noCapacity)")
    try actors.wish(.sleep, box)
    #expect(try actors[box].dueNanoseconds == fleet.now.nanoseconds + 40_000_000_000)
  }

  @Test func aWakeWhileItStopsIsKept() throws {
    try actors.report(runner, box, .sleepIntent)
    try actors.wish(.wake, box)
    #expect(try actors.story(box) == "stopping sleep on 1 generation 1 woken")
    try fleet.reopen()
    #expect(try actors.story(box) == "stopping sleep on 1 generation 1 woken")
    try actors.apply(.lose([runner], .processDied))
    #expect(try actors.story(box) == "pending (noCapacity)")
    try actors.runner(1)
    #expect(try actors.story(box) == "starting on 2 generation 2 (noCapacity)")
  }

  @Test func aSleepTakesTheWakeBack() throws {
    try actors.report(runner, box, .sleepIntent)
    try actors.wish(.wake, box)
    try actors.wish(.sleep, box)
    try actors.report(runner, box, ActorFleet.ok)
    #expect(try actors.story(box) == "sleeping")
  }

  /// Who waits may sleep as well: it leaves the queue, and comes back at its end.
  @Test func oneThatWaitsMaySleepInstead() throws {
    let others = try actors.create(5)
    let waiting = others[3]
    #expect(try actors.story(waiting) == "pending (noCapacity)")
    try actors.wish(.sleep, waiting)
    #expect(try actors.story(waiting) == "sleeping (noCapacity)")
    try actors.wish(.wake, waiting)
    #expect(try actors[others[4]].queuedBefore == 0)
    #expect(try actors[waiting].queuedBefore == 1)
  }
}
