import BatonAPI
import Handover

/// Who asked for something, as the kernel names it.
public struct PeerInfo: Hashable, Sendable {
  /// User id.
  public var uid: UInt32
  /// Process id; 0 is the daemon itself.
  public var pid: Int32
  /// The process's short name.
  public var program: String

  init(_ peer: Peer) {
    uid = peer.uid
    pid = peer.pid
    program = peer.program
  }
}

/// A runner, as the daemon knows it. The words are those of PROTOCOL.md.
public struct RunnerInfo: Hashable, Sendable {
  /// Its id.
  public var id: Int64
  /// Its pool's namespace.
  public var namespace: String
  /// Its pool's name.
  public var name: String
  /// Its place in the pool.
  public var key: String
  /// What it runs.
  public var version: UInt32
  /// How many actors it can hold.
  public var totalSlots: UInt32
  /// How many more it can take.
  public var remainingSlots: UInt32
  /// ready, draining, stopped or lost.
  public var phase: String
  /// attached or detached; nil once it has ended.
  public var link: String?
  /// Attached, but not heard for the silent threshold.
  public var isSilent: Bool
  /// The process behind it.
  public var peer: PeerInfo
  /// What it said of itself.
  public var metadata: [String: String]
  /// Milliseconds since 1970.
  public var registeredAtMilliseconds: Int64
  /// Milliseconds since 1970; nil while it lives.
  public var endedAtMilliseconds: Int64?
  /// Why it ended; nil while it lives.
  public var end: String?
  /// Its open or last drain order.
  public var drainOrder: Int64?
  /// What it gave with Detach.
  public var exitCode: Int32?
  /// Somebody cordoned it: it gets no new actors, and stays.
  public var isCordoned: Bool
  /// Somebody cancelled its order for this target version: no upgrade to it orders the runner again.
  public var exemptFromTarget: UInt32?

  init(_ runner: Handover.Runner) {
    id = runner.id.rawValue
    namespace = runner.pool.namespace
    name = runner.pool.name
    key = runner.key
    version = runner.version.number
    totalSlots = runner.totalSlots
    remainingSlots = runner.remainingSlots
    phase = Words.word(runner.phase)
    link = runner.link.map(Words.word)
    isSilent = runner.isSilent
    peer = PeerInfo(runner.peer)
    metadata = Dictionary(runner.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    registeredAtMilliseconds = runner.registeredAtMilliseconds
    endedAtMilliseconds = runner.endedAtMilliseconds
    end = runner.end.map(Words.word)
    drainOrder = runner.drainOrder?.rawValue
    exitCode = runner.exitCode
    isCordoned = runner.isCordoned
    exemptFromTarget = runner.exemptFrom?.number
  }
}

/// A drain order, as the daemon knows it.
public struct DrainInfo: Hashable, Sendable {
  /// Its id.
  public var id: Int64
  /// The runner that must leave.
  public var runner: Int64
  /// Its pool's namespace.
  public var namespace: String
  /// Its pool's name.
  public var name: String
  /// Its version.
  public var runnerVersion: UInt32
  /// version_upgrade, superseded, operator or self.
  public var cause: String
  /// Why, as a sentence.
  public var reason: String
  /// The version that takes over.
  public var targetVersion: UInt32?
  /// On whose word.
  public var who: PeerInfo
  /// ordered, delivered, acked, completed, forced, runner_lost or cancelled.
  public var state: String
  /// Whether it may still change.
  public var isOpen: Bool
  /// Milliseconds since 1970, like all times here.
  public var orderedAtMilliseconds: Int64
  /// When the kernel took its Stop.
  public var deliveredAtMilliseconds: Int64?
  /// When the runner had it.
  public var ackedAtMilliseconds: Int64?
  /// When it ended.
  public var endedAtMilliseconds: Int64?
  /// The time given in all.
  public var graceMilliseconds: Int64
  /// What was left of it when the answer was made.
  public var remainingMilliseconds: Int64
  /// Whether the runner was offered to stay: offered (it has not answered) or too_late; nil when it was not.
  public var wayBack: String?
  /// Who took it back, or wanted to.
  public var cancelledBy: PeerInfo?
  /// Why.
  public var cancelReason: String

