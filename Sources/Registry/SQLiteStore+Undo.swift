import Handover

/// Orders that are taken back.
extension SQLiteStore {
  /// Orders that an earlier target gave and the present one does not ask for.
  func recall(_ version: Version, of pool: PoolRecord) throws(DatabaseError) {
    let reason =
      pool.target.map { "version \($0.version) is the target of \(pool.name)" } ?? "no target asks for it"
    var told: [StopAcknowledgement] = []
    for order in try statements.recallableOrders.all(pool.id, version.number, read: { OrderRecord($0) }) {
      var runner = try runner(of: order)
      switch try takeBack(order, of: &runner, pool, reason: reason, who: daemon) {
      case .cancel, .offer: told.append(StopAcknowledgement(runner: order.runner, order: order.id))
      // It is asked once; what stands in the way of it stays.
      case .awaitAnswer, .refuse: try keepDraining(&runner, pool)
      }
    }
    if !told.isEmpty { work.consequences.append(.stopsCancelled(reason: reason, told)) }
  }

  func cancelDrain(_ which: DrainSelector, reason: String, who: Peer) throws(DatabaseError) -> Outcome {
    let order: OrderRecord
    switch try openOrder(which) {
    case .failure(let refusal): return .failure(refusal)
    case .success(let found): order = found
    }
    var runner = try runner(of: order)
    let pool = try pool(runner.poolID)
    if let refusal = mayNotChange(pool, who) { return .failure(refusal) }
    let verdict = try verdict(order, runner, pool)
    if case .refuse(let obstacle) = verdict {
      return .refused(.failedPrecondition, Self.sentence(obstacle, order))
    }
    if verdict != .awaitAnswer {
      runner.exemptChange = pool.targetChangeID
      _ = try takeBack(order, of: &runner, pool, reason: reason, who: who)
      work.consequences.append(
        .stopsCancelled(
          reason: reason, [StopAcknowledgement(runner: order.runner, order: order.id)]))
      try settle()
    }
    return try changed(order.id)
  }

  /// The runner's word on StopCancelled.
  func stopCancelledAnswered(
    _ attachment: Attachment, _ id: DrainOrderID, _ answer: Undo.Answer
  ) throws(DatabaseError) -> Outcome {
    var runner: RunnerRecord
    switch try attached(attachment) {
    // Of a runner that has ended, or lives elsewhere, nothing follows.
    case .failure: return .success(.applied(0))
    case .success(let found): runner = found
    }
    guard let order = try statements.findAnyOrder.first(id.rawValue, read: { OrderRecord($0) }),
      order.runner == runner.id
    else { return .success(.applied(0)) }
    let pool = try pool(runner.poolID)
    switch Undo.consequence(of: answer, state: order.state, wayBack: order.wayBack) {
    case .ignored: return .success(.applied(0))
    case .cancelled:
      if try isKeyTaken(from: runner, pool) {
        // It thinks that it stays, and cannot.
        try statements.markTooLate.run(id.rawValue)
        work.consequences.append(
          .stopsOrdered(
            pool: pool.name, order.terms, [StopAcknowledgement(runner: runner.id, order: id)]))
      } else {
        try cancel(order, of: &runner, pool)
      }
    case .goesOn:
      try statements.markTooLate.run(id.rawValue)
      try event(.drainTooLate, of: pool, runner: runner.id, order: id, version: runner.version)
      work.consequences.append(.offerRefused(id))
    case .beginsOwnDrain:
      guard !runner.isDraining else { return .success(.applied(0)) }
      return try beginOwnDrain(
        attachment, reason: "it had begun to end when drain order \(id) was taken back", graceMilliseconds: 0)
    }
    return .success(.applied(1))
  }

  /// Whoever orders a runner to leave that is just asked whether it stays does not wait for its answer: that order ends, and another
  /// can be made. False where nobody is asked, or somebody else is ready in its place.
  func endOffer(
    _ order: OrderRecord, of runner: inout RunnerRecord, _ pool: PoolRecord, who: Peer
  ) throws(DatabaseError) -> Bool {
    guard order.wayBack == .offered, try !isKeyTaken(from: runner, pool) else { return false }
    runner.exemptChange = nil
    try cancel(order, of: &runner, pool, reason: "ordered to leave once more", who: who)
    return true
  }

