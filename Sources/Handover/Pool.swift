/// How the runners of one pool are treated.
package struct RunnerConfig: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case normal(Normal)
    case serverless
  }

  package struct Normal: Hashable, Sendable {
    /// nil is absent, which means false.
    package var drainOnVersionUpgrade: Bool?
    /// 0 is the daemon's default.
    package var drainGracePeriodMilliseconds: Int64
    package var actors: ActorSettings
    /// How an upgrade goes; without gates and pace where nothing is said.
    package var upgrade: UpgradeSettings
    package init(
      drainOnVersionUpgrade: Bool? = nil, drainGracePeriodMilliseconds: Int64 = 0,
      actors: ActorSettings = ActorSettings(), upgrade: UpgradeSettings = UpgradeSettings()
    ) {
      self.upgrade = upgrade
      self.drainOnVersionUpgrade = drainOnVersionUpgrade
      self.drainGracePeriodMilliseconds = drainGracePeriodMilliseconds
      self.actors = actors
    }
  }

  package var kind: Kind
  package var metadata: [MetadataPair]
  /// The message as it was sent, so that what this daemon does not know survives; empty for one the daemon
  /// made itself.
  package var encoded: [UInt8]

  package init(kind: Kind, metadata: [MetadataPair] = [], encoded: [UInt8] = []) {
    self.kind = kind
    self.metadata = metadata
    self.encoded = encoded
  }

  /// What a pool gets at its first registration when nobody configured it.
  package static let automatic = RunnerConfig(kind: .normal(Normal()))

  /// 0 when the daemon's default holds.
  package var graceMilliseconds: Int64 {
    switch kind {
    case .normal(let normal): normal.drainGracePeriodMilliseconds
    case .serverless: 0
    }
  }

  /// How an upgrade goes.
  package var upgradePolicy: UpgradePolicy {
    switch kind {
    case .normal(let normal): normal.upgrade.policy
    case .serverless: .immediate
    }
  }

  /// Whether an actor for which the target has no slot may be given to another version: where an upgrade waits for room,
  /// the work must be able to stay where there is some.
  package var actorsFallBack: Bool {
    actorSettings.fallsBackToOtherVersions || upgradePolicy.waitsForCapacity
  }

  package var actorSettings: ActorSettings {
    switch kind {
    case .normal(let normal): normal.actors
    case .serverless: ActorSettings()
    }
  }
}

/// What a pool has of one version.
package struct VersionSummary: Hashable, Sendable {
  package var version: Version
  package var ready: Int
  /// Of the ready ones, those attached.
  package var readyAttached: Int
  /// Of the ready and attached ones, those whose word moves the pool's target.
  package var readyAttachedAuthorized: Int
  package var draining: Int
  /// Slots of the ready ones.
  package var totalSlots: Int64
  package var remainingSlots: Int64
  /// Ready runners whose order for the present target somebody cancelled.
  package var exempt: Int
  /// Actors on the draining ones.
  package var drainingActors: Int64

  package init(
    version: Version, ready: Int, readyAttached: Int, readyAttachedAuthorized: Int, draining: Int,
    totalSlots: Int64, remainingSlots: Int64, exempt: Int = 0, drainingActors: Int64 = 0
  ) {
    self.version = version
    self.ready = ready
    self.readyAttached = readyAttached
    self.readyAttachedAuthorized = readyAttachedAuthorized
    self.draining = draining
    self.totalSlots = totalSlots
    self.remainingSlots = remainingSlots
    self.exempt = exempt
    self.drainingActors = drainingActors
  }
}

/// Why a pool's target version changed.
package enum TargetCause: Int, Sendable, CaseIterable {
  case first = 1
  case promoted = 2
  case demoted = 3
  case pinned = 4
}

/// One change of a pool's target version.
package struct TargetChange: Hashable, Sendable {
  package var version: Version
  package var previousVersion: Version?
  package var cause: TargetCause
  package var runner: RunnerID?
  package var who: Peer
  package var atMilliseconds: Int64
  package init(
    version: Version, previousVersion: Version?, cause: TargetCause, runner: RunnerID?, who: Peer,
    atMilliseconds: Int64
  ) {
    self.version = version
    self.previousVersion = previousVersion
    self.cause = cause
    self.runner = runner
    self.who = who
    self.atMilliseconds = atMilliseconds
  }
}

/// The runners of one namespace and one runner name.
package struct Pool: Hashable, Sendable {
  package var name: PoolName
  package var config: RunnerConfig
  package var target: TargetChange?
  /// nil before the first runner.
  package var ownerUID: UInt32?
  /// Versions that have a living runner, greatest first; at most `Bounds.versionsShown`.
  package var versions: [VersionSummary]
  package var openDrains: Int
  package var actors: ActorCounts
  package var pin: Pin?
  package var heldUpgrade: PoolMemory.Upgrade?
  package init(
    name: PoolName, config: RunnerConfig, target: TargetChange?, ownerUID: UInt32?,
    versions: [VersionSummary], openDrains: Int, actors: ActorCounts = ActorCounts(), pin: Pin? = nil,
    heldUpgrade: PoolMemory.Upgrade? = nil
  ) {
    self.name = name
    self.config = config
    self.target = target
    self.ownerUID = ownerUID
    self.versions = versions
    self.openDrains = openDrains
    self.actors = actors
    self.pin = pin
    self.heldUpgrade = heldUpgrade
  }
}

/// A target that somebody set.
package struct Pin: Hashable, Sendable {
  package var version: Version
  package var who: Peer
  package var reason: String
  package var atMilliseconds: Int64
  package init(version: Version, who: Peer, reason: String, atMilliseconds: Int64) {
    self.version = version
    self.who = who
    self.reason = reason
    self.atMilliseconds = atMilliseconds
  }
}

/// A boundary of names and of authorization.
package struct Namespace: Hashable, Sendable {
  package var name: String
  package var createdAtMilliseconds: Int64
  package init(name: String, createdAtMilliseconds: Int64) {
    self.name = name
    self.createdAtMilliseconds = createdAtMilliseconds
  }
}
