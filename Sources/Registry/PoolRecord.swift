import Handover

/// How one living runner counts in its pool.
struct Standing: Hashable {
  enum Phase { case ready, draining }
  var phase: Phase
  var isAttached: Bool
  var isAuthorized: Bool
  var totalSlots: UInt32
  var usedSlots: Int64
  var isSilent = false
  var isCordoned = false
  /// Somebody cancelled its order for the present target.
  var isExempt = false
  /// Its open order is an upgrade's and has not been offered a way back.
  var isRecallable = false
  var takesActors = false

  /// A resume may offer fewer slots than are in use.
  var freeSlots: Int64 { max(0, Int64(totalSlots) - usedSlots) }
  /// Its slots are there for actors.
  var isServing: Bool { phase == .ready && isAttached && !isSilent && !isCordoned }

  func differsOnlyInSlots(from other: Standing) -> Bool {
    var other = other
    other.usedSlots = usedSlots
    return other == self
  }
}

/// The living runners of one pool and version, counted.
struct VersionCounts: Hashable {
  let version: Version
  var ready = 0
  var readyAttached = 0
  var readyAttachedAuthorized = 0
  var readySlots: Int64 = 0
  var readyFreeSlots: Int64 = 0
  var draining = 0
  var drainingAttached = 0
  var servingSlots: Int64 = 0
  var servingFreeSlots: Int64 = 0
  var exempt = 0
  var recallable = 0
  var drainingUsedSlots: Int64 = 0
  /// Since when one of it is ready and attached without a break; nil while none is.
  var healthySince: Int64?

  /// Of `pool_versions`, as `init` reads them.
  static let columns = """
    version, ready, ready_attached, ready_attached_authorized, ready_slots, draining, draining_attached,
    ready_free_slots, healthy_since_ns, serving_slots, serving_free_slots, exempt, recallable,
    draining_used_slots
    """

  init(_ version: Version) { self.version = version }

  init(_ row: Row) {
    version = row.version(0)
    ready = row.int(1)
    readyAttached = row.int(2)
    readyAttachedAuthorized = row.int(3)
    readySlots = row.int64(4)
    draining = row.int(5)
    drainingAttached = row.int(6)
    readyFreeSlots = row.int64(7)
    healthySince = row.optionalInt64(8)
    servingSlots = row.int64(9)
    servingFreeSlots = row.int64(10)
    exempt = row.int(11)
    recallable = row.int(12)
    drainingUsedSlots = row.int64(13)
  }

  var isEmpty: Bool { ready == 0 && draining == 0 }

  mutating func add(_ standing: Standing) { count(standing, by: 1) }
  mutating func remove(_ standing: Standing) { count(standing, by: -1) }

  private mutating func count(_ standing: Standing, by one: Int) {
    switch standing.phase {
    case .ready:
      ready += one
      readySlots += Int64(one) * Int64(standing.totalSlots)
      readyFreeSlots += Int64(one) * standing.freeSlots
      if standing.isAttached {
        readyAttached += one
        if standing.isAuthorized { readyAttachedAuthorized += one }
      }
      if standing.isServing {
        servingSlots += Int64(one) * Int64(standing.totalSlots)
        // Nobody else's slots are of use to an actor that must move.
        if standing.takesActors, standing.isAuthorized { servingFreeSlots += Int64(one) * standing.freeSlots }
      }
      if standing.isExempt { exempt += one }
    case .draining:
      draining += one
      drainingUsedSlots += Int64(one) * standing.usedSlots
      if standing.isAttached { drainingAttached += one }
      if standing.isRecallable { recallable += one }
    }
    precondition(
      ready >= readyAttached && readyAttached >= readyAttachedAuthorized && readyAttachedAuthorized >= 0
        && draining >= drainingAttached && drainingAttached >= 0 && readyFreeSlots >= 0
        && readySlots >= readyFreeSlots && servingFreeSlots >= 0 && servingSlots >= servingFreeSlots
        && exempt >= 0 && ready >= exempt && recallable >= 0 && draining >= recallable
        && drainingUsedSlots >= 0,
      "counters of version \(version) do not add up: \(self)")
  }

  var summary: VersionSummary {
    VersionSummary(
      version: version, ready: ready, readyAttached: readyAttached,
      readyAttachedAuthorized: readyAttachedAuthorized, draining: draining, totalSlots: readySlots,
      remainingSlots: readyFreeSlots, exempt: exempt, drainingActors: drainingUsedSlots)
  }

