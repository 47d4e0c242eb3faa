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
    /// A runner is attached by it: it is served before those who are not.
    var hasRunner = false
    /// What it is ready for, while it waits for its turn; `[]` when it does not.
    var waitsFor: Readiness = []

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
  /// Those without a runner that have something to be read, and the listener, in the order in which they came.
  var waiting: [UInt64] = []
  /// Before it everybody has had a turn.
  var waitingHead = 0
  var isListenerWaiting = false
  var hasCompletions = false
  var processes: [RunnerID: ProcessWatch] = [:]
  var acceptPausedUntil: Int64?
  var hasSaidExhausted = false
  /// Names of processes, for a second: a crowd from one process asks for one.
  var programs: [pid_t: String] = [:]
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

  /// After so many events the clock is read anew and answers are written, so that the first in a full turn do not wait for
  /// the last; not after each, or a peer that waits for one after the other would be woken for every one.
  private static let eventsPerFlush = 16
  /// How long those without a runner are served at least, before the others are looked at again.
  private static let sliceNanoseconds: Int64 = 100_000

  /// Runs until the daemon is told to stop and has said goodbye, or its store has failed for good.
  ///
  /// In each turn those come first who have a runner attached, then for a while everybody else: a crowd at the door, or
  /// one that only asks, holds no heartbeat up.
  func run() throws(Errno) {
    Scheduling.askForShortSlices()
    var now = Moment.now
    while true {
      let began = now.nanoseconds
      let nextTick = service.nextTick ?? .max
      var handled = 0
      let events = try poller.wait(timeoutMilliseconds: timeout(nextTick, now)) { token, readiness in
        if handled % Self.eventsPerFlush == 0 {
          flush(now)
          now = .now
        }
        handled += 1
        handle(token, readiness, now)
      }
      if events == 0 { now = .now }
      flush(now)
      serveWaiting(&now, since: handled > Self.eventsPerFlush ? began : now.nanoseconds)
      if hasCompletions { takeCompletions(&now) }
      // What has arrived is read before anybody is given up for what has not; but a flood must not stop the clock.
      if nextTick <= now.nanoseconds,
        events < Poller.eventsPerWait && isNobodyWaiting || now.nanoseconds - nextTick > 500_000_000
      {
        service.tick(now: now)
      }
      keepHouse(now)
      flush(now)
      service.endTurn(now: now)
      if isDone(now) { return }
    }
  }

  private var isNobodyWaiting: Bool { waitingHead == waiting.count }

  private func timeout(_ nextTick: Int64, _ now: Moment) -> Int32 {
    guard isNobodyWaiting else { return 0 }
    var next = min(nextTick, nextFileCheck)
    if let acceptPausedUntil { next = min(next, acceptPausedUntil) }
    if let shutdownDeadline { next = min(next, shutdownDeadline) }
    // Rounded up: waking before the time would only mean going round again.
    return Int32(clamping: max(0, (next - now.nanoseconds + 999_999) / 1_000_000))
  }

  private func handle(_ token: UInt64, _ readiness: Readiness, _ now: Moment) {
    switch token {
    case Token.listener:
      guard !isListenerWaiting else { return }
      isListenerWaiting = true
      waiting.append(token)
    case Token.wake:
      _ = completions.wake.drain()
      hasCompletions = true
    case Token.signals: takeSignals(now)
    case _ where token & Token.process != 0:
      let runner = RunnerID(Int64(token & ~Token.process))
      processes[runner] = nil
      service.processDied(runner, now: now)
    default:
      guard let socket = socket(token) else { return }
      if socket.hasRunner {
        connectionReady(socket, readiness, now)
      } else {
        if socket.waitsFor.isEmpty { waiting.append(token) }
        socket.waitsFor.formUnion(readiness)
      }
    }
  }

  /// Those who wait, one after the other, for a slice of time; for as long as the others took, when that was longer.
  private func serveWaiting(_ now: inout Moment, since began: Int64) {
    guard !isNobodyWaiting else { return }
    let end = now.nanoseconds + max(Self.sliceNanoseconds, now.nanoseconds - began)
    while waitingHead < waiting.count {
      let token = waiting[waitingHead]
      waitingHead += 1
      if token == Token.listener {
        isListenerWaiting = false
        if acceptPausedUntil == nil, shutdownDeadline == nil { acceptSome(now) }
      } else if let socket = socket(token) {
        let readiness = socket.waitsFor
        socket.waitsFor = []
        connectionReady(socket, readiness, now)
      }
      flush(now)
      guard waitingHead < waiting.count else { break }
      now = .now
      if now.nanoseconds >= end { break }
    }
    if isNobodyWaiting {
      waiting.removeAll(keepingCapacity: true)
      waitingHead = 0
    } else if waitingHead > 1024, waitingHead > waiting.count / 2 {
      waiting.removeFirst(waitingHead)
      waitingHead = 0
    }
  }

  private func takeCompletions(_ now: inout Moment) {
    hasCompletions = false
    now = .now
    for commit in completions.commits.takeNow() {
      if case .failure(.fatal(let text)) = commit.result { fatal = fatal ?? text }
      service.committed(commit.tickets, commit.result, took: commit.tookNanoseconds, now: now)
    }
    for answer in completions.answers.takeNow() {
      service.answered(answer.ticket, answer.result, now: now)
    }
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
      programs.removeAll(keepingCapacity: true)
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
