import BatonAPI
import Handover
import Ttrpc

/// The runner's side of Attach as a value: connections, messages and time in, what to do out. It registers, sends
/// heartbeats, acknowledges every Stop, answers when one is taken back, comes back after a cut with its token, and fences
/// itself when nobody can vouch for it any more.
///
/// `idle -> connecting -> registering -> attached`, back to `connecting` or `waiting` at every cut, and `ended` from
/// everywhere. Times are nanoseconds of one clock that counts suspended time too.
package struct RunnerMachine: Sendable {
  /// What to do, in this order.
  package enum Effect: Equatable, Sendable {
    /// Answer with `connected` or `connectFailed`.
    case connect
    /// Drop the connection, if there is one; nothing more is heard from it.
    case hangUp
    case sendRegister
    case sendHeartbeat(sequence: UInt64, roundTripMicroseconds: UInt32)
    case sendStopAck(DrainOrderID)
    case sendStopCancelledAnswer(DrainOrderID, Undo.Answer)
    case sendStopping(reason: String, graceMilliseconds: Int64)
    case sendDetach(exitCode: Int32?, reason: String)
    /// Tell the user.
    case registered(DaemonMessage.Registered)
    /// Tell the user: it was attached and is not any more.
    case cutOff
    /// A Stop that the user has not seen; what remains is counted from now.
    case stop(DaemonMessage.StopNotice)
    /// The Stop that the user has seen ends at another time; what remains is counted from now.
    case stopDeadline(DaemonMessage.StopNotice)
    /// The Stop that the user has seen is taken back: it takes work again.
    case stopCancelled(DrainOrderID, reason: String)
    /// What to do with actors.
    case actorCommands([DaemonMessage.Command])
    /// What became of reports on actors.
    case actorEventsAnswered(acked: [ActorCheckpoint], refused: [ActorCheckpoint])
    /// Nothing follows it.
    case ended(Ending)
  }

  /// How a runner's life as a runner ends.
  package enum Ending: Equatable, Sendable {
    /// It finished and the daemon knows.
    case finished
    /// Its time was up, or it was given up: its work is taken away and must stop at once.
    case fenced(String)
    /// It was never let in.
    case refused(Status)
    /// It was never let in, because nobody answered in time.
    case unreachable(Status)
  }

  /// Why there is no connection.
  package enum ConnectFailure: Hashable, Sendable {
    /// ECONNREFUSED: the socket is there and nobody listens, so no daemon is there to give the work away.
    case nobodyListens
    /// It may go well the next time: ENOENT, EAGAIN. A socket that is gone says nothing about who still runs.
    case passing
    /// It will not go well by itself.
    case lasting
  }

  /// Where it stands.
  package enum State: Equatable, Sendable {
    case idle
    case connecting
    /// Until then no attempt is made.
    case waiting(until: Int64)
    /// Register was sent then.
    case registering(since: Int64)
    case attached(since: Int64)
    case ended(Ending)
  }

  package private(set) var state: State = .idle
  /// The id that the daemon gave it; nil before the first Registered.
  package private(set) var runner: RunnerID?
  private var fleet: UInt64 = 0
  private let giveUpAt: Int64
  private var random: UInt64
  private var attempt = 0
  private var intervalNanoseconds: Int64 = 3_000_000_000
  private var lostNanoseconds: Int64 = 0
  private var sequence: UInt64 = 0
  /// When each heartbeat that is not acknowledged was sent, oldest first; at most `maxUnacknowledged`.
  private var unacknowledged: [(sequence: UInt64, sentAt: Int64)] = []
  private var roundTripMicroseconds: UInt32 = 0
  private var nextHeartbeat: Int64 = 0
  /// When the last message that the daemon acknowledged was sent: from then on it counts.
  private var vouchedAt: Int64?
  /// When connect was last refused, if nothing else came of it since.
  private var refusedAt: Int64?
  private let canStay: Bool
  /// The Stop that stands, as its user was told it.
  private var stop: (order: DrainOrderID, deadline: Int64)?
  /// Orders that an Ack named and that no Stop explained: asked for by a resume, once each.
  private var missedOrders: Set<DrainOrderID> = []
  /// Set once it leaves whatever is taken back: what to tell a daemon that has no order for it.
  private var leaving: (reason: String, graceMilliseconds: Int64)?
  private var pendingDetach: (exitCode: Int32?, reason: String)?

  private static let maxUnacknowledged = 64
  /// How long Register may go unanswered; a commit on a slow disk fits well within it.
  private static let registerTimeoutNanoseconds: Int64 = 10_000_000_000
  /// An attachment shorter than this is one more failed attempt: a daemon that drops everyone is not asked in a loop.
  private static let shortAttachmentNanoseconds: Int64 = 1_000_000_000
  /// A deadline that comes again within so much of the one before has not moved: a Stop takes its time on the way.
  private static let deadlineToleranceNanoseconds: Int64 = 100_000_000

  /// `randomness` spreads the attempts of many runners that lost the same daemon. Until it is registered for the first
  /// time, trouble after `giveUpAt` ends it; one attempt is always made. `canStay`: a Stop that its user has seen may be
  /// taken back until `commit`, `beginDrain` or `finish`; otherwise to see it is to leave.
  package init(randomness: UInt64, giveUpAt: Int64, canStay: Bool = false) {
    random = randomness | 1
    self.giveUpAt = giveUpAt
    self.canStay = canStay
  }

  // MARK: - Connections

  package mutating func start() -> [Effect] {
    guard state == .idle else { return [] }
    state = .connecting
    return [.connect]
  }

  package mutating func connected(now: Int64) -> [Effect] {
    guard state == .connecting else { return [] }
    // What passed since the last refusal counts: somebody may have listened all the while.
    refusedAt = nil
    if isFenceDue(now) { return fence() }
    state = .registering(since: now)
    return [.sendRegister]
  }

  package mutating func connectFailed(_ failure: ConnectFailure, _ status: Status, now: Int64) -> [Effect] {
    guard state == .connecting else { return [] }
    switch failure {
    case .nobodyListens:
      // Whoever woke too late to be vouched for may have been given up before the daemon went.
      if refusedAt.map({ now - $0 >= fenceNanoseconds }) ?? true, isFenceDue(now) { return fence() }
      // From one refusal to the next nobody was there, so that time does not count: a daemon that came and went in
      // between gave everyone the full threshold anew.
      if let refusedAt, let vouchedAt { self.vouchedAt = vouchedAt + (now - refusedAt) }
      refusedAt = now
    case .passing: refusedAt = nil
    case .lasting:
      refusedAt = nil
      if runner == nil { return end(.unreachable(status)) }
    }
    return retry(after: status, now)
  }

  /// The connection ended by itself, or made no sense.
  package mutating func disconnected(now: Int64) -> [Effect] {
    switch state {
    case .registering:
      return retry(
        after: Status(.unavailable, "the daemon ended the connection before it answered Register"), now)
    case .attached(let since):
      unacknowledged = []
      guard now - since >= Self.shortAttachmentNanoseconds else {
        wait(now)
        return [.hangUp, .cutOff]
      }
      // At once: the first attempt tells whether there is a daemon at all.
      attempt = 0
      state = .connecting
      return [.hangUp, .cutOff, .connect]
    case .idle, .connecting, .waiting, .ended: return []
    }
  }

  /// The call was ended with a status.
  package mutating func refused(_ status: Status, now: Int64) -> [Effect] {
    switch state {
    case .registering, .attached: break
    case .idle, .connecting, .waiting, .ended: return []
    }
    switch status.code {
    case .ok, .unavailable, .resourceExhausted, .deadlineExceeded, .aborted, .cancelled, .internal, .unknown:
      // Passing trouble of the daemon's.
      return comeBack(after: status, now)
    case .invalidArgument, .notFound, .alreadyExists, .permissionDenied, .failedPrecondition, .outOfRange,
      .unimplemented, .dataLoss, .unauthenticated:
      guard runner != nil else { return end(.refused(status)) }
      // Detach was committed, and its answer was lost.
      return pendingDetach != nil ? end(.finished) : end(.fenced(status.message))
    }
  }

  // MARK: - Messages

  package mutating func received(_ message: DaemonMessage, now: Int64) -> [Effect] {
    switch (message, state) {
    case (_, .idle), (_, .connecting), (_, .waiting), (_, .ended): return []
    case (.registered(let registered), .registering(let since)): return admitted(registered, since, now)
    case (.heartbeatAck(let sequence, let order), .attached):
      acknowledged(sequence, now)
      return order.map { stillOpen($0) } ?? []
    case (.stop(let notice), .attached): return [.sendStopAck(notice.order)] + stopped(notice, now)
    case (.stopCancelled(let order, let reason), .attached):
      return takenBack(order, reason)
        + [.sendStopCancelledAnswer(order, isLeaving ? .tooLate : .resumed)]
    case (.close(let cause, let text), .registering), (.close(let cause, let text), .attached):
      return closed(cause, text, now)
    case (.actorCommands(let commands), .attached): return [.actorCommands(commands)]
    case (.ackEvents(let acked, let refused), .attached):
      return [.actorEventsAnswered(acked: acked, refused: refused)]
    // Not what the protocol has here: a newer daemon's ways, and nothing of ours depends on it.
    case (.registered, .attached), (.heartbeatAck, .registering), (.stop, .registering),
      (.stopCancelled, .registering), (.actorCommands, .registering), (.ackEvents, .registering),
      (.unknown, .registering), (.unknown, .attached):
      return []
    }
  }

  private mutating func admitted(
    _ registered: DaemonMessage.Registered, _ sentAt: Int64, _ now: Int64
  ) -> [Effect] {
    let isAnother = runner != nil && (runner != registered.runner || fleet != registered.fleetID)
    // The numbers of a daemon without memory of it mean other orders.
    if isAnother { missedOrders = [] }
    state = .attached(since: now)
    runner = registered.runner
    fleet = registered.fleetID
    intervalNanoseconds = max(100, registered.heartbeatIntervalMilliseconds) * 1_000_000
    lostNanoseconds = registered.lostThresholdMilliseconds * 1_000_000
    vouchedAt = sentAt
    nextHeartbeat = now + intervalNanoseconds
    var effects: [Effect] = [.registered(registered)]
    if let stop, isAnother || registered.decision?.standing == .ready {
      effects += takenBack(stop.order, "the daemon has no order for this runner any more")
      // What is not taken back does not stand either: the daemon has to be told.
      self.stop = nil
    }
    if stop == nil, let leaving {
      effects.append(.sendStopping(reason: leaving.reason, graceMilliseconds: leaving.graceMilliseconds))
    }
    if let detach = pendingDetach {
      effects.append(.sendDetach(exitCode: detach.exitCode, reason: detach.reason))
    }
    return effects
  }

  private mutating func acknowledged(_ upTo: UInt64, _ now: Int64) {
    while let first = unacknowledged.first, first.sequence <= upTo {
      vouchedAt = first.sentAt
      roundTripMicroseconds = UInt32(clamping: (now - first.sentAt) / 1000)
      unacknowledged.removeFirst()
    }
  }

  /// The daemon waits for a StopAck.
  private mutating func stillOpen(_ order: DrainOrderID) -> [Effect] {
    if stop?.order == order { return [.sendStopAck(order)] }
    // Its Stop never came. Every resume brings it again, with the time that remains.
    guard missedOrders.insert(order).inserted else { return [] }
    unacknowledged = []
    state = .connecting
    return [.hangUp, .cutOff, .connect]
  }

  private mutating func stopped(_ notice: DaemonMessage.StopNotice, _ now: Int64) -> [Effect] {
    let deadline = now.nanoseconds(afterMilliseconds: notice.remainingMilliseconds)
    if let stop, stop.order == notice.order {
      guard abs(deadline - stop.deadline) >= Self.deadlineToleranceNanoseconds else { return [] }
      self.stop = (notice.order, deadline)
      return [.stopDeadline(notice)]
    }
    stop = (notice.order, deadline)
    if !canStay { _ = commit(to: notice.order) }
    return [.stop(notice)]
  }

  /// This order stands no longer, if it did and there is a way back.
  private mutating func takenBack(_ order: DrainOrderID, _ reason: String) -> [Effect] {
    guard !isLeaving, stop?.order == order else { return [] }
    stop = nil
    return [.stopCancelled(order, reason: reason)]
  }

  private mutating func closed(_ cause: CloseCause?, _ text: String, _ now: Int64) -> [Effect] {
    switch cause {
    case .daemonStopping, nil: comeBack(after: Status(.unavailable, text), now)
    case .detached: end(.finished)
    case .forced, .lost: end(.fenced(text))
    case .resumedElsewhere: end(.fenced("its token is in use on another connection"))
    }
  }

  // MARK: - What its user wants

  /// Begins its own drain; a Stop of cause self follows, unless it has its Stop already.
  package mutating func beginDrain(reason: String, graceMilliseconds: Int64) -> [Effect] {
    if case .ended = state { return [] }
    leaving = (reason, graceMilliseconds)
    guard stop == nil, case .attached = state else { return [] }
    return [.sendStopping(reason: reason, graceMilliseconds: graceMilliseconds)]
  }

  /// It leaves by this order: there is no way back from here on. False when that was taken back already, and it stays.
  package mutating func commit(to order: DrainOrderID) -> Bool {
    if case .ended = state { return true }
    if isLeaving { return true }
    guard stop?.order == order else { return false }
    leaving = ("it had begun to leave by drain order \(order), which no longer stands", 0)
    return true
  }

  private var isLeaving: Bool { leaving != nil || pendingDetach != nil }

  /// Its work is done, so nothing is left to fence. It is over when the daemon knows.
  package mutating func finish(exitCode: Int32?, reason: String) -> [Effect] {
    if case .ended = state { return [] }
    guard pendingDetach == nil else { return [] }
    pendingDetach = (exitCode, reason)
    guard case .attached = state else { return [] }
    return [.sendDetach(exitCode: exitCode, reason: reason)]
  }

  // MARK: - Time

  /// When `tick` is next due; nil when nothing waits for time.
  package var nextTick: Int64? {
    let fence = fenceAt ?? .max
    switch state {
    case .idle, .ended: return nil
    // What connect says comes first: it may be that nobody is there.
    case .connecting: return refusedAt == nil ? fenceAt : nil
    case .waiting(let until): return min(until, fence)
    case .registering(let since): return min(since + Self.registerTimeoutNanoseconds, fence)
    case .attached: return min(nextHeartbeat, fence)
    }
  }

  /// By when its work must have stopped if nothing is heard; nil before it has any, and once it is done.
  package var fenceAt: Int64? {
    guard let vouchedAt, pendingDetach == nil else { return nil }
    return vouchedAt + fenceNanoseconds
  }

  /// Sooner than the daemon gives it up, so that its work has stopped by then.
  private var fenceNanoseconds: Int64 { lostNanoseconds / 5 * 4 }

  package mutating func tick(now: Int64) -> [Effect] {
    switch state {
    case .idle, .ended: return []
    case .connecting: return refusedAt == nil && isFenceDue(now) ? fence() : []
    case .waiting(let until):
      // While nobody listens the clock stands still; whether that is still so, an attempt tells.
      if isFenceDue(now), refusedAt == nil { return fence() }
      guard now >= until || isFenceDue(now) else { return [] }
      state = .connecting
      return [.connect]
    case .registering(let since):
      if isFenceDue(now) { return fence() }
      guard now - since >= Self.registerTimeoutNanoseconds else { return [] }
      return retry(after: Status(.deadlineExceeded, "the daemon did not answer Register in time"), now)
    case .attached:
      if isFenceDue(now) { return fence() }
      guard now >= nextHeartbeat else { return [] }
      nextHeartbeat = now + intervalNanoseconds
      sequence += 1
      if unacknowledged.count < Self.maxUnacknowledged { unacknowledged.append((sequence, now)) }
      return [.sendHeartbeat(sequence: sequence, roundTripMicroseconds: roundTripMicroseconds)]
    }
  }

  private func isFenceDue(_ now: Int64) -> Bool { fenceAt.map { now >= $0 } ?? false }

  private mutating func fence() -> [Effect] {
    end(.fenced("nothing was heard from the daemon for too long: the work must stop"))
  }

  // MARK: - Inside

  /// After a conversation that the daemon ended for now.
  private mutating func comeBack(after status: Status, _ now: Int64) -> [Effect] {
    guard case .attached(let since) = state else { return retry(after: status, now) }
    unacknowledged = []
    if now - since >= Self.shortAttachmentNanoseconds { attempt = 0 }
    wait(now)
    return [.hangUp, .cutOff]
  }

  /// After an attempt that came to nothing.
  private mutating func retry(after status: Status, _ now: Int64) -> [Effect] {
    if runner == nil, now >= giveUpAt { return end(.unreachable(status)) }
    wait(now)
    return [.hangUp]
  }

  /// Pauses grow from 50 ms to 2 s, each drawn from the upper half of its length. Close to the fence they are shorter:
  /// there should be an attempt before it.
  private mutating func wait(_ now: Int64) {
    var longest = min(2_000_000_000, Int64(50_000_000) << min(attempt, 6))
    if let fenceAt { longest = min(longest, max(20_000_000, (fenceAt - now) / 2)) }
    attempt += 1
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    state = .waiting(until: now + longest / 2 + Int64(random % UInt64(longest / 2)))
  }

  private mutating func end(_ ending: Ending) -> [Effect] {
    state = .ended(ending)
    return [.hangUp, .ended(ending)]
  }
}
