import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// Runners' conversations: the session machine decides, this sends and stores.
extension Service {
  func runnerSaid(_ call: AttachCall, _ payload: UnsafeRawBufferPointer, _ now: Moment) {
    do {
      switch try RunnerMessage(payload, in: requestArena) {
      case .heartbeat(let sequence, _): try heartbeat(call, sequence, now)
      case .register(let message): try register(call, message, now)
      case .stopAck(let order):
        guard let id = Int64(exactly: order) else { return }
        if let acknowledgement = try call.session.stopAck(DrainOrderID(id)) {
          stopReceived(acknowledgement, now)
        }
      case .stopping(let message):
        guard let attachment = try call.session.stopping() else { return }
        let reason = try Bounds.reason(Read.string(message.pointee.reason), field: "stopping.reason")
        let grace = try Bounds.grace(message.pointee.grace_ms, field: "stopping.grace_ms")
        submit(.stopping(attachment, reason: reason, graceMilliseconds: grace), .stopping(call))
      case .detach(let message):
        let reason = try Bounds.reason(Read.string(message.pointee.reason), field: "detach.reason")
        let hasCode =
          message.pointee.exit_code_presence_case == BATON__V1__DETACH__EXIT_CODE_PRESENCE_EXIT_CODE
        guard let attachment = try call.session.detach() else { return }
        submit(
          .leave(attachment, exitCode: hasCode ? message.pointee.exit_code : nil, reason: reason),
          .leave(call))
      case .actorEvents(let message): try actorsReported(call, message, now)
      case .ackCommands(let message): try commandsReceived(call, message)
      case .stopCancelledAnswer(let message):
        guard let attachment = try call.session.attached(saying: "StopCancelledAnswer"),
          let (order, answer) = try Requests.stopCancelledAnswer(message)
        else { return }
        submitBackground(.stopCancelledAnswered(attachment, order, answer))
      case .unknown: break
      }
    } catch let error as DecodeError {
      fail(call, Status(error), now)
    } catch let error as FieldViolation {
      fail(call, Status(error), now)
    } catch let error as AttachSession.Violation {
      fail(call, Status(.invalidArgument, error.message), now)
    } catch {
      preconditionFailure("a runner's message threw \(error)")
    }
  }

  private func heartbeat(_ call: AttachCall, _ sequence: UInt64, _ now: Moment) throws {
    switch try call.session.heartbeat(sequence, now: now.nanoseconds) {
    case .counted:
      metrics.heartbeats &+= 1
      guard let slot = call.liveness else { return }
      if liveness.heard(slot, now: now.nanoseconds), let attachment = call.session.attachment {
        outbox.heard.append(attachment)
      }
      if !call.isAckDue {
        call.isAckDue = true
        acksDue.append(call)
      }
    case .dropped, .ignored: break
    case .flood:
      fail(
        call,
        Status(.resourceExhausted, "more than \(settings.heartbeatsPerSecond) heartbeats a second, twice"),
        now)
    }
  }

  /// One answer for all heartbeats that one read brought.
  func flushAcks(_ now: Moment) {
    guard !acksDue.isEmpty else { return }
    for call in acksDue {
      call.isAckDue = false
      guard !call.isOver, case .attached(let attached) = call.session.state else { continue }
      replyArena.reset()
      push(
        call,
        AttachResponses.heartbeatAck(
          sequence: attached.sequence, openOrder: attached.unackedOrder, replyArena), now)
    }
    acksDue.removeAll(keepingCapacity: true)
  }

  // MARK: - Registration

  private func register(
    _ call: AttachCall, _ message: UnsafeMutablePointer<Baton__V1__Register>, _ now: Moment
  ) throws {
    let attachment = nextAttachment
    let registration = try Requests.registration(
      message, peer: call.connection.peer, attachment: attachment)
    try call.session.register(as: attachment)
    guard pendingMutations.count < settings.maxPendingMutations else {
      return fail(call, Status(.resourceExhausted, "too many changes wait for the disk: try again soon"), now)
    }
    nextAttachment = AttachmentID(attachment.rawValue + 1)
    call.deadline = nil
    call.endsWithProcess = registration.endsWithProcess
    call.hasCommands = registration.takesActors
    submit(.register(registration), .register(call, attachment))
  }