  // MARK: - One order

  private func verdict(
    _ order: OrderRecord, _ runner: RunnerRecord, _ pool: PoolRecord
  ) throws(DatabaseError) -> Undo.Verdict {
    let verdict = Undo.verdict(cause: order.terms.cause, state: order.state, wayBack: order.wayBack)
    switch verdict {
    case .cancel, .offer: return try isKeyTaken(from: runner, pool) ? .refuse(.superseded) : verdict
    case .awaitAnswer, .refuse: return verdict
    }
  }

  /// Cancels the order or offers its runner to stay, as far as that can be; telling the runner is the caller's.
  private func takeBack(
    _ order: OrderRecord, of runner: inout RunnerRecord, _ pool: PoolRecord, reason: String, who: Peer
  ) throws(DatabaseError) -> Undo.Verdict {
    let verdict = try verdict(order, runner, pool)
    switch verdict {
    case .cancel:
      try mark(order, nil, reason: reason, who: who)
      try cancel(order, of: &runner, pool, reason: reason, who: who)
    case .offer:
      try mark(order, .offered, reason: reason, who: who)
      try keepDraining(&runner, pool)
      try event(
        .drainWayBackOffered, of: pool, runner: runner.id, order: order.id, version: runner.version,
        detail: reason, who: who)
    case .awaitAnswer, .refuse: break
    }
    return verdict
  }

  private func mark(
    _ order: OrderRecord, _ wayBack: WayBack?, reason: String, who: Peer
  ) throws(DatabaseError) {
    try statements.markCancelled.run(
      wayBack?.rawValue, reason, who.uid, who.gid, who.pid, who.program, order.id.rawValue)
  }

  /// The runner is ready again. Its actors that were told to stop do so, by a deadline of their own from now on.
  private func cancel(
    _ order: OrderRecord, of runner: inout RunnerRecord, _ pool: PoolRecord, reason: String = "",
    who: Peer? = nil
  ) throws(DatabaseError) {
    let before = runner.standing(in: pool)
    runner.isDraining = false
    runner.isRecallable = false
    try statements.stopDraining.run(runner.exemptChange, order.id.rawValue, runner.id.rawValue)
    pool.recount(runner.version, from: before, to: runner.standing(in: pool))
    try end(
      order, as: .cancelled, of: pool, version: runner.version, detail: reason.isEmpty ? nil : reason,
      who: who)
    if runner.usedSlots > 0 { try happen(.drainCancelled, toThoseOf: runner.id, of: pool) }
  }

  private func keepDraining(_ runner: inout RunnerRecord, _ pool: PoolRecord) throws(DatabaseError) {
    let before = runner.standing(in: pool)
    runner.isRecallable = false
    try statements.keepDraining.run(runner.exemptChange, runner.id.rawValue)
    pool.recount(runner.version, from: before, to: runner.standing(in: pool))
  }

  /// Somebody else is ready in its place.
  private func isKeyTaken(from runner: RunnerRecord, _ pool: PoolRecord) throws(DatabaseError) -> Bool {
    try holder(of: runner.shownKey, in: pool).map { $0.id != runner.id } ?? false
  }

  func runner(of order: OrderRecord) throws(DatabaseError) -> RunnerRecord {
    guard let runner = try runner(order.runner) else {
      throw DatabaseError(code: .corrupt, message: "order \(order.id) is open for a runner that has ended")
    }
    return runner
  }

  private static func sentence(_ obstacle: Undo.Obstacle, _ order: OrderRecord) -> String {
    switch obstacle {
    case .superseded:
      "drain order \(order.id) cannot be cancelled: the key of runner \(order.runner) is another runner's now"
    case .leavesByItself:
      "drain order \(order.id) cannot be cancelled: runner \(order.runner) leaves on its own word; stop whoever told it to"
    case .tooLate:
      "drain order \(order.id) cannot be cancelled: runner \(order.runner) answered that it has begun to end"
    case .hasEnded(let state):
      "drain order \(order.id) has ended already (\(state.word)): nothing is left to cancel"
    }
  }
}
