/// What the registry decided when a runner registered or a config changed: stored, logged and answered, so
/// that "nothing happened" always says why.
package struct Decision: Hashable, Sendable {
  package enum Config: Int, Sendable, CaseIterable {
    /// There was none: a normal one without drain was stored.
    case created = 1
    case found = 2
  }

  package enum Upgrade: Int, Sendable, CaseIterable {
    /// The pool is not `normal`: an upgrade never drains it.
    case notNormal = 1
    /// `drain_on_version_upgrade` is absent or false.
    case disabled = 2
    /// The version is greater than the target, but its peer's word does not move it.
    case notAuthorized = 3
    /// No ready runner is older than the target.
    case noneOlder = 4
    /// Older runners were ordered to leave, or are held back by a gate.
    case applied = 5
  }

  /// What the asking runner is after it.
  package enum Standing: Int, Sendable, CaseIterable {
    case ready = 1
    /// Its pool has moved on: it must leave at once.
    case draining = 2
  }

  package struct Held: Hashable, Sendable {
    package var gate: String
    package var count: Int
    package init(gate: String, count: Int) {
      self.gate = gate
      self.count = count
    }
  }

  package var config: Config
  package var upgrade: Upgrade
  /// How many runners were ordered to leave, the superseded one not counted.
  package var ordered: Int
  package var held: [Held]
  /// The runner that held the key and must leave for it.
  package var superseded: RunnerID?
  /// nil when the decision is not a runner's.
  package var standing: Standing?
  package var target: Version?

  package init(
    config: Config, upgrade: Upgrade, ordered: Int = 0, held: [Held] = [], superseded: RunnerID? = nil,
    standing: Standing? = nil, target: Version? = nil
  ) {
    self.config = config
    self.upgrade = upgrade
    self.ordered = ordered
    self.held = held
    self.superseded = superseded
    self.standing = standing
    self.target = target
  }
}
