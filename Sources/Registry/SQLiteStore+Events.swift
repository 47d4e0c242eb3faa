import Handover

extension SQLiteStore {
  /// The next position in the log.
  func nextRevision() -> Int64 {
    work.ledger.lastRevision += 1
    return work.ledger.lastRevision
  }

  /// Writes one event of a pool.
  func event(
    _ kind: EventKind, of pool: PoolRecord, runner: RunnerID? = nil, order: DrainOrderID? = nil,
    version: Version? = nil, detail: String? = nil, who: Peer? = nil, actor: ActorID? = nil,
    generation: Int64? = nil
  ) throws(DatabaseError) {
    try statements.insertEvent.run(
      nextRevision(), work.now.wallMilliseconds, kind.rawValue, pool.id, Int64?.none, runner?.rawValue,
      order?.rawValue, version?.number, detail, who?.uid, who?.gid, who?.pid, who?.program, actor?.rawValue,
      generation)
  }

  /// Writes one event of a namespace.
  func event(_ kind: EventKind, ofNamespace id: Int64, who: Peer) throws(DatabaseError) {
    try statements.insertEvent.run(
      nextRevision(), work.now.wallMilliseconds, kind.rawValue, Int64?.none, id, Int64?.none, Int64?.none,
      UInt32?.none, String?.none, who.uid, who.gid, who.pid, who.program, Int64?.none, Int64?.none)
  }
}
