import Seeded
import Handover
import Registry
import Service

/// Which kinds of trouble a run has; drawn from its seed, whole kinds switched off at random.
package struct Faults: Sendable {
  package var commitMilliseconds: Int64 = 3
  package var crashInCommit = false
  package var kills = false
  package var storeFails = false
  package var linkCuts = false
  package var stalls = false
  package var suspends = false
  package var wallJumps = false
  package var reboots = false
  package var runnersHang = false
  package var runnersCrash = false
  package var runnersIgnoreStops = false
  package var slowReaders = false

  static func drawn(_ random: inout SeededRandom) -> Faults {
    var faults = Faults()
    faults.commitMilliseconds = [1, 5, 50].randomElement(using: &random)!
    faults.crashInCommit = random.oneIn(2)
    faults.kills = random.oneIn(2)
    faults.storeFails = random.oneIn(3)
    faults.linkCuts = random.oneIn(2)
    faults.stalls = random.oneIn(3)
    faults.suspends = random.oneIn(4)
    faults.wallJumps = random.oneIn(3)
    faults.reboots = random.oneIn(6)
    faults.runnersHang = random.oneIn(2)
    faults.runnersCrash = random.oneIn(2)
    faults.runnersIgnoreStops = random.oneIn(2)
    faults.slowReaders = random.oneIn(3)
    return faults
  }
}

