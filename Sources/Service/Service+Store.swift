import BatonAPI
import Handover
import Protobuf
import Ttrpc

/// What goes to the store and what comes back.
extension Service {
  func submit(_ mutation: Mutation, _ pending: PendingMutation) {
    let ticket = Ticket(nextTicket)
    nextTicket += 1
    pendingMutations[ticket] = pending
    host.submit(mutation, ticket)
  }

  func submitBackground(_ mutation: Mutation) { submit(mutation, .background(mutation)) }

  func query(_ query: Query, _ pending: PendingQuery) {
    let ticket = Ticket(nextTicket)
    nextTicket += 1
    pendingQueries[ticket] = pending
    host.query(query, ticket)
  }

  /// The host has handed over everything that had arrived: what gathered meanwhile goes to the store as one
  /// mutation of each kind.
  package func endTurn(now: Moment) {
    guard !outbox.isEmpty else { return }
    let gathered = outbox
    outbox = Outbox()
    if !gathered.detached.isEmpty, !isShuttingDown { submitBackground(.detached(gathered.detached)) }
    if !gathered.heard.isEmpty { submitBackground(.heard(gathered.heard)) }
    if !gathered.delivered.isEmpty { submitBackground(.stopDelivered(gathered.delivered)) }
    if !gathered.acked.isEmpty { submitBackground(.stopAcked(gathered.acked)) }
    // By id: the same turn gives the same changes in the same order.
    for (runner, commands) in gathered.commandsAcked.sorted(by: { $0.key < $1.key }) {
      submitBackground(.commandsAcked(runner, commands))
    }
  }

  /// Whether nothing is on its way to the store or back.
  package var isSettled: Bool { pendingMutations.isEmpty && outbox.isEmpty && retries.isEmpty }

  /// A transaction is durable, or has failed whole. `tickets` are those of its mutations, in their order.
  package func committed(
    _ tickets: [Ticket], _ result: Result<CommittedBatch, StoreFailure>, took nanoseconds: Int64, now: Moment
  ) {
    switch result {
    case .success(let batch):
      metrics.commits &+= 1
      metrics.commitSeconds.observe(Double(nanoseconds) / 1e9)
      metrics.commitMutations.observe(Double(tickets.count))
      storeWorks(now)
      watchLog(batch.logBytes)
      revision = max(revision, batch.revision)
      dueAt = batch.nextDue
      for (ticket, result) in zip(tickets, batch.results) {
        guard let pending = pendingMutations.removeValue(forKey: ticket) else { continue }
        settle(pending, result, took: nanoseconds, now)
      }
      let arrival = earliestArrival
      earliestArrival = nil
      for consequence in batch.consequences { follow(consequence, arrival, nanoseconds, now) }
      wakeWatchers(now)
      actorsChanged(batch.changedActors)
    case .failure(let failure):
      metrics.commitFailures &+= 1
      storeFails(failure, now)
      for ticket in tickets {
        guard let pending = pendingMutations.removeValue(forKey: ticket) else { continue }
        settleFailed(pending, failure, now)
      }
    }
    flushAcks(now)
  }

