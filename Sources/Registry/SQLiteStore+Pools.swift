import Handover

/// Pools as a transaction sees them, and what their plan makes of them.
extension SQLiteStore {
  func namespaceID(_ name: String) throws(DatabaseError) -> Int64? {
    try statements.findNamespace.first(name) { $0.int64(0) }
  }

  /// The pool of this name; nil when there has never been one.
  func pool(named name: PoolName) throws(DatabaseError) -> PoolRecord? {
    if let id = work.poolIDs[name] { return try pool(id) }
    guard let namespace = try namespaceID(name.namespace),
      let id = try statements.findPool.first(namespace, name.name, read: { $0.int64(0) })
    else { return nil }
    return try pool(id)
  }

  func pool(_ id: Int64) throws(DatabaseError) -> PoolRecord {
    work.touched.insert(id)
    if let known = work.pools[id] { return known }
    let versions = try statements.readPoolVersions.all(id) { row in
      var counts = VersionCounts(row.version(0))
      counts.ready = row.int(1)
      counts.readyAttached = row.int(2)
      counts.readyAttachedAuthorized = row.int(3)
      counts.readySlots = row.int64(4)
      counts.draining = row.int(5)
      counts.drainingAttached = row.int(6)
      counts.readyFreeSlots = row.int64(7)
      return counts
    }
    let actors = try self.actors.readPoolActors.first(id) { $0.actorCounts(0) } ?? ActorCounts()
    let read = try statements.readPool.first(id) { row in
      PoolRecord(
        id: row.int64(0), namespaceID: row.int64(1),
        name: PoolName(namespace: row.text(2), name: row.text(3)),
        config: row.config(4, actors: 20), ownerUID: row.isNull(9) ? nil : row.uint32(9),
        target: row.targetChange(11),
        targetChangeID: row.optionalInt64(10), versions: versions, actors: actors)
    }
    guard let read else {
      throw DatabaseError(code: .corrupt, message: "a runner is of pool \(id), which is not there")
    }
    work.pools[id] = read
    work.poolIDs[read.name] = id
    return read
  }

  func makePool(_ name: PoolName, namespaceID: Int64) throws(DatabaseError) -> PoolRecord {
    guard let id = try statements.insertPool.first(namespaceID, name.name, read: { $0.int64(0) }) else {
      throw DatabaseError(code: .internalError, message: "a new pool has no id")
    }
    let pool = PoolRecord(
      id: id, namespaceID: namespaceID, name: name, config: nil, ownerUID: nil, target: nil,
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
      try statements.writePool.run(
        config.kind, config.drainOnVersionUpgrade, config.graceMilliseconds, config.metadata, config.encoded,
        pool.ownerUID, pool.targetChangeID, config.actors.fallsBackToOtherVersions,
        config.actors.startThresholdMilliseconds, config.actors.stopThresholdMilliseconds,
        config.actors.retryBackoffMilliseconds, config.actors.retryResetMilliseconds, pool.id)
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
          counts.readySlots, counts.draining, counts.drainingAttached, counts.readyFreeSlots)
      }
    }
  }

  // MARK: - The plan

  /// What should happen to the pool as it is now in this transaction.
  func plan(_ pool: PoolRecord) -> Plan {
    Planner.plan(
      PoolState(
        config: pool.config ?? .automatic, target: pool.target?.version,
        versions: pool.versions.lazy.filter { !$0.isEmpty }.map(\.summary)), now: work.now.nanoseconds)
  }

  /// Makes the pool what its plan says.
  ///
  /// A first target and a promotion happen on `actor`'s word; a demotion is the daemon's own. Those who must
  /// leave do on the word that made the target, unless `retirer` asked for it just now. `newcomer` is the
  /// runner whose registration this is part of: its own order, when it gets one, is the answer and not a
  /// consequence.
  func carryOut(
    _ plan: Plan, on pool: PoolRecord, actor: Peer, retirer: Peer? = nil, newcomer: RunnerRecord? = nil
  ) throws(DatabaseError) -> OpenOrder? {
    if let move = plan.targetMove {
      let who =
        switch move.cause {
        case .first, .promoted, .pinned: actor
        case .demoted: daemon
        }
      let mover = newcomer?.version == move.version ? newcomer?.id : nil
      try moveTarget(of: pool, to: move, runner: mover, who: who)
    }
    guard let retirement = plan.retirement, let target = plan.target else { return nil }
    let terms = newTerms(
      pool, cause: .versionUpgrade, reason: "version \(target) is the target of \(pool.name)",
      graceMilliseconds: 0)
    var stops = try order(
      retirement, of: pool, terms: terms, who: retirer ?? pool.target?.who ?? actor)
    let own = newcomer.flatMap { newcomer in stops.firstIndex { $0.runner == newcomer.id } }
      .map { stops.remove(at: $0) }
    if !stops.isEmpty {
      work.consequences.append(.stopsOrdered(pool: pool.name, terms, stops))
    }
    return own.map { OpenOrder(id: $0.order, runner: $0.runner, state: .ordered, terms: terms) }
  }

  private func order(
    _ retirement: Plan.Retirement, of pool: PoolRecord, terms: OrderTerms, who: Peer
  ) throws(DatabaseError) -> [StopAcknowledgement] {
    var stops: [StopAcknowledgement] = []
    switch retirement {
    case .all(let outgoing):
      for range in outgoing.ranges {
        stops += try orderReady(range, of: pool, terms: terms, who: who)
      }
    case .runners(let ids):
      for id in ids {
        guard let runner = try runner(id) else {
          throw DatabaseError(code: .corrupt, message: "runner \(id) is ready in the index and has ended")
        }
        stops.append(
          StopAcknowledgement(
            runner: id, order: try order(runner, of: pool, terms: terms, who: who).id))
      }
    }
    return stops
  }

  /// After a change that is not a runner's own: what the plan makes of it is a decision for the log only when
  /// it moves something.
  func replan(_ pool: PoolRecord) throws(DatabaseError) {
    let plan = plan(pool)
    guard plan.targetMove != nil || plan.retirement != nil else { return }
    let decision = plan.decision(config: .found)
    work.consequences.append(.decided(pool.name, version: plan.target, runner: nil, decision))
    _ = try carryOut(plan, on: pool, actor: daemon)
  }

  /// Once for each pool that a change to many runners touched, in the order of their ids: the same state must
  /// give the same revisions.
  func replan(_ ids: Set<Int64>) throws(DatabaseError) {
    for id in ids.sorted() { try replan(pool(id)) }
  }

  private func moveTarget(
    of pool: PoolRecord, to move: Plan.TargetMove, runner: RunnerID?, who: Peer
  ) throws(DatabaseError) {
    let change = TargetChange(
      version: move.version, previousVersion: pool.target?.version, cause: move.cause, runner: runner,
      who: who,
      atMilliseconds: work.now.wallMilliseconds)
    let id = try statements.insertTargetChange.first(
      pool.id, change.version.number, change.previousVersion?.number, change.cause.rawValue,
      runner?.rawValue, who.uid, who.gid, who.pid, who.program, change.atMilliseconds
    ) { $0.int64(0) }
    pool.setTarget(change, id: id)
    let detail = change.previousVersion.map { "\(move.cause.word), was \($0)" } ?? move.cause.word
    try event(
      .targetChanged, of: pool, runner: runner, version: change.version, detail: detail, who: who)
    work.consequences.append(.targetChanged(pool.name, change))
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
