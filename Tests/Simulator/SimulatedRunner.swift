import BatonAPI
import Handover
import Protobuf
import Ttrpc

/// A worker process with a mind of its own, written against the protocol alone: it registers, sends heartbeats, obeys a
/// Stop after some work, and has its seed's bad habits.
final class SimulatedRunner: SimulatedWorker {
  unowned let world: World
  let pool: PoolName
  let key: String
  let version: UInt32
  let token: RegistrationToken
  let pid: Int32
  let endsWithProcess: Bool
  let obedience: Obedience
  var obeys: Bool { obedience == .obeys }
  private(set) var life = WorkerLife.running
  /// Neither reads nor sends, until then.
  var hangsUntil: Int64 = 0

  private let arena = Arena()
  private var link: SimulatedLink?
  private var client = ClientConnection()
  private var output = OutboundQueue()
  private var stream: UInt32 = 0
  private(set) var runner: RunnerID?
  private(set) var stopsSeen: Set<DrainOrderID> = []
  private(set) var actors: SimulatedActors!
  private let takesActors: Bool
  private var sequence: UInt64 = 0
  /// On this link.
  private var isRegistered = false
  private var isStopping = false
  /// Counts its Stops, and those taken back.
  private var stopNumber = 0
  private var isFinishing = false

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
    actors = SimulatedActors(world, "\(pid)") { [unowned self] make in send(make) }
    connect()
  }

  /// A process that is started with what an earlier one, which may still be there, has left: its token and all.
  init(_ world: World, after earlier: any SimulatedWorker, pid: Int32) {
    self.world = world
    pool = earlier.pool
    key = earlier.key
    version = earlier.version
    token = earlier.token
    runner = earlier.runner
    self.pid = pid
    endsWithProcess = world.random.oneIn(3)
    obedience = .drawn(world)
    takesActors = !world.random.oneIn(4)
    actors = SimulatedActors(world, "\(pid)") { [unowned self] make in send(make) }
    connect()
  }

  private func connect() {
    guard life == .running else { return }
    world.connect(self, uid: World.daemonUID, pid: pid)
  }

  private func retry() {
    link = nil
    actors.detached()
    guard life == .running else { return actors.dropAll() }
    world.schedule(after: world.random.milliseconds(50...2000)) { [self] in
      if life == .running, link == nil { connect() }
    }
  }

  func connectRefused() { retry() }

  func connected(_ link: SimulatedLink) {
    guard life == .running else { return world.hangUp(link) }
    self.link = link
    isRegistered = false
    client = ClientConnection()
    output = OutboundQueue()
    if world.faults.slowReaders, world.random.oneIn(20) {
      link.isClientPaused = true
      world.schedule(after: world.random.milliseconds(100...9000)) { [self] in world.resume(link) }
    }
    arena.reset()
    let register = AttachRequests.register(
      pool: pool, key: key, version: version, totalSlots: 4, token: token, endsWithProcess: endsWithProcess,
      takesActors: takesActors, metadata: [], arena)
    Codec.encode(register).withUnsafeBytes { bytes in
      stream = client.open(
        service: Method.attach.description.service, method: Method.attach.description.name,
        shape: .bidirectional,
        payload: bytes, now: world.now, arena: Arena(), output: &output)!
    }
    flush()
  }

  func disconnected(_ link: SimulatedLink) {
    guard self.link === link else { return }
    world.note("runner \(pid) is cut off")
    retry()
  }

  func received(_ bytes: UnsafeRawBufferPointer, on link: SimulatedLink) {
    guard self.link === link, life == .running else { return }
    var input = bytes
    while self.link === link {
      switch client.next(&input, arena: arena) {
      case .needMore: return
      case .message(_, let payload):
        guard let message = try? DaemonMessage(payload, in: Arena()) else {
          return world.violate("runner \(pid) got what it cannot read")
        }
        said(message)
      case .response(_, let status, _): refused(status)
      case .finished: hangUp()
      case .protocolError: return world.violate("runner \(pid) got no ttrpc")
      }
    }
  }

  private func said(_ message: DaemonMessage) {
    switch message {
    case .registered(let registered):
      world.note("runner \(pid) v\(version) is \(registered.runner), resumed \(registered.isResumed)")
      if let runner, runner != registered.runner, !world.isForgotten(runner) {
        world.violate("the token of runner \(runner) came back as \(registered.runner)")
      }
      runner = registered.runner
      isRegistered = true
      world.history.registered(registered.runner, pool, version)
      // What the daemon says of it now counts: a Stop that was taken back while it was away is no Stop.
      if isStopping, registered.decision?.standing == .ready { takenBack(nil) }
      beat()
      actors.attached()
    case .heartbeatAck: break
    case .stop(let stop):
      world.note("runner \(pid) gets stop \(stop.order)")
      world.history.stopSeen(stop.order)
      stopsSeen.insert(stop.order)
      guard obedience.isShown(in: world) else { return }
      sendAck(stop.order)
      guard !isStopping else { return }
      isStopping = true
      actors.isClosed = true
      stopNumber += 1
      let number = stopNumber
      world.schedule(after: world.random.milliseconds(0...8000)) { [self] in
        if number == stopNumber { finish() }
      }
    case .stopCancelled(let order, _):
      world.note("runner \(pid) hears that stop \(order) is taken back")
      guard obedience.isShown(in: world) else { return }
      takenBack(order)
    case .close(let cause, _):
      world.note("runner \(pid) is closed: \(cause.map { "\($0)" } ?? "unknown")")
      switch cause {
      case .daemonStopping: break
      case .detached, .forced, .lost, .resumedElsewhere:
        life = .finished
        actors.dropAll()
      case nil: break
      }
    case .actorCommands(let commands): actors.received(commands)
    case .ackEvents(let acked, let refused): actors.received(acked: acked, refused: refused)
    case .unknown: world.violate("runner \(pid) got an unknown message")
    }
  }

  private func refused(_ status: Status) {
    world.note("runner \(pid) is refused: \(status.code.name)")
    hangUp()
    switch status.code {
    case .unavailable, .resourceExhausted, .deadlineExceeded, .aborted: break
    case .invalidArgument, .internal, .unimplemented: world.violate("runner \(pid) was told \(status)")
    default:
      life = .finished
      actors.dropAll()
    }
  }

  private func hangUp() {
    guard let link else { return }
    world.hangUp(link)
    retry()
  }

  // MARK: - What it says

  private func beat() {
    guard life == .running, let link else { return }
    if world.now >= hangsUntil {
      sequence += 1
      arena.reset()
      send(AttachRequests.heartbeat(sequence: sequence, roundTripMicroseconds: 0, arena))
    }
    world.schedule(after: 3_000_000_000) { [self] in
      if self.link === link { beat() }
    }
  }

  /// It stays if it has ended nothing yet, and most of the time even then.
  private func takenBack(_ order: DrainOrderID?) {
    let stays = !isFinishing && (!isStopping || !world.random.oneIn(4))
    if stays {
      isStopping = false
      stopNumber += 1
      actors.isClosed = false
    }
    arena.reset()
    if let order {
      send(AttachRequests.stopCancelledAnswer(order, stays ? .resumed : .tooLate, arena))
    } else if !stays {
      send(AttachRequests.stopping(reason: "it was too late", graceMilliseconds: 0, arena))
    }
  }

  private func sendAck(_ order: DrainOrderID) {
    arena.reset()
    send(AttachRequests.stopAck(order, arena))
  }

  func beginOwnDrain() {
    guard life == .running, link != nil, isRegistered, !isStopping else { return }
    world.note("runner \(pid) begins its own drain")
    arena.reset()
    send(AttachRequests.stopping(reason: "simulated", graceMilliseconds: 0, arena))
  }

  private func finish() {
    guard life == .running, !isFinishing else { return }
    guard link != nil, isRegistered else {
      world.schedule(after: 500_000_000) { [self] in finish() }
      return
    }
    isFinishing = true
    actors.dropAll()
    arena.reset()
    send(AttachRequests.detach(exitCode: 0, reason: "done", arena))
    world.schedule(after: 3_000_000_000) { [self] in
      isFinishing = false
      if life == .running { finish() }
    }
  }

  private func send(_ make: (Arena) -> AttachRequests.Message) {
    let arena = Arena()
    withExtendedLifetime(arena) { send(make(arena)) }
  }

  private func send(_ message: AttachRequests.Message) {
    guard link != nil else { return }
    Codec.encode(message).withUnsafeBytes { bytes in
      _ = client.send(stream, bytes, now: world.now, output: &output)
    }
    flush()
  }

  private func flush() {
    guard let link else { return }
    let bytes = output.withUnwritten { Array($0) }
    output.wrote(bytes.count, now: world.now) { _ in }
    // Sometimes in pieces, as sockets do.
    if bytes.count > 1, world.random.oneIn(8) {
      let middle = Int.random(in: 1..<bytes.count, using: &world.random)
      world.send(Array(bytes[..<middle]), on: link)
      world.send(Array(bytes[middle...]), on: link)
    } else {
      world.send(bytes, on: link)
    }
  }

  // MARK: - What happens to it

  func hang(_ nanoseconds: Int64) {
    world.note("runner \(pid) hangs for \(nanoseconds / 1_000_000) ms")
    hangsUntil = world.now + nanoseconds
    guard let link else { return }
    link.isClientPaused = true
    world.schedule(at: hangsUntil) { [self] in world.resume(link) }
  }

  func cutLink() {
    guard let link else { return }
    world.note("runner \(pid) loses its connection")
    world.hangUp(link)
    retry()
  }

  func die() {
    guard life == .running else { return }
    world.note("runner \(pid) dies")
    life = .dead
    actors.dropAll()
    if let link { world.hangUp(link) }
    link = nil
    world.processDied(self)
  }
}
