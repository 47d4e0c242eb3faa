import BatonAPI
import Handover
import Ttrpc

/// The runner's side of Attach as a value: connections, messages and time in, what to do out. It registers, sends
/// heartbeats, acknowledges every Stop, comes back after a cut with its token, and fences itself when nobody can
/// vouch for it any more.
package struct RunnerMachine: Sendable {
  package enum Effect: Equatable, Sendable {
    case connect
    case hangUp
    case sendRegister
    case sendHeartbeat(sequence: UInt64, roundTripMicroseconds: UInt32)
    case sendStopAck(DrainOrderID)
    case sendStopping(reason: String, graceMilliseconds: Int64)
    case sendDetach(exitCode: Int32?, reason: String)
    /// Tell the user.
    case registered(DaemonMessage.Registered)
    case cutOff
    /// A Stop that the user has not seen; what remains is counted from now.
    case stop(DaemonMessage.StopNotice)
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
  }

  package enum State: Equatable, Sendable {
    case idle
    case connecting
    /// Until then no attempt is made.
    case waiting(until: Int64)
    case registering
    case attached
    case ended(Ending)
  }

  package private(set) var state: State = .idle
  package private(set) var runner: RunnerID?
  private var random: UInt64
  private var attempt = 0
  private var intervalNanoseconds: Int64 = 3_000_000_000
  private var lostNanoseconds: Int64?
  private var sequence: UInt64 = 0
  /// When each heartbeat that is not acknowledged was sent, oldest first; at most `maxUnacknowledged`.
  private var unacknowledged: [(sequence: UInt64, sentAt: Int64)] = []
  private static let maxUnacknowledged = 64
  private var registerSentAt: Int64 = 0
  private var roundTripMicroseconds: UInt32 = 0
  private var nextHeartbeat: Int64 = 0
  /// When the last message that the daemon acknowledged was sent: from then on it counts.
  private var vouchedAt: Int64?
  /// Since when nobody listens at all: no daemon is there to give the work away, so the clock stands still.
  private var standingSince: Int64?
  private var seenOrders: Set<DrainOrderID> = []
  private var pendingStopping: (reason: String, graceMilliseconds: Int64)?
  private var pendingDetach: (exitCode: Int32?, reason: String)?

  /// `randomness` spreads the attempts of many runners that lost the same daemon.
  package init(randomness: UInt64) { random = randomness | 1 }

  // MARK: - What happens to it

  package mutating func start() -> [Effect] {
    guard state == .idle else { return [] }
    state = .connecting
    return [.connect]
  }

  package mutating func connected(now: Int64) -> [Effect] {
    guard state == .connecting else { return [] }
    clockGoesOn(now)
    state = .registering
    registerSentAt = now
    return [.sendRegister]
  }

  /// `nobodyListens`: there is no socket, or nobody behind it.
  package mutating func connectFailed(nobodyListens: Bool, now: Int64) -> [Effect] {
    guard state == .connecting else { return [] }
    if nobodyListens {
      standingSince = standingSince ?? now
    } else {
      clockGoesOn(now)
    }
    wait(now)
    return []
  }

  package mutating func disconnected(now: Int64) -> [Effect] {
    switch state {
    case .registering, .attached:
      let wasAttached = state == .attached
      unacknowledged = []
      // At once: the first attempt tells whether there is a daemon at all.
      if wasAttached {
        attempt = 0
        state = .connecting
        return [.cutOff, .connect]
      }
      wait(now)
      return []
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
    case .unavailable, .resourceExhausted, .deadlineExceeded, .aborted, .cancelled, .internal, .unknown:
      // Passing trouble of the daemon's.
      unacknowledged = []
      wait(now)
      return [.hangUp]
    default: break
    }
    if runner != nil {
      return pendingDetach != nil ? end(.finished) : end(.fenced(status.message))
    }
    return end(.refused(status))
  }

  package mutating func received(_ message: DaemonMessage, now: Int64) -> [Effect] {
    switch (message, state) {
    case (_, .idle), (_, .connecting), (_, .waiting), (_, .ended): return []
    case (.registered(let registered), .registering): return admitted(registered, now)
    case (.heartbeatAck(let sequence, let order), .attached):
      acknowledged(sequence, now)
      // It waits for a StopAck that was lost on the way.
      if let order, seenOrders.contains(order) { return [.sendStopAck(order)] }
      return []
    case (.stop(let stop), .attached):
      let isNew = seenOrders.insert(stop.order).inserted
      return isNew ? [.sendStopAck(stop.order), .stop(stop)] : [.sendStopAck(stop.order)]
    case (.close(let cause, let text), _): return closed(cause, text, now)
    case (.registered, .attached), (.heartbeatAck, .registering), (.stop, .registering), (.unknown, _):
      return []
    }
  }

  private mutating func admitted(_ registered: DaemonMessage.Registered, _ now: Int64) -> [Effect] {
    state = .attached
    attempt = 0
    runner = registered.runner
    intervalNanoseconds = max(1, registered.heartbeatIntervalMilliseconds) * 1_000_000
    lostNanoseconds = registered.lostThresholdMilliseconds * 1_000_000
    vouchedAt = registerSentAt
    standingSince = nil
    nextHeartbeat = now + intervalNanoseconds
    var effects: [Effect] = [.registered(registered)]
    if let stopping = pendingStopping {
      effects.append(.sendStopping(reason: stopping.reason, graceMilliseconds: stopping.graceMilliseconds))
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

  private mutating func closed(_ cause: CloseCause?, _ text: String, _ now: Int64) -> [Effect] {
    switch cause {
    case .daemonStopping, nil:
      unacknowledged = []
      wait(now)
      return [.hangUp, .cutOff]
    case .detached: return end(.finished)
    case .forced, .lost: return end(.fenced(text))
    case .resumedElsewhere: return end(.fenced("its token is in use on another connection"))
    }
  }

  // MARK: - What its user wants

  /// Begins its own drain; a Stop of cause self follows.
  package mutating func beginDrain(reason: String, graceMilliseconds: Int64) -> [Effect] {
    if case .ended = state { return [] }
    pendingStopping = (reason, graceMilliseconds)
    guard state == .attached else { return [] }
    return [.sendStopping(reason: reason, graceMilliseconds: graceMilliseconds)]
  }

  /// Its work is done. It is over when the daemon knows.
  package mutating func finish(exitCode: Int32?, reason: String) -> [Effect] {
    if case .ended = state { return [] }
    pendingDetach = (exitCode, reason)
    guard state == .attached else { return [] }
    return [.sendDetach(exitCode: exitCode, reason: reason)]
  }

  // MARK: - Time

  /// When `tick` is next due; nil when nothing waits for time.
  package var nextTick: Int64? {
    let fence = fenceAt
    switch state {
    case .idle, .ended: return nil
    case .connecting, .registering: return fence
    case .waiting(let until): return min(until, fence ?? .max)
    case .attached: return min(nextHeartbeat, fence ?? .max)
    }
  }

  /// By when its work must have stopped if nothing is heard; nil while the clock stands still.
  package var fenceAt: Int64? {
    guard let vouchedAt, let lostNanoseconds, standingSince == nil else { return nil }
    return vouchedAt + lostNanoseconds / 5 * 4
  }

  package mutating func tick(now: Int64) -> [Effect] {
    if case .ended = state { return [] }
    if let fence = fenceAt, now >= fence {
      return end(.fenced("nothing was heard from the daemon for too long: the work must stop"))
    }
    switch state {
    case .waiting(let until) where now >= until:
      state = .connecting
      return [.connect]
    case .attached where now >= nextHeartbeat:
      nextHeartbeat = now + intervalNanoseconds
      sequence += 1
      if unacknowledged.count < Self.maxUnacknowledged { unacknowledged.append((sequence, now)) }
      return [.sendHeartbeat(sequence: sequence, roundTripMicroseconds: roundTripMicroseconds)]
    case .idle, .connecting, .waiting, .registering, .attached, .ended: return []
    }
  }

  // MARK: - Inside

  private mutating func clockGoesOn(_ now: Int64) {
    guard let since = standingSince else { return }
    standingSince = nil
    if let vouched = vouchedAt { vouchedAt = vouched + (now - since) }
  }

  /// Pauses grow from 50 ms to 2 s, each drawn from the upper half of its length.
  private mutating func wait(_ now: Int64) {
    let longest = min(2_000_000_000, Int64(50_000_000) << min(attempt, 6))
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
