import Handover

/// The state at start.
extension SQLiteStore {
  /// What a new file and a new run of the machine need to be told once.
  func nameFleet(_ newFleetID: UInt64) throws(DatabaseError) {
    let (fleetID, known) = try fleet()
    guard known != bootID else { return }
    if known.isEmpty {
      try statements.nameFleet.run(Int64(bitPattern: newFleetID), bootID)
      try statements.dateDefaultNamespace.run(work.now.wallMilliseconds)
    } else {
      try actors.restartClock.run(work.now.nanoseconds, work.now.wallMilliseconds)
      try Statement(database, ChangeSQL.forgetUpgrades).run()
      try loseLiving()
      for id in try Statement(database, "SELECT id FROM pools").all(read: { $0.int64(0) }) {
        try pool(id).isStale = true
      }
      try statements.nameFleet.run(Int64(bitPattern: fleetID), bootID)
    }
  }

  private func fleet() throws(DatabaseError) -> (id: UInt64, bootID: String) {
    let read = try statements.readFleet.first { (UInt64(bitPattern: $0.int64(0)), $0.text(1)) }
    guard let read else { throw DatabaseError(code: .corrupt, message: "the fleet has no row") }
    return read
  }

  /// Nothing outlives the machine's restart: no process, and no clock to count deadlines on.
  private func loseLiving() throws(DatabaseError) {
    for runner in try livingRunners() {
      try end(runner, of: pool(runner.poolID), phase: .lost, .machineRestarted)
    }
  }

  /// Nobody is connected to a daemon that has just started. Open orders keep what they have left, at least
  /// the lost threshold; a clock that was set back (a time namespace) gives nobody more than the whole grace.
  func startLiving() throws(DatabaseError) {
    let attached = try livingRunners().filter(\.isAttached)
    _ = try detach(attached.map { Attachment(runner: $0.id, id: $0.attachment) })
    // Whoever was planned for a time is planned now: a clock that was set back would keep them waiting.
    for id in try statements.poolsDue.all(Int64.max, Int64.max, read: { $0.int64(0) }) {
      try pool(id).isStale = true
    }
    let now = work.now.nanoseconds
    try Statement(
      database,
      """
      UPDATE drain_orders SET deadline_ns = ?1 + max(?2, min(?3, max(0, deadline_ns - ?1)))
      WHERE deadline_ns IS NOT NULL
        AND id IN (SELECT id FROM drain_orders INDEXED BY drain_orders_open WHERE state <= 3)
      """
    ).run(now, times.lostThresholdMilliseconds * 1_000_000, Bounds.graceMilliseconds.upperBound * 1_000_000)
    try Statement(
      database,
      """
      UPDATE drain_terms
      SET deadline_ns = ?1 + max(?2, min(grace_ms * 1000000, max(0, deadline_ns - ?1)))
      WHERE id IN (SELECT terms_id FROM drain_orders INDEXED BY drain_orders_open WHERE state <= 3)
      """
    ).run(now, times.lostThresholdMilliseconds * 1_000_000)
    try actors.extendDeadlines.run(
      now + times.lostThresholdMilliseconds * 1_000_000,
      now + Bounds.actorStopMilliseconds.upperBound * 1_000_000)
  }

  func snapshot() throws(DatabaseError) -> FleetSnapshot {
    let runners = try livingRunners().map { runner in
      LiveRunner(
        id: runner.id, attachment: runner.attachment, endsWithProcess: runner.endsWithProcess,
        pid: runner.peer.pid)
    }
    let orders = try Statement(
      database,
      """
      SELECT \(OrderRecord.columns) FROM drain_orders o INDEXED BY drain_orders_open
        JOIN drain_terms t ON t.id = o.terms_id
      WHERE o.state <= 3 ORDER BY o.id
      """
    ).all { OrderRecord($0).open }
    return FleetSnapshot(
      fleetID: try fleet().id, revision: Revision(work.ledger.lastRevision),
      nextAttachment: AttachmentID(work.ledger.lastAttachment + 1), runners: runners, openOrders: orders,
      nextDue: try nextDue())
  }

  /// Those who are ready and those with an open order, by id.
  private func livingRunners() throws(DatabaseError) -> [RunnerRecord] {
    try Statement(
      database,
      """
      SELECT \(RunnerRecord.columns) FROM runners WHERE id IN (
        SELECT id FROM runners INDEXED BY runners_ready WHERE phase = 1
        UNION ALL
        SELECT runner_id FROM drain_orders INDEXED BY drain_orders_open WHERE state <= 3
      ) ORDER BY id
      """
    ).all { RunnerRecord($0) }
  }
}