  var facts: VersionFacts {
    VersionFacts(
      healthySinceNanoseconds: healthySince, servingSlots: servingSlots, servingFreeSlots: servingFreeSlots,
      exempt: exempt, upgradeOrders: recallable)
  }
}

/// One pool during one transaction: read from its rows when first touched, written back once before the
/// commit, and forgotten after it. So a thousand registrations in one commit read and write their pool's
/// counters once.
final class PoolRecord {
  let id: Int64
  let namespaceID: Int64
  let name: PoolName
  /// When this transaction is.
  let now: Int64
  var config: RunnerConfig? {
    didSet {
      isChanged = true
      isStale = true
    }
  }
  var ownerUID: UInt32? { didSet { isChanged = true } }
  private(set) var target: TargetChange?
  private(set) var targetChangeID: Int64?
  var control: PoolControl {
    didSet { if control != oldValue { isChanged = true } }
  }
  /// Versions with a living runner, least first (and those whose last one has gone in this transaction).
  private(set) var versions: [VersionCounts]
  private(set) var actors: ActorCounts
  private(set) var isChanged = false
  private(set) var areActorsChanged = false
  private(set) var changedVersions: Set<Version> = []
  /// Something that its plan looks at is not as it was when it was last planned.
  var isStale = false

  init(
    id: Int64, namespaceID: Int64, name: PoolName, now: Int64, config: RunnerConfig?, ownerUID: UInt32?,
    target: TargetChange?, targetChangeID: Int64?, versions: [VersionCounts],
    actors: ActorCounts = ActorCounts(), control: PoolControl = PoolControl()
  ) {
    self.id = id
    self.namespaceID = namespaceID
    self.name = name
    self.now = now
    self.config = config
    self.ownerUID = ownerUID
    self.target = target
    self.targetChangeID = targetChangeID
    self.versions = versions
    self.actors = actors
    self.control = control
  }

  var livingRunners: Int { versions.reduce(0) { $0 + $1.ready + $1.draining } }

  /// What its plan is made from.
  var state: PoolState {
    PoolState(
      config: config ?? .automatic, target: target?.version, versions: versions, control: control,
      waitingActors: actors.queued)
  }

  /// Without gates, pace, pin and memory only the coming and going of runners changes a plan, never their actors.
  var looksAtSlots: Bool {
    control.pin != nil || control.memory != PoolMemory()
      || (config?.upgradePolicy ?? .immediate) != .immediate
  }

  /// An exemption is from one target: a new one ends it.
  func setTarget(_ change: TargetChange?, id: Int64?) {
    target = change
    targetChangeID = id
    isChanged = true
    for index in versions.indices where versions[index].exempt > 0 {
      versions[index].exempt = 0
      changedVersions.insert(versions[index].version)
    }
  }

  /// A runner of this version counts differently from now on; nil is not at all.
  func recount(_ version: Version, from old: Standing?, to new: Standing?) {
    guard old != new else { return }
    let index = versions.firstIndex { $0.version >= version } ?? versions.endIndex
    if index == versions.endIndex || versions[index].version != version {
      versions.insert(VersionCounts(version), at: index)
    }
    if let old { versions[index].remove(old) }
    if let new { versions[index].add(new) }
    let hasHealth = versions[index].readyAttached > 0
    versions[index].healthySince = hasHealth ? versions[index].healthySince ?? now : nil
    changedVersions.insert(version)
    guard !isStale else { return }
    let isOnlySlots = old.flatMap { old in new.map { $0.differsOnlyInSlots(from: old) } } ?? false
    isStale = !isOnlySlots || looksAtSlots
  }

  /// An actor counts differently from now on; `old` is nil for a new one.
  func recount(actor old: ActorLife?, to new: ActorLife) {
    let queued = actors.queued
    if let old {
      actors[old.actorState] -= 1
      if old.isQueued { actors.queued -= 1 }
    }
    actors[new.actorState] += 1
    if new.isQueued { actors.queued += 1 }
    areActorsChanged = true
    if queued != actors.queued, !isStale { isStale = looksAtSlots }
  }

  /// Its rows are as it is.
  func written() {
    isChanged = false
    areActorsChanged = false
    changedVersions.removeAll(keepingCapacity: true)
  }

  /// Whose word moves this pool's target, supersedes its runners and changes its config.
  func isAuthorized(_ uid: UInt32, daemonUID: UInt32) -> Bool {
    guard let ownerUID else { return true }
    return uid == ownerUID || uid == daemonUID || uid == 0
  }
}
