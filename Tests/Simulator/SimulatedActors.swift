import BatonAPI
import Handover
import Protobuf

/// The actors that one simulated process runs, written against the protocol alone: it starts and stops them after some time,
/// acknowledges, reports until it is acknowledged, says what it holds after a resume; and has its seed's bad habits.
final class SimulatedActors {
  private struct Held {
    var generation: Int64
    var isRunning = false
    var isStopping = false
  }

  private unowned let world: World
  private let name: String
  private let send: ((_ make: (Arena) -> AttachRequests.Message) -> Void)
  /// The process takes nothing new.
  var isClosed = false
  private var held: [ActorID: Held] = [:]
  /// Reports that are not acknowledged yet, in their order, and the last index of each actor's generation.
  private var unacked: [ActorReport] = []
  private var lastIndex: [ActorID: (generation: Int64, index: Int64)] = [:]
  private var isAttached = false

  init(_ world: World, _ name: String, send: @escaping (_ make: (Arena) -> AttachRequests.Message) -> Void) {
    self.world = world
    self.name = name
    self.send = send
  }

  /// What runs here now, whatever the books say.
  var running: [(actor: ActorID, generation: Int64)] {
    held.filter(\.value.isRunning).map { ($0.key, $0.value.generation) }.sorted { $0.0 < $1.0 }
  }

  func attached() {
    isAttached = true
    let held = held.sorted { $0.key < $1.key }.map { actor, held in
      ActorReport(
        checkpoint: ActorCheckpoint(actor: actor, generation: held.generation, index: 0), kind: .held)
    }
    let reports = held + unacked
    if !reports.isEmpty { send { AttachRequests.actorEvents(reports, $0) } }
  }

  func detached() { isAttached = false }

  /// The process has ended, or may run nothing any more.
  func dropAll() {
    held = [:]
    unacked = []
    isClosed = true
  }

  // MARK: - What the daemon says

  func received(_ commands: [DaemonMessage.Command]) {
    var acks: [ActorCheckpoint] = []
    for command in commands {
      guard let kind = command.kind else { continue }
      if kind != .drop { acks.append(command.checkpoint) }
      carryOut(kind, command.checkpoint)
    }
    if !acks.isEmpty { send { AttachRequests.ackCommands(acks, $0) } }
  }

  func received(acked: [ActorCheckpoint], refused: [ActorCheckpoint]) {
    for checkpoint in acked {
      unacked.removeAll {
        $0.checkpoint.actor == checkpoint.actor && $0.checkpoint.generation == checkpoint.generation
          && $0.checkpoint.index <= checkpoint.index
      }
    }
    for checkpoint in refused {
      unacked.removeAll {
        $0.checkpoint.actor == checkpoint.actor && $0.checkpoint.generation == checkpoint.generation
      }
      drop(checkpoint)
    }
  }

  private func carryOut(_ kind: ActorCommand.Kind, _ checkpoint: ActorCheckpoint) {
    let known = held[checkpoint.actor]
    switch kind {
    case .drop: drop(checkpoint)
    case .start:
      guard (known?.generation ?? lastIndex[checkpoint.actor]?.generation ?? 0) < checkpoint.generation else {
        return
      }
      held[checkpoint.actor] = nil
      guard !isClosed else { return report(checkpoint, .startRefused) }
      held[checkpoint.actor] = Held(generation: checkpoint.generation)
      lastIndex[checkpoint.actor] = (checkpoint.generation, 0)
      world.schedule(after: world.random.milliseconds(0...3000)) { [weak self] in self?.begin(checkpoint) }
    case .stop:
      guard known?.generation == checkpoint.generation else {
        if lastIndex[checkpoint.actor]?.generation ?? 0 < checkpoint.generation {
          report(checkpoint, .stopped(isOK: true, message: ""))
        }
        return
      }
      guard known?.isStopping == false else { return }
      held[checkpoint.actor]!.isStopping = true
      stop(checkpoint)
    }
  }

  private func drop(_ checkpoint: ActorCheckpoint) {
    if held[checkpoint.actor]?.generation == checkpoint.generation { held[checkpoint.actor] = nil }
  }

  // MARK: - Their lives

  private func isHere(_ checkpoint: ActorCheckpoint) -> Bool {
    held[checkpoint.actor]?.generation == checkpoint.generation
  }

  private func begin(_ checkpoint: ActorCheckpoint) {
    guard isHere(checkpoint) else { return }
    // One that never says that it runs: the daemon takes it away.
    if world.isFaulty, world.random.oneIn(20) { return }
    held[checkpoint.actor]!.isRunning = true
    world.actorRuns(checkpoint, by: name)
    report(checkpoint, .running)
    world.schedule(after: world.random.milliseconds(1000...60_000)) { [weak self] in self?.turn(checkpoint) }
  }

  /// Something that it does by itself.
  private func turn(_ checkpoint: ActorCheckpoint) {
    guard isHere(checkpoint), held[checkpoint.actor]?.isStopping == false, world.isFaulty else { return }
    switch Int.random(in: 0..<6, using: &world.random) {
    case 0: end(checkpoint, isOK: false)
    case 1: end(checkpoint, isOK: true)
    case 2:
      report(checkpoint, .setAlarm(afterMilliseconds: Int64.random(in: 1...60_000, using: &world.random)))
      report(checkpoint, .sleepIntent)
    case 3: report(checkpoint, .sleepIntent)
    default:
      world.schedule(after: world.random.milliseconds(1000...60_000)) { [weak self] in self?.turn(checkpoint)
      }
    }
  }

  private func stop(_ checkpoint: ActorCheckpoint) {
    world.schedule(after: world.random.milliseconds(0...5000)) { [weak self] in
      guard let self, isHere(checkpoint) else { return }
      // Some do not stop until there is peace.
      if world.isFaulty, world.random.oneIn(5) { return stop(checkpoint) }
      end(checkpoint, isOK: !world.random.oneIn(4))
    }
  }

  private func end(_ checkpoint: ActorCheckpoint, isOK: Bool) {
    held[checkpoint.actor] = nil
    report(checkpoint, .stopped(isOK: isOK, message: isOK ? "" : "simulated"))
  }

  private func report(_ checkpoint: ActorCheckpoint, _ kind: ActorReport.Kind) {
    var last = lastIndex[checkpoint.actor] ?? (checkpoint.generation, 0)
    if last.generation != checkpoint.generation { last = (checkpoint.generation, 0) }
    last.index += 1
    lastIndex[checkpoint.actor] = last
    let report = ActorReport(
      checkpoint: ActorCheckpoint(
        actor: checkpoint.actor, generation: checkpoint.generation, index: last.index), kind: kind)
    unacked.append(report)
    if isAttached { send { AttachRequests.actorEvents([report], $0) } }
  }
}
