import Handover
import Testing

@testable import Registry

/// Gates, pace and patience on a real file: what the planner's table says of one moment, over time, over restarts and with
/// actors. The table itself is HandoverTests/UpgradeTableTests.
@Suite struct GateTests {
  @Test func aVersionIsTheTargetOnlyWhenItHasBeenHealthy() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(minHealthyMilliseconds: 30_000) }
    let fleet = actors.fleet
    for _ in 0..<3 { try actors.runner(1) }
    let step = try fleet.register(2)
    #expect(step.admission?.decision.held == [.init(gate: "min_healthy", count: 3)])
    #expect(step.admission?.decision.upgrade == .applied && step.admission?.decision.ordered == 0)
    #expect(try fleet.target() == 1 && fleet.phases() == [.ready, .ready, .ready, .ready])
    #expect(try fleet.events().last?.kind == .upgradeHeld)
    #expect(try fleet.pool().pool.heldUpgrade?.goal == version(2))

    // Its time is the store's own to remember.
    let due = try #require(try fleet.apply([.timePassed]).nextDue)
    #expect(due == fleet.now.nanoseconds + 30_000_000_000)
    try actors.wait(seconds: 29)
    #expect(try fleet.target() == 1)
    try actors.wait(seconds: 1)
    #expect(try fleet.target() == 2)
    #expect(try fleet.phases() == [.draining, .draining, .draining, .ready])
    // Only time has passed; it is the word of the runner that brought the version all the same.
    let change = try #require(try fleet.pool().pool.target)
    #expect(change.runner == step.admission?.runner && change.who == peer())
    #expect(try fleet.drains().allSatisfy { $0.who == peer() })
    #expect(try fleet.apply([.timePassed]).nextDue == nil)
    #expect(try fleet.pool().pool.heldUpgrade == nil)
  }

  /// A build that dies after two seconds, again and again, never has its health, and nobody hears of it.
  @Test func aCrashLoopLeavesTheOldVersionAlone() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(minHealthyMilliseconds: 5000) }
    let fleet = actors.fleet
    for _ in 0..<3 { try actors.runner(1) }
    for _ in 0..<5 {
      let bad = try actors.runner(2)
      try actors.wait(seconds: 2)
      try fleet.apply([.lose([bad], .processDied)])
      try actors.wait(seconds: 1)
    }
    #expect(try fleet.target() == 1 && fleet.drains() == [])
    #expect(try fleet.apply([.timePassed]).nextDue == nil, "nothing waits for a version that is not there")
  }

  /// Health is not continuous over a restart of the daemon: nobody was attached to it.
  @Test func healthBeginsAnewWithTheDaemon() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(minHealthyMilliseconds: 30_000) }
    let fleet = actors.fleet
    try actors.runner(1)
    let token = fleet.nextToken()
    _ = try fleet.register(2, token: token)
    actors.advance(seconds: 29)
    try fleet.reopen()
    #expect(fleet.snapshot.nextDue == nil, "no health runs")
    let back = try fleet.apply([.register(fleet.registration(2, token: token))])
    #expect(back.nextDue == fleet.now.nanoseconds + 30_000_000_000)
    try actors.wait(seconds: 29)
    #expect(try fleet.target() == 1)
    try actors.wait(seconds: 1)
    #expect(try fleet.target() == 2)
  }

  /// To a daemon that has just started nobody is attached, the candidate neither: its slots are not those that there were when the
  /// upgrade began, or as many more would have to come before the last old runner could go.
  @Test func aRestartAmidAnUpgradeCountsNoSlotsOfTheCandidate() throws {
    let actors = try ActorFleet {
      $0.upgrade = UpgradeSettings(
        minHealthyMilliseconds: 5000, capacity: .wait, holdTimeoutMilliseconds: 60_000)
    }
    let fleet = actors.fleet
    let tokens = (0..<3).map { _ in fleet.nextToken() }
    for (number, token) in zip([1, 1, 2] as [UInt32], tokens) { _ = try fleet.register(number, token: token) }
    let held = try #require(try fleet.pool().pool.heldUpgrade)
    let events = try fleet.events().count { $0.kind == .upgradeHeld }
    actors.advance(seconds: 2)
    try fleet.reopen()
    for (number, token) in zip([1, 1, 2] as [UInt32], tokens) { _ = try fleet.register(number, token: token) }
    #expect(try fleet.pool().pool.heldUpgrade == held, "the same upgrade, held for as long")
    #expect(try fleet.events().count { $0.kind == .upgradeHeld } == events)
    _ = try fleet.register(2)
    try actors.wait(seconds: 5)
    #expect(try fleet.target() == 2)
    #expect(try fleet.phases() == [.draining, .draining, .ready, .ready])
  }

  @Test func aCanaryWithOneSlotDrainsNobodyWhereCapacityCounts() throws {
    for isFull in [false, true] {
      let actors = try ActorFleet { $0.upgrade = UpgradeSettings(capacity: .wait) }
      let fleet = actors.fleet
      for _ in 0..<5 { try actors.runner(1, slots: 4) }
      if isFull { _ = try actors.create(20) }
      let step = try fleet.apply(one: .register(actors.registration(2, slots: 1)))
      #expect(step.admission?.decision.target == version(2))
      #expect(step.admission?.decision.held == [.init(gate: "min_available", count: 5)], "full: \(isFull)")
      #expect(try fleet.drains() == [])
      // New work goes where room is: to the canary, then to those who are held.
      let more = try actors.create(2)
      let expected: [ActorState] = isFull ? [.starting, .pending] : [.starting, .starting]
      #expect(try more.map { try actors[$0].state } == expected)
    }
  }

  /// One by one, as the new version brings room: never a slot less than there were, never an actor without one.
  @Test func capacityIsHandedOverAsItComes() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(capacity: .wait) }
    let fleet = actors.fleet
    let old = try (0..<3).map { _ in try actors.runner(1, slots: 2) }
    let boxes = try actors.create(6)
    for box in boxes { try actors.run(box) }
    for (index, number) in [1, 2, 3].enumerated() {
      try actors.runner(2, slots: 2)
      let open = try fleet.drains().filter { $0.state.isOpen }
      #expect(open.count == 1, "runner \(number) of version 2")
      let leaver = open[0].runner
      for box in try boxes.filter({ try actors[$0].runner == leaver }) {
        try actors.stop(box)
        #expect(try actors[box].state == .starting, "it has a slot at once")
        try actors.run(box)
      }
      #expect(try boxes.allSatisfy { try actors[$0].state == .running })
      try fleet.apply([.leave(#require(old.first { $0.runner == leaver }), exitCode: 0, reason: "")])
      let ready = try fleet.pool().pool.versions.reduce(0) { $0 + $1.totalSlots }
      #expect(ready == 6, "after \(index + 1)")
    }
    #expect(try fleet.phases() == [.stopped, .stopped, .stopped, .ready, .ready, .ready])
    #expect(try boxes.allSatisfy { try actors[$0].failure == nil })
  }

  @Test func noMoreThanThePaceDrainAtOnce() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(maxDraining: .count(2)) }
    let fleet = actors.fleet
    let old = try (0..<5).map { _ in try actors.runner(1) }
    // The one with the fewest actors goes first.
    for box in try actors.create(3) { try actors.run(box) }
    try actors.runner(2)
    var gone: [RunnerID] = []
    while gone.count < old.count {
      let draining = try fleet.drains().filter { $0.state.isOpen }.map(\.runner)
      #expect(draining.count == min(2, old.count - gone.count))
      let next = try #require(draining.first)
      try fleet.apply([.leave(#require(old.first { $0.runner == next }), exitCode: 0, reason: "")])
      gone.append(next)
    }
    #expect(gone.prefix(2) == [old[3].runner, old[4].runner], "those without actors")
    #expect(try fleet.pool().pool.heldUpgrade == nil)
  }

  @Test func whatIsHeldTooLongIsGivenUpAndNeverForced() throws {
    let actors = try ActorFleet {
      $0.upgrade = UpgradeSettings(capacity: .wait, holdTimeoutMilliseconds: 60_000)
    }
    let fleet = actors.fleet
    for _ in 0..<2 { try actors.runner(1) }
    try actors.runner(2, slots: 1)
    try actors.wait(seconds: 59)
    #expect(try fleet.pool().pool.heldUpgrade?.isAbandoned == false)
    try actors.wait(seconds: 1)
    #expect(try fleet.pool().pool.heldUpgrade?.isAbandoned == true)
    #expect(try fleet.events().last?.kind == .upgradeAbandoned)
    // Room comes too late, until somebody says what is wanted once more.
    for _ in 0..<2 { try actors.runner(2) }
    #expect(try fleet.drains() == [])
    try fleet.reopen()
    #expect(try fleet.pool().pool.heldUpgrade?.isAbandoned == true, "it outlives the daemon")
  }

  @Test func anAbandonedUpgradeIsTriedAgainWithANewConfig() throws {
    let actors = try ActorFleet {
      $0.upgrade = UpgradeSettings(capacity: .wait, holdTimeoutMilliseconds: 60_000)
    }
    let fleet = actors.fleet
    try actors.runner(1)
    try actors.runner(2, slots: 1)
    try actors.wait(seconds: 60)
    try actors.configure { $0.upgrade = UpgradeSettings(capacity: .proceed) }
    #expect(try fleet.phases() == [.draining, .ready])
  }

  /// Who is silent or cordoned has slots on paper only.
  @Test func slotsThatDoNotServeDoNotCount() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(capacity: .wait) }
    let fleet = actors.fleet
    try actors.runner(1)
    let new = fleet.registration(2)
    let there = Handover.Attachment(runner: RunnerID(2), id: new.attachment)
    try fleet.apply([.register(new), .silent([there])])
    #expect(try fleet.phases() == [.draining, .ready], "it had been heard when it came")

    let other = try ActorFleet { $0.upgrade = UpgradeSettings(capacity: .wait) }
    try other.runner(1)
    try other.runner(1)
    let first = try other.fleet.admit(2)
    #expect(try other.fleet.drains().count == 1)
    try other.fleet.apply([.silent([first])])
    try other.fleet.admit(2)
    #expect(try other.fleet.drains().count == 1, "two of version 2, one of them silent")
    try other.fleet.apply([.heard([first])])
    #expect(try other.fleet.drains().count == 2)
    #expect(fleet.now.nanoseconds > 0)
  }

  /// A reboot leaves no runner and no clock: an old pool's memory means nothing.
  @Test func aRebootForgetsWhatWasHeld() throws {
    let actors = try ActorFleet {
      $0.upgrade = UpgradeSettings(
        minHealthyMilliseconds: 5000, capacity: .wait, holdTimeoutMilliseconds: 60_000)
    }
    let fleet = actors.fleet
    try actors.runner(1)
    try actors.runner(2, slots: 1)
    try actors.wait(seconds: 60)
    #expect(try fleet.pool().pool.heldUpgrade != nil)
    fleet.bootID = "boot-2"
    fleet.now.nanoseconds = 1_000_000
    try fleet.reopen()
    #expect(try fleet.pool().pool.heldUpgrade == nil)
    #expect(fleet.snapshot.nextDue == nil)
    try actors.runner(1)
    #expect(try fleet.target() == 1, "whoever comes first runs what there is")
  }

  /// A version that was the target and lost its last runner must prove itself for twice as long.
  @Test func strikesAreKept() throws {
    let actors = try ActorFleet { $0.upgrade = UpgradeSettings(minHealthyMilliseconds: 10_000) }
    let fleet = actors.fleet
    try actors.runner(1)
    let first = try actors.runner(2)
    let old = try fleet.drains()
    #expect(old.isEmpty)
    try actors.wait(seconds: 10)
    #expect(try fleet.target() == 2)
    try fleet.apply([.lose([first], .processDied)])
    #expect(try fleet.target() == 1, "its runner had not heard of its Stop")
    #expect(try fleet.drains().map(\.state) == [.cancelled])
    #expect(try fleet.phases() == [.ready, .lost])
    try fleet.reopen()
    _ = try fleet.register(1)
    try actors.runner(2)
    try actors.wait(seconds: 19)
    #expect(try fleet.target() == 1, "the bar is 20 s now, and outlives the daemon")
    try actors.wait(seconds: 1)
    #expect(try fleet.target() == 2)
  }
}
