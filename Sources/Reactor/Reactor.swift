import Glibc
import Handover
import Linux
import Registry
import Service
import Synchronization
import Ttrpc

/// The epoll loop: one thread over all sockets and timers, which never waits for a disk. It gives the service its
/// bytes, its completions and its time, and carries out what the service asks.
final class Reactor {
  /// What other threads leave for the loop.
  final class Completions: Sendable {
    let commits = Mailbox<StoreWriter.Completion>(isWaitedFor: false)
    let answers = Mailbox<StoreReading.Completion>(isWaitedFor: false)
    let wake: EventSignal
    let stopRequested = Atomic<Bool>(false)

    init() throws(Errno) { wake = try EventSignal() }
  }

  enum Token {
    static let listener: UInt64 = 0xFFFF_FFFF_0000_0001
    static let wake: UInt64 = 0xFFFF_FFFF_0000_0002
    static let signals: UInt64 = 0xFFFF_FFFF_0000_0003
    /// With a runner's id in the other bits: its process.
    static let process: UInt64 = 0x8000_0000_0000_0000
    static let special: UInt64 = 0xFFFF_FFFF_0000_0000

    static func connection(_ id: ConnectionID) -> UInt64 {
      UInt64(id.generation & 0x7FFF_FFFF) << 32 | UInt64(id.slot)
    }
  }

  /// A connection's descriptor and what it is watched for.
  final class Socket {
    let id: ConnectionID
    let descriptor: FileDescriptor
    let uid: UInt32
    var interest: Readiness = [.readable]
    var isInputEnded = false
    var isDirty = false

    init(id: ConnectionID, descriptor: consuming FileDescriptor, uid: UInt32) {
      self.id = id
      self.descriptor = descriptor
      self.uid = uid
    }
  }

  /// A process whose end is waited for: readable when it is dead.
  final class ProcessWatch {
    let descriptor: FileDescriptor
    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
  }

  let configuration: DaemonConfiguration
  let listener: Listener
  let poller: Poller
  let completions: Completions
  let signals: SignalSource?
  let log: LogWriter
  var writer: StoreWriter!
  var reader: StoreReading!
  var service: Service!

  var sockets: [Socket?] = []
  var generations: [UInt32] = []
  var freeSlots: [Int] = []
  var connectionsByUID: [UInt32: Int] = [:]
  var socketCount = 0
  var dirty: [Socket] = []
  var aborted: [ConnectionID] = []
  var processes: [RunnerID: ProcessWatch] = [:]
  var acceptPausedUntil: Int64?
  var hasSaidExhausted = false
  var nextFileCheck: Int64 = 0
  var shutdownDeadline: Int64?
  var fatal: String?
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

  init(
    configuration: DaemonConfiguration, listener: Listener, completions: Completions, signals: SignalSource?,
    log: LogWriter
  ) throws(Errno) {
    self.configuration = configuration
    self.listener = listener
    self.completions = completions
    self.signals = signals
    self.log = log
    poller = try Poller()
    try poller.add(listener.rawValue, token: Token.listener, for: .readable)
    try poller.add(completions.wake.rawValue, token: Token.wake, for: .readable)
    if let signals { try poller.add(signals.rawValue, token: Token.signals, for: .readable) }
  }

  deinit { readBuffer.deallocate() }

  /// After so many events answers are written, so that the first in a full turn do not wait for the last.
  private static let eventsPerFlush = 16

  /// Runs until the daemon is told to stop and has said goodbye, or its store has failed for good.
  func run() throws(Errno) {
    while true {
      var unwritten = 0
      let events = try poller.wait(timeoutMilliseconds: timeout()) { token, readiness in
        let now = Moment.now
        handle(token, readiness, now)
        unwritten += 1
        guard unwritten == Self.eventsPerFlush else { return }
        unwritten = 0
        flush(now)
      }
      takeCompletions()
      let now = Moment.now
      // What has arrived is read before anybody is given up for what has not; but a flood must not stop the clock.
      if let due = service.nextTick, due <= now.nanoseconds,
        events < Poller.eventsPerWait || now.nanoseconds - due > 500_000_000
      {
        service.tick(now: now)
      }
      service.endTurn(now: now)
      keepHouse(now)
      flush(now)
      if isDone(now) { return }
    }
  }

  private func timeout() -> Int32 {
    var next = service.nextTick ?? .max
    next = min(next, nextFileCheck)
    if let acceptPausedUntil { next = min(next, acceptPausedUntil) }
    if let shutdownDeadline { next = min(next, shutdownDeadline) }
    let wait = next - Moment.now.nanoseconds
    // Rounded up: waking before the time would only mean going round again.
    return Int32(clamping: max(0, (wait + 999_999) / 1_000_000))
  }

  private func handle(_ token: UInt64, _ readiness: Readiness, _ now: Moment) {
    switch token {
    case Token.listener: acceptAll(now)
    case Token.wake: _ = completions.wake.drain()
    case Token.signals: takeSignals(now)
    case _ where token & Token.process != 0:
      let runner = RunnerID(Int64(token & ~Token.process))
      processes[runner] = nil
      service.processDied(runner, now: now)
    default: connectionReady(token, readiness, now)
    }
  }

  private func takeCompletions() {
    let commits = completions.commits.takeNow()
    let answers = completions.answers.takeNow()
    guard !commits.isEmpty || !answers.isEmpty else { return }
    let now = Moment.now
    for commit in commits {
      if case .failure(.fatal(let text)) = commit.result { fatal = fatal ?? text }
      service.committed(commit.tickets, commit.result, took: commit.tookNanoseconds, now: now)
    }
    for answer in answers { service.answered(answer.ticket, answer.result, now: now) }
  }

  private func takeSignals(_ now: Moment) {
    while let signal = (try? signals?.next()).flatMap({ $0 }) {
      switch signal {
      case SIGTERM, SIGINT:
        log.write(LogRecord(.info, "stopping", [("signal", .number(Int64(signal)))]))
        completions.stopRequested.store(true, ordering: .relaxed)
      default: break
      }
    }
  }

  /// What is due now and then, whatever else happens.
  private func keepHouse(_ now: Moment) {
    if let until = acceptPausedUntil, until <= now.nanoseconds {
      acceptPausedUntil = nil
      try? poller.add(listener.rawValue, token: Token.listener, for: .readable)
    }
    if nextFileCheck <= now.nanoseconds {
      nextFileCheck = now.nanoseconds + 1_000_000_000
      service.metrics.logLinesDropped = log.droppedLines
      writer.check()
    }
    if completions.stopRequested.load(ordering: .relaxed), shutdownDeadline == nil {
      shutdownDeadline = now.nanoseconds + 5_000_000_000
      try? poller.remove(listener.rawValue)
      service.shutDown(now: now)
    }
  }

  private func isDone(_ now: Moment) -> Bool {
    if fatal != nil { return true }
    guard let shutdownDeadline else { return false }
    if shutdownDeadline <= now.nanoseconds { return true }
    return service.isSettled && sockets.allSatisfy { $0 == nil || service.queuedBytes($0!.id) == 0 }
  }

  /// Ends the threads and closes every connection.
  func close() {
    // The writer last: with nobody reading any more it moves the whole log into the file.
    reader.close()
    writer.close()
    sockets = []
    processes = [:]
    // It knows this reactor as its host: neither would ever go while both know each other.
    service = nil
  }
}
