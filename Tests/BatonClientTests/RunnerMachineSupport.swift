import BatonAPI
import Handover
import Ttrpc

@testable import BatonClient

let second: Int64 = 1_000_000_000

/// Everything that can happen to a runner's machine, by the name that the table has for it.
enum MachineEvent: String, CaseIterable {
  case connected, refusedConnect, passingConnect, lastingConnect, disconnected
  case unavailable, failedPrecondition
  case registered, registeredReady, ack, ackOfSeen, ackOfUnseen, stop, sameStop, stopCancelled, otherCancelled
  case actorCommands, actorAcks, unknown
  case closeStopping, closeElsewhere, closeForced, closeLost, closeDetached, closeOther
  case beginDrain, finish, earlyTick
}

extension RunnerMachine {
  /// What the daemon tells a runner: heartbeats every 3 s, lost after 15 s, so fenced 12 s after the last sign.
  static func registration(
    runner: Int64 = 7, fleet: UInt64 = 1, isResumed: Bool = false, standing: Decision.Standing? = nil
  ) -> DaemonMessage.Registered {
    let decision = standing.map {
      Decision(
        config: .found, upgrade: .disabled, ordered: 0, held: [], superseded: nil, standing: $0, target: nil)
    }
    return DaemonMessage.Registered(
      runner: RunnerID(runner), heartbeatIntervalMilliseconds: 3000, silentThresholdMilliseconds: 10_000,
      lostThresholdMilliseconds: 15_000, decision: decision, isResumed: isResumed, fleetID: fleet)
  }

  static func notice(_ order: Int64, remainingMilliseconds: Int64 = 1000) -> DaemonMessage.StopNotice {
    DaemonMessage.StopNotice(
      order: DrainOrderID(order), cause: .operator, reason: "because", target: nil,
      remainingMilliseconds: remainingMilliseconds)
  }

  /// Carries one event out at a time.
  mutating func apply(_ event: MachineEvent, now: Int64) -> [Effect] {
    switch event {
    case .connected: connected(now: now)
    case .refusedConnect: connectFailed(.nobodyListens, Status(.unavailable, "refused"), now: now)
    case .passingConnect: connectFailed(.passing, Status(.resourceExhausted, "busy"), now: now)
    case .lastingConnect: connectFailed(.lasting, Status(.permissionDenied, "not allowed"), now: now)
    case .disconnected: disconnected(now: now)
    case .unavailable: refused(Status(.unavailable, "disk full"), now: now)
    case .failedPrecondition: refused(Status(.failedPrecondition, "fenced"), now: now)
    case .registered: received(.registered(Self.registration()), now: now)
    case .registeredReady: received(.registered(Self.registration(standing: .ready)), now: now)
    case .ack: received(.heartbeatAck(sequence: 1, openOrder: nil), now: now)
    case .ackOfSeen: received(.heartbeatAck(sequence: 1, openOrder: DrainOrderID(1)), now: now)
    case .ackOfUnseen: received(.heartbeatAck(sequence: 1, openOrder: DrainOrderID(2)), now: now)
    case .stop: received(.stop(Self.notice(2)), now: now)
    case .sameStop: received(.stop(Self.notice(1)), now: now)
    case .stopCancelled: received(.stopCancelled(DrainOrderID(1), reason: "stay"), now: now)
    case .otherCancelled: received(.stopCancelled(DrainOrderID(2), reason: "stay"), now: now)
    case .actorCommands: received(.actorCommands([]), now: now)
    case .actorAcks: received(.ackEvents(acked: [], refused: []), now: now)
    case .unknown: received(.unknown, now: now)
    case .closeStopping: received(.close(.daemonStopping, message: "bye"), now: now)
    case .closeElsewhere: received(.close(.resumedElsewhere, message: "twin"), now: now)
    case .closeForced: received(.close(.forced, message: "time is up"), now: now)
    case .closeLost: received(.close(.lost, message: "given up"), now: now)
    case .closeDetached: received(.close(.detached, message: "goodbye"), now: now)
    case .closeOther: received(.close(nil, message: "a newer cause"), now: now)
    case .beginDrain: beginDrain(reason: "enough", graceMilliseconds: 0)
    case .finish: finish(exitCode: 0, reason: "done")
    case .earlyTick: tick(now: now)
    }
  }
}