  init(_ order: DrainOrder) {
    id = order.id.rawValue
    runner = order.runner.rawValue
    namespace = order.pool.namespace
    name = order.pool.name
    runnerVersion = order.runnerVersion.number
    cause = Words.word(order.cause)
    reason = order.reason
    targetVersion = order.targetVersion?.number
    who = PeerInfo(order.who)
    state = Words.word(order.state)
    isOpen = order.state.isOpen
    orderedAtMilliseconds = order.orderedAtMilliseconds
    deliveredAtMilliseconds = order.deliveredAtMilliseconds
    ackedAtMilliseconds = order.ackedAtMilliseconds
    endedAtMilliseconds = order.endedAtMilliseconds
    graceMilliseconds = order.graceMilliseconds
    // `Decode` puts the answer's remaining time on a clock that begins with the answer.
    remainingMilliseconds = order.deadlineNanoseconds / 1_000_000
    wayBack = order.wayBack.map(Words.word)
    cancelledBy = order.cancelledBy.map(PeerInfo.init)
    cancelReason = order.cancelReason
  }
}

/// How a pool's runners are treated.
public struct PoolConfig: Hashable, Sendable {
  /// The two kinds of pools.
  public enum Kind: Hashable, Sendable {
    /// Long-running processes. `drainOnVersionUpgrade` absent means false; a grace of nil is the daemon's default.
    case normal(
      drainOnVersionUpgrade: Bool?, graceMilliseconds: Int64?, actors: ActorPolicy = ActorPolicy(),
      upgrade: UpgradePolicy = UpgradePolicy())
    /// Started on demand; an upgrade never drains them.
    case serverless
  }
  /// Which kind.
  public var kind: Kind
  /// Free pairs.
  public var metadata: [String: String]
  /// A config of a kind.
  public init(_ kind: Kind, metadata: [String: String] = [:]) {
    self.kind = kind
    self.metadata = metadata
  }

  init(_ config: RunnerConfig) {
    switch config.kind {
    case .normal(let normal):
      kind = .normal(
        drainOnVersionUpgrade: normal.drainOnVersionUpgrade,
        graceMilliseconds: normal.drainGracePeriodMilliseconds == 0
          ? nil : normal.drainGracePeriodMilliseconds, actors: ActorPolicy(normal.actors),
        upgrade: UpgradePolicy(normal.upgrade))
    case .serverless: kind = .serverless
    }
    metadata = Dictionary(config.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
  }

  var value: RunnerConfig {
    let pairs = metadata.sorted { $0.key < $1.key }.map { MetadataPair(key: $0.key, value: $0.value) }
    switch kind {
    case .normal(let drain, let grace, let actors, let upgrade):
      return RunnerConfig(
        kind: .normal(
          .init(
            drainOnVersionUpgrade: drain, drainGracePeriodMilliseconds: grace ?? 0, actors: actors.value,
            upgrade: upgrade.value)),
        metadata: pairs)
    case .serverless: return RunnerConfig(kind: .serverless, metadata: pairs)
    }
  }
}

/// What a pool has of one version.
public struct VersionInfo: Hashable, Sendable {
  /// The version.
  public var version: UInt32
  /// Runners that are ready.
  public var ready: Int
  /// Of those, the ones attached.
  public var readyAttached: Int
  /// Runners that are draining.
  public var draining: Int
  /// Slots of the ready ones.
  public var totalSlots: Int64
  /// Of those, the free ones.
  public var remainingSlots: Int64
  /// Ready runners whose order for the present target somebody cancelled.
  public var exempt: Int
  /// Actors on the draining ones.
  public var drainingActors: Int64
}

/// One change of a pool's target version.
public struct TargetInfo: Hashable, Sendable {
  /// The version from then on.
  public var version: UInt32
  /// The version until then; nil at first.
  public var previousVersion: UInt32?
  /// first, promoted, demoted or pinned.
  public var cause: String
  /// The runner whose registration brought it.
  public var runner: Int64?
  /// On whose word.
  public var who: PeerInfo
  /// Milliseconds since 1970.
  public var atMilliseconds: Int64

