/// One plan in the making.
struct Planning {
  /// The version that the pool would move to, and what keeps it from that.
  struct PendingGoal {
    var version: Version
    var gate: Gate
    var until: Int64?
  }

  /// Strikes are forgotten after this much health, or twice what they ask for where that is more.
  static let forgivingNanoseconds: Int64 = 600 * 1_000_000_000
  /// And this long after the last one: of a version that does not come back there is nothing to learn.
  static let forgettingNanoseconds: Int64 = 24 * 3600 * 1_000_000_000

  let state: PoolState
  let now: Int64
  let policy: UpgradePolicy
  /// Greatest first.
  let versions: [VersionSummary]
  var memory: PoolMemory
  private var hasMoved = false

  init(_ state: PoolState, _ now: Int64) {
    self.state = state
    self.now = now
    policy =
      switch state.config.kind {
      case .normal(let normal): normal.upgrade.policy
      case .serverless: .immediate
      }
    versions = state.versions.sorted { $0.version > $1.version }
    memory = state.memory
    for version in memory.strikes.keys where now >= forgivenAt(version) {
      memory.strikes[version] = nil
    }
    // Another goal is another upgrade; and where none drains, none is abandoned.
    let goal = state.target.map { state.pin ?? contenders($0).first ?? cutOffGoal($0) ?? $0 }
    if withoutDrain != nil || goal != memory.upgrade?.goal { memory.upgrade = nil }
  }

  private func facts(_ version: Version) -> VersionFacts { state.facts[version] ?? VersionFacts() }
  private func summary(_ version: Version) -> VersionSummary? { versions.first { $0.version == version } }
  private func isAbandoned(_ goal: Version) -> Bool {
    memory.upgrade.map { $0.goal == goal && $0.isAbandoned } ?? false
  }

  /// Why no upgrade drains this pool; nil where one does.
  var withoutDrain: Decision.Upgrade? {
    switch state.config.kind {
    case .serverless: .notNormal
    // A pin is somebody's word; it needs no standing one.
    case .normal(let normal): normal.drainOnVersionUpgrade == true || state.pin != nil ? nil : .disabled
    }
  }

  // MARK: - Health

  private func required(_ version: Version) -> Int64 {
    policy.requiredHealthNanoseconds(strikes: memory.strikes[version]?.count ?? 0)
  }

  private func health(_ version: Version) -> Health {
    let required = required(version)
    guard required > 0 else { return .holds }
    guard let since = facts(version).healthySinceNanoseconds else { return .notYet(until: nil) }
    return now >= since + required ? .holds : .notYet(until: since + required)
  }

  private func forgivenAt(_ version: Version) -> Int64 {
    let forgotten = (memory.strikes[version]?.lastNanoseconds ?? 0) + Self.forgettingNanoseconds
    guard let since = facts(version).healthySinceNanoseconds else { return forgotten }
    return min(forgotten, since + max(Self.forgivingNanoseconds, 2 * required(version)))
  }

  // MARK: - Target

  /// The versions that would be the target but for their health, greatest first.
  private func contenders(_ target: Version) -> [Version] {
    if let pin = state.pin {
      return versions.filter { $0.version == pin && pin != target && $0.readyAttached > 0 }.map(\.version)
    }
    return versions.filter { $0.version > target && $0.readyAttachedAuthorized > 0 }.map(\.version)
  }

  /// What the pool was on its way to, while all who run it are cut off: they may be back soon (after a restart of the daemon
  /// everyone is), and it is the same upgrade then.
  private func cutOffGoal(_ target: Version) -> Version? {
    guard state.pin == nil, let goal = memory.upgrade?.goal, goal > target, contenders(target).isEmpty,
      let summary = summary(goal), summary.ready > summary.readyAttached
    else { return nil }
    return goal
  }

  /// first: the pool had no target. promoted, pinned: a contender is healthy. demoted: the target has no ready runner
  /// left and another version takes over.
  mutating func moveTarget() -> Plan.TargetMove? {
    let move = targetMove()
    hasMoved = move != nil
    if let move, move.cause == .demoted, let target = state.target, policy.hasGates {
      memory.strike(target, now: now)
    }
    return move
  }

