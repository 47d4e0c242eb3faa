/// What the planner looks at. It grows with the number of versions, never with the number of runners.
///
/// A pool moves from its *target* to a *goal*: the pinned version, or else the greatest that may become the target.
/// Whoever is not of the target (older than it, or, when it is pinned, of any other version) is *outgoing*. A *gate*
/// holds outgoing runners where they are; a *hold* is a gate that is closed now.
package struct PoolState: Hashable, Sendable {
  package var config: RunnerConfig
  package var target: Version?
  /// The version that somebody set as the target; nil is automatic.
  package var pin: Version?
  /// One entry for each version that has a living runner, in any order.
  package var versions: [VersionSummary]
  /// What else is known of them; a version that is left out has `VersionFacts()`.
  package var facts: [Version: VersionFacts]
  package var memory: PoolMemory
  /// Actors on the pool's draining runners: they will need slots of the target.
  package var drainingActors: Int64
  /// Actors of the pool that wait for a slot now.
  package var waitingActors: Int64

  package init(
    config: RunnerConfig, target: Version?, versions: [VersionSummary], pin: Version? = nil,
    facts: [Version: VersionFacts] = [:], memory: PoolMemory = PoolMemory(), drainingActors: Int64 = 0,
    waitingActors: Int64 = 0
  ) {
    self.config = config
    self.target = target
    self.pin = pin
    self.versions = versions
    self.facts = facts
    self.memory = memory
    self.drainingActors = drainingActors
    self.waitingActors = waitingActors
  }
}

/// What gates and undoing need to know of one version.
package struct VersionFacts: Hashable, Sendable {
  /// Since when it has had an attached ready runner without a break; nil while it has none.
  package var healthySinceNanoseconds: Int64?
  /// Slots of the runners that serve: ready, attached, not silent, not cordoned.
  package var servingSlots: Int64
  /// Of those, the free ones of runners that take actors, on whose user's word they may be given some.
  package var servingFreeSlots: Int64
  /// Ready runners whose order for the present target somebody cancelled.
  package var exempt: Int
  /// Open orders of an upgrade that have not been offered a way back.
  package var upgradeOrders: Int

  package init(
    healthySinceNanoseconds: Int64? = nil, servingSlots: Int64 = 0, servingFreeSlots: Int64 = 0,
    exempt: Int = 0, upgradeOrders: Int = 0
  ) {
    self.healthySinceNanoseconds = healthySinceNanoseconds
    self.servingSlots = servingSlots
    self.servingFreeSlots = servingFreeSlots
    self.exempt = exempt
    self.upgradeOrders = upgradeOrders
  }
}

/// What a pool remembers from one plan to the next: given to the planner, and given back by it as it should be from
/// then on. A new config and a new pin begin with `forgettingUpgrade`.
package struct PoolMemory: Hashable, Sendable {
  /// An upgrade that a gate holds back.
  package struct Upgrade: Hashable, Sendable {
    package var goal: Version
    /// Since when nothing of it moves for a gate that time may not open; nil while it does.
    package var heldSinceNanoseconds: Int64?
    /// It was held back for `hold_timeout`. Nobody leaves for this goal until there is another one, or none for a while.
    package var isAbandoned: Bool
    package init(goal: Version, heldSinceNanoseconds: Int64? = nil, isAbandoned: Bool = false) {
      self.goal = goal
      self.heldSinceNanoseconds = heldSinceNanoseconds
      self.isAbandoned = isAbandoned
    }
  }

  package struct Strikes: Hashable, Sendable {
    package var count: Int
    package var lastNanoseconds: Int64
    package init(count: Int, lastNanoseconds: Int64) {
      self.count = count
      self.lastNanoseconds = lastNanoseconds
    }
  }

  package var upgrade: Upgrade?
  /// Slots of all ready runners when last nobody had to leave: the slots that there were when an upgrade began. nil
  /// where capacity does not count. While a version is struck they do not fall: what a bad version sent away
  /// is missing, and is not what was settled for.
  package var settledSlots: Int64?
  /// Versions that were demoted and have not been healthy for long since; at most `versionsWithStrikes`.
  package var strikes: [Version: Strikes]

  package static let versionsWithStrikes = 16

  package init(upgrade: Upgrade? = nil, settledSlots: Int64? = nil, strikes: [Version: Strikes] = [:]) {
    self.upgrade = upgrade
    self.settledSlots = settledSlots
    self.strikes = strikes
  }

  /// Whoever changes what is wanted wants it tried (again).
  package var forgettingUpgrade: PoolMemory {
    var memory = self
    memory.upgrade = nil
    return memory
  }

  mutating func strike(_ version: Version, now: Int64) {
    strikes[version] = Strikes(count: (strikes[version]?.count ?? 0) + 1, lastNanoseconds: now)
    if strikes.count > Self.versionsWithStrikes, let least = strikes.keys.min() { strikes[least] = nil }
  }
}

