import Handover
import Seeded
import Testing

/// What holds of every plan, whatever the pool: tried on thousands of pools made up at random.
private struct Pools {
  var random: SeededRandom

  mutating func next() -> Fleet {
    var fleet = Fleet()
    fleet.kind = random.oneIn(8) ? .off : random.oneIn(12) ? .serverless : .on
    fleet.settings = settings()
    let versions = (1...UInt32(pick(1...4))).map { Version($0)! }
    if !random.oneIn(10) { fleet.target = versions.randomElement(using: &random) }
    if random.oneIn(4) { fleet.pin = Version(UInt32(pick(1...5))) }
    for id in 1...pick(1...14) { fleet.runners.append(runner(id, versions.randomElement(using: &random)!)) }
    for version in versions { fleet.healthySince[version] = fleet.now - pick(0...120) * Fleet.second }
    if random.oneIn(4) {
      fleet.memory.strikes[versions.randomElement(using: &random)!] = .init(
        count: Int(pick(1...4)), lastNanoseconds: fleet.now - pick(0...90_000) * Fleet.second)
    }
    if random.oneIn(4) {
      let isAbandoned = random.oneIn(3)
      fleet.memory.upgrade = .init(
        goal: versions.randomElement(using: &random)!,
        heldSinceNanoseconds: isAbandoned ? nil : fleet.now - pick(0...90) * Fleet.second,
        isAbandoned: isAbandoned)
    }
    if random.oneIn(2) { fleet.memory.settledSlots = pick(0...40) }
    return fleet
  }

  private mutating func settings() -> UpgradeSettings {
    var settings = UpgradeSettings()
    if random.oneIn(4) { return settings }
    if random.oneIn(4) { settings.strategy = .careful }
    if random.oneIn(2) { settings.minHealthyMilliseconds = pick(0...60) * 1000 }
    if random.oneIn(2) { settings.capacity = .wait }
    if random.oneIn(3) {
      settings.minAvailable = random.oneIn(2) ? .percent(pick(0...100)) : .count(pick(0...30))
    }
    if random.oneIn(2) {
      settings.maxDraining = random.oneIn(2) ? .percent(pick(1...100)) : .count(pick(1...4))
    }
    if random.oneIn(3) { settings.holdTimeoutMilliseconds = pick(61...90) * 1000 }
    return settings
  }

  private mutating func runner(_ id: Int64, _ version: Version) -> Fleet.Runner {
    let slots = pick(1...6)
    var runner = Fleet.Runner(id: RunnerID(id), version: version, slots: slots, actors: pick(0...slots))
    runner.isDraining = random.oneIn(4)
    runner.isUpgradeOrder = runner.isDraining && random.oneIn(2)
    runner.isAttached = !random.oneIn(6)
    runner.isAuthorized = !random.oneIn(6)
    runner.isExempt = !runner.isDraining && random.oneIn(8)
    return runner
  }

  private mutating func pick(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random) }
}

private let seeds = Array(UInt64(1)...20)
private let poolsPerSeed = 200

private func forEachPool(_ seed: UInt64, _ check: (Fleet) -> Void) {
  var pools = Pools(random: SeededRandom(seed: seed))
  for _ in 0..<poolsPerSeed { check(pools.next()) }
}

/// Orders that are taken back may bring a version back that is greater than the target; so it may take a few plans.
private func settled(_ fleet: Fleet) -> Fleet? {
  var fleet = fleet
  for _ in 0..<8 {
    let plan = fleet.plan
    guard plan.changes(fleet.state) else { return fleet }
    fleet.carryOut(plan)
  }
  return nil
}

@Test(arguments: seeds) func aPlanCarriedOutLeavesNothingForTheNext(seed: UInt64) {
  forEachPool(seed) { fleet in
    let plan = fleet.plan
    var after = fleet
    after.carryOut(plan)
    if plan.recalled.isEmpty {
      #expect(after.plan.targetMove == nil, "\(fleet.row(of: plan)) \(fleet)")
      #expect(after.plan.retirement == nil, "\(fleet)")
    }
    #expect(settled(fleet) != nil, "\(fleet)")
  }
}

@Test(arguments: seeds) func nothingChangesBeforeItsTimeAndSomethingDoesThen(seed: UInt64) {
  forEachPool(seed) { fleet in
    guard let settled = settled(fleet), let wake = settled.plan.wakeAtNanoseconds else { return }
    #expect(wake > settled.now, "\(settled)")
    var later = settled
    later.now = wake - 1
    #expect(later.plan == settled.plan, "\(settled)")
    later.now = wake
    #expect(later.plan != settled.plan, "\(settled)")
  }
}

@Test(arguments: seeds) func noOneElseIsMeantWhenTheRunnersComeInAnotherOrder(seed: UInt64) {
  forEachPool(seed) { fleet in
    var other = fleet
    other.runners.reverse()
    #expect(other.plan == fleet.plan)
  }
}

@Test(arguments: seeds) func everyReadyRunnerHasOneFateAndTheSumsAgree(seed: UInt64) {
  forEachPool(seed) { fleet in
    let plan = fleet.plan
    let fates = fleet.runners.filter(\.isReady).map { plan.fate(of: $0) }
    #expect(fates.count { $0 == .ordered } == plan.retired, "\(fleet)")
    for gate in Gate.allCases {
      let held = plan.held.first { $0.gate == gate.rawValue }?.count ?? 0
      #expect(fates.count { $0 == .held(gate) } == held, "\(gate) of \(fleet)")
    }
    #expect(plan.holds.allSatisfy { $0.count > 0 })
    #expect(plan.fates.reduce(0) { $0 + $1.ordered } == plan.retired)
    if fleet.kind == .serverless { #expect(plan.retirement == nil && plan.holds.isEmpty) }
  }
}

@Test(arguments: seeds) func slotsAndPaceAreKept(seed: UInt64) {
  forEachPool(seed) { fleet in
    let plan = fleet.plan
    var after = fleet
    after.carryOut(plan)
    let policy = fleet.settings.policy
    let draining = fleet.state.versions.reduce(0) { $0 + $1.draining }
    let left = draining + plan.retired
    if fleet.kind != .serverless, let most = policy.maxDraining, plan.retired > 0 {
      #expect(left <= max(1, Int(most.roundedDown(of: Int64(fleet.runners.count)))), "\(fleet)")
    }
    guard fleet.kind != .serverless, case .wait(let least) = policy.capacity, plan.retired > 0 else { return }
    let ready = fleet.state.versions.reduce(0) { $0 + $1.totalSlots }
    let before = fleet.memory.settledSlots ?? ready
    let stays = fleet.runners.filter { $0.isReady && $0.isAttached && plan.fate(of: $0) != .ordered }
    let serving = fleet.runners.filter { $0.isReady && $0.isAttached }.reduce(0) { $0 + $1.slots }
    let remaining = stays.reduce(0) { $0 + $1.slots }
    #expect(remaining >= min(serving, least?.roundedUp(of: before) ?? before), "\(fleet)")
    let coming = fleet.runners.filter { $0.isDraining || plan.fate(of: $0) == .ordered }
    let going = fleet.runners.filter { $0.isReady && plan.fate(of: $0) == .ordered && $0.actors > 0 }
    if !going.isEmpty {
      let free = stays.filter { $0.version == plan.target }.reduce(0) { $0 + $1.slots - $1.actors }
      #expect(coming.reduce(0) { $0 + $1.actors } <= free, "\(fleet)")
    }
  }
}
