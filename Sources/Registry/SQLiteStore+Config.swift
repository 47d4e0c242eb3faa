import Handover

/// Namespaces and configs.
extension SQLiteStore {
  func createNamespace(_ name: String, who: Peer) throws(DatabaseError) -> Outcome {
    guard try namespaceID(name) == nil else {
      return .refused(.alreadyExists, "namespace \(name) is there already")
    }
    let at = work.now.wallMilliseconds
    guard let id = try statements.insertNamespace.first(name, at, read: { $0.int64(0) }) else {
      throw DatabaseError(code: .internalError, message: "a new namespace has no id")
    }
    try event(.namespaceCreated, ofNamespace: id, who: who)
    return .success(
      .namespaceCreated(
        Namespace(name: name, createdAtMilliseconds: at), Revision(work.ledger.lastRevision)))
  }

  func putConfig(
    _ name: PoolName, _ config: RunnerConfig, who: Peer, reason: String
  ) throws(DatabaseError) -> Outcome {
    let pool: PoolRecord
    if let found = try self.pool(named: name) {
      if let refusal = mayNotChange(found, who) { return .failure(refusal) }
      pool = found
    } else {
      guard let namespace = try namespaceID(name.namespace) else {
        return .failure(Self.noNamespace(name.namespace))
      }
      pool = try makePool(name, namespaceID: namespace)
    }
    let isNew = pool.config == nil
    pool.config = config
    // Whoever changes what is wanted wants it tried again.
    pool.control.memory = pool.control.memory.forgettingUpgrade
    let what = isNew ? "created" : "replaced"
    try event(.configPut, of: pool, detail: reason.isEmpty ? what : "\(what): \(reason)", who: who)
    let plan = try plan(pool)
    let decision = plan.decision(config: isNew ? .created : .found)
    work.consequences.append(.decided(name, version: plan.target, runner: nil, decision))
    _ = try carryOut(plan, on: pool, actor: who, retirer: who, why: reason)
    return .success(.configPut(decision, Revision(work.ledger.lastRevision)))
  }

  /// A pool without a runner and without a config is as if it had never been: the next one to register owns
  /// it.
  func deleteConfig(_ name: PoolName, who: Peer, reason: String) throws(DatabaseError) -> Outcome {
    guard let pool = try pool(named: name), pool.config != nil else {
      return .refused(.notFound, "pool \(name) has no config")
    }
    if let refusal = mayNotChange(pool, who) { return .failure(refusal) }
    guard pool.livingRunners == 0 else {
      return .refused(
        .failedPrecondition,
        "pool \(name) has \(pool.livingRunners) living runners; drain them first (baton drain), "
          + "or replace the config instead")
    }
    guard pool.actors.total == 0 else {
      return .refused(
        .failedPrecondition,
        "pool \(name) has \(pool.actors.total) actors; destroy them first (baton actors), or replace the config instead"
      )
    }
    pool.config = nil
    pool.ownerUID = nil
    pool.setTarget(nil, id: nil)
    pool.control = PoolControl()
    try event(.configDeleted, of: pool, detail: reason.isEmpty ? nil : reason, who: who)
    return .success(.configDeleted(Revision(work.ledger.lastRevision)))
  }
}
