import Handover
import Registry
import Service

/// One life of the daemon: the real service and the real registry, between a start and a kill. The world gives it its
/// threads' timing: when a commit begins, when it is done, when its answer is taken.
final class SimulatedDaemon: ServiceHost {
  unowned let world: World
  /// Until its death.
  private(set) var store: (any Store)!
  private(set) var sqlite: SQLiteStore!
  private(set) var reader: (any StoreReader)!
  private(set) var service: Service!
  var links: [ConnectionID: SimulatedLink] = [:]
  private(set) var isDead = false
  /// Until then it gets no time: a stalled process.
  var stalledUntil: Int64 = 0

  private var nextSlot: UInt32 = 0
  private var pending: [(Mutation, Ticket)] = []
  private var isCommitting = false
  private var dirty: [ConnectionID] = []
  private var tickAt: Int64?
  private var snapshot: FleetSnapshot

  /// Opens and starts the store.
  init(_ world: World) throws {
    self.world = world
    let path = world.disk.directory + "/sim.db"
    let sqlite = try SQLiteStore(
      path: path, bootID: world.bootID, daemonUID: World.daemonUID, times: world.times,
      fleetID: world.seed | 1)
    let faulty = FaultyStore(sqlite, world)
    let store = world.bug.decorate(faulty)
    snapshot = try store.start(at: world.moment)
    self.sqlite = sqlite
    self.store = store
    reader = world.bug.decorate(try SQLiteReader(path: path))
  }

  /// Takes its first connections.
  func begin() {
    var settings = ServiceSettings()
    settings.times = world.times
    settings.history = world.limits
    settings.daemonUID = World.daemonUID
    service = Service(settings: settings, snapshot: snapshot, host: self, now: world.moment)
    turn()
  }

  /// Whatever still waits for it waits for nobody.
  func die() {
    isDead = true
    // It holds its host.
    service = nil
    store = nil
    sqlite = nil
    reader = nil
  }

  // MARK: - Links

  func accept(_ peer: any SimulatedPeer, uid: UInt32, pid: Int32) -> SimulatedLink {
    nextSlot += 1
    let id = ConnectionID(slot: nextSlot, generation: 1)
    let link = SimulatedLink(id: id, client: peer)
    links[id] = link
    service.opened(id, peer: Peer(uid: uid, gid: uid, pid: pid, program: "sim"), now: world.moment)
    return link
  }

  func received(_ bytes: [UInt8], on link: SimulatedLink) {
    guard !isDead, links[link.id] != nil else { return }
    bytes.withUnsafeBytes { service.received(link.id, $0, now: world.moment) }
    turn()
  }

  func clientClosed(_ link: SimulatedLink) {
    guard !isDead, links.removeValue(forKey: link.id) != nil else { return }
    service.closed(link.id, now: world.moment)
    turn()
  }

  func canWrite(_ link: SimulatedLink) {
    guard !isDead, links[link.id] != nil else { return }
    outputReady(link.id)
    turn()
  }

  /// What the reactor does after it has handed over what had arrived.
  func turn() {
    service.endTurn(now: world.moment)
    while !dirty.isEmpty {
      let ready = dirty
      dirty = []
      for id in ready { write(id) }
      service.endTurn(now: world.moment)
    }
    scheduleTick()
    scheduleCommit()
    if world.random.oneIn(64) { world.checkLinks(self) }
  }

  private func write(_ id: ConnectionID) {
    guard let link = links[id] else { return }
    let state = service.writeOutput(id, now: world.moment) { bytes in
      guard !link.isCut else { return .failed }
      let room = world.faults.linkBytes - link.bytesToClient.count
      guard room > 0 else { return .wouldBlock }
      let taken = min(room, bytes.count)
      link.bytesToClient.append(contentsOf: bytes[..<taken])
      world.deliver(link)
      return .wrote(taken)
    }
    if case .close = state {
      links[id] = nil
      service.closed(id, now: world.moment)
      world.cut(link, delivering: true)
    }
  }

  private func scheduleTick() {
    guard let due = service.nextTick, tickAt == nil || tickAt! > due else { return }
    tickAt = due
    world.schedule(at: max(due, world.now)) { [self] in
      guard !isDead else { return }
      guard world.now >= stalledUntil else {
        tickAt = nil
        world.schedule(at: stalledUntil) { [self] in
          guard !isDead else { return }
          scheduleTick()
        }
        return
      }
      tickAt = nil
      if let due = service.nextTick, due <= world.now { service.tick(now: world.moment) }
      turn()
    }
  }

  // MARK: - The store's thread

  private func scheduleCommit() {
    guard !isCommitting, !pending.isEmpty else { return }
    isCommitting = true
    world.schedule(after: world.random.milliseconds(0...world.faults.commitMilliseconds)) { [self] in
      guard !isDead else { return }
      commit()
    }
  }

  private func commit() {
    let batch = pending
    pending = []
    let mayDie = world.faults.diesAroundCommits && world.isFaulty
    if mayDie, world.random.oneIn(400) { return world.killDaemon("before a commit") }
    let result: Result<CommittedBatch, StoreFailure>
    do throws(StoreFailure) {
      result = .success(try store.apply(batch.map(\.0), at: world.moment))
    } catch {
      result = .failure(error)
    }
    if world.disk.hasCrashed { return world.killDaemon("in a batch of \(batch.count)") }
    // As the reactor does: what cannot be relied on is left to the next start.
    if case .failure(.fatal(let text)) = result {
      return world.killDaemon("by itself: \(world.pathless(text))")
    }
    world.note("commit \(batch.count)")
    if mayDie, world.random.oneIn(400) { return world.killDaemon("after a commit") }
    world.schedule(after: world.random.milliseconds(0...2)) { [self] in
      guard !isDead else { return }
      isCommitting = false
      service.committed(batch.map(\.1), result, took: 1_000_000, now: world.moment)
      turn()
    }
  }

  // MARK: - ServiceHost

  func outputReady(_ connection: ConnectionID) { dirty.append(connection) }

  func abort(_ connection: ConnectionID) {
    guard let link = links.removeValue(forKey: connection) else { return }
    world.cut(link, delivering: false)
  }

  func submit(_ mutation: Mutation, _ ticket: Ticket) {
    pending.append((world.bug.submitted(mutation), ticket))
  }

  func query(_ query: Query, _ ticket: Ticket) {
    world.schedule(after: world.random.milliseconds(0...3)) { [self] in
      guard !isDead else { return }
      let result: Result<QueryAnswer, StoreFailure>
      do throws(StoreFailure) {
        if world.faults.readsFail, world.isFaulty, world.random.oneIn(40) {
          world.note("a read fails")
          throw .unavailable("simulated: a read fails")
        }
        result = .success(try reader.read(query))
      } catch {
        result = .failure(error)
      }
      service.answered(ticket, result, now: world.moment)
      turn()
    }
  }

  func watchProcess(of connection: ConnectionID, for runner: RunnerID) {
    world.watchProcess(links[connection]?.client, runner)
  }

  func forgetProcess(of runner: RunnerID) { world.forgetProcess(runner) }

  func log(_ record: LogRecord) {
    let line = record.line(.logfmt, time: 0)
    world.note(record.level == .error ? world.pathless(line) : line)
    // A refusal of what nobody asked for is a mistake of the daemon's own.
    if record.level == .error, record.message == "a change was refused" {
      world.violate("the store refused the daemon's own change: \(record.line(.logfmt, time: 0))")
    }
  }
}
