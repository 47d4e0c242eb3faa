import Handover

/// What reads a pool and plans it: the same for changes and for queries, so that a plan that is only shown is the one that
/// would be carried out.
struct PoolStatements {
  let findNamespace: Statement
  let findPool: Statement
  let readPool: Statement
  let readVersions: Statement
  let readActors: Statement
  let candidates: Statement

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    findNamespace = try make(PoolSQL.findNamespace)
    findPool = try make(PoolSQL.findPool)
    readPool = try make(PoolSQL.readPool)
    readVersions = try make(PoolSQL.readVersions)
    readActors = try make(PoolSQL.readActors)
    candidates = try make(PoolSQL.candidates)
  }

  func namespaceID(_ name: String) throws(DatabaseError) -> Int64? {
    try findNamespace.first(name) { $0.int64(0) }
  }

  /// nil when there has never been one.
  func poolID(_ name: PoolName) throws(DatabaseError) -> Int64? {
    guard let namespace = try namespaceID(name.namespace) else { return nil }
    return try findPool.first(namespace, name.name) { $0.int64(0) }
  }

  /// As its rows are at `now`.
  func pool(_ id: Int64, now: Int64) throws(DatabaseError) -> PoolRecord {
    let versions = try readVersions.all(id) { VersionCounts($0) }
    let actors = try readActors.first(id) { $0.actorCounts(0) } ?? ActorCounts()
    let read = try readPool.first(id) { row in
      PoolRecord(
        id: row.int64(0), namespaceID: row.int64(1),
        name: PoolName(namespace: row.text(2), name: row.text(3)), now: now,
        config: row.config(6), ownerUID: row.isNull(4) ? nil : row.uint32(4), target: row.targetChange(22),
        targetChangeID: row.optionalInt64(5), versions: versions, actors: actors,
        control: PoolControl(row, 31))
    }
    guard let read else {
      throw DatabaseError(code: .corrupt, message: "a runner is of pool \(id), which is not there")
    }
    return read
  }

  /// What should happen to the pool in this state, which is its own or supposed.
  func plan(
    _ pool: PoolRecord, as state: PoolState, newcomer: Candidate? = nil, now: Int64
  ) throws(DatabaseError) -> Plan {
    try Planner.plan(state, now: now) { (outgoing, last) throws(DatabaseError) in
      for range in outgoing.ranges {
        if let last, last.version.number > range.upperBound { continue }
        let found = try candidates(of: pool, range, after: last, newcomer: newcomer, limit: 1).first
        if let found { return found }
      }
      throw DatabaseError(
        code: .corrupt, message: "pool \(pool.name) counts more ready runners that must leave than it has")
    }
  }

  /// Ready runners of these versions in the order of `Candidate`, at most `limit`; `newcomer` as one of them.
  func candidates(
    of pool: PoolRecord, _ versions: ClosedRange<UInt32>, after last: Candidate?, newcomer: Candidate?,
    limit: Int
  ) throws(DatabaseError) -> [Candidate] {
    var found = try candidates.all(
      pool.id, versions.lowerBound, versions.upperBound, last?.version.number ?? 0, last?.usedSlots ?? 0,
      last?.id.rawValue ?? 0, limit
    ) { row in
      Candidate(
        id: RunnerID(row.int64(0)), version: row.version(1), totalSlots: row.int64(2),
        usedSlots: row.int64(3), isServing: row.bool(4),
        isExempt: !row.isNull(5) && row.optionalInt64(5) == pool.targetChangeID)
    }
    if let newcomer, versions.contains(newcomer.version.number), last.map({ $0 < newcomer }) ?? true {
      found.insert(newcomer, at: found.firstIndex { newcomer < $0 } ?? found.endIndex)
    }
    return Array(found.prefix(limit))
  }
}

enum PoolSQL {
  static let findNamespace = "SELECT id FROM namespaces WHERE name = ?"
  static let findPool = "SELECT id FROM pools WHERE namespace_id = ? AND name = ?"
  static let readPool = """
    SELECT p.id, p.namespace_id, n.name, p.name, p.owner_uid, p.target_change_id, \(ConfigColumns.columns),
      t.version, t.previous_version, t.cause, t.runner_id, t.at_ms, t.uid, t.gid, t.pid, t.program,
      \(PoolControl.columns)
    FROM pools p JOIN namespaces n ON n.id = p.namespace_id
      LEFT JOIN target_changes t ON t.id = p.target_change_id
    WHERE p.id = ?
    """
  static let readVersions =
    "SELECT \(VersionCounts.columns) FROM pool_versions WHERE pool_id = ? ORDER BY version"
  static let readActors =
    "SELECT pending, queued, starting, running, stopping, sleeping FROM pool_actors WHERE pool_id = ?"

  /// The first of versions ?2 to ?3 after the one given (version ?4, ?5 actors, id ?6), in the order of `Candidate`. In
  /// three parts, because of one comparison of all three SQLite takes only the version to the index: it would walk
  /// from the version's first runner to the one given, each time.
  static let candidates = """
    \(ready) AND version = ?4 AND used_slots = ?5 AND id > ?6 AND ?4 BETWEEN ?2 AND ?3
    UNION ALL \(ready) AND version = ?4 AND used_slots > ?5 AND ?4 BETWEEN ?2 AND ?3
    UNION ALL \(ready) AND version BETWEEN max(?2, ?4 + 1) AND ?3
    ORDER BY version, used_slots, id LIMIT ?7
    """
  private static let ready = """
    SELECT id, version, total_slots, used_slots, link = 1 AND silent = 0 AND cordoned = 0, exempt_change
    FROM runners INDEXED BY runners_ready WHERE phase = 1 AND pool_id = ?1
    """
}