/// A ready runner as the planner takes it: oldest version first, then fewest actors, then least id.
package struct Candidate: Hashable, Comparable, Sendable {
  package var id: RunnerID
  package var version: Version
  package var totalSlots: Int64
  package var usedSlots: Int64
  /// Attached, not silent, not cordoned.
  package var isServing: Bool
  /// Somebody cancelled its order for the present target.
  package var isExempt: Bool

  package init(
    id: RunnerID, version: Version, totalSlots: Int64, usedSlots: Int64, isServing: Bool = true,
    isExempt: Bool = false
  ) {
    self.id = id
    self.version = version
    self.totalSlots = totalSlots
    self.usedSlots = usedSlots
    self.isServing = isServing
    self.isExempt = isExempt
  }

  package static func < (a: Self, b: Self) -> Bool {
    (a.version, a.usedSlots, a.id) < (b.version, b.usedSlots, b.id)
  }
}

/// The versions that a target leaves no place for.
package enum Outgoing: Hashable, Sendable {
  case olderThan(Version)
  /// What a pin leaves no place for: newer ones too.
  case otherThan(Version)

  package func contains(_ version: Version) -> Bool {
    switch self {
    case .olderThan(let target): version < target
    case .otherThan(let target): version != target
    }
  }

  /// The same as numbers: at most two ranges, ascending.
  package var ranges: [ClosedRange<UInt32>] {
    let (target, newerToo) =
      switch self {
      case .olderThan(let target): (target.number, false)
      case .otherThan(let target): (target.number, true)
      }
    let older = target > 1 ? [1...target - 1] : []
    return newerToo && target < UInt32.max - 1 ? older + [target + 1...UInt32.max - 1] : older
  }
}

/// What somebody wants to know the plan of, before it is so.
package enum Supposition: Hashable, Sendable {
  /// A runner of this version registers: attached, with a word that counts, and it takes actors.
  case registers(Version, slots: UInt32)
  case config(RunnerConfig)
  /// nil is automatic.
  case pin(Version?)

  /// The runner that is supposed to be there. It has no id yet, and whatever it will get is greater than all others.
  package var newcomer: Candidate? {
    switch self {
    case .registers(let version, let slots):
      Candidate(id: RunnerID(.max), version: version, totalSlots: Int64(slots), usedSlots: 0)
    case .config, .pin: nil
    }
  }
}

extension PoolState {
  package func supposing(_ supposition: Supposition, now: Int64) -> PoolState {
    var state = self
    switch supposition {
    case .registers(let version, let slots):
      let index = state.versions.firstIndex { $0.version == version } ?? state.versions.endIndex
      if index == state.versions.endIndex {
        state.versions.append(
          VersionSummary(
            version: version, ready: 0, readyAttached: 0, readyAttachedAuthorized: 0, draining: 0,
            totalSlots: 0, remainingSlots: 0))
      }
      state.versions[index].ready += 1
      state.versions[index].readyAttached += 1
      state.versions[index].readyAttachedAuthorized += 1
      state.versions[index].totalSlots += Int64(slots)
      state.versions[index].remainingSlots += Int64(slots)
      var facts = state.facts[version] ?? VersionFacts()
      facts.healthySinceNanoseconds = facts.healthySinceNanoseconds ?? now
      facts.servingSlots += Int64(slots)
      facts.servingFreeSlots += Int64(slots)
      state.facts[version] = facts
    case .config(let config):
      state.config = config
      state.memory = memory.forgettingUpgrade
    case .pin(let version):
      state.pin = version
      state.memory = memory.forgettingUpgrade
    }
    return state
  }
}
