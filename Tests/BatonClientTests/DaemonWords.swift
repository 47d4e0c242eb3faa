import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// What a scripted daemon says to a runner, as the bytes of messages, and a word for what the runner says to it.
enum DaemonWords {
  private static let now = Moment(nanoseconds: 0, wallMilliseconds: 0)

  static func bytes(_ make: (Arena) -> AttachResponses.Message) -> [UInt8] {
    let arena = Arena()
    return withExtendedLifetime(arena) { Codec.encode(make(arena)) }
  }

  static func registered(runner: Int64, heartbeatIntervalMilliseconds: Int64 = 3000) -> [UInt8] {
    let decision = Decision(
      config: .found, upgrade: .disabled, ordered: 0, held: [], superseded: nil, standing: .ready, target: nil
    )
    var times = FleetTimes()
    times.heartbeatIntervalMilliseconds = heartbeatIntervalMilliseconds
    times.lostThresholdMilliseconds = 600_000
    return bytes { arena in
      AttachResponses.registered(
        Admission(
          runner: RunnerID(runner), key: "", isResumed: false, decision: decision, openOrder: nil),
        RegisteredTerms(times: times, fleetID: 1), arena)
    }
  }

  /// A Stop whose order has so long; the runner's share is less.
  static func stop(_ order: Int64, milliseconds: Int64 = 600_000) -> [UInt8] {
    let terms = OrderTerms(
      cause: .operator, reason: "reboot", target: nil, graceMilliseconds: 0,
      deadlineNanoseconds: milliseconds * 1_000_000)
    return bytes { AttachResponses.stop(DrainOrderID(order), terms, now: now, $0) }
  }

  static func stopCancelled(_ order: Int64) -> [UInt8] {
    bytes { AttachResponses.stopCancelled(DrainOrderID(order), reason: "the wrong host", $0) }
  }

  static func start(actor: Int64) -> [UInt8] {
    command(actor, 1, .start(namespace: "default", name: "a", key: "", input: []), 600_000)
  }

  static func stop(actor: Int64, milliseconds: Int64) -> [UInt8] {
    command(actor, 2, .stop(.goingAway), milliseconds)
  }

  private static func command(
    _ actor: Int64, _ index: Int64, _ kind: ActorCommand.Kind, _ milliseconds: Int64
  ) -> [UInt8] {
    let command = ActorCommand(
      checkpoint: ActorCheckpoint(actor: ActorID(actor), generation: 1, index: index), kind: kind,
      deadlineNanoseconds: milliseconds * 1_000_000)
    return bytes { AttachResponses.actorCommands([command], now: now, $0) }
  }

  static let goodbye = bytes { AttachResponses.close(.detached, "goodbye", $0) }

  /// One for each thing that the message says.
  static func words(_ said: [UInt8]) -> [String] {
    let arena = Arena()
    return withExtendedLifetime(arena) {
      said.withUnsafeBytes { bytes in
        switch try? RunnerMessage(bytes, in: arena) {
        case .heartbeat: ["heartbeat"]
        case .stopAck(let order): ["ack \(order)"]
        case .stopCancelledAnswer(let message):
          [message.pointee.answer == resumed ? "resumed" : "too late"].map {
            "\($0) \(message.pointee.order_id)"
          }
        case .stopping: ["stopping"]
        case .detach: ["detach"]
        case .actorEvents(let message):
          (try? Requests.reports(message))?.map { "\($0.kind) \($0.checkpoint.actor)" } ?? []
        case .ackCommands: ["has commands"]
        case .register: ["register"]
        case .unknown, nil: ["?"]
        }
      }
    }
  }

  private static let resumed = BATON__V1__STOP_CANCELLED_ANSWER__ANSWER__ANSWER_RESUMED
}