  private func targetMove() -> Plan.TargetMove? {
    guard let target = state.target else {
      // There is nothing yet that a gate could protect.
      let attached = versions.filter { $0.readyAttached > 0 }.map(\.version)
      return (attached.first { $0 == state.pin } ?? attached.first).map { .init(version: $0, cause: .first) }
    }
    if let healthy = contenders(target).first(where: { health($0) == .holds && !isAbandoned($0) }) {
      return .init(version: healthy, cause: state.pin == nil ? .promoted : .pinned)
    }
    guard summary(target).map({ $0.ready == 0 }) ?? true, let heir = heir(of: target) else { return nil }
    return .init(version: heir, cause: heir > target && state.pin == nil ? .promoted : .demoted)
  }

  /// Who takes over from a target without a ready runner. An older version that runs, before one that is there and not
  /// (yet) trusted, before one whose runners could be called back. The greatest of the best.
  private func heir(of target: Version) -> Version? {
    func rank(_ summary: VersionSummary) -> Int {
      let version = summary.version
      let isOlder = version < target && summary.ready > 0
      if isOlder, memory.strikes[version] == nil || health(version) == .holds { return 3 }
      if isOlder || summary.readyAttachedAuthorized > 0 { return 2 }
      return facts(version).upgradeOrders > 0 ? 1 : 0
    }
    let others = versions.filter { $0.version != target }
    guard let best = others.map(rank).max(), best > 0 else { return nil }
    return others.first { rank($0) == best }?.version
  }

  // MARK: - Who must leave

  /// nil while a pin waits for its version: until then nobody is sent away for either.
  func outgoing(_ target: Version) -> Outgoing? {
    guard let pin = state.pin else { return .olderThan(target) }
    return pin == target ? .otherThan(target) : nil
  }

  func pendingGoal(_ target: Version) -> PendingGoal? {
    let contender = contenders(target).first
    guard let goal = state.pin ?? contender, goal != target else { return nil }
    if isAbandoned(goal) { return PendingGoal(version: goal, gate: .abandoned) }
    guard contender == goal else { return PendingGoal(version: goal, gate: .noRunner) }
    switch health(goal) {
    case .notYet(let until): return PendingGoal(version: goal, gate: .minHealthy, until: until)
    // Its plan would have made it the target.
    case .holds: preconditionFailure("version \(goal) is healthy and not the target: \(state)")
    }
  }

  /// Ready runners of an outgoing version that are not exempt. A new target ends the exemptions.
  private func leaving(_ summary: VersionSummary) -> Int {
    hasMoved ? summary.ready : summary.ready - facts(summary.version).exempt
  }

  mutating func retire<Failure: Error>(
    _ outgoing: Outgoing, for target: Version, into plan: inout Plan,
    _ next: (Outgoing, Candidate?) throws(Failure) -> Candidate
  ) throws(Failure) {
    let concerned = versions.filter { outgoing.contains($0.version) }
    let exempt = concerned.reduce(0) { $0 + $1.ready - leaving($1) }
    if exempt > 0 { plan.holds.append(Hold(.exempt, goal: target, count: exempt, isPossible: false)) }
    let total = concerned.reduce(0) { $0 + leaving($1) }
    guard total > 0 else { return mark(concerned, [:], nil, in: &plan) }

    var ordered: [Version: Int] = [:]
    var hold: Hold?
    if summary(target).map({ $0.ready == 0 }) ?? true {
      // Only a pin's: in an automatic pool it would have given way to them.
      hold = Hold(.noRunner, goal: target, count: total, isPossible: false)
    } else if isAbandoned(target) {
      hold = Hold(.abandoned, goal: target, count: total, isPossible: false)
    } else if case .notYet(let until) = health(target) {
      hold = Hold(.minHealthy, goal: target, count: total, untilNanoseconds: until, isPossible: true)
    } else if let room = room(for: total) {
      let runners = try pick(outgoing, for: target, total: total, room: room, &ordered, &hold, next)
      plan.retired = runners.count
      plan.retirement = runners.isEmpty ? nil : .runners(runners)
    } else {
      ordered = Dictionary(uniqueKeysWithValues: concerned.map { ($0.version, leaving($0)) })
      plan.retired = total
      plan.retirement = .all(outgoing)
    }
    if let hold { plan.holds.append(hold) }
    mark(concerned, ordered, hold?.gate, in: &plan)
  }