  func registered(_ call: AttachCall, _ attachment: AttachmentID, _ admission: Admission, _ now: Moment) {
    metrics.registrations.add(admission.isResumed ? .resumed : .new)
    let runner = admission.runner
    let isHere = call.session.admitted(runner, now: now.nanoseconds)
    let here = Attachment(runner: runner, id: attachment)
    if let order = admission.openOrder { track(order, startedAt: call.startedAt) }
    if var record = runners[runner] {
      // The same runner on a newer connection: the older one learns that it is over.
      if let other = record.call, other !== call {
        record.call = nil
        runners[runner] = record
        closeAttach(other, .resumedElsewhere, "this runner attached again on another connection", now)
      }
      liveness.attached(record.liveness, here, now: now.nanoseconds)
      record.attachment = attachment
      runners[runner] = record
    } else {
      let slot = liveness.add(here, isAttached: true, now: now.nanoseconds)
      runners[runner] = LiveRecord(liveness: slot, attachment: attachment, openOrder: admission.openOrder?.id)
    }
    guard isHere else {
      // The connection died while the commit was under way.
      liveness.detached(runners[runner]!.liveness, now: now.nanoseconds)
      outbox.detached.append(here)
      return
    }
    runners[runner]!.call = call
    call.liveness = runners[runner]!.liveness
    host.runnerAttached(call.connection.id)
    if call.endsWithProcess { host.watchProcess(of: call.connection.id, for: runner) }
    replyArena.reset()
    push(
      call,
      AttachResponses.registered(
        admission, RegisteredTerms(times: settings.times, fleetID: fleetID), replyArena), urgent: true, now)
    if let order = runners[runner]?.openOrder { tellOrder(order, to: call, now) }
    readCommands(for: call)
  }

  // MARK: - Stops

  func track(_ order: OpenOrder, startedAt: Int64) {
    // Of whoever comes back while it is asked nobody knows which deadline it has been told.
    let isAsked = order.wayBack == .offered
    openOrders[order.id] = TrackedOrder(
      runner: order.runner, terms: order.terms, startedAt: startedAt,
      offer: isAsked ? order.cancelReason : nil, isDeadlineUntold: isAsked)
    runners[order.runner]?.openOrder = order.id
    orderDeadlines.add(order.id, at: order.terms.deadlineNanoseconds)
  }

  /// What a runner that has just attached must know of its open order.
  private func tellOrder(_ id: DrainOrderID, to call: AttachCall, _ now: Moment) {
    if let reason = openOrders[id]?.offer {
      sendStopCancelled(id, reason: reason, to: call, now)
    } else {
      sendStop(id, to: call, now)
    }
  }

  /// These orders are taken back, or their runners are asked whether they stay.
  func stopsCancelled(_ orders: [StopAcknowledgement], reason: String, _ now: Moment) {
    for order in orders {
      openOrders[order.order]?.offer = reason
      guard let call = runners[order.runner]?.call else { continue }
      sendStopCancelled(order.order, reason: reason, to: call, now)
    }
  }

  private func sendStopCancelled(_ id: DrainOrderID, reason: String, to call: AttachCall, _ now: Moment) {
    guard !call.isOver else { return }
    call.session.stopCancelled(id)
    replyArena.reset()
    push(call, AttachResponses.stopCancelled(id, reason: reason, replyArena), urgent: true, now)
  }

  /// The order stands again. What its runner has not been told, because a Stop while it is asked would be a new one, it is
  /// told now.
  func offerRefused(_ id: DrainOrderID, _ now: Moment) {
    guard var order = openOrders[id] else { return }
    order.offer = nil
    let isUntold = order.isDeadlineUntold
    order.isDeadlineUntold = false
    openOrders[id] = order
    if isUntold, let call = runners[order.runner]?.call { sendStop(id, to: call, now) }
  }

