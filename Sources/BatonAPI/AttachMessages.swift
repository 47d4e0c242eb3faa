import CBatonProto
import Handover
import Protobuf

/// What a runner says, as the daemon reads it: nothing is copied off the heap, so a heartbeat costs no allocation.
/// Pointers live until the arena's next reset.
package enum RunnerMessage {
  case register(UnsafeMutablePointer<Baton__V1__Register>)
  case heartbeat(sequence: UInt64, roundTripMicroseconds: UInt32)
  case stopAck(order: UInt64)
  case stopping(UnsafeMutablePointer<Baton__V1__Stopping>)
  case detach(UnsafeMutablePointer<Baton__V1__Detach>)
  case actorEvents(UnsafeMutablePointer<Baton__V1__ActorEvents>)
  case ackCommands(UnsafeMutablePointer<Baton__V1__AckCommands>)
  case stopCancelledAnswer(UnsafeMutablePointer<Baton__V1__StopCancelledAnswer>)
  /// A newer runner's, or nothing at all.
  case unknown

  package init(_ bytes: UnsafeRawBufferPointer, in arena: Arena) throws(DecodeError) {
    let message = try Codec.decode(Baton__V1__AttachRequest.self, bytes, in: arena).pointee
    switch message.message_case {
    case BATON__V1__ATTACH_REQUEST__MESSAGE_HEARTBEAT:
      let heartbeat = message.heartbeat.pointee
      self = .heartbeat(sequence: heartbeat.sequence, roundTripMicroseconds: heartbeat.round_trip_us)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_REGISTER: self = .register(message.register_)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_STOP_ACK:
      self = .stopAck(order: message.stop_ack.pointee.order_id)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_STOPPING: self = .stopping(message.stopping)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_DETACH: self = .detach(message.detach)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_ACTOR_EVENTS: self = .actorEvents(message.actor_events)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_ACK_COMMANDS: self = .ackCommands(message.ack_commands)
    case BATON__V1__ATTACH_REQUEST__MESSAGE_STOP_CANCELLED_ANSWER:
      self = .stopCancelledAnswer(message.stop_cancelled_answer)
    default: self = .unknown
    }
  }
}

/// Why the daemon ends a conversation.
package enum CloseCause: Int, Sendable, CaseIterable {
  case daemonStopping = 1
  case resumedElsewhere = 2
  case forced = 3
  case lost = 4
  case detached = 5
}

/// What a runner is told when it registers.
package struct RegisteredTerms: Hashable, Sendable {
  package var heartbeatIntervalMilliseconds: Int64
  package var silentThresholdMilliseconds: Int64
  package var lostThresholdMilliseconds: Int64
  package var fleetID: UInt64
  package init(times: FleetTimes, fleetID: UInt64) {
    heartbeatIntervalMilliseconds = times.heartbeatIntervalMilliseconds
    silentThresholdMilliseconds = times.silentThresholdMilliseconds
    lostThresholdMilliseconds = times.lostThresholdMilliseconds
    self.fleetID = fleetID
  }
}

/// The daemon's side of Attach: each makes one AttachResponse in the arena.
package enum AttachResponses {
  package typealias Message = UnsafeMutablePointer<Baton__V1__AttachResponse>

  package static func registered(_ admission: Admission, _ terms: RegisteredTerms, _ arena: Arena) -> Message
  {
    let inner = arena.make(Baton__V1__Registered.self)
    inner.pointee.runner_id = UInt64(admission.runner.rawValue)
    inner.pointee.heartbeat_interval_ms = UInt32(clamping: terms.heartbeatIntervalMilliseconds)
    inner.pointee.silent_threshold_ms = UInt32(clamping: terms.silentThresholdMilliseconds)
    inner.pointee.lost_threshold_ms = UInt32(clamping: terms.lostThresholdMilliseconds)
    inner.pointee.decision = Encode.decision(admission.decision, arena)
    inner.pointee.resumed = admission.isResumed ? 1 : 0
    inner.pointee.fleet_id = terms.fleetID
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_REGISTERED
    message.pointee.registered = inner
    return message
  }

  package static func heartbeatAck(sequence: UInt64, openOrder: DrainOrderID?, _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__HeartbeatAck.self)
    inner.pointee.sequence = sequence
    inner.pointee.open_order_id = UInt64(openOrder?.rawValue ?? 0)
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_HEARTBEAT_ACK
    message.pointee.heartbeat_ack = inner
    return message
  }

  package static func stop(_ order: DrainOrderID, _ terms: OrderTerms, now: Moment, _ arena: Arena) -> Message
  {
    let remaining = max(0, (terms.deadlineNanoseconds - now.nanoseconds) / 1_000_000)
    let inner = arena.make(Baton__V1__Stop.self)
    inner.pointee.order_id = UInt64(order.rawValue)
    inner.pointee.cause = .init(rawValue: UInt32(terms.cause.rawValue))
    inner.pointee.reason = arena.string(terms.reason)
    inner.pointee.target_version = terms.target?.number ?? 0
    inner.pointee.remaining_ms = UInt64(FleetTimes.runnerShareMilliseconds(ofRemaining: remaining))
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_STOP
    message.pointee.stop = inner
    return message
  }

  package static func stopCancelled(_ order: DrainOrderID, reason: String, _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__StopCancelled.self)
    inner.pointee.order_id = UInt64(order.rawValue)
    inner.pointee.reason = arena.string(reason)
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_STOP_CANCELLED
    message.pointee.stop_cancelled = inner
    return message
  }

  package static func close(_ cause: CloseCause, _ text: String, _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__Close.self)
    inner.pointee.cause = .init(rawValue: UInt32(cause.rawValue))
    inner.pointee.message = arena.string(text)
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_CLOSE
    message.pointee.close = inner
    return message
  }
}