  /// How many may leave now by the pace; nil when all may and capacity does not count.
  private func room(for total: Int) -> Int? {
    let draining = versions.reduce(0) { $0 + $1.draining }
    let living = versions.reduce(draining) { $0 + $1.ready }
    let most = policy.maxDraining.map { max(1, Int(clamping: $0.roundedDown(of: Int64(living)))) }
    let room = most.map { max(0, $0 - draining) } ?? total
    return room < total || policy.waitsForCapacity ? min(room, total) : nil
  }

  /// One after the other until a gate closes. Whoever comes after one that is held is held too, even where a smaller one
  /// would fit: else the great ones came last, and the whole pool would have to be searched.
  private func pick<Failure: Error>(
    _ outgoing: Outgoing, for target: Version, total: Int, room: Int, _ ordered: inout [Version: Int],
    _ hold: inout Hold?, _ next: (Outgoing, Candidate?) throws(Failure) -> Candidate
  ) throws(Failure) -> [RunnerID] {
    var capacity = capacity(target)
    var runners: [RunnerID] = []
    var last: Candidate?
    while runners.count < total {
      guard runners.count < room else {
        hold = Hold(.maxDraining, goal: target, count: total - runners.count, isPossible: true)
        break
      }
      let candidate = try next(outgoing, last)
      last = candidate
      if candidate.isExempt, !hasMoved { continue }
      hold = capacity?.hold(candidate, goal: target, count: total - runners.count)
      guard hold == nil else { break }
      capacity?.letGo(candidate)
      ordered[candidate.version, default: 0] += 1
      runners.append(candidate.id)
    }
    return runners
  }

  private func capacity(_ target: Version) -> CapacityGate? {
    guard case .wait(let minAvailable) = policy.capacity else { return nil }
    let before = state.memory.settledSlots ?? readySlots
    let available = versions.reduce(0) { $0 + facts($1.version).servingSlots }
    return CapacityGate(
      available: available, least: minAvailable?.roundedUp(of: before) ?? before,
      absent: readySlots - available,
      free: facts(target).servingFreeSlots, targetSlots: facts(target).servingSlots,
      reserved: state.drainingActors + state.waitingActors)
  }

  private var readySlots: Int64 { versions.reduce(0) { $0 + $1.totalSlots } }

  private func mark(
    _ concerned: [VersionSummary], _ ordered: [Version: Int], _ gate: Gate?, in plan: inout Plan
  ) {
    for summary in concerned {
      guard let index = plan.fates.firstIndex(where: { $0.version == summary.version }) else { continue }
      plan.fates[index].ordered = ordered[summary.version] ?? 0
      plan.fates[index].held = leaving(summary) - plan.fates[index].ordered
      plan.fates[index].exempt = summary.ready - leaving(summary)
      plan.fates[index].gate = plan.fates[index].held > 0 ? gate : nil
    }
  }

  /// Those who stay for now and would leave if the goal were the target.
  func hold(_ pending: PendingGoal, _ target: Version, into plan: inout Plan) {
    let outgoing = outgoing(target)
    var count = 0
    for index in plan.fates.indices {
      let version = plan.fates[index].version
      let wouldLeave = state.pin == nil ? version < pending.version : version != pending.version
      guard wouldLeave, !(outgoing?.contains(version) ?? false) else { continue }
      plan.fates[index].held = plan.fates[index].ready
      plan.fates[index].gate = pending.gate
      count += plan.fates[index].ready
    }
    guard count > 0 else { return }
    plan.holds.append(
      Hold(
        pending.gate, goal: pending.version, count: count, untilNanoseconds: pending.until,
        isPossible: pending.gate == .minHealthy))
  }

