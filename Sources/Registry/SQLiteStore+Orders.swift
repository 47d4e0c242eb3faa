import Handover

/// Drain orders: made one by one or by the thousand, and ended.
extension SQLiteStore {
  /// Terms that begin now. A grace of 0 is the pool's, and where that is 0 the daemon's.
  func newTerms(
    _ pool: PoolRecord, cause: DrainCause, reason: String, graceMilliseconds: Int64
  ) -> OrderTerms {
    let configured = pool.config?.graceMilliseconds ?? 0
    let grace =
      graceMilliseconds != 0
      ? graceMilliseconds : configured != 0 ? configured : times.defaultGraceMilliseconds
    return OrderTerms(
      cause: cause, reason: reason, target: pool.target?.version, graceMilliseconds: grace,
      deadlineNanoseconds: work.now.nanoseconds + grace * 1_000_000)
  }

  /// The events of these `orders` follow at once.
  private func write(
    _ terms: OrderTerms, of pool: PoolRecord, orders: Int, who: Peer
  ) throws(DatabaseError) -> Int64 {
    let id = try statements.insertTerms.first(
      pool.id, terms.cause.rawValue, terms.reason, terms.target?.number, who.uid, who.gid, who.pid,
      who.program, work.now.wallMilliseconds, work.now.nanoseconds, terms.graceMilliseconds,
      terms.deadlineNanoseconds, work.ledger.lastRevision + 1, orders
    ) { $0.int64(0) }
    guard let id else { throw DatabaseError(code: .internalError, message: "new terms have no id") }
    return id
  }

  /// Orders one ready runner to leave.
  func order(
    _ runner: RunnerRecord, of pool: PoolRecord, terms: OrderTerms, who: Peer
  ) throws(DatabaseError) -> OpenOrder {
    try order(runner, of: pool, terms: terms, termsID: write(terms, of: pool, orders: 1, who: who))
  }

  /// Orders these ready runners to leave, in this order.
  func order(
    _ runners: [RunnerID], of pool: PoolRecord, terms: OrderTerms, who: Peer
  ) throws(DatabaseError) -> [StopAcknowledgement] {
    let termsID = try write(terms, of: pool, orders: runners.count, who: who)
    var stops: [StopAcknowledgement] = []
    for id in runners {
      guard let runner = try runner(id) else {
        throw DatabaseError(code: .corrupt, message: "runner \(id) is ready in the index and has ended")
      }
      let order = try order(runner, of: pool, terms: terms, termsID: termsID)
      stops.append(StopAcknowledgement(runner: id, order: order.id))
    }
    return stops
  }

  private func order(
    _ runner: RunnerRecord, of pool: PoolRecord, terms: OrderTerms, termsID: Int64
  ) throws(DatabaseError) -> OpenOrder {
    precondition(!runner.isDraining, "runner \(runner.id) is draining already: \(runner)")
    work.ledger.lastOrder += 1
    let id = DrainOrderID(work.ledger.lastOrder)
    try statements.insertOrder.run(id.rawValue, runner.id.rawValue, termsID, runner.version.number)
    var draining = runner
    draining.isDraining = true
    draining.isRecallable = terms.cause == .versionUpgrade
    try statements.startDraining.run(draining.isRecallable, runner.id.rawValue)
    pool.recount(runner.version, from: runner.standing(in: pool), to: draining.standing(in: pool))
    try event(.drainOrdered, of: pool, runner: runner.id, order: id, version: runner.version)
    if runner.usedSlots > 0 { try happen(.runnerDrains, toThoseOf: runner.id, of: pool) }
    return OpenOrder(id: id, runner: runner.id, state: .ordered, terms: terms)
  }

  /// Orders every ready runner of these versions to leave (an upgrade none that is exempt): a handful of statements,
  /// whatever their number. The answer is in the order of the runners' ids.
  func orderReady(
    _ numbers: ClosedRange<UInt32>, of pool: PoolRecord, terms: OrderTerms, who: Peer
  ) throws(DatabaseError) -> [StopAcknowledgement] {
    let isUpgrade = terms.cause == .versionUpgrade
    let expected = pool.versions.reduce(0) { sum, counts in
      guard numbers.contains(counts.version.number) else { return sum }
      return sum + counts.ready - (isUpgrade ? counts.exempt : 0)
    }
    guard expected > 0 else { return [] }
    let termsID = try write(terms, of: pool, orders: expected, who: who)
    let last = work.ledger.lastOrder
    try statements.orderReady.run(
      last, termsID, pool.id, numbers.lowerBound, numbers.upperBound, isUpgrade ? pool.targetChangeID : nil)
    var stops: [StopAcknowledgement] = []
    var holders: [RunnerID] = []
    stops.reserveCapacity(expected)
    try statements.newOrders.forEach(last) { row in
      stops.append(
        StopAcknowledgement(runner: RunnerID(row.int64(1)), order: DrainOrderID(row.int64(0))))
      let ready = Standing(
        phase: .ready, isAttached: row.int(3) == RunnerLink.attached.rawValue, isAuthorized: row.bool(4),
        totalSlots: row.uint32(5), usedSlots: row.int64(6), isSilent: row.bool(7), isCordoned: row.bool(8),
        isExempt: !row.isNull(9) && row.optionalInt64(9) == pool.targetChangeID, takesActors: row.bool(10))
      if ready.usedSlots > 0 { holders.append(RunnerID(row.int64(1))) }
      var draining = ready
      draining.phase = .draining
      draining.isRecallable = isUpgrade
      pool.recount(row.version(2), from: ready, to: draining)
    }
    guard stops.count == expected else {
      throw DatabaseError(
        code: .corrupt,
        message:
          "pool \(pool.name) counts \(expected) ready runners of versions \(numbers) and has \(stops.count)")
    }
    try statements.startDrainingNew.run(isUpgrade, last)
    try statements.insertNewOrderEvents.run(
      work.ledger.lastRevision, last, work.now.wallMilliseconds, EventKind.drainOrdered.rawValue, pool.id)
    work.ledger.lastOrder += Int64(stops.count)
    work.ledger.lastRevision += Int64(stops.count)
    for holder in holders { try happen(.runnerDrains, toThoseOf: holder, of: pool) }
    return stops
  }

