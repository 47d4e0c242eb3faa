import BatonAPI
import BatonClient
import Handover
import Protobuf
import Ttrpc

/// A worker process that speaks through the client library's own machine: what it decides about connections, time and
/// fencing is what real runners do.
final class SimulatedClient: SimulatedWorker {
  unowned let world: World
  let pool: PoolName
  let key: String
  let version: UInt32
  let pid: Int32
  private(set) var life = WorkerLife.running
  private(set) var stopsSeen: Set<DrainOrderID> = []
  var runner: RunnerID? { machine.runner }
  private(set) var actors: SimulatedActors!
  var obeys: Bool { obedience == .obeys }
  private let takesActors: Bool
  /// Until then the process gets no time.
  private(set) var hangsUntil: Int64 = 0

  let token: RegistrationToken
  private let endsWithProcess: Bool
  private let obedience: Obedience
  private var machine: RunnerMachine
  private let arena = Arena()
  private let envelopes = Arena()
  private var link: SimulatedLink?
  /// One attempt at a time: an answer to an earlier one is nobody's.
  private var isConnecting = false
  private var client = ClientConnection()
  private var output = OutboundQueue()
  private var stream: UInt32 = 0
  private var tickAt: Int64?
  /// Stops that it heard were taken back.
  private(set) var takenBack: Set<DrainOrderID> = []
  /// Since when it has been heard that it is registered on this link.
  private(set) var attachedSince: Int64?
  /// Its work is done; all that is left is to say so.
  private(set) var hasFinished = false

  init(_ world: World, pool: PoolName, key: String, version: UInt32, pid: Int32) {
    self.world = world
    self.pool = pool
    self.key = key
    self.version = version
    self.pid = pid
    token = RegistrationToken(high: world.random.next(), low: world.random.next() | 1)
    endsWithProcess = world.random.oneIn(3)
    obedience = .drawn(world)
    takesActors = !world.random.oneIn(4)
    machine = RunnerMachine(
      randomness: world.random.next(), giveUpAt: .max, canStay: !pid.isMultiple(of: 4))
    actors = SimulatedActors(world, "\(pid)") { [unowned self] make in send(make) }
    perform(machine.start())
  }

  // MARK: - The link

  func connectRefused() {
    whenAwake { [self] in
      guard isConnecting else { return }
      isConnecting = false
      perform(machine.connectFailed(.nobodyListens, Status(.unavailable, "simulated"), now: world.now))
    }
  }

  func connected(_ link: SimulatedLink) {
    guard life == .running, isConnecting else { return world.hangUp(link) }
    isConnecting = false
    self.link = link
    client = ClientConnection()
    output = OutboundQueue()
    whenAwake { [self] in
      // Nothing was sent, so nothing came; at most it was cut, and that is told next.
      if self.link === link { perform(machine.connected(now: world.now)) }
    }
  }

  func disconnected(_ link: SimulatedLink) {
    whenAwake { [self] in
      guard self.link === link else { return }
      self.link = nil
      perform(machine.disconnected(now: world.now))
    }
  }

  func received(_ bytes: UnsafeRawBufferPointer, on link: SimulatedLink) {
    var input = bytes
    while self.link === link, life == .running {
      switch client.next(&input, arena: envelopes) {
      case .needMore: return
      case .message(_, let payload):
        guard let message = try? DaemonMessage(payload, in: arena) else {
          return world.violate("runner \(pid) got what it cannot read")
        }
        if case .stopCancelled(let order, _) = message { takenBack.insert(order) }
        if case .unknown = message { world.violate("runner \(pid) got an unknown message") }
        switch message {
        case .actorCommands(let commands): actors.received(commands)
        case .ackEvents(let acked, let refused): actors.received(acked: acked, refused: refused)
        default: perform(machine.received(message, now: world.now))
        }
      case .response(_, let status, _):
        if [.invalidArgument, .internal, .unimplemented].contains(status.code) {
          world.violate("runner \(pid) was told \(status)")
        }
        perform(machine.refused(status, now: world.now))
      case .finished: lose()
      case .protocolError: return world.violate("runner \(pid) got no ttrpc")
      }
    }
  }

  private func lose() {
    hangUp()
    perform(machine.disconnected(now: world.now))
  }

  private func hangUp() {
    guard let link else { return }
    self.link = nil
    world.hangUp(link)
  }

  // MARK: - Effects

