import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// The daemon without its system calls: bytes, completions and time in; bytes, mutations and queries out. One thread
/// calls it, and the same calls in the same order give the same results, whoever the host is.
package final class Service {
  let settings: ServiceSettings
  let host: any ServiceHost
  package var metrics = ServiceMetrics()

  /// What a request is decoded into, what a reply is made in, and ttrpc's envelopes around both.
  let requestArena = Arena()
  let replyArena = Arena()
  let envelopeArena = Arena()

  var connections: [Connection?] = []
  var connectionCount = 0
  /// Connections that something is due for: a first call, the rest of a frame, a reader.
  var timed: Set<ConnectionID> = []
  var callDeadlines = DeadlineHeap<Call>()
  /// Those whose heartbeats of this read have not been answered.
  var acksDue: [AttachCall] = []
  var timedSweepAt: Int64 = 0

  let fleetID: UInt64
  var revision: Revision
  var nextAttachment: AttachmentID
  var liveness: Liveness
  var runners: [RunnerID: LiveRecord] = [:]
  var openOrders: [DrainOrderID: TrackedOrder] = [:]
  var orderDeadlines = DeadlineHeap<DrainOrderID>()

  var nextTicket: UInt64 = 1
  var pendingMutations: [Ticket: PendingMutation] = [:]
  var pendingQueries: [Ticket: PendingQuery] = [:]
  var outbox = Outbox()
  /// What the store could not take and must hear again.
  var retries: [Mutation] = []
  var retryAt: Int64?
  var storeError: String?
  /// Until it has become short again.
  var hasSaidLogIsLong = false
  /// When the earliest registration of the commit that is being followed came.
  var earliestArrival: Int64?

  var watchers: [WatchCall] = []
  var healthWatchers: [HealthCall] = []
  var actorWatchers: [ActorID: [WatchActorCall]] = [:]
  /// When something happens to an actor or a pool by itself.
  var dueAt: Int64?
  /// When the history is pruned next; nil while a step is under way.
  var pruneAt: Int64?
  /// What went since it was last said.
  var pruned = PrunedCounts()
  var isShuttingDown = false
  let startedAt: Moment

  package init(settings: ServiceSettings, snapshot: FleetSnapshot, host: any ServiceHost, now: Moment) {
    self.settings = settings
    self.host = host
    fleetID = snapshot.fleetID
    revision = snapshot.revision
    nextAttachment = snapshot.nextAttachment
    liveness = Liveness(times: settings.times, now: now.nanoseconds)
    startedAt = now
    dueAt = snapshot.nextDue
    pruneAt = now.nanoseconds + Self.prunePauseNanoseconds
    for runner in snapshot.runners {
      let attachment = Attachment(runner: runner.id, id: runner.attachment)
      let slot = liveness.add(attachment, isAttached: false, now: now.nanoseconds)
      runners[runner.id] = LiveRecord(liveness: slot, attachment: attachment.id)
    }
    for order in snapshot.openOrders { track(order, startedAt: now.nanoseconds) }
  }

  /// What the service knows of a runner that has not ended.
  struct LiveRecord {
    var liveness: Liveness.Slot
    var attachment: AttachmentID
    var openOrder: DrainOrderID?
    /// Where it is attached.
    var call: AttachCall?
  }

  struct TrackedOrder {
    var runner: RunnerID
    var terms: OrderTerms
    /// When the request that led to it came.
    var startedAt: Int64
    /// Why it is taken back, while its runner is asked whether it stays.
    var offer: String?
    /// Its deadline may have moved while its runner was asked: no Stop has told of it.
    var isDeadlineUntold = false
    var deliveries = 0
  }

  /// News that is committed in batches, one mutation of each kind a turn.
  struct Outbox {
    var delivered: [DrainOrderID] = []
    var acked: [StopAcknowledgement] = []
    var detached: [Attachment] = []
    var heard: [Attachment] = []
    var commandsAcked: [RunnerID: [ActorCheckpoint]] = [:]

    var isEmpty: Bool {
      delivered.isEmpty && acked.isEmpty && detached.isEmpty && heard.isEmpty && commandsAcked.isEmpty
    }
  }

  enum PendingMutation {
    case register(AttachCall, AttachmentID)
    case stopping(AttachCall)
    case leave(AttachCall)
    case reports(AttachCall)
    case unary(Call)
    /// Nobody waits for it, and there is another time for it.
    case prune
    /// Nobody waits for it, but it must happen: retried until it does.
    case background(Mutation)
  }

  enum PendingQuery {
    case unary(Call)
    case watch(WatchCall)
    case watchActor(WatchActorCall)
    case commands(AttachCall)
  }

  // MARK: - Connections

  package func opened(_ id: ConnectionID, peer: Peer, now: Moment) {
    let slot = Int(id.slot)
    while connections.count <= slot { connections.append(nil) }
    precondition(connections[slot] == nil, "connection \(id) opened where \(connections[slot]!.id) is")
    connections[slot] = Connection(id: id, peer: peer, settings: settings)
    connectionCount += 1
    metrics.connectionsOpened &+= 1
  }

  /// nil when the connection is gone; another one may have its place.
  func connection(_ id: ConnectionID) -> Connection? {
    guard Int(id.slot) < connections.count, let connection = connections[Int(id.slot)], connection.id == id
    else {
      return nil
    }
    return connection
  }

  /// The peer sent these bytes.
  package func received(_ id: ConnectionID, _ bytes: UnsafeRawBufferPointer, now: Moment) {
    guard let connection = connection(id), !connection.isDropped, !connection.isClosing,
      let first = bytes.first
    else { return }
    if connection.firstByteAt == nil {
      connection.firstByteAt = now.nanoseconds
      timed.insert(id)
      switch FirstByte(first) {
      case .ttrpc: connection.mode = .rpc
      case .console: connection.mode = .console
      case .unknown:
        host.log(LogRecord(.debug, "neither ttrpc nor text", Self.fields(connection)))
        return drop(connection, now)
      }
    }
    switch connection.mode {
    case .rpc: receiveFrames(connection, bytes, now)
    case .console: receiveLines(connection, bytes, now)
    case .undecided: break
    }
    flushAcks(now)
  }

  /// The peer has shut down its side; what it asked before is still answered.
  package func inputEnded(_ id: ConnectionID, now: Moment) {
    guard let connection = connection(id), !connection.isDropped, !connection.isInputEnded else { return }
    connection.isInputEnded = true
    for call in connection.calls {
      // A runner that says nothing more is not there; who only listens may go on listening.
      if let attach = call as? AttachCall { endAttach(attach, now) }
    }
    if connection.mode == .console {
      connection.console.end()
      runConsole(connection, now)
    }
    closeIfDone(connection)
  }

  /// The connection is gone.
  package func closed(_ id: ConnectionID, now: Moment) {
    guard let connection = connection(id) else { return }
    forget(connection, now)
  }

  /// Ends the connection when what waits for its peer is written; nothing more is read.
  func close(_ connection: Connection) {
    connection.isClosing = true
    host.outputReady(connection.id)
  }

  /// Ends the connection at once.
  func drop(_ connection: Connection, _ now: Moment) {
    guard !connection.isDropped else { return }
    connection.isDropped = true
    host.abort(connection.id)
    forget(connection, now)
  }

  private func forget(_ connection: Connection, _ now: Moment) {
    connection.isDropped = true
    for call in connection.calls { abandon(call, now) }
    connection.calls = []
    timed.remove(connection.id)
    connections[Int(connection.id.slot)] = nil
    connectionCount -= 1
  }

  /// With the input at its end, every call answered and every byte written, nothing more can come of it.
  func closeIfDone(_ connection: Connection) {
    guard connection.isInputEnded, connection.calls.isEmpty, !connection.isClosing,
      connection.mode != .console || connection.console.pendingBytes == 0
    else { return }
    connection.isClosing = true
    host.outputReady(connection.id)
  }

  // MARK: - Output

  package enum WriteResult {
    case wrote(Int)
    case wouldBlock
    case failed
  }

  package enum OutputState {
    case idle
    /// Bytes wait for the peer: say when it takes more.
    case waiting
    /// Everything is written, or cannot be: close it and say `closed`.
    case close
  }

  /// Writes what waits through `write` until it is used up or the peer takes no more.
  package func writeOutput(
    _ id: ConnectionID, now: Moment, _ write: (UnsafeRawBufferPointer) -> WriteResult
  ) -> OutputState {
    guard let connection = connection(id) else { return .idle }
    while !connection.output.isEmpty {
      switch connection.output.withUnwritten(write) {
      case .wrote(let count):
        connection.output.wrote(count, now: now.nanoseconds) { mark in
          stopTaken(DrainOrderID(Int64(mark)))
        }
      case .wouldBlock:
        timed.insert(id)
        return .waiting
      case .failed: return .close
      }
    }
    resumeReaders(on: connection)
    return connection.isClosing && connection.output.isEmpty ? .close : .idle
  }

  /// Who is attached, as far as this process knows; the store is told at the end of each turn.
  package var attachedRunners: Set<RunnerID> { Set(runners.filter { $0.value.call != nil }.keys) }
  /// Who has not been heard for the silent threshold.
  package var quietRunners: Int { liveness.quietCount }
  package var quietAttachedRunners: Int {
    runners.values.count { $0.call != nil && liveness.isQuiet($0.liveness) }
  }

  /// For the log at start.
  package var currentRevision: Int64 { revision.rawValue }
  package var livingRunners: Int { runners.count }

  /// What a client is sent that is turned away before it has said anything: an answer to its first call.
  package static func refusalFrame(_ status: Status) -> [UInt8] {
    var server = ServerConnection(maxStreams: 1)
    var output = OutboundQueue()
    _ = server.fail(1, status, now: 0, arena: Arena(), output: &output)
    return output.withUnwritten { Array($0) }
  }

  /// Bytes that wait for this connection's peer.
  package func queuedBytes(_ id: ConnectionID) -> Int { connection(id)?.output.byteCount ?? 0 }

  static func fields(_ connection: Connection) -> [(name: StaticString, value: LogRecord.Value)] {
    [
      ("connection", .text(connection.id.description)), ("pid", .number(Int64(connection.peer.pid))),
      ("uid", .number(Int64(connection.peer.uid))), ("program", .text(connection.peer.program)),
    ]
  }
}