  init(_ change: TargetChange) {
    version = change.version.number
    previousVersion = change.previousVersion?.number
    cause = Words.word(change.cause)
    runner = change.runner?.rawValue
    who = PeerInfo(change.who)
    atMilliseconds = change.atMilliseconds
  }
}

/// A pool, as the daemon knows it.
public struct PoolInfo: Hashable, Sendable {
  /// Its namespace.
  public var namespace: String
  /// Its name.
  public var name: String
  /// Its config.
  public var config: PoolConfig
  /// The version that it is on or moving to.
  public var targetVersion: UInt32?
  /// Versions that have a living runner, greatest first.
  public var versions: [VersionInfo]
  /// Drain orders that are open.
  public var openDrains: Int
  /// Its actors.
  public var actors: ActorCountsInfo
  /// The target version that somebody set; nil when it moves by itself.
  public var pin: PinInfo?
  /// An upgrade that a gate holds back; nil when none does.
  public var heldUpgrade: HeldUpgradeInfo?

  init(_ pool: Pool) {
    namespace = pool.name.namespace
    name = pool.name.name
    config = PoolConfig(pool.config)
    targetVersion = pool.target?.version.number
    versions = pool.versions.map {
      VersionInfo(
        version: $0.version.number, ready: $0.ready, readyAttached: $0.readyAttached, draining: $0.draining,
        totalSlots: $0.totalSlots, remainingSlots: $0.remainingSlots, exempt: $0.exempt,
        drainingActors: $0.drainingActors)
    }
    openDrains = pool.openDrains
    actors = ActorCountsInfo(pool.actors)
    pin = pool.pin.map(PinInfo.init)
    heldUpgrade = pool.heldUpgrade.map(HeldUpgradeInfo.init)
  }
}

/// One entry of the event log.
public struct FleetEvent: Hashable, Sendable {
  /// Its position.
  public var revision: Int64
  /// Milliseconds since 1970.
  public var atMilliseconds: Int64
  /// What happened: runner_registered, drain_ordered, ...
  public var kind: String
  /// In which namespace.
  public var namespace: String
  /// In which pool; empty when in none.
  public var name: String
  /// To which runner.
  public var runner: Int64?
  /// Of which drain order.
  public var drainOrder: Int64?
  /// Of which version.
  public var version: UInt32?
  /// On whose word.
  public var who: PeerInfo?
  /// More, as words for people.
  public var detail: String

  init(_ event: Event) {
    revision = event.revision.rawValue
    atMilliseconds = event.atMilliseconds
    kind = Words.word(event.kind)
    namespace = event.namespace
    name = event.name
    runner = event.runner?.rawValue
    drainOrder = event.drainOrder?.rawValue
    version = event.version?.number
    who = event.who.map(PeerInfo.init)
    detail = event.detail
  }
}

/// What was decided when a runner registered or a config changed.
public struct DecisionInfo: Hashable, Sendable {
  /// not_normal, disabled, not_authorized, none_older or applied.
  public var upgrade: String
  /// created or found.
  public var config: String
  /// How many runners were ordered to leave.
  public var ordered: Int
  /// How many each gate holds back.
  public var held: [String: Int]
  /// The runner that held the key and must leave for it.
  public var superseded: Int64?
  /// ready or draining; nil when the decision is not a runner's.
  public var standing: String?
  /// The pool's target version.
  public var targetVersion: UInt32?

  init(_ decision: Decision) {
    upgrade = Words.word(decision.upgrade)
    config = Words.word(decision.config)
    ordered = decision.ordered
    held = Dictionary(decision.held.map { ($0.gate, $0.count) }, uniquingKeysWith: +)
    superseded = decision.superseded?.rawValue
    standing = decision.standing.map(Words.word)
    targetVersion = decision.target?.number
  }
}