  private func perform(_ effects: [RunnerMachine.Effect]) {
    for effect in effects {
      switch effect {
      case .connect:
        isConnecting = true
        world.connect(self, uid: World.daemonUID, pid: pid)
      case .hangUp: hangUp()
      case .sendRegister: register()
      case .sendHeartbeat(let sequence, let roundTrip):
        send { AttachRequests.heartbeat(sequence: sequence, roundTripMicroseconds: roundTrip, $0) }
      case .sendStopAck(let order):
        // One that ignores its Stop does not even say that it has it.
        if obedience.isShown(in: world) { send { AttachRequests.stopAck(order, $0) } }
      case .sendStopCancelledAnswer(let order, let answer):
        if obedience.isShown(in: world) {
          send { AttachRequests.stopCancelledAnswer(order, answer, $0) }
        }
      case .sendStopping(let reason, let grace):
        send { AttachRequests.stopping(reason: reason, graceMilliseconds: grace, $0) }
      case .sendDetach(let code, let reason):
        send { AttachRequests.detach(exitCode: code, reason: reason, $0) }
      case .registered(let registered):
        world.note("client \(pid) v\(version) is \(registered.runner), resumed \(registered.isResumed)")
        world.history.registered(registered.runner, pool, version)
        attachedSince = world.now
        actors.attached()
      case .cutOff:
        world.note("client \(pid) is cut off")
        attachedSince = nil
        actors.detached()
      case .stop(let stop): stopped(stop.order)
      case .stopDeadline(let stop): world.note("client \(pid) has another deadline for stop \(stop.order)")
      case .stopCancelled(let order, _):
        world.note("client \(pid) stays: stop \(order) is taken back")
        actors.isClosed = false
      // It takes no actors.
      case .actorCommands, .actorEventsAnswered: break
      case .ended(let ending):
        world.note("client \(pid) ends: \(ending)")
        if case .fenced = ending, world.bug == .fenceIgnored { return }
        life = .finished
        actors.dropAll()
      }
    }
    scheduleTick()
  }

  private func stopped(_ order: DrainOrderID) {
    world.note("client \(pid) gets stop \(order)")
    world.history.stopSeen(order)
    stopsSeen.insert(order)
    guard obedience != .never else { return }
    actors.isClosed = true
    finish(order, after: world.random.milliseconds(0...8000))
  }

  private func finish(_ order: DrainOrderID, after nanoseconds: Int64) {
    world.schedule(after: nanoseconds) { [self] in
      whenAwake { [self] in
        guard obedience.isShown(in: world) else { return finish(order, after: 5_000_000_000) }
        guard machine.commit(to: order) else { return }
        hasFinished = true
        actors.dropAll()
        perform(machine.finish(exitCode: 0, reason: "done"))
      }
    }
  }

  private func register() {
    arena.reset()
    let message = AttachRequests.register(
      pool: pool, key: key, version: version, totalSlots: 4, token: token, endsWithProcess: endsWithProcess,
      takesActors: takesActors, metadata: [], arena)
    let description = Method.attach.description
    let opened = Codec.encode(message).withUnsafeBytes { bytes in
      client.open(
        service: description.service, method: description.name, shape: .bidirectional, payload: bytes,
        now: world.now, arena: envelopes, output: &output)
    }
    guard let opened else { return world.violate("runner \(pid) cannot register") }
    stream = opened
    flush()
  }

  private func send(_ make: (Arena) -> AttachRequests.Message) {
    guard link != nil else { return }
    arena.reset()
    Codec.encode(make(arena)).withUnsafeBytes { bytes in
      _ = client.send(stream, bytes, now: world.now, output: &output)
    }
    flush()
  }

  private func flush() {
    guard let link else { return }
    let bytes = output.withUnwritten { Array($0) }
    output.wrote(bytes.count, now: world.now) { _ in }
    world.send(bytes, on: link)
  }

  // MARK: - Time

  /// Now, or when the process gets time again; never once it has ended.
  private func whenAwake(_ body: @escaping () -> Void) {
    guard life == .running else { return }
    guard world.now >= hangsUntil else {
      return world.schedule(at: hangsUntil) { [self] in whenAwake(body) }
    }
    body()
  }

  private func scheduleTick() {
    guard life == .running, let due = machine.nextTick, tickAt == nil || tickAt! > due else { return }
    tickAt = due
    world.schedule(at: max(due, world.now)) { [self] in
      guard tickAt == due else { return }
      whenAwake { [self] in
        tickAt = nil
        if let due = machine.nextTick, due <= world.now { perform(machine.tick(now: world.now)) }
        scheduleTick()
      }
    }
  }

  // MARK: - What happens to it

  func beginOwnDrain() {
    guard life == .running, world.now >= hangsUntil else { return }
    world.note("client \(pid) begins its own drain")
    perform(machine.beginDrain(reason: "simulated", graceMilliseconds: 0))
  }

  func hang(_ nanoseconds: Int64) {
    world.note("client \(pid) hangs for \(nanoseconds / 1_000_000) ms")
    hangsUntil = max(hangsUntil, world.now + nanoseconds)
    guard let link else { return }
    link.isClientPaused = true
    world.schedule(at: hangsUntil) { [self] in world.resume(link) }
  }

  func cutLink() {
    guard link != nil else { return }
    world.note("client \(pid) loses its connection")
    lose()
  }

  func die() {
    guard life == .running else { return }
    world.note("client \(pid) dies")
    life = .dead
    actors.dropAll()
    hangUp()
    world.processDied(self)
  }
}
