import BatonAPI
import Handover
import Ttrpc

/// One peer's connection: how it speaks, what waits to be written, which calls are open.
final class Connection {
  enum Mode {
    /// No byte has come yet.
    case undecided
    case rpc
    case console
  }

  let id: ConnectionID
  let peer: Peer
  var mode = Mode.undecided
  var server: ServerConnection
  var console: ConsoleLines
  var output: OutboundQueue
  var calls: [Call] = []
  /// Stream ids of a console's calls, which has none on its wire.
  var nextConsoleStream: UInt32 = 1
  var firstByteAt: Int64?
  var hasCalled = false
  /// The frame that is coming in pieces, by its number, and since when.
  var slowFrame: (number: UInt64, since: Int64)?
  var isInputEnded = false
  /// Close once everything is written.
  var isClosing = false
  /// Lines are being run right now.
  var isConsoleRunning = false
  /// Nothing more is done with it.
  var isDropped = false

  init(id: ConnectionID, peer: Peer, settings: ServiceSettings) {
    self.id = id
    self.peer = peer
    server = ServerConnection(maxStreams: settings.maxStreams)
    console = ConsoleLines(maxLineBytes: settings.maxConsoleLineBytes)
    var limits = OutboundQueue.Limits()
    limits.streamBytes = settings.maxStreamQueueBytes
    limits.connectionBytes = settings.maxConnectionQueueBytes
    limits.reservedBytes = settings.reservedQueueBytes
    output = OutboundQueue(limits: limits)
  }

  /// Most messages are for the call that the last one was for, and most connections have one.
  func call(on stream: UInt32) -> Call? {
    if let first = calls.first, first.stream == stream { return first }
    return calls.first { $0.stream == stream }
  }

  func remove(_ call: Call) { calls.removeAll { $0 === call } }
}

/// One call that is under way. A completion that finds it over does nothing.
class Call {
  unowned let connection: Connection
  let stream: UInt32
  let method: Method
  let startedAt: Int64
  var deadline: Int64?
  var isOver = false

  init(connection: Connection, stream: UInt32, method: Method, startedAt: Int64, deadline: Int64?) {
    self.connection = connection
    self.stream = stream
    self.method = method
    self.startedAt = startedAt
    self.deadline = deadline
  }
}

/// A runner's conversation.
final class AttachCall: Call {
  var session: AttachSession
  var liveness: Liveness.Slot?
  var isAckDue = false
  var endsWithProcess = false
  /// How far its actors' commands have been sent on this connection; whether there are more, and are being read.
  var commandCursor: Int64 = 0
  var hasCommands = false
  var isReadingCommands = false

  init(connection: Connection, stream: UInt32, startedAt: Int64, deadline: Int64?, settings: ServiceSettings)
  {
    session = AttachSession(
      heartbeatsPerSecond: settings.heartbeatsPerSecond, burst: settings.heartbeatBurst)
    super.init(
      connection: connection, stream: stream, method: .attach, startedAt: startedAt, deadline: deadline)
  }
}

/// Somebody who follows the log. It reads at its own pace: while its answers wait to be written, nothing more is
/// read for it.
final class WatchCall: Call {
  var cursor: Revision
  let namespace: String?
  let name: String?
  var isReading = false
  var hasAnswered = false

  init(
    connection: Connection, stream: UInt32, startedAt: Int64, deadline: Int64?, cursor: Revision,
    namespace: String?, name: String?
  ) {
    self.cursor = cursor
    self.namespace = namespace
    self.name = name
    super.init(
      connection: connection, stream: stream, method: .watch, startedAt: startedAt, deadline: deadline)
  }
}

/// Somebody who follows one actor.
final class WatchActorCall: Call {
  let actor: ActorID
  /// It has changed since it was last read for.
  var hasNews = true
  var isReading = false

  init(connection: Connection, stream: UInt32, startedAt: Int64, deadline: Int64?, actor: ActorID) {
    self.actor = actor
    super.init(
      connection: connection, stream: stream, method: .watchActor, startedAt: startedAt, deadline: deadline)
  }
}

/// Somebody who waits for the daemon's health to change.
final class HealthCall: Call {
  let service: String
  init(connection: Connection, stream: UInt32, startedAt: Int64, deadline: Int64?, service: String) {
    self.service = service
    super.init(
      connection: connection, stream: stream, method: .healthWatch, startedAt: startedAt, deadline: deadline)
  }
}