  func openOrder(of runner: RunnerRecord) throws(DatabaseError) -> OrderRecord {
    let found = try statements.findOpenOrder.first(runner.id.rawValue) { OrderRecord($0) }
    guard let found else {
      throw DatabaseError(code: .corrupt, message: "runner \(runner.id) is draining without an order")
    }
    return found
  }

  /// Ends an order; its runner is the caller's.
  func end(
    _ order: OrderRecord, as state: DrainState, of pool: PoolRecord, version: Version, detail: String? = nil,
    who: Peer? = nil
  ) throws(DatabaseError) {
    let kind: EventKind =
      switch state {
      case .completed: .drainCompleted
      case .forced: .drainForced
      case .runnerLost: .drainRunnerLost
      case .cancelled: .drainCancelled
      case .ordered, .delivered, .acked: preconditionFailure("order \(order.id) would end as \(state)")
      }
    try statements.endOrder.run(state.rawValue, work.now.wallMilliseconds, order.id.rawValue)
    work.ledger.endedOrders += 1
    try event(
      kind, of: pool, runner: order.runner, order: order.id, version: version, detail: detail, who: who)
    let took = max(0, (work.now.nanoseconds - order.orderedNanoseconds) / 1_000_000)
    work.consequences.append(.orderEnded(order.id, order.runner, state, tookMilliseconds: took))
  }

  /// Ends a runner, and with it the order that is open for it.
  func end(
    _ runner: RunnerRecord, of pool: PoolRecord, phase: RunnerPhase, _ cause: RunnerEnd,
    exitCode: Int32? = nil, reason: String = "", who: Peer? = nil
  ) throws(DatabaseError) {
    precondition(phase.hasEnded, "runner \(runner.id) would end as \(phase)")
    let order = runner.isDraining ? try openOrder(of: runner) : nil
    try statements.endRunner.run(
      phase.rawValue, work.now.wallMilliseconds, cause.rawValue, order?.id.rawValue, exitCode,
      reason.isEmpty || who != nil ? nil : reason, runner.id.rawValue)
    pool.recount(runner.version, from: runner.standing(in: pool), to: nil)
    work.ledger.endedRunners += 1
    let kind: EventKind = phase == .lost ? .runnerLost : .runnerStopped
    try event(
      kind, of: pool, runner: runner.id, order: order?.id, version: runner.version,
      detail: Self.detail(cause, exitCode, reason))
    if let order {
      try end(
        order, as: Self.orderState(cause), of: pool, version: runner.version,
        detail: who == nil || reason.isEmpty ? nil : reason, who: who)
    }
    work.consequences.append(.runnerEnded(runner.id, cause))
    guard runner.usedSlots > 0 else { return }
    try happen(
      .runnerEnded(cause, mayRunUntil: fenceEnd(of: runner, cause)), toThoseOf: runner.id, of: pool)
  }

  /// Until when a process that was cut off may still work, unaware that its runner has ended; nil when it has stopped.
  private func fenceEnd(of runner: RunnerRecord, _ cause: RunnerEnd) -> Int64? {
    switch cause {
    case .keyTaken: break
    // Who is attached hears of it, and had less time than its order.
    case .forced: if runner.isAttached { return nil }
    case .detached, .threshold, .processDied, .machineRestarted: return nil
    }
    return work.now.nanoseconds + times.lostThresholdMilliseconds * 1_000_000
  }

  static func orderState(_ cause: RunnerEnd) -> DrainState {
    switch cause {
    case .detached: .completed
    case .forced: .forced
    case .threshold, .processDied, .machineRestarted, .keyTaken: .runnerLost
    }
  }

  private static func detail(_ cause: RunnerEnd, _ exitCode: Int32?, _ reason: String) -> String {
    var words = cause.word
    if let exitCode { words += " exit_code=\(exitCode)" }
    if !reason.isEmpty { words += " \(reason)" }
    return words
  }
}
