import Handover

/// Stops on their way, and commands to leave.
extension SQLiteStore {
  func stopDelivered(_ orders: [DrainOrderID]) throws(DatabaseError) -> Outcome {
    var applied = 0
    for id in orders {
      guard let order = try statements.findOrder.first(id.rawValue, read: { OrderRecord($0) }) else {
        continue
      }
      try statements.markDelivered.run(work.now.wallMilliseconds, id.rawValue)
      applied += 1
      if order.state == .ordered { try progress(.drainDelivered, order) }
    }
    return .success(.applied(applied))
  }

  func stopAcked(_ acknowledgements: [StopAcknowledgement]) throws(DatabaseError) -> Outcome {
    var applied = 0
    for acknowledgement in acknowledgements {
      let order = try statements.findOrder.first(acknowledgement.order.rawValue) { OrderRecord($0) }
      guard let order, order.runner == acknowledgement.runner, order.state != .acked else { continue }
      try statements.markAcked.run(work.now.wallMilliseconds, order.id.rawValue)
      applied += 1
      try progress(.drainAcked, order)
    }
    return .success(.applied(applied))
  }

  private func progress(_ kind: EventKind, _ order: OrderRecord) throws(DatabaseError) {
    guard let runner = try runner(order.runner) else {
      throw DatabaseError(code: .corrupt, message: "order \(order.id) is open for a runner that has ended")
    }
    try event(kind, of: pool(runner.poolID), runner: runner.id, order: order.id, version: runner.version)
  }

  /// The runner says that it must go, as a supervisor told it.
  func beginOwnDrain(
    _ attachment: Attachment, reason: String, graceMilliseconds: Int64
  ) throws(DatabaseError) -> Outcome {
    let runner: RunnerRecord
    switch try attached(attachment) {
    case .failure(let refusal): return .failure(refusal)
    case .success(let found): runner = found
    }
    if runner.isDraining { return .success(.stopping(try openOrder(of: runner).id)) }
    let pool = try pool(runner.poolID)
    let terms = newTerms(pool, cause: .self, reason: reason, graceMilliseconds: graceMilliseconds)
    let order = try order(runner, of: pool, terms: terms, who: runner.peer)
    work.consequences.append(
      .stopsOrdered(
        pool: pool.name, order.terms, [StopAcknowledgement(runner: runner.id, order: order.id)]))
    return .success(.stopping(order.id))
  }

  func force(_ orders: [DrainOrderID]) throws(DatabaseError) -> Outcome {
    var applied = 0
    for id in orders {
      guard let order = try statements.findOrder.first(id.rawValue, read: { OrderRecord($0) }),
        order.terms.deadlineNanoseconds <= work.now.nanoseconds
      else { continue }
      guard let runner = try runner(order.runner) else {
        throw DatabaseError(code: .corrupt, message: "order \(order.id) is open for a runner that has ended")
      }
      try end(runner, of: pool(runner.poolID), phase: .stopped, .forced)
      applied += 1
    }
    return .success(.applied(applied))
  }

  // MARK: - Commands

  func drain(_ command: DrainCommand) throws(DatabaseError) -> Outcome {
    switch command.target {
    case .runner(let id): try drain(runner: id, command)
    case .olderVersions(let name, let below): try drain(pool: name, below: below?.number, command)
    case .wholePool(let name): try drain(pool: name, below: .max, command)
    }
  }

  private func drain(runner id: RunnerID, _ command: DrainCommand) throws(DatabaseError) -> Outcome {
    guard var runner = try runner(id) else { return .failure(try absent(id)) }
    let pool = try pool(runner.poolID)
    if let refusal = mayNotChange(pool, command.who) { return .failure(refusal) }
    if runner.isDraining {
      let order = try openOrder(of: runner)
      guard try endOffer(order, of: &runner, pool, who: command.who) else {
        return .success(
          .drained(orders: [], existing: [order.id], Revision(work.ledger.lastRevision)))
      }
    }
    let order = try order(runner, of: pool, terms: newTerms(pool, command), who: command.who)
    work.consequences.append(
      .stopsOrdered(pool: pool.name, order.terms, [StopAcknowledgement(runner: id, order: order.id)]))
    return try drained([order.id], existing: [], of: pool)
  }

  /// `below` nil is the pool's target.
  private func drain(
    pool name: PoolName, below: UInt32?, _ command: DrainCommand
  ) throws(DatabaseError) -> Outcome {
    guard let pool = try pool(named: name), pool.config != nil else {
      return .refused(.notFound, "pool \(name) does not exist: no runner has registered in it yet")
    }
    if let refusal = mayNotChange(pool, command.who) { return .failure(refusal) }
    let bound = below ?? pool.target?.version.number ?? 0
    for order in try statements.offeredOrders.all(pool.id, bound, read: { OrderRecord($0) }) {
      var runner = try runner(of: order)
      _ = try endOffer(order, of: &runner, pool, who: command.who)
    }
    let existing = try statements.openOrdersOfPool.all(pool.id, bound) { DrainOrderID($0.int64(0)) }
    let terms = newTerms(pool, command)
    let stops = try orderReady(0...max(bound, 1) - 1, of: pool, terms: terms, who: command.who)
    if !stops.isEmpty { work.consequences.append(.stopsOrdered(pool: name, terms, stops)) }
    return try drained(stops.map(\.order), existing: existing, of: pool)
  }

  private func newTerms(_ pool: PoolRecord, _ command: DrainCommand) -> OrderTerms {
    newTerms(
      pool, cause: .operator, reason: command.reason, graceMilliseconds: command.graceMilliseconds)
  }

  private func drained(
    _ orders: [DrainOrderID], existing: [DrainOrderID], of pool: PoolRecord
  ) throws(DatabaseError) -> Outcome {
    try settle()
    return .success(.drained(orders: orders, existing: existing, Revision(work.ledger.lastRevision)))
  }
}
