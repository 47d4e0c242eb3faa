import Handover

/// What was acknowledged to somebody: none of it may be missing afterwards, whatever was killed meanwhile.
struct History {
  struct Registered: Hashable {
    var pool: PoolName
    var version: UInt32
  }

  private(set) var runners: [RunnerID: Registered] = [:]
  private(set) var orders: Set<DrainOrderID> = []
  /// By id, their names.
  private(set) var actors: [ActorID: String] = [:]
  private(set) var stopsSeen: Set<DrainOrderID> = []
  /// The latest config that was acknowledged, and those put after it whose answer never came.
  private(set) var configs: [PoolName: [PoolSettings?]] = [:]

  mutating func registered(_ runner: RunnerID, _ pool: PoolName, _ version: UInt32) {
    runners[runner] = Registered(pool: pool, version: version)
  }

  mutating func created(_ actor: ActorID, _ name: String) { actors[actor] = name }
  mutating func ordered(_ order: DrainOrderID) { orders.insert(order) }
  mutating func stopSeen(_ order: DrainOrderID) { stopsSeen.insert(order) }

  mutating func configSent(_ pool: PoolName, _ settings: PoolSettings) {
    configs[pool, default: [nil]].append(settings)
  }

  /// What the pool's config must be, where that is certain.
  func config(of pool: PoolName) -> PoolSettings? {
    guard let possible = configs[pool], possible.count == 1 else { return nil }
    return possible[0]
  }

  mutating func configAcknowledged(_ pool: PoolName, _ settings: PoolSettings) { configs[pool] = [settings] }
}

/// What the workload changes of a pool's config.
struct PoolSettings: Hashable {
  var drains: Bool
  var upgrade: UpgradeSettings

  var config: RunnerConfig {
    RunnerConfig(kind: .normal(.init(drainOnVersionUpgrade: drains, upgrade: upgrade)))
  }
}

struct PoolVersion: Hashable {
  var pool: PoolName
  var version: UInt32
  init(_ pool: PoolName, _ version: UInt32) {
    self.pool = pool
    self.version = version
  }
}
