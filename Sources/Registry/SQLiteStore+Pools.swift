import Handover

/// Pools as a transaction sees them.
extension SQLiteStore {
  func namespaceID(_ name: String) throws(DatabaseError) -> Int64? {
    try statements.pools.namespaceID(name)
  }

  /// The pool of this name; nil when there has never been one.
  func pool(named name: PoolName) throws(DatabaseError) -> PoolRecord? {
    if let id = work.poolIDs[name] { return try pool(id) }
    return try statements.pools.poolID(name).map { (id) throws(DatabaseError) in try pool(id) }
  }

  func pool(_ id: Int64) throws(DatabaseError) -> PoolRecord {
    work.touched.insert(id)
    if let known = work.pools[id] { return known }
    let read = try statements.pools.pool(id, now: work.now.nanoseconds)
    work.pools[id] = read
    work.poolIDs[read.name] = id
    return read
  }

  func makePool(_ name: PoolName, namespaceID: Int64) throws(DatabaseError) -> PoolRecord {
    guard let id = try statements.insertPool.first(namespaceID, name.name, read: { $0.int64(0) }) else {
      throw DatabaseError(code: .internalError, message: "a new pool has no id")
    }
    let pool = PoolRecord(
      id: id, namespaceID: namespaceID, name: name, now: work.now.nanoseconds, config: nil, ownerUID: nil,
      target: nil,
      targetChangeID: nil, versions: [])
    work.pools[id] = pool
    work.poolIDs[name] = id
    work.touched.insert(id)
    return pool
  }

  /// Writes back what this transaction changed.
  func write(_ pool: PoolRecord) throws(DatabaseError) {
    if pool.isChanged {
      let config = ConfigColumns(pool.config)
      let upgrade = config.upgrade
      let pin = pool.control.pin
      let memory = pool.control.memory
      try statements.writePool.run(
        config.kind, config.drainOnVersionUpgrade, config.graceMilliseconds, config.metadata, config.encoded,
        pool.ownerUID, pool.targetChangeID, config.actors.fallsBackToOtherVersions,
        config.actors.startThresholdMilliseconds, config.actors.stopThresholdMilliseconds,
        config.actors.retryBackoffMilliseconds, config.actors.retryResetMilliseconds,
        upgrade.strategy?.rawValue, upgrade.minHealthyMilliseconds, upgrade.capacity?.rawValue,
        upgrade.minAvailable?.description, upgrade.maxDraining?.description,
        upgrade.holdTimeoutMilliseconds, pin?.version.number, pin?.reason, pin?.atMilliseconds, pin?.who.uid,
        pin?.who.gid, pin?.who.pid, pin?.who.program, memory.upgrade?.goal.number,
        memory.upgrade?.heldSinceNanoseconds, memory.upgrade?.isAbandoned ?? false, memory.settledSlots,
        StrikesCoding.encode(memory.strikes), pool.control.planDueNanoseconds, pool.id)
    }
    if pool.areActorsChanged {
      let actors = pool.actors
      try self.actors.writePoolActors.run(
        pool.id, actors.pending, actors.queued, actors.starting, actors.running, actors.stopping,
        actors.sleeping)
    }
    for counts in pool.versions where pool.changedVersions.contains(counts.version) {
      if counts.isEmpty {
        try statements.deletePoolVersion.run(pool.id, counts.version.number)
      } else {
        try statements.writePoolVersion.run(
          pool.id, counts.version.number, counts.ready, counts.readyAttached, counts.readyAttachedAuthorized,
          counts.readySlots, counts.draining, counts.drainingAttached, counts.readyFreeSlots,
          counts.healthySince, counts.servingSlots, counts.servingFreeSlots, counts.exempt, counts.recallable,
          counts.drainingUsedSlots)
      }
    }
  }

  /// Who the daemon itself is, where nobody else's word made it so.
  var daemon: Peer { Peer(uid: daemonUID, gid: 0, pid: 0, program: "batond") }

  func mayNotChange(_ pool: PoolRecord, _ who: Peer) -> Refusal? {
    guard let owner = pool.ownerUID, !pool.isAuthorized(who.uid, daemonUID: daemonUID) else { return nil }
    let allowed = Set([owner, daemonUID, 0]).sorted().map { "uid \($0)" }.joined(separator: ", ")
    return Refusal(
      .permissionDenied,
      "uid \(who.uid) may not change pool \(pool.name): it belongs to uid \(owner); ask one of \(allowed)")
  }
}
