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

  /// Which ready runners must leave now.
  package enum Retirement: Hashable, Sendable {
    /// Everyone outgoing who is not exempt: one statement, whatever their number.
    case all(Outgoing)
    /// These, in this order.
    case runners([RunnerID])
  }

  /// What becomes of the ready runners of one version.
  package struct VersionFate: Hashable, Sendable {
    package var version: Version
    package var ready: Int
    /// Of the ready ones, those that must leave now.
    package var ordered = 0
    /// Those that a gate holds, and which; those that are exempt are not counted here.
    package var held = 0
    package var gate: Gate?
    package var exempt = 0
  }

  package enum Fate: Hashable, Sendable {
    case stays
    case ordered
    case held(Gate)
  }

  /// nil when the target stays.
  package var targetMove: TargetMove?
  /// The target after the move.
  package var target: Version?
  /// nil when nobody must leave now.
  package var retirement: Retirement?
  /// How many ready runners the retirement names.
  package var retired: Int
  /// Versions whose open orders of an upgrade are taken back (`Undo`), least first: the target asks for them no longer.
  package var recalled: [Version]
  package var upgrade: Decision.Upgrade
  package var holds: [Hold]
  /// Of each version that has a ready runner, greatest first.
  package var fates: [VersionFate]
  /// What the pool remembers from now on.
  package var memory: PoolMemory
  /// When the plan could become another one though nothing happens, on the clock of `Moment.nanoseconds`; nil for never.
  package var wakeAtNanoseconds: Int64?

  /// Whether there is anything to do or to remember.
  package func changes(_ state: PoolState) -> Bool {
    targetMove != nil || retirement != nil || !recalled.isEmpty || memory != state.memory
  }

  /// What becomes of one ready runner. Whoever asks of many gives those who leave as a set (`leaving`).
  package func fate(
    of runner: RunnerID, version: Version, isExempt: Bool = false, among leaving: Set<RunnerID>? = nil
  ) -> Fate {
    guard let fate = fates.first(where: { $0.version == version }) else { return .stays }
    switch retirement {
    case .runners(let runners) where leaving?.contains(runner) ?? runners.contains(runner): return .ordered
    // An exemption ends with the target that it was from.
    case _ where isExempt && targetMove == nil && fate.exempt > 0: return .held(.exempt)
    case .all(let outgoing) where outgoing.contains(version): return .ordered
    case .all, .runners, nil: return fate.gate.map { .held($0) } ?? .stays
    }
  }

  /// Those who leave one by one; nil when it is whole versions.
  package var leaving: Set<RunnerID>? {
    switch retirement {
    case .runners(let runners): Set(runners)
    case .all, nil: nil
    }
  }

  /// How many each gate holds, in the order of the gates.
  package var held: [Decision.Held] {
    Gate.allCases.compactMap { gate in
      let count = holds.reduce(0) { $1.gate == gate ? $0 + $1.count : $0 }
      return count > 0 ? Decision.Held(gate: gate.rawValue, count: count) : nil
    }
  }

  /// The answer for whoever asked; `fate` is that of the runner that did.
  package func decision(
    config: Decision.Config, superseded: RunnerID? = nil, fate: Fate? = nil
  ) -> Decision {
    Decision(
      config: config, upgrade: upgrade, ordered: retired, held: held, superseded: superseded,
      standing: fate.map { $0 == .ordered ? .draining : .ready }, target: target)
  }
}
