import Handover

/// Slots for those who wait. Runs at the end of every mutation (`settle`), after the plan: what must leave is given nothing.
extension SQLiteStore {
  /// How many slots one transaction gives out; the rest follows in the next.
  static let allocationsPerTransaction = 2000
  /// How many actors, and how many pools, whose time has come one transaction looks at.
  static let duePerTransaction = 1000
  private static let headsAtOnce = 128

  func timePassed() throws(DatabaseError) -> Outcome {
    for id in try statements.poolsDue.all(work.now.nanoseconds, Self.duePerTransaction, read: { $0.int64(0) })
    {
      try pool(id).isStale = true
    }
    let due = try actors.dueNow.all(work.now.nanoseconds, Self.duePerTransaction) { ActorID($0.int64(0)) }
    for id in due {
      guard let actor = try actor(id) else { continue }
      try happen(.due, to: actor, of: pool(actor.poolID))
    }
    if hasMoreToAllocate {
      hasMoreToAllocate = false
      for id in try actors.queuedPools.all(read: { $0.int64(0) }) { _ = try pool(id) }
    }
    return .success(.applied(due.count))
  }

  func writeActors() throws(DatabaseError) {
    for actor in work.unwritten { try actor.write(actors) }
    work.unwritten.removeAll(keepingCapacity: true)
  }

  /// Gives out what there is of one pool.
  func giveSlots(of pool: PoolRecord) throws(DatabaseError) {
    guard pool.actors.queued > 0 else { return }
    let wanting = (work.wanting[pool.id] ?? []).filter { $0.life.isQueued }.sorted { $0.place < $1.place }
    if wanting.count == pool.actors.queued {
      // Nobody else waits: no need to look into the queue.
      for actor in wanting {
        guard try allocate(actor, pool) else { break }
      }
    } else {
      try serveQueue(of: pool)
    }
  }

  /// Whoever still waits at the end of a mutation hears why. Who is only left for the next transaction lacks no slot.
  func tellNoCapacity(in pool: PoolRecord) throws(DatabaseError) {
    let left = (work.wanting[pool.id] ?? []).filter { $0.life.isQueued }.sorted { $0.place < $1.place }
    guard !left.isEmpty, try findSlot(in: pool) == nil else { return }
    for actor in left { try happen(.noCapacity, to: actor, of: pool) }
  }

  private func serveQueue(of pool: PoolRecord) throws(DatabaseError) {
    while pool.actors.queued > 0, try findSlot(in: pool) != nil {
      try writeActors()
      let heads = try actors.queueHeads.all(pool.id, Self.headsAtOnce) { ActorID($0.int64(0)) }
      for id in heads {
        guard let actor = try actor(id) else { continue }
        guard try allocate(actor, pool) else { return }
      }
      guard !heads.isEmpty else {
        throw DatabaseError(
          code: .corrupt, message: "pool \(pool.name) counts \(pool.actors.queued) who wait and has none")
      }
    }
  }

  /// False when there is no slot for it, or no more may be given out now.
  private func allocate(_ actor: ActorRecord, _ pool: PoolRecord) throws(DatabaseError) -> Bool {
    guard let runner = try findSlot(in: pool) else { return false }
    guard work.allocations < Self.allocationsPerTransaction else {
      hasMoreToAllocate = true
      return false
    }
    work.allocations += 1
    try happen(.allocated(runner), to: actor, of: pool)
    return true
  }

  /// As `Allocator.choose` would, by an index.
  private func findSlot(in pool: PoolRecord) throws(DatabaseError) -> RunnerID? {
    let versions = pool.versions.filter { $0.readyFreeSlots > 0 }.map(\.version)
    let order = Allocator.order(
      versions, target: pool.target?.version, fallsBack: pool.config?.actorsFallBack ?? false)
    for version in order {
      if let found = try actors.findSlot.first(pool.id, version.number, read: { RunnerID($0.int64(0)) }) {
        return found
      }
    }
    return nil
  }
}