  private func settle(
    _ pending: PendingMutation, _ result: Result<MutationOutcome, Refusal>, took nanoseconds: Int64,
    _ now: Moment
  ) {
    switch (pending, result) {
    case (.register(let call, let attachment), .success(.registered(let admission))):
      earliestArrival = min(earliestArrival ?? .max, call.startedAt)
      registered(call, attachment, admission, now)
    case (.register(let call, _), .failure(let refusal)):
      metrics.registrations.add(.refused)
      host.log(
        LogRecord(
          .info, "registration refused",
          [("code", .text(Status(refusal).code.name)), ("text", .text(refusal.message))]
            + Self.fields(call.connection, isOver: call.isOver)))
      fail(call, Status(refusal), now)
    case (.stopping(let call), .failure(let refusal)), (.leave(let call), .failure(let refusal)):
      fail(call, Status(refusal), now)
    case (.reports(let call), .failure(let refusal)): fail(call, Status(refusal), now)
    case (.stopping, .success), (.leave, .success): break
    case (.reports(let call), .success(.reported(let acked, let refused))):
      reported(call, acked: acked, refused: refused, now)
    case (.unary(let call), .success(let outcome)): answer(call, outcome, now)
    case (.unary(let call), .failure(let refusal)): fail(call, Status(refusal), now)
    case (.prune, .failure(let refusal)): preconditionFailure("pruning was refused: \(refusal)")
    case (.background(let mutation), .failure(let refusal)):
      host.log(
        LogRecord(
          .error, "a change was refused",
          [("change", .text("\(mutation)")), ("text", .text(refusal.message))]))
    case (.background, .success): break
    case (.prune, .success(.pruned(let counts, let hasMore))):
      pruned(counts, hasMore: hasMore, took: nanoseconds, now)
    case (.register, .success(let outcome)), (.reports, .success(let outcome)),
      (.prune, .success(let outcome)):
      preconditionFailure("\(pending) was answered with \(outcome)")
    }
  }

  private func settleFailed(_ pending: PendingMutation, _ failure: StoreFailure, _ now: Moment) {
    switch pending {
    case .register(let call, _):
      metrics.registrations.add(.failed)
      fail(call, Status(failure), now)
    case .stopping(let call), .leave(let call), .reports(let call): fail(call, Status(failure), now)
    case .unary(let call): fail(call, Status(failure), now)
    case .prune: pruneAt = now.nanoseconds + Self.prunePauseNanoseconds
    case .background(let mutation):
      retries.append(mutation)
      retryAt = retryAt ?? now.nanoseconds + 500_000_000
    }
  }

  // MARK: - Health of the store

  private func watchLog(_ bytes: Int64) {
    if bytes > settings.logAlarmBytes, !hasSaidLogIsLong {
      hasSaidLogIsLong = true
      host.log(
        LogRecord(
          .warning, "the write-ahead log grows: somebody reads the database for long and holds it back",
          [("bytes", .number(bytes))]))
    } else if bytes < settings.logAlarmBytes / 2 {
      hasSaidLogIsLong = false
    }
  }

  private func storeWorks(_ now: Moment) {
    guard storeError != nil else { return }
    storeError = nil
    host.log(LogRecord(.info, "the store takes changes again"))
    healthChanged(now)
  }

  private func storeFails(_ failure: StoreFailure, _ now: Moment) {
    let text =
      switch failure {
      case .unavailable(let text), .fatal(let text): text
      }
    let isNew = storeError == nil
    storeError = text
    guard isNew else { return }
    host.log(LogRecord(.error, "the store takes no changes", [("text", .text(text))]))
    healthChanged(now)
  }

  // MARK: - Consequences

