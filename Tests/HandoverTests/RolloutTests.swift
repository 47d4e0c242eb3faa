import Handover
import Testing

/// Whole upgrades on a small pool: time goes on, runners finish, bad versions come and go.
private struct Rollout {
  var fleet: Fleet
  /// What runners say to a StopCancelled.
  var resumes = true
  private(set) var targets: [Version] = []

  init(_ policy: String, _ pool: String, _ runners: String) {
    fleet = Fleet(policy: policy, pool: pool, runners: runners)
  }

  mutating func settle() {
    while true {
      let plan = fleet.plan
      guard plan.changes(fleet.state) else { return }
      if !resumes { refuse(plan.recalled) }
      if let move = plan.targetMove { targets.append(move.version) }
      fleet.carryOut(plan)
    }
  }

  /// Answers `too_late`: such an order is not offered a way back again.
  private mutating func refuse(_ versions: [Version]) {
    for index in fleet.runners.indices where versions.contains(fleet.runners[index].version) {
      fleet.runners[index].isUpgradeOrder = false
    }
  }

  mutating func pass(seconds: Int64) {
    let end = fleet.now + seconds * Fleet.second
    settle()
    while let wake = fleet.plan.wakeAtNanoseconds, wake <= end {
      fleet.now = wake
      settle()
    }
    fleet.now = end
    settle()
  }

  /// Those who drain move their actors to the target and leave. The answer is how many found no slot.
  mutating func finishDrains() -> Int64 {
    var homeless = fleet.runners.reduce(0) { $1.isDraining ? $0 + $1.actors : $0 }
    fleet.runners.removeAll(where: \.isDraining)
    for index in fleet.runners.indices where fleet.runners[index].version == fleet.target {
      let moved = min(homeless, fleet.runners[index].slots - fleet.runners[index].actors)
      fleet.runners[index].actors += moved
      homeless -= moved
    }
    settle()
    return homeless
  }

  mutating func start(_ count: Int, of number: UInt32, slots: Int64) {
    let version = Version(number)!
    if !fleet.runners.contains(where: { $0.version == version && $0.isReady }) {
      fleet.healthySince[version] = fleet.now
    }
    for _ in 0..<count {
      let id = RunnerID((fleet.runners.map(\.id.rawValue).max() ?? 0) + 1)
      fleet.runners.append(.init(id: id, version: version, slots: slots, actors: 0))
      settle()
    }
  }

  mutating func kill(_ number: UInt32) {
    fleet.runners.removeAll { $0.version.number == number }
    settle()
  }

  func ready(_ number: UInt32) -> Int { fleet.runners.count { $0.version.number == number && $0.isReady } }
  var servingSlots: Int64 { fleet.runners.reduce(0) { $1.isReady ? $0 + $1.slots : $0 } }
}

@Suite struct RolloutTests {
  @Test func carefulMovesEveryoneWithoutASlotLessAndWithoutAnActorThatWaits() {
    var rollout = Rollout("careful", "on1 was40", "10x1:4/3")
    rollout.start(10, of: 2, slots: 4)
    #expect(rollout.ready(1) == 10)
    rollout.pass(seconds: 30)
    var steps = 0
    while rollout.fleet.runners.contains(where: { $0.version.number == 1 }) {
      #expect(rollout.servingSlots >= 40)
      #expect(rollout.finishDrains() == 0)
      steps += 1
      #expect(steps <= 10)
    }
    #expect(rollout.targets.map(\.number) == [2])
    #expect(rollout.fleet.plan.holds.isEmpty)
  }

  @Test func aVersionThatDiesAfterTwoSecondsLeavesTheOldOneUntouched() {
    var rollout = Rollout("healthy=5s", "on1", "20x1:1/1")
    for _ in 0..<20 {
      rollout.start(1, of: 2, slots: 1)
      rollout.pass(seconds: 2)
      rollout.kill(2)
      #expect(rollout.ready(1) == 20)
    }
    #expect(rollout.targets == [])
  }

  /// It lives just long enough to be trusted, each time anew, and those whom it sent away cannot come back.
  @Test(arguments: ["careful", "wait", "wait drain=1", "healthy=5s wait"])
  func aCrashLoopNeverEmptiesTheOldVersion(policy: String) {
    var rollout = Rollout(policy, "on1 was40", "10x1:4/0")
    rollout.resumes = false
    for _ in 0..<40 {
      rollout.start(1, of: 2, slots: 4)
      rollout.pass(seconds: 40)
      _ = rollout.finishDrains()
      rollout.kill(2)
      rollout.pass(seconds: 1)
      #expect(rollout.ready(1) >= 9)
      #expect(rollout.fleet.target?.number == 1)
    }
  }

  @Test func twoVersionsThatComeInTurnDoNotFlap() {
    var rollout = Rollout("healthy=5s", "on1", "4x1:4/0")
    for _ in 0..<60 {
      rollout.start(1, of: 2, slots: 4)
      rollout.pass(seconds: 8)
      rollout.kill(2)
      rollout.pass(seconds: 4)
    }
    // Trusted once; after that it would have had to live for ten seconds.
    #expect(rollout.targets.map(\.number) == [2, 1])
    #expect(rollout.ready(1) == 4)
  }

  @Test func aRollbackInTheMiddleBringsEverybodyBack() {
    var rollout = Rollout("drain=3", "on1", "9x1:4/2")
    rollout.start(9, of: 2, slots: 4)
    #expect(rollout.ready(1) == 6)
    rollout.fleet.pin = Version(1)
    rollout.settle()
    #expect(rollout.ready(1) == 9)
    while rollout.ready(2) > 0 { _ = rollout.finishDrains() }
    #expect(rollout.ready(1) == 9)
    #expect(rollout.targets.map(\.number) == [2, 1])
  }

  @Test func pinsBackAndForthEndWithEveryoneOnTheTarget() {
    for policy in ["-", "drain=1", "drain=50%", "wait=0", "healthy=5s drain=2"] {
      var rollout = Rollout(policy, "on1", "6x1:4/1")
      rollout.start(6, of: 2, slots: 4)
      for number in [1, 2, 1, 2, 2, 1] as [UInt32] {
        rollout.fleet.pin = Version(number)
        rollout.pass(seconds: 3)
        _ = rollout.finishDrains()
        // Each version is started again by whoever keeps it running.
        rollout.start(1, of: 1, slots: 4)
        rollout.start(1, of: 2, slots: 4)
      }
      for _ in 0..<40 {
        rollout.pass(seconds: 10)
        _ = rollout.finishDrains()
      }
      #expect(rollout.fleet.target?.number == 1)
      #expect(rollout.ready(1) > 0)
      #expect(rollout.ready(2) == 0, "\(policy)")
    }
  }
}
