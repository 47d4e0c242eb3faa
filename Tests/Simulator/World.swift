import Seeded
import Handover
import PowerLoss
import Registry
import Service

/// One simulated machine: a clock that jumps from event to event, processes, links between them, a disk. Everything is
/// drawn from the seed, so the same seed is the same run.
package final class World {
  static let daemonUID: UInt32 = 1000

  let seed: UInt64
  /// Whose every statement, write and sync can fail, or be a process's last.
  let disk = Disk()
  var isDiskFull = false
  let bug: PlantedBug
  var random: SeededRandom
  let faults: Faults
  /// False once the faults have stopped and everything must become quiet.
  var isFaulty = true
  var times = FleetTimes()
  /// What the daemon keeps of what has ended: all of it, or in one run of three very little.
  let limits: HistoryLimits
  var bootID = "boot-1"

  private(set) var now: Int64 = 1_000_000_000
  private var wallOffsetMilliseconds: Int64 = 1_700_000_000_000
  private var queue = DeadlineHeap<() -> Void>()
  private var suspendedNanoseconds: Int64 = 0

  var daemon: SimulatedDaemon?
  /// Those who run; the simulation adds them.
  var clients: [SimulatedClient] = []
  var history = History()
  var deadlines = Deadlines()
  var upgrades: [PoolName: WatchedUpgrade] = [:]
  /// Since when each runner that is asked whether it stays has been.
  var offers: [DrainOrderID: Int64] = [:]
  /// Versions whose every process dies soon after it has started.
  var badVersions: Set<PoolVersion> = []
  /// The latest generation seen of each actor, and those that were taken from a runner that did not answer in time.
  var generations: [ActorID: Int64] = [:]
  var dropped: Set<ActorGeneration> = []
  /// When something last kept the daemon from doing what was due.
  private(set) var lastTroubleAt: Int64 = 0
  private var watchedProcesses: [RunnerID: ObjectIdentifier] = [:]
  package private(set) var violations: [String] = []
  package private(set) var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325
  private let trace: ((String) -> Void)?
  package private(set) var eventCount = 0

  package init(
    seed: UInt64, bug: PlantedBug = .none, trace: ((String) -> Void)? = nil
  ) {
    self.seed = seed
    self.bug = bug
    self.trace = trace
    random = SeededRandom(seed: seed)
    faults = Faults.drawn(&random)
    limits = HistoryLimits.drawn(seed: seed)
    disk.setRecording(false)
    note("faults \(faults)")
    note("\(limits)")
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

  /// Forgets all that was still to happen, and with it everyone who waits for it.
  func end() {
    queue = DeadlineHeap()
    daemon?.die()
    daemon = nil
    clients = []
  }

  /// Until then the daemon may be excused.
  func trouble(at time: Int64) { lastTroubleAt = max(lastTroubleAt, time) }

  func suspend(_ nanoseconds: Int64) {
    note("suspend \(nanoseconds / 1_000_000) ms")
    now += nanoseconds
    trouble(at: now)
  }

  func jumpWall(_ milliseconds: Int64) {
    note("wall clock jumps \(milliseconds) ms")
    wallOffsetMilliseconds += milliseconds
  }

  // MARK: - The daemon

  func startDaemon() {
    guard daemon == nil else { return }
    note("daemon starts")
    if faults.diesInBatches, isFaulty, random.oneIn(4) {
      disk.crash(
        at: random.oneIn(2) ? .statements : .writes, nth: Int.random(in: 1...60, using: &random))
    }
    do {
      let started = try SimulatedDaemon(self)
      trouble(at: now)
      deadlines.restarted(at: now, lostNanoseconds: times.lostThresholdMilliseconds * 1_000_000)
      daemon = started
      started.begin()
      checkAcknowledged(started)
      check(started, excused: nil)
    } catch {
      guard disk.hasCrashed || isDiskFull else {
        return violate("the daemon does not start: \(pathless("\(error)"))")
      }
      note(disk.hasCrashed ? "daemon killed at its start" : "daemon cannot start: \(pathless("\(error)"))")
      disk.kill()
      restartDaemon()
    }
    healDisk()
  }

  /// As whoever supervises it does.
  private func restartDaemon() {
    schedule(after: random.milliseconds(10...4000)) { [self] in startDaemon() }
  }

  func killDaemon(_ why: String) {
    guard let daemon else { return }
    note("daemon killed \(why)")
    disk.kill()
    daemon.die()
    self.daemon = nil
    watchedProcesses = [:]
    for link in daemon.links.values.sorted(by: { $0.id.slot < $1.id.slot }) {
      cut(link, delivering: random.oneIn(2))
    }
    daemon.links = [:]
    restartDaemon()
  }

  /// The machine restarts: every process is gone with it.
  func reboot() {
    note("reboot")
    bootID += "+"
    killDaemon("by a reboot")
    now += 30_000_000_000
  }

  // MARK: - The disk

  /// It takes no byte more for so long.
  func fillDisk(_ nanoseconds: Int64) {
    guard !isDiskFull else { return }
    note("disk full for \(nanoseconds / 1_000_000) ms")
    isDiskFull = true
    disk.fail(.full)
    schedule(after: nanoseconds) { [self] in freeDisk() }
  }

  func freeDisk() {
    guard isDiskFull else { return }
    note("disk has room")
    isDiskFull = false
    trouble(at: now)
    disk.heal()
  }

  /// Takes back every fault but that the disk is full.
  func healDisk() {
    disk.heal()
    if isDiskFull { disk.fail(.full) }
  }

  /// The disk's directory has another name in each run.
  func pathless(_ text: String) -> String {
    text.split(separator: disk.directory, omittingEmptySubsequences: false).joined(separator: "...")
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