/// One simulated machine: a clock that jumps from event to event, processes, links between them, a disk. Everything is
/// drawn from the seed, so the same seed is the same run.
package final class World {
  static let daemonUID: UInt32 = 1000

  let seed: UInt64
  let databasePath: String
  let bug: PlantedBug
  var random: SeededRandom
  let faults: Faults
  /// False once the faults have stopped and everything must become quiet.
  var isFaulty = true
  var times = FleetTimes()
  var bootID = "boot-1"

  private(set) var now: Int64 = 1_000_000_000
  private var wallOffsetMilliseconds: Int64 = 1_700_000_000_000
  private var queue = DeadlineHeap<() -> Void>()
  private var suspendedNanoseconds: Int64 = 0

  var daemon: SimulatedDaemon?
  /// Those who run; the simulation adds them.
  var clients: [SimulatedClient] = []
  var history = History()
  private var watchedProcesses: [RunnerID: ObjectIdentifier] = [:]
  package private(set) var violations: [String] = []
  package private(set) var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325
  private let trace: ((String) -> Void)?
  package private(set) var eventCount = 0

  package init(
    seed: UInt64, databasePath: String, bug: PlantedBug = .none, trace: ((String) -> Void)? = nil
  ) {
    self.seed = seed
    self.databasePath = databasePath
    self.bug = bug
    self.trace = trace
    random = SeededRandom(seed: seed)
    faults = Faults.drawn(&random)
    note("faults \(faults)")
  }

  var moment: Moment {
    Moment(nanoseconds: now, wallMilliseconds: now / 1_000_000 + wallOffsetMilliseconds)
  }

  // MARK: - Time

  func schedule(at time: Int64, _ body: @escaping () -> Void) { queue.add(body, at: time) }
  func schedule(after nanoseconds: Int64, _ body: @escaping () -> Void) {
    queue.add(body, at: now + nanoseconds)
  }

  /// Runs events until the clock reaches `end`, or something is wrong.
  func run(until end: Int64) {
    while violations.isEmpty, let next = queue.next, next <= end, let body = queue.takeDue(at: next) {
      // After a suspend, what was due meanwhile happens late.
      now = max(now, next)
      eventCount += 1
      body()
    }
    now = max(now, end)
  }

  func suspend(_ nanoseconds: Int64) {
    note("suspend \(nanoseconds / 1_000_000) ms")
    now += nanoseconds
  }

  func jumpWall(_ milliseconds: Int64) {
    note("wall clock jumps \(milliseconds) ms")
    wallOffsetMilliseconds += milliseconds
  }

  // MARK: - The daemon

  func startDaemon() {
    guard daemon == nil else { return }
    note("daemon starts")
    do {
      daemon = try SimulatedDaemon(self)
    } catch {
      violate("the daemon does not start: \(error)")
    }
  }

  func killDaemon(_ why: String) {
    guard let daemon else { return }
    note("daemon killed \(why)")
    daemon.isDead = true
    self.daemon = nil
    watchedProcesses = [:]
    for link in daemon.links.values.sorted(by: { $0.id.slot < $1.id.slot }) {
      cut(link, delivering: random.oneIn(2))
    }
    daemon.links = [:]
    schedule(after: random.milliseconds(10...4000)) { [self] in startDaemon() }
  }

  /// The machine restarts: every process is gone with it.
  func reboot() {
    note("reboot")
    bootID += "+"
    killDaemon("by a reboot")
    now += 30_000_000_000
  }

  // MARK: - Links

  private func latency() -> Int64 { random.milliseconds(0...(isFaulty ? 20 : 2)) }

  func connect(_ peer: any SimulatedPeer, uid: UInt32, pid: Int32) {
    schedule(after: latency()) { [self] in
      guard let daemon else { return peer.connectRefused() }
      let link = daemon.accept(peer, uid: uid, pid: pid)
      daemon.turn()
      peer.connected(link)
    }
  }

  /// Bytes from a client; they arrive in order, whole or in pieces, unless the link is cut first.
  func send(_ bytes: [UInt8], on link: SimulatedLink) {
    guard !link.isCut, let daemon else { return }
    let delay = latency()
    var arrival = max(now + delay, link.lastArrival)
    if daemon.stalledUntil > arrival { arrival = daemon.stalledUntil }
    link.lastArrival = arrival
    schedule(at: arrival) { [self] in
      guard !link.isCut, self.daemon === daemon else { return }
      daemon.received(bytes, on: link)
    }
  }

  /// Hands a client what waits for it, after the link's delay.
  func deliver(_ link: SimulatedLink) {
    guard !link.isDeliveryScheduled, !link.isClientPaused else { return }
    link.isDeliveryScheduled = true
    schedule(after: latency()) { [self] in
      link.isDeliveryScheduled = false
      guard !link.isClientPaused, !link.isClientGone else { return }
      let bytes = link.bytesToClient
      link.bytesToClient = []
      if !bytes.isEmpty { bytes.withUnsafeBytes { link.client.received($0, on: link) } }
      if link.isCut {
        tellGone(link)
      } else {
        daemon?.canWrite(link)
      }
    }
  }

  func resume(_ link: SimulatedLink) {
    link.isClientPaused = false
    deliver(link)
  }

  /// The daemon's side is gone. What it had written may still arrive.
  func cut(_ link: SimulatedLink, delivering: Bool) {
    guard !link.isCut else { return }
    link.isCut = true
    if delivering, !link.bytesToClient.isEmpty, !link.isClientPaused {
      deliver(link)
    } else {
      link.bytesToClient = []
      schedule(after: latency()) { [self] in tellGone(link) }
    }
  }

  private func tellGone(_ link: SimulatedLink) {
    guard !link.isClientGone else { return }
    link.isClientGone = true
    link.client.disconnected(link)
  }

  /// The client's side is gone: its process closed the socket, or ended.
  func hangUp(_ link: SimulatedLink) {
    guard !link.isClientGone else { return }
    link.isClientGone = true
    schedule(after: latency()) { [self] in
      guard !link.isCut else { return }
      link.isCut = true
      daemon?.clientClosed(link)
    }
  }

  // MARK: - Processes

  func watchProcess(_ peer: (any SimulatedPeer)?, _ runner: RunnerID) {
    guard let peer else { return }
    watchedProcesses[runner] = ObjectIdentifier(peer)
  }

  func forgetProcess(_ runner: RunnerID) { watchedProcesses[runner] = nil }

  func processDied(_ peer: any SimulatedPeer) {
    for (runner, process) in watchedProcesses.sorted(by: { $0.key < $1.key })
    where process == ObjectIdentifier(peer) {
      watchedProcesses[runner] = nil
      schedule(after: latency()) { [self] in
        guard let daemon else { return }
        daemon.service.processDied(runner, now: moment)
        daemon.turn()
      }
    }
  }

  // MARK: - Findings

  func note(_ text: @autoclosure () -> String) {
    let line = "\(now / 1_000_000) \(text())"
    for byte in line.utf8 { traceHash = (traceHash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    trace?(line)
  }

  func violate(_ text: String) {
    note("VIOLATION \(text)")
    violations.append("seed \(seed), \(now / 1_000_000) ms: \(text)")
  }
}