  /// The order ends at another time: its runner is told with the same Stop, but not while it is asked whether it stays.
  func deadlineChanged(_ id: DrainOrderID, nanoseconds: Int64, _ now: Moment) {
    guard var order = openOrders[id] else { return }
    order.terms.deadlineNanoseconds = nanoseconds
    order.isDeadlineUntold = order.offer != nil
    openOrders[id] = order
    orderDeadlines.add(id, at: nanoseconds)
    guard order.offer == nil, let call = runners[order.runner]?.call else { return }
    sendStop(id, to: call, now)
  }

  /// Sends the Stop; when the kernel has taken its bytes, the mark comes back.
  func sendStop(_ id: DrainOrderID, to call: AttachCall, _ now: Moment) {
    guard let order = openOrders[id], !call.isOver else { return }
    call.session.stopSent(id)
    replyArena.reset()
    push(
      call, AttachResponses.stop(id, order.terms, now: now, replyArena), urgent: true,
      mark: UInt64(id.rawValue), now)
  }

  /// The kernel has taken the bytes of a Stop.
  func stopTaken(_ id: DrainOrderID) {
    metrics.stopDeliveries &+= 1
    guard var order = openOrders[id] else { return }
    order.deliveries += 1
    if order.deliveries > 1 { metrics.stopRedeliveries &+= 1 }
    openOrders[id] = order
    outbox.delivered.append(id)
  }

  private func stopReceived(_ acknowledgement: StopAcknowledgement, _ now: Moment) {
    outbox.acked.append(acknowledgement)
    if let order = openOrders[acknowledgement.order] {
      metrics.registerToStopReceived.observe(Double(now.nanoseconds - order.startedAt) / 1e9)
    }
  }

  // MARK: - The end of a conversation

  /// The daemon ends it, and says why.
  func closeAttach(_ call: AttachCall, _ cause: CloseCause, _ text: String, _ now: Moment) {
    guard !call.isOver else { return }
    replyArena.reset()
    guard push(call, AttachResponses.close(cause, text, replyArena), urgent: true, now) else { return }
    if cause == .daemonStopping { runners[call.session.attachment?.runner ?? RunnerID(0)]?.call = nil }
    detach(call, now)
    finish(call, now)
  }

  /// The runner ended it without a word: it has until the threshold to come back.
  func endAttach(_ call: AttachCall, _ now: Moment) {
    guard !call.isOver else { return }
    detach(call, now)
    finish(call, now)
  }

  /// Whatever is attached by this call is detached now.
  func detach(_ call: AttachCall, _ now: Moment) {
    guard let attachment = call.session.close() else { return }
    guard runners[attachment.runner]?.call === call else { return }
    runners[attachment.runner]?.call = nil
    liveness.detached(runners[attachment.runner]!.liveness, now: now.nanoseconds)
    outbox.detached.append(attachment)
  }

  /// The store says that this runner has ended.
  func runnerEnded(_ runner: RunnerID, _ end: RunnerEnd, _ now: Moment) {
    metrics.runnersEnded.add(end)
    guard let record = runners.removeValue(forKey: runner) else { return }
    liveness.ended(record.liveness)
    host.forgetProcess(of: runner)
    guard let call = record.call else { return }
    call.liveness = nil
    switch end {
    case .detached: closeAttach(call, .detached, "goodbye", now)
    case .forced:
      closeAttach(
        call, .forced,
        "its drain was ended by force, by its deadline or at once by somebody; what it still held is taken away",
        now)
    case .threshold: closeAttach(call, .lost, "silent for longer than the lost threshold", now)
    case .processDied: closeAttach(call, .lost, "its process died", now)
    case .machineRestarted: closeAttach(call, .lost, "the machine restarted", now)
    case .keyTaken: closeAttach(call, .lost, "another runner took its key while it was detached", now)
    }
  }

  package func processDied(_ runner: RunnerID, now: Moment) {
    guard let record = runners[runner] else { return }
    submitBackground(.lose([Attachment(runner: runner, id: record.attachment)], .processDied))
  }
}
