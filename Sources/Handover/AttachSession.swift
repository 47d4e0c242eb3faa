/// The daemon's side of one Attach conversation, as far as order and fencing go. Messages and time in, what to do
/// out; who sends and who stores is not its business.
///
/// `awaitingRegister -> registering -> attached -> leaving -> closed`, and `-> closed` from everywhere.
package struct AttachSession {
  /// The registry is deciding about it.
  package struct Registering: Hashable, Sendable {
    package var attachment: AttachmentID
  }

  /// The runner lives on this connection.
  package struct Attached: Hashable, Sendable {
    package var attachment: Attachment
    /// The latest heartbeat.
    package var sequence: UInt64 = 0
    /// The order whose StopAck has not come.
    package var unackedOrder: DrainOrderID?
    /// When the heartbeats so far would have been due at the greatest rate allowed.
    var heartbeatsDueAt: Int64
    /// When the flood that was the first strike began.
    var strikeAt: Int64?
  }

  /// Detach has come and the registry is told; what still comes is too late to matter.
  package struct Leaving: Hashable, Sendable {
    package var attachment: Attachment
  }

  package enum State: Hashable, Sendable {
    case awaitingRegister
    case registering(Registering)
    case attached(Attached)
    case leaving(Leaving)
    case closed
  }

  /// A peer that does not keep to the protocol.
  package struct Violation: Error, Hashable, Sendable {
    package var message: String
  }

  package enum HeartbeatVerdict: Hashable, Sendable {
    case counted
    /// Too many: not counted. The first strike.
    case dropped
    /// Still too many: end the call.
    case flood
    /// The conversation is over.
    case ignored
  }

  package private(set) var state: State = .awaitingRegister
  private let heartbeatIntervalNanoseconds: Int64
  private let heartbeatBurst: Int64

  package init(heartbeatsPerSecond: Int, burst: Int) {
    heartbeatIntervalNanoseconds = 1_000_000_000 / Int64(max(1, heartbeatsPerSecond))
    heartbeatBurst = Int64(max(1, burst))
  }

  package var attachment: Attachment? {
    switch state {
    case .attached(let attached): attached.attachment
    case .leaving(let leaving): leaving.attachment
    case .awaitingRegister, .registering, .closed: nil
    }
  }

  // MARK: - What the runner says

  package mutating func register(as attachment: AttachmentID) throws(Violation) {
    switch state {
    case .awaitingRegister: state = .registering(Registering(attachment: attachment))
    case .registering, .attached: throw Violation(message: "Register comes first and only once")
    case .leaving, .closed: break
    }
  }

  package mutating func heartbeat(_ sequence: UInt64, now: Int64) throws(Violation) -> HeartbeatVerdict {
    switch state {
    case .awaitingRegister: throw Violation(message: "Register comes before Heartbeat")
    // Sent with the Register, in one write; nobody has said yet how often.
    case .registering: return .ignored
    case .leaving, .closed: return .ignored
    case .attached(var attached):
      let due = max(attached.heartbeatsDueAt, now)
      var verdict = HeartbeatVerdict.counted
      if due - now > heartbeatIntervalNanoseconds * heartbeatBurst {
        let strikeAt = attached.strikeAt ?? now
        attached.strikeAt = strikeAt
        verdict = now - strikeAt >= 1_000_000_000 ? .flood : .dropped
      } else {
        attached.heartbeatsDueAt = due + heartbeatIntervalNanoseconds
        attached.sequence = max(attached.sequence, sequence)
      }
      state = .attached(attached)
      return verdict
    }
  }

  /// What to tell the store; nil when the acknowledgement is of no order that waits for one.
  package mutating func stopAck(_ order: DrainOrderID) throws(Violation) -> StopAcknowledgement? {
    switch state {
    case .awaitingRegister, .registering: throw Violation(message: "Register comes before StopAck")
    case .leaving, .closed: return nil
    case .attached(var attached):
      guard attached.unackedOrder == order else { return nil }
      attached.unackedOrder = nil
      state = .attached(attached)
      return StopAcknowledgement(runner: attached.attachment.runner, order: order)
    }
  }

  /// Whose drain begins; nil when the conversation is over.
  package func stopping() throws(Violation) -> Attachment? { try attached(saying: "Stopping") }

  /// Who says something that only an attached runner may say; nil when the conversation is over.
  package func attached(saying word: String) throws(Violation) -> Attachment? {
    switch state {
    case .awaitingRegister, .registering: throw Violation(message: "Registered comes before \(word)")
    case .leaving, .closed: return nil
    case .attached(let attached): return attached.attachment
    }
  }

  /// Who leaves; nil when the conversation is over.
  package mutating func detach() throws(Violation) -> Attachment? {
    switch state {
    case .awaitingRegister, .registering: throw Violation(message: "Registered comes before Detach")
    case .leaving, .closed: return nil
    case .attached(let attached):
      state = .leaving(Leaving(attachment: attached.attachment))
      return attached.attachment
    }
  }

  // MARK: - What the daemon decides

  /// The registration is durable. False when the conversation ended meanwhile: the runner is detached from birth.
  package mutating func admitted(_ runner: RunnerID, now: Int64) -> Bool {
    switch state {
    case .registering(let registering):
      state = .attached(
        Attached(attachment: Attachment(runner: runner, id: registering.attachment), heartbeatsDueAt: now))
      return true
    case .closed: return false
    case .awaitingRegister, .attached, .leaving: preconditionFailure("admitted while \(state)")
    }
  }

  /// A Stop for this order is on its way; until its StopAck every HeartbeatAck names it.
  package mutating func stopSent(_ order: DrainOrderID) {
    switch state {
    case .attached(var attached):
      attached.unackedOrder = order
      state = .attached(attached)
    case .leaving, .closed: break
    case .awaitingRegister, .registering: preconditionFailure("a Stop before Registered, while \(state)")
    }
  }

  /// The order is taken back, or its runner is asked: nobody waits for its StopAck any more.
  package mutating func stopCancelled(_ order: DrainOrderID) {
    guard case .attached(var attached) = state, attached.unackedOrder == order else { return }
    attached.unackedOrder = nil
    state = .attached(attached)
  }

  /// The conversation is over, whoever ended it. Returns what was attached by it.
  package mutating func close() -> Attachment? {
    defer { state = .closed }
    return attachment
  }
}
