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
  private(set) var configs: [PoolName: [Bool?]] = [:]

  mutating func registered(_ runner: RunnerID, _ pool: PoolName, _ version: UInt32) {
    runners[runner] = Registered(pool: pool, version: version)
  }

  mutating func created(_ actor: ActorID, _ name: String) { actors[actor] = name }
  mutating func ordered(_ order: DrainOrderID) { orders.insert(order) }
  mutating func stopSeen(_ order: DrainOrderID) { stopsSeen.insert(order) }

  mutating func configSent(_ pool: PoolName, drains: Bool) { configs[pool, default: [nil]].append(drains) }

  /// What the pool's config must be, where that is certain.
  func config(of pool: PoolName) -> Bool? {
    guard let possible = configs[pool], possible.count == 1 else { return nil }
    return possible[0]
  }

  mutating func configAcknowledged(_ pool: PoolName, drains: Bool) { configs[pool] = [drains] }
}
