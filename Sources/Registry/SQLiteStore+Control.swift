import Handover

/// Targets, cordons and deadlines as people set them.
extension SQLiteStore {
  func setTarget(
    _ name: PoolName, _ wish: TargetWish, reason: String, who: Peer
  ) throws(DatabaseError) -> Outcome {
    guard let pool = try pool(named: name), let config = pool.config else {
      return .failure(.noConfig(name))
    }
    if let refusal = mayNotChange(pool, who) { return .failure(refusal) }
    // A pin from before it was serverless can still be let go.
    if case .serverless = config.kind, wish != .automatic {
      return .failure(.noTarget(name))
    }
    let version: Version?
    switch wish {
    case .version(let wished): version = wished
    case .automatic: version = nil
    case .previous:
      guard let previous = try previousTarget(of: pool) else {
        return .refused(
          .failedPrecondition,
          "pool \(name) has had no other target version: name one (baton pin \(name.name) VERSION)")
      }
      version = previous
    }
    pool.control.pin = version.map {
      Pin(version: $0, who: who, reason: reason, atMilliseconds: work.now.wallMilliseconds)
    }
    pool.control.memory = pool.control.memory.forgettingUpgrade
    pool.isStale = true
    let what = version.map { "pinned to \($0)" } ?? "automatic"
    try event(
      .targetSet, of: pool, version: version, detail: reason.isEmpty ? what : "\(what): \(reason)", who: who)
    let plan = try plan(pool)
    let decision = plan.decision(config: .found)
    work.consequences.append(.decided(name, version: plan.target, runner: nil, decision))
    _ = try carryOut(plan, on: pool, actor: who, retirer: who)
    try settle()
    return .success(.targetSet(decision, pin: version, Revision(work.ledger.lastRevision)))
  }

  /// Where a rollback leads. A pool that went back by itself is there already: the target before this one is the version that
  /// had no ready runner left.
  private func previousTarget(of pool: PoolRecord) throws(DatabaseError) -> Version? {
    guard let target = pool.target else { return nil }
    if target.cause == .demoted, pool.control.pin == nil { return target.version }
    return try statements.previousTarget.first(pool.id, target.version.number) { $0.version(0) }
  }

  func cordon(
    _ id: RunnerID, _ isCordoned: Bool, reason: String, who: Peer
  ) throws(DatabaseError) -> Outcome {
    guard let runner = try runner(id) else { return .failure(try absent(id)) }
    let pool = try pool(runner.poolID)
    if let refusal = mayNotChange(pool, who) { return .failure(refusal) }
    if runner.isCordoned != isCordoned {
      var changed = runner
      changed.isCordoned = isCordoned
      try statements.setCordoned.run(isCordoned, id.rawValue)
      pool.recount(runner.version, from: runner.standing(in: pool), to: changed.standing(in: pool))
      try event(
        isCordoned ? .runnerCordoned : .runnerUncordoned, of: pool, runner: id, version: runner.version,
        detail: reason.isEmpty ? nil : reason, who: who)
      try settle()
    }
    guard let view = try statements.viewRunner.first(id.rawValue, read: { Runner($0) }) else {
      throw DatabaseError(code: .corrupt, message: "runner \(id) was just changed and is not there")
    }
    return .success(.cordoned(view, Revision(work.ledger.lastRevision)))
  }

  func changeDeadline(
    _ which: DrainSelector, _ change: DeadlineChange, reason: String, who: Peer
  ) throws(DatabaseError) -> Outcome {
    let order: OrderRecord
    switch try openOrder(which) {
    case .failure(let refusal): return .failure(refusal)
    case .success(let found): order = found
    }
    let runner = try runner(of: order)
    let pool = try pool(runner.poolID)
    if let refusal = mayNotChange(pool, who) { return .failure(refusal) }
    switch change {
    case .extend(let milliseconds):
      let now = work.now.nanoseconds
      let wished = max(order.terms.deadlineNanoseconds, now) + milliseconds * 1_000_000
      let deadline = min(wished, now + Bounds.graceMilliseconds.upperBound * 1_000_000)
      try statements.setDeadline.run(deadline, order.id.rawValue)
      let words = "by \(milliseconds) ms"
      try event(
        .drainExtended, of: pool, runner: runner.id, order: order.id, version: runner.version,
        detail: reason.isEmpty ? words : "\(words): \(reason)", who: who)
      work.consequences.append(.deadlineChanged(order.id, nanoseconds: deadline))
    case .forceNow:
      try end(runner, of: pool, phase: .stopped, .forced, reason: reason, who: who)
      try settle()
    }
    return try changed(order.id)
  }

  /// The order as it is now, for whoever changed it.
  func changed(_ id: DrainOrderID) throws(DatabaseError) -> Outcome {
    guard let view = try statements.viewOrder.first(id.rawValue, read: { DrainOrder($0) }) else {
      throw DatabaseError(code: .corrupt, message: "drain order \(id) was just changed and is not there")
    }
    return .success(.drainChanged(view, Revision(work.ledger.lastRevision)))
  }

  /// An open order, or why there is none.
  func openOrder(_ which: DrainSelector) throws(DatabaseError) -> Result<OrderRecord, Refusal> {
    switch which {
    case .order(let id):
      guard let order = try statements.findAnyOrder.first(id.rawValue, read: { OrderRecord($0) }) else {
        return .refused(.notFound, "drain order \(id) does not exist")
      }
      guard order.state.isOpen else {
        return .refused(
          .failedPrecondition,
          "drain order \(id) has ended already (\(order.state.word)): nothing is left to do")
      }
      return .success(order)
    case .runner(let id):
      guard let runner = try runner(id) else { return .failure(try absent(id)) }
      guard runner.isDraining else {
        return .refused(.failedPrecondition, "runner \(id) is ready: it has no open drain order")
      }
      return .success(try openOrder(of: runner))
    }
  }
}