/// What the daemon says, as a runner reads it.
package enum DaemonMessage: Hashable, Sendable {
  case registered(Registered)
  case heartbeatAck(sequence: UInt64, openOrder: DrainOrderID?)
  case stop(StopNotice)
  case close(CloseCause?, message: String)
  case actorCommands([Command])
  case ackEvents(acked: [ActorCheckpoint], refused: [ActorCheckpoint])
  case stopCancelled(DrainOrderID, reason: String)
  case unknown

  package struct Registered: Hashable, Sendable {
    package var runner: RunnerID
    package var heartbeatIntervalMilliseconds: Int64
    package var silentThresholdMilliseconds: Int64
    package var lostThresholdMilliseconds: Int64
    package var decision: Decision?
    package var isResumed: Bool
    package var fleetID: UInt64
    package init(
      runner: RunnerID, heartbeatIntervalMilliseconds: Int64, silentThresholdMilliseconds: Int64,
      lostThresholdMilliseconds: Int64, decision: Decision?, isResumed: Bool, fleetID: UInt64
    ) {
      self.runner = runner
      self.heartbeatIntervalMilliseconds = heartbeatIntervalMilliseconds
      self.silentThresholdMilliseconds = silentThresholdMilliseconds
      self.lostThresholdMilliseconds = lostThresholdMilliseconds
      self.decision = decision
      self.isResumed = isResumed
      self.fleetID = fleetID
    }
  }

  package struct StopNotice: Hashable, Sendable {
    package var order: DrainOrderID
    /// nil for a cause that is not known here.
    package var cause: DrainCause?
    package var reason: String
    package var target: Version?
    package var remainingMilliseconds: Int64
    package init(
      order: DrainOrderID, cause: DrainCause?, reason: String, target: Version?, remainingMilliseconds: Int64
    ) {
      self.order = order
      self.cause = cause
      self.reason = reason
      self.target = target
      self.remainingMilliseconds = remainingMilliseconds
    }
  }

  package init(_ bytes: UnsafeRawBufferPointer, in arena: Arena) throws(DecodeError) {
    let message = try Codec.decode(Baton__V1__AttachResponse.self, bytes, in: arena).pointee
    switch message.message_case {
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_REGISTERED:
      let inner = message.registered.pointee
      self = .registered(
        Registered(
          runner: RunnerID(Decode.wall(inner.runner_id)),
          heartbeatIntervalMilliseconds: Int64(inner.heartbeat_interval_ms),
          silentThresholdMilliseconds: Int64(inner.silent_threshold_ms),
          lostThresholdMilliseconds: Int64(inner.lost_threshold_ms),
          decision: Decode.decision(inner.decision), isResumed: inner.resumed != 0, fleetID: inner.fleet_id))
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_HEARTBEAT_ACK:
      let inner = message.heartbeat_ack.pointee
      self = .heartbeatAck(sequence: inner.sequence, openOrder: Decode.order(id: inner.open_order_id))
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_STOP:
      let inner = message.stop.pointee
      self = .stop(
        StopNotice(
          order: DrainOrderID(Decode.wall(inner.order_id)),
          cause: DrainCause(rawValue: Int(inner.cause.rawValue)), reason: Read.string(inner.reason),
          target: Version(inner.target_version), remainingMilliseconds: Decode.wall(inner.remaining_ms)))
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_CLOSE:
      let inner = message.close.pointee
      self = .close(CloseCause(rawValue: Int(inner.cause.rawValue)), message: Read.string(inner.message))
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_ACTOR_COMMANDS:
      let inner = message.actor_commands.pointee
      self = .actorCommands(Read.messages(inner.n_commands, inner.commands).map { Command($0) })
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_ACK_EVENTS:
      let inner = message.ack_events.pointee
      self = .ackEvents(
        acked: Read.messages(inner.n_acked, inner.acked).map { Decode.checkpoint($0) },
        refused: Read.messages(inner.n_refused, inner.refused).map { Decode.checkpoint($0) })
    case BATON__V1__ATTACH_RESPONSE__MESSAGE_STOP_CANCELLED:
      let inner = message.stop_cancelled.pointee
      self = .stopCancelled(DrainOrderID(Decode.wall(inner.order_id)), reason: Read.string(inner.reason))
    default: self = .unknown
    }
  }
}