  private func follow(_ consequence: Consequence, _ arrival: Int64?, _ took: Int64, _ now: Moment) {
    switch consequence {
    case .stopsOrdered(let pool, let terms, let orders):
      metrics.drainsOrdered.add(terms.cause, orders.count)
      host.log(
        LogRecord(
          .info, "drain ordered",
          [
            ("namespace", .text(pool.namespace)), ("name", .text(pool.name)),
            ("count", .number(Int64(orders.count))),
            ("cause", .text(Words.word(terms.cause))), ("reason", .text(terms.reason)),
            ("target", .number(Int64(terms.target?.number ?? 0))),
            ("grace_ms", .number(terms.graceMilliseconds)),
          ]))
      for order in orders {
        let open = OpenOrder(id: order.order, runner: order.runner, state: .ordered, terms: terms)
        track(open, startedAt: arrival ?? now.nanoseconds)
        if let call = runners[order.runner]?.call { sendStop(order.order, to: call, now) }
      }
    case .runnerEnded(let runner, let end):
      host.log(
        LogRecord(
          .info, "runner ended", [("runner", .number(runner.rawValue)), ("end", .text(Words.word(end)))]))
      runnerEnded(runner, end, now)
    case .orderEnded(let order, let runner, let state, let took):
      metrics.drainsEnded.add(state)
      if state == .completed { metrics.stopToCompleted.observe(Double(took) / 1e3) }
      openOrders.removeValue(forKey: order)
      if runners[runner]?.openOrder == order { runners[runner]?.openOrder = nil }
      host.log(
        LogRecord(
          state == .completed || state == .cancelled ? .info : .warning, "drain ended",
          [
            ("order", .number(order.rawValue)), ("runner", .number(runner.rawValue)),
            ("state", .text(Words.word(state))), ("took_ms", .number(took)),
          ]))
    case .decided(let pool, let version, let runner, let decision):
      metrics.decisions.add(decision.upgrade)
      logDecision(pool, version, runner, decision, took)
    case .upgradeHeld(let pool, let goal, let held, let isAbandoned):
      upgradeHeld(pool, goal, held, isAbandoned: isAbandoned)
    case .commandsIssued(let runners): commandsIssued(runners)
    case .stopsCancelled(let reason, let orders):
      host.log(
        LogRecord(
          .info, "drain taken back", [("count", .number(Int64(orders.count))), ("reason", .text(reason))]))
      stopsCancelled(orders, reason: reason, now)
    case .offerRefused(let order): offerRefused(order, now)
    case .deadlineChanged(let order, let nanoseconds):
      deadlineChanged(order, nanoseconds: nanoseconds, now)
    case .actorDropped(let runner, let checkpoint): actorDropped(runner, checkpoint, now)
    case .targetChanged(let pool, let change):
      host.log(
        LogRecord(
          .info, "target changed",
          [
            ("namespace", .text(pool.namespace)), ("name", .text(pool.name)),
            ("version", .number(Int64(change.version.number))),
            ("previous", .number(Int64(change.previousVersion?.number ?? 0))),
            ("cause", .text(Words.word(change.cause))), ("uid", .number(Int64(change.who.uid))),
            ("pid", .number(Int64(change.who.pid))), ("program", .text(change.who.program)),
          ]))
    }
  }

  private func upgradeHeld(
    _ pool: PoolName, _ goal: Version, _ held: [Decision.Held], isAbandoned: Bool
  ) {
    if isAbandoned { metrics.upgradesAbandoned &+= 1 } else { metrics.upgradesHeld &+= 1 }
    host.log(
      LogRecord(
        isAbandoned ? .warning : .info, isAbandoned ? "upgrade abandoned" : "upgrade held",
        [
          ("namespace", .text(pool.namespace)), ("name", .text(pool.name)),
          ("goal", .number(Int64(goal.number))),
          ("held", .text(held.map { "\($0.gate)=\($0.count)" }.joined(separator: " "))),
        ]))
  }

  private func logDecision(
    _ pool: PoolName, _ version: Version?, _ runner: RunnerID?, _ decision: Decision, _ took: Int64
  ) {
    let matters =
      decision.ordered > 0 || decision.superseded != nil || decision.config == .created
      || decision.standing == .draining || decision.upgrade == .notAuthorized || !decision.held.isEmpty
    var fields: [(name: StaticString, value: LogRecord.Value)] = [
      ("namespace", .text(pool.namespace)), ("name", .text(pool.name)),
      ("version", .number(Int64(version?.number ?? 0))), ("runner", .number(runner?.rawValue ?? 0)),
      ("config", .text(Words.word(decision.config))), ("upgrade", .text(Words.word(decision.upgrade))),
      ("ordered", .number(Int64(decision.ordered))), ("target", .number(Int64(decision.target?.number ?? 0))),
      ("commit_us", .number(took / 1000)),
    ]
    if let superseded = decision.superseded { fields.append(("superseded", .number(superseded.rawValue))) }
    if let standing = decision.standing { fields.append(("standing", .text(Words.word(standing)))) }
    host.log(LogRecord(matters ? .info : .debug, "decided", fields))
  }

  static func fields(
    _ connection: @autoclosure () -> Connection, isOver: Bool
  ) -> [(name: StaticString, value: LogRecord.Value)] {
    // The connection of a call that is over may be gone.
    isOver ? [] : fields(connection())
  }
}
