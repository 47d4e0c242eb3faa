/// What the planner looks at: a pool's config, its target and what it has of each version. It grows with the
/// number of versions, never with the number of runners.
package struct PoolState: Hashable, Sendable {
  package var config: RunnerConfig
  package var target: Version?
  /// One entry for each version that has a living runner, in any order.
  package var versions: [VersionSummary]

  package init(config: RunnerConfig, target: Version?, versions: [VersionSummary]) {
    self.config = config
    self.target = target
    self.versions = versions
  }
}

/// What should happen to a pool: a value, so that it can be stored, logged, answered and compared.
package struct Plan: Hashable, Sendable {
  package struct TargetMove: Hashable, Sendable {
    package var version: Version
    package var cause: TargetCause
    package init(version: Version, cause: TargetCause) {
      self.version = version
      self.cause = cause
    }
  }

  /// Which ready runners must leave.
  package enum Retirement: Hashable, Sendable {
    case olderThan(Version)
  }

  /// nil when the target stays.
  package var targetMove: TargetMove?
  /// The target after the move.
  package var target: Version?
  /// nil when nobody must leave.
  package var retirement: Retirement?
  /// How many ready runners the retirement names.
  package var retired: Int
  package var upgrade: Decision.Upgrade
  package var held: [Decision.Held]

  /// Whether a ready runner of this version must leave.
  package func retires(_ version: Version) -> Bool {
    switch retirement {
    case .olderThan(let target): version < target
    case nil: false
    }
  }

  /// The answer for whoever asked; `asking` is the version of the runner that did.
  package func decision(
    config: Decision.Config, superseded: RunnerID? = nil, asking: Version? = nil
  ) -> Decision {
    Decision(
      config: config, upgrade: upgrade, ordered: retired, held: held, superseded: superseded,
      standing: asking.map { retires($0) ? .draining : .ready }, target: target)
  }
}

/// Compares what a pool is with what it should be. Level-triggered: whatever woke it, the same state gives the same
/// plan, and a pool that already is as it should be gets an empty one.
package enum Planner {
  package static func plan(_ state: PoolState) -> Plan {
    let move = targetMove(state)
    let target = move?.version ?? state.target
    var plan = Plan(
      targetMove: move, target: target, retirement: nil, retired: 0, upgrade: .noneOlder, held: [])

    switch state.config.kind {
    case .serverless:
      plan.upgrade = .notNormal
    case .normal(let normal) where normal.drainOnVersionUpgrade != true:
      plan.upgrade = .disabled
    case .normal:
      guard let target else { break }
      let older = state.versions.filter { $0.version < target && $0.ready > 0 }
      if !older.isEmpty {
        plan.retirement = .olderThan(target)
        plan.retired = older.reduce(0) { $0 + $1.ready }
        plan.upgrade = .applied
      } else if state.versions.contains(where: { $0.version > target && $0.readyAttached > 0 }) {
        // A greater version is there and did not become the target: only authorization keeps it from that.
        plan.upgrade = .notAuthorized
      }
    }
    return plan
  }

  /// first: the pool had no target. promoted: a greater version has an attached ready runner whose word counts.
  /// demoted: the target has no ready runner left and another version has.
  private static func targetMove(_ state: PoolState) -> Plan.TargetMove? {
    guard let target = state.target else {
      return greatest(state.versions) { $0.readyAttached > 0 }.map { .init(version: $0, cause: .first) }
    }
    let promoted = greatest(state.versions) { $0.version > target && $0.readyAttachedAuthorized > 0 }
    if let promoted { return .init(version: promoted, cause: .promoted) }
    guard !state.versions.contains(where: { $0.version == target && $0.ready > 0 }) else { return nil }
    return greatest(state.versions) { $0.version < target && $0.ready > 0 }
      .map { .init(version: $0, cause: .demoted) }
  }

  private static func greatest(
    _ versions: [VersionSummary], where matches: (VersionSummary) -> Bool
  ) -> Version? {
    versions.filter(matches).map(\.version).max()
  }
}