/// The runner's side of Attach: each makes one AttachRequest in the arena.
package enum AttachRequests {
  package typealias Message = UnsafeMutablePointer<Baton__V1__AttachRequest>

  package static func register(
    pool: PoolName, key: String, version: UInt32, totalSlots: UInt32, token: RegistrationToken,
    endsWithProcess: Bool, takesActors: Bool = false, metadata: [MetadataPair], _ arena: Arena
  ) -> Message {
    let inner = arena.make(Baton__V1__Register.self)
    inner.pointee.namespace_ = arena.string(pool.namespace)
    inner.pointee.name = arena.string(pool.name)
    inner.pointee.key = arena.string(key)
    inner.pointee.version = version
    inner.pointee.total_slots = totalSlots
    inner.pointee.token = arena.bytes(token.bytes)
    inner.pointee.ends_with_process = endsWithProcess ? 1 : 0
    inner.pointee.takes_actors = takesActors ? 1 : 0
    let pairs = metadata.map { pair in
      let entry = arena.make(Baton__V1__Register__MetadataEntry.self)
      entry.pointee.key = arena.string(pair.key)
      entry.pointee.value = arena.string(pair.value)
      return entry
    }
    inner.pointee.n_metadata = pairs.count
    inner.pointee.metadata = arena.messages(pairs)
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_REGISTER, arena) { $0.register_ = inner }
  }

  package static func heartbeat(
    sequence: UInt64, roundTripMicroseconds: UInt32, _ arena: Arena
  ) -> Message {
    let inner = arena.make(Baton__V1__Heartbeat.self)
    inner.pointee.sequence = sequence
    inner.pointee.round_trip_us = roundTripMicroseconds
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_HEARTBEAT, arena) { $0.heartbeat = inner }
  }

  package static func stopAck(_ order: DrainOrderID, _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__StopAck.self)
    inner.pointee.order_id = UInt64(order.rawValue)
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_STOP_ACK, arena) { $0.stop_ack = inner }
  }

  package static func stopCancelledAnswer(
    _ order: DrainOrderID, _ answer: Undo.Answer, _ arena: Arena
  ) -> Message {
    let inner = arena.make(Baton__V1__StopCancelledAnswer.self)
    inner.pointee.order_id = UInt64(order.rawValue)
    inner.pointee.answer = .init(rawValue: UInt32(answer.rawValue))
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_STOP_CANCELLED_ANSWER, arena) {
      $0.stop_cancelled_answer = inner
    }
  }

  package static func stopping(reason: String, graceMilliseconds: Int64, _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__Stopping.self)
    inner.pointee.reason = arena.string(reason)
    inner.pointee.grace_ms = UInt64(clamping: graceMilliseconds)
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_STOPPING, arena) { $0.stopping = inner }
  }

  package static func detach(exitCode: Int32?, reason: String, _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__Detach.self)
    if let exitCode {
      inner.pointee.exit_code_presence_case = BATON__V1__DETACH__EXIT_CODE_PRESENCE_EXIT_CODE
      inner.pointee.exit_code = exitCode
    }
    inner.pointee.reason = arena.string(reason)
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_DETACH, arena) { $0.detach = inner }
  }

  static func message(
    _ kind: Baton__V1__AttachRequest__MessageCase, _ arena: Arena,
    _ set: (inout Baton__V1__AttachRequest) -> Void
  ) -> Message {
    let message = arena.make(Baton__V1__AttachRequest.self)
    message.pointee.message_case = kind
    set(&message.pointee)
    return message
  }
}

extension RegistrationToken {
  package var bytes: [UInt8] {
    [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
  }
}
