import BatonAPI
import Handover
import Ttrpc

/// Everything that happens because time has passed.
extension Service {
  /// How often connections that something is due for are looked at.
  private static let timedSweepNanoseconds: Int64 = 250_000_000

  /// When `tick` is next due; nil when nothing waits for time.
  package var nextTick: Int64? {
    var next = Int64.max
    if let due = liveness.nextSweep { next = min(next, due) }
    if let due = orderDeadlines.next { next = min(next, due) }
    if let due = callDeadlines.next { next = min(next, due) }
    if let due = retryAt { next = min(next, due) }
    if let due = dueAt { next = min(next, due) }
    if let due = pruneAt { next = min(next, due) }
    if !timed.isEmpty { next = min(next, timedSweepAt) }
    return next == .max ? nil : next
  }

  /// Time has passed. Call it when `nextTick` has come and everything that had arrived by then was handed over.
  package func tick(now: Moment) {
    let time = now.nanoseconds
    if let retryAt, retryAt <= time { retry() }
    if let due = liveness.nextSweep, due <= time { sweepRunners(now) }
    forceOrders(now)
    if let due = dueAt, due <= time {
      // The commit that follows says when it is due again.
      dueAt = nil
      submitBackground(.timePassed)
    }
    if let due = pruneAt, due <= time { prune(now) }
    while let call = callDeadlines.takeDue(at: time) {
      guard !call.isOver, let deadline = call.deadline, deadline <= time else { continue }
      let text =
        call is AttachCall
        ? "no Register within \(settings.firstCallMilliseconds) ms" : "the call's timeout passed"
      fail(call, Status(.deadlineExceeded, text), now)
    }
    if !timed.isEmpty, timedSweepAt <= time {
      timedSweepAt = time + Self.timedSweepNanoseconds
      sweepConnections(now)
    }
    endTurn(now: now)
  }

  private func retry() {
    retryAt = nil
    let again = retries
    retries = []
    for mutation in again {
      if let mutation = stillTrue(mutation) { submitBackground(mutation) }
    }
  }

  /// What of a change that could not be stored is still so: of a silence that has ended meanwhile the store must not hear
  /// after it has heard of its end. Everything else the store can tell by itself, from attachments and deadlines.
  private func stillTrue(_ mutation: Mutation) -> Mutation? {
    func isNow(quiet: Bool, _ attachment: Attachment) -> Bool {
      guard let record = runners[attachment.runner], record.attachment == attachment.id else { return false }
      return liveness.isQuiet(record.liveness) == quiet
    }
    switch mutation {
    case .silent(let attachments):
      let quiet = attachments.filter { isNow(quiet: true, $0) }
      return quiet.isEmpty ? nil : .silent(quiet)
    case .heard(let attachments):
      let heard = attachments.filter { isNow(quiet: false, $0) }
      return heard.isEmpty ? nil : .heard(heard)
    case .register, .detached, .stopDelivered, .stopAcked, .stopping, .leave, .lose, .force, .createNamespace,
      .putConfig, .deleteConfig, .drain, .createActor, .changeActor, .actorReports, .commandsAcked,
      .timePassed, .prune, .setTarget, .cordon, .cancelDrain, .changeDeadline, .stopCancelledAnswered:
      return mutation
    }
  }

  private func sweepRunners(_ now: Moment) {
    let sweep = liveness.sweep(now: now.nanoseconds)
    switch sweep.grace {
    case .stalled(let nanoseconds):
      host.log(
        LogRecord(
          .warning, "the daemon did not run for a while: every runner has the full threshold anew",
          [("stalled_ms", .number(nanoseconds / 1_000_000))]))
    case .massSilence(let quiet, let living):
      host.log(
        LogRecord(
          .warning, "too many runners fell silent at once: every one has the full threshold anew",
          [("quiet", .number(Int64(quiet))), ("living", .number(Int64(living)))]))
    case nil: break
    }
    if !sweep.silent.isEmpty { submitBackground(.silent(sweep.silent)) }
    if !sweep.lost.isEmpty { submitBackground(.lose(sweep.lost, .threshold)) }
  }

  private func forceOrders(_ now: Moment) {
    var due: [DrainOrderID] = []
    while let id = orderDeadlines.takeDue(at: now.nanoseconds) {
      guard let order = openOrders[id] else { continue }
      if order.terms.deadlineNanoseconds <= now.nanoseconds { due.append(id) }
    }
    if !due.isEmpty { submitBackground(.force(due)) }
  }

  private func sweepConnections(_ now: Moment) {
    let firstCall = settings.firstCallMilliseconds * 1_000_000
    let stall = settings.writeStallMilliseconds * 1_000_000
    for id in timed {
      guard let connection = connection(id) else {
        timed.remove(id)
        continue
      }
      let isFirstDue = connection.firstByteAt != nil && !connection.hasCalled
      if isFirstDue, now.nanoseconds - connection.firstByteAt! > firstCall {
        closeSlow(connection, "no call within \(settings.firstCallMilliseconds) ms of the first byte", now)
      } else if let slow = connection.slowFrame, now.nanoseconds - slow.since > firstCall {
        closeSlow(connection, "a frame took longer than \(settings.firstCallMilliseconds) ms", now)
      } else if let since = connection.output.waitingSince, now.nanoseconds - since > stall {
        closeSlow(connection, "the peer took nothing for \(settings.writeStallMilliseconds) ms", now)
      } else if !isFirstDue, connection.slowFrame == nil, connection.output.isEmpty {
        timed.remove(id)
      }
    }
  }

  private func closeSlow(_ connection: Connection, _ why: String, _ now: Moment) {
    host.log(LogRecord(.info, "closed: slow", [("why", .text(why))] + Self.fields(connection)))
    drop(connection, now)
  }

  // MARK: - The end

  /// Tells every peer that the daemon is ending. What is on its way to the store still arrives; the host goes on
  /// until `isSettled` and everything is written.
  package func shutDown(now: Moment) {
    guard !isShuttingDown else { return }
    endTurn(now: now)
    isShuttingDown = true
    healthChanged(now)
    for connection in connections.compactMap({ $0 }) {
      for call in connection.calls {
        switch call {
        case let attach as AttachCall:
          closeAttach(
            attach, .daemonStopping, "the daemon is shutting down; come back with the same token", now)
        case is WatchCall, is HealthCall, is WatchActorCall:
          fail(call, Status(.unavailable, "the daemon is shutting down: resume from the last revision"), now)
        default: break
        }
      }
    }
  }
}