  func upgrade(_ plan: Plan, _ target: Version) -> Decision.Upgrade {
    if plan.retirement != nil || !plan.holds.isEmpty { return .applied }
    // A greater version is there and is not even waited for: only authorization keeps it from that.
    let isKeptOut = versions.contains { $0.version > target && $0.readyAttached > 0 }
    return state.pin == nil && isKeptOut ? .notAuthorized : .noneOlder
  }

  // MARK: - Undo

  func recalled(_ target: Version) -> [Version] {
    versions.map(\.version).filter { version in
      guard facts(version).upgradeOrders > 0 else { return false }
      guard let outgoing = outgoing(target) else { return version == state.pin || version == target }
      return !outgoing.contains(version)
    }.reversed()
  }

  // MARK: - Memory and time

  mutating func remember(_ plan: inout Plan, pending: PendingGoal?) {
    // What holds for the goal; a target that is itself only on the way is nobody's last goal.
    let goal = pending?.version ?? plan.target
    let holds = plan.holds.filter { $0.goal == goal && $0.gate != .exempt }
    if let goal, !holds.isEmpty {
      var upgrade = memory.upgrade.flatMap { $0.goal == goal ? $0 : nil } ?? PoolMemory.Upgrade(goal: goal)
      let isStuck = holds.contains { $0.gate.countsAsHeld } && (pending != nil || plan.retired == 0)
      if !upgrade.isAbandoned {
        upgrade.heldSinceNanoseconds = isStuck ? upgrade.heldSinceNanoseconds ?? now : nil
        if let due = abandonedAt(upgrade), now >= due { abandon(&upgrade, &plan) }
      }
      memory.upgrade = upgrade
    } else if plan.target.flatMap(cutOffGoal) == nil {
      memory.upgrade = nil
    }
    memory.settledSlots = policy.waitsForCapacity ? settledSlots(plan) : nil
    plan.memory = memory
  }

  private func abandonedAt(_ upgrade: PoolMemory.Upgrade) -> Int64? {
    guard let timeout = policy.holdTimeoutMilliseconds, let since = upgrade.heldSinceNanoseconds else {
      return nil
    }
    return since + timeout * 1_000_000
  }

  private func abandon(_ upgrade: inout PoolMemory.Upgrade, _ plan: inout Plan) {
    upgrade.isAbandoned = true
    upgrade.heldSinceNanoseconds = nil
    let outgoing = plan.target.flatMap { self.outgoing($0) }
    for index in plan.holds.indices where plan.holds[index].goal == upgrade.goal {
      let held = plan.holds[index]
      guard held.gate.countsAsHeld else { continue }
      plan.holds[index] = Hold(.abandoned, goal: held.goal, count: held.count, isPossible: false)
      for fate in plan.fates.indices where plan.fates[fate].gate == held.gate {
        let isOfTarget = outgoing?.contains(plan.fates[fate].version) ?? false
        if isOfTarget == (held.goal == plan.target) { plan.fates[fate].gate = .abandoned }
      }
    }
  }

  /// The slots there are while nobody has to leave; what they were before for as long as somebody has.
  private func settledSlots(_ plan: Plan) -> Int64 {
    let isUnderWay = plan.target.flatMap(cutOffGoal).map { !isAbandoned($0) } ?? false
    let isSettled =
      plan.retirement == nil && !isUnderWay
      && plan.holds.allSatisfy { $0.gate == .abandoned || $0.gate == .exempt }
    let before = state.memory.settledSlots ?? readySlots
    guard isSettled else { return before }
    return memory.strikes.isEmpty ? readySlots : max(before, readySlots)
  }

  /// The next health that holds, the end of patience, the next strike forgiven.
  func wakeAt(_ plan: Plan, _ target: Version) -> Int64? {
    var times = plan.holds.compactMap(\.untilNanoseconds)
    for contender in contenders(target) where !isAbandoned(contender) {
      if case .notYet(let until?) = health(contender) { times.append(until) }
    }
    // Nobody is told to go or given up on before the goal is there to be looked at.
    if cutOffGoal(target) == nil, let upgrade = memory.upgrade, !upgrade.isAbandoned,
      let due = abandonedAt(upgrade)
    {
      times.append(due)
    }
    times += memory.strikes.keys.map(forgivenAt)
    return times.min()
  }
}
