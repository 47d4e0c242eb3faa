import Handover

/// How one living runner counts in its pool.
struct Standing: Hashable {
  enum Phase { case ready, draining }
  var phase: Phase
  var isAttached: Bool
  var isAuthorized: Bool
  var totalSlots: UInt32
  var usedSlots: Int64

  /// A resume may offer fewer slots than are in use.
  var freeSlots: Int64 { max(0, Int64(totalSlots) - usedSlots) }
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

  init(_ version: Version) { self.version = version }

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
    case .draining:
      draining += one
      if standing.isAttached { drainingAttached += one }
    }
    precondition(
      ready >= readyAttached && readyAttached >= readyAttachedAuthorized && readyAttachedAuthorized >= 0
        && draining >= drainingAttached && drainingAttached >= 0 && readyFreeSlots >= 0
        && readySlots >= readyFreeSlots,
      "counters of version \(version) do not add up: \(self)")
  }

  var summary: VersionSummary {
    VersionSummary(
      version: version, ready: ready, readyAttached: readyAttached,
      readyAttachedAuthorized: readyAttachedAuthorized, draining: draining, totalSlots: readySlots,
      remainingSlots: readyFreeSlots)
  }
}

/// One pool during one transaction: read from its rows when first touched, written back once before the
/// commit, and forgotten after it. So a thousand registrations in one commit read and write their pool's
/// counters once.
final class PoolRecord {
  let id: Int64
  let namespaceID: Int64
  let name: PoolName
  var config: RunnerConfig? { didSet { isChanged = true } }
  var ownerUID: UInt32? { didSet { isChanged = true } }
  private(set) var target: TargetChange?
  private(set) var targetChangeID: Int64?
  /// Versions with a living runner, least first (and those whose last one has gone in this transaction).
  private(set) var versions: [VersionCounts]

  private(set) var actors: ActorCounts

  private(set) var isChanged = false
  private(set) var areActorsChanged = false
  private(set) var changedVersions: Set<Version> = []

  init(
    id: Int64, namespaceID: Int64, name: PoolName, config: RunnerConfig?, ownerUID: UInt32?,
    target: TargetChange?, targetChangeID: Int64?, versions: [VersionCounts],
    actors: ActorCounts = ActorCounts()
  ) {
    self.id = id
    self.namespaceID = namespaceID
    self.name = name
    self.config = config
    self.ownerUID = ownerUID
    self.target = target
    self.targetChangeID = targetChangeID
    self.versions = versions
    self.actors = actors
  }

  var livingRunners: Int { versions.reduce(0) { $0 + $1.ready + $1.draining } }

  func setTarget(_ change: TargetChange?, id: Int64?) {
    target = change
    targetChangeID = id
    isChanged = true
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
    changedVersions.insert(version)
  }

  /// An actor counts differently from now on; `old` is nil for a new one.
  func recount(actor old: ActorLife?, to new: ActorLife) {
    if let old {
      actors[old.actorState] -= 1
      if old.isQueued { actors.queued -= 1 }
    }
    actors[new.actorState] += 1
    if new.isQueued { actors.queued += 1 }
    areActorsChanged = true
  }

  /// Whose word moves this pool's target, supersedes its runners and changes its config.
  func isAuthorized(_ uid: UInt32, daemonUID: UInt32) -> Bool {
    guard let ownerUID else { return true }
    return uid == ownerUID || uid == daemonUID || uid == 0
  }
}
