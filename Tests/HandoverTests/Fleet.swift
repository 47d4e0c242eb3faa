import Handover

/// A pool in the plainest form there is: its runners one by one. What the planner is given is counted from them anew each
/// time, and what it says is done to them.
struct Fleet: Equatable {
  struct Runner: Equatable {
    var id: RunnerID
    var version: Version
    var slots: Int64
    var actors: Int64
    var isDraining = false
    /// Its order is an upgrade's and can be taken back.
    var isUpgradeOrder = false
    var isAttached = true
    var isAuthorized = true
    var isExempt = false
    /// Its version is healthy since then.
    var isReady: Bool { !isDraining }
  }

  static let second: Int64 = 1_000_000_000

  var settings = UpgradeSettings()
  var kind: Kind = .on
  var target: Version?
  var pin: Version?
  var runners: [Runner] = []
  /// nil of a version is for ever.
  var healthySince: [Version: Int64] = [:]
  var memory = PoolMemory()
  var now: Int64 = 10_000 * second

  enum Kind: Equatable { case on, off, serverless }

  var config: RunnerConfig {
    switch kind {
    case .serverless: return RunnerConfig(kind: .serverless)
    case .on, .off:
      var normal = RunnerConfig.Normal(drainOnVersionUpgrade: kind == .on)
      normal.upgrade = settings
      return RunnerConfig(kind: .normal(normal))
    }
  }

  var state: PoolState {
    var versions: [Version: VersionSummary] = [:]
    var facts: [Version: VersionFacts] = [:]
    for runner in runners {
      var summary =
        versions[runner.version]
        ?? VersionSummary(
          version: runner.version, ready: 0, readyAttached: 0, readyAttachedAuthorized: 0, draining: 0,
          totalSlots: 0, remainingSlots: 0)
      var fact = facts[runner.version] ?? VersionFacts()
      if runner.isDraining {
        summary.draining += 1
        if runner.isUpgradeOrder { fact.upgradeOrders += 1 }
      } else {
        summary.ready += 1
        summary.totalSlots += runner.slots
        summary.remainingSlots += runner.slots - runner.actors
        if runner.isExempt { fact.exempt += 1 }
        if runner.isAttached {
          summary.readyAttached += 1
          if runner.isAuthorized { summary.readyAttachedAuthorized += 1 }
          fact.servingSlots += runner.slots
          fact.servingFreeSlots += runner.slots - runner.actors
        }
      }
      versions[runner.version] = summary
      facts[runner.version] = fact
    }
    for (version, summary) in versions where summary.readyAttached > 0 {
      facts[version]!.healthySinceNanoseconds = healthySince[version] ?? 0
    }
    return PoolState(
      config: config, target: target, versions: Array(versions.values), pin: pin, facts: facts,
      memory: memory,
      drainingActors: runners.reduce(0) { $1.isDraining ? $0 + $1.actors : $0 })
  }

  var candidates: [Candidate] {
    runners.filter(\.isReady).map {
      Candidate(
        id: $0.id, version: $0.version, totalSlots: $0.slots, usedSlots: $0.actors, isServing: $0.isAttached,
        isExempt: $0.isExempt)
    }
  }

  var plan: Plan { Planner.plan(state, now: now, candidates: candidates) }

  /// Does what the plan says. Orders that are taken back are cancelled at once, as those are whose Stop has not left.
  mutating func carryOut(_ plan: Plan) {
    for index in runners.indices where runners[index].isReady {
      guard plan.fate(of: runners[index]) == .ordered else { continue }
      runners[index].isDraining = true
      runners[index].isUpgradeOrder = true
    }
    if plan.targetMove != nil {
      for index in runners.indices { runners[index].isExempt = false }
    }
    for index in runners.indices
    where runners[index].isUpgradeOrder && plan.recalled.contains(runners[index].version) {
      let had = runners.contains { $0.version == runners[index].version && $0.isReady && $0.isAttached }
      runners[index].isDraining = false
      runners[index].isUpgradeOrder = false
      if !had, runners[index].isAttached { healthySince[runners[index].version] = now }
    }
    target = plan.target
    memory = plan.memory
  }
}

extension Plan {
  func fate(of runner: Fleet.Runner) -> Fate {
    fate(of: runner.id, version: runner.version, isExempt: runner.isExempt)
  }
}