extension RunnerMachine.Effect {
  /// One word for the table.
  var word: String {
    switch self {
    case .connect: "connect"
    case .hangUp: "hangUp"
    case .sendRegister: "register"
    case .sendHeartbeat(let sequence, _): "heartbeat\(sequence)"
    case .sendStopAck(let order): "ack\(order.rawValue)"
    case .sendStopCancelledAnswer(let order, .resumed): "resumed\(order.rawValue)"
    case .sendStopCancelledAnswer(let order, .tooLate): "tooLate\(order.rawValue)"
    case .sendStopping: "stopping"
    case .sendDetach: "detach"
    case .registered: "registered"
    case .cutOff: "cutOff"
    case .stop(let stop): "stop\(stop.order.rawValue)"
    case .stopDeadline(let stop): "deadline\(stop.order.rawValue)"
    case .stopCancelled(let order, _): "cancelled\(order.rawValue)"
    case .actorCommands: "commands"
    case .actorEventsAnswered: "answered"
    case .ended(.finished): "finished"
    case .ended(.fenced): "fenced"
    case .ended(.refused): "refused"
    case .ended(.unreachable): "unreachable"
    }
  }
}

extension RunnerMachine.State {
  /// One letter for the table.
  var letter: String {
    switch self {
    case .idle: "I"
    case .connecting: "C"
    case .waiting: "W"
    case .registering: "R"
    case .attached: "A"
    case .ended: "E"
    }
  }
}

/// A machine with a clock, whose connection is answered at once.
struct MachineHarness {
  var machine: RunnerMachine
  var now: Int64 = 100 * second

  init(giveUpAt: Int64 = .max, canStay: Bool = true) {
    machine = RunnerMachine(randomness: 42, giveUpAt: giveUpAt, canStay: canStay)
  }

  /// A machine that has just come to be as the table's column says.
  static func at(_ column: String, canStay: Bool = true) -> MachineHarness {
    var harness = MachineHarness(canStay: canStay)
    switch column {
    case "idle": break
    case "connecting": _ = harness.machine.start()
    case "waiting":
      _ = harness.machine.start()
      harness.fire(.refusedConnect)
    case "registering":
      _ = harness.machine.start()
      harness.fire(.connected)
    case "attached": harness.attach()
    case "resuming":
      harness.attach()
      harness.now += 2 * second
      harness.fire(.disconnected)
      harness.fire(.connected)
    case "committed":
      harness.attach()
      _ = harness.commit(1)
    case "leaving":
      harness.attach()
      harness.fire(.finish)
    case "ended":
      harness.attach()
      harness.fire(.closeDetached)
    default: preconditionFailure("no column \(column)")
    }
    return harness
  }

  /// Attached, one heartbeat under way, and order 1 seen.
  private mutating func attach() {
    _ = machine.start()
    fire(.connected)
    fire(.registered)
    fire(.sameStop)
    now += 3 * second
    _ = machine.tick(now: now)
  }

  @discardableResult
  mutating func fire(_ event: MachineEvent) -> [String] { machine.apply(event, now: now).map(\.word) }

  mutating func commit(_ order: Int64) -> String {
    machine.commit(to: DrainOrderID(order)) ? "leaves" : "stays"
  }

  mutating func tick() -> [String] { machine.tick(now: now).map(\.word) }

  /// As the table writes it: the effects, then the state after them.
  mutating func cell(_ event: MachineEvent) -> String {
    (fire(event) + [">" + machine.state.letter]).joined(separator: " ")
  }
}
