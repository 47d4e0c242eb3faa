import BatonAPI
import Glibc
import Handover
import Linux
import Protobuf
import Synchronization
import Ttrpc

/// How often and how long connecting is tried again.
public struct RetryPolicy: Sendable {
  /// How long in all, in milliseconds; 0 is one attempt.
  public var totalMilliseconds: Int64
  /// One attempt.
  public static let none = RetryPolicy(totalMilliseconds: 0)
  /// Tries for so long, with growing pauses from 20 ms to 1 s, each drawn at random up to its length.
  public init(totalMilliseconds: Int64) { self.totalMilliseconds = totalMilliseconds }
}

/// A connection to the daemon that any number of tasks may call on at once. A thread of its own reads for all of them.
public final class Channel: Sendable {
  /// The socket's path.
  public let path: String
  let io: ChannelIO
  private let thread: Locked<WorkerThread?>

  /// Connects. `path` is the daemon's default place when nil (`BATON_SOCKET`, else the user's runtime directory).
  /// Throws `BatonError`, unavailable when nobody listens there.
  public static func connect(path: String? = nil, retry: RetryPolicy = .none) async throws -> Channel {
    let path = try path ?? defaultSocketPath()
    let deadline = Clock.boottimeNanoseconds(afterMilliseconds: retry.totalMilliseconds)
    let busyDeadline = Clock.boottimeNanoseconds(afterMilliseconds: max(2000, retry.totalMilliseconds))
    var pause: Int64 = 20_000_000
    while true {
      do throws(Errno) {
        return try Channel(path: path, descriptor: try UnixSocket.connect(path: path))
      } catch {
        let giveUpAt: Int64? =
          switch error.code {
          case ENOENT, ECONNREFUSED: deadline
          // A daemon that is there, and busy: it takes the rest in a moment.
          case EAGAIN: busyDeadline
          default: nil
          }
        guard let giveUpAt, Int64(Clock.boottimeNanoseconds()) < giveUpAt else {
          throw BatonError(connecting: path, error)
        }
        do {
          try await Task.sleep(nanoseconds: UInt64(Int64.random(in: pause / 2...pause)))
        } catch {
          throw BatonError(.cancelled, "the task was cancelled")
        }
        pause = min(2 * pause, 1_000_000_000)
      }
    }
  }

  private init(path: String, descriptor: consuming FileDescriptor) throws(Errno) {
    self.path = path
    let io = ChannelIO(descriptor: descriptor, wake: try EventSignal())
    self.io = io
    thread = Locked(try WorkerThread(name: "baton-channel") { io.run() })
  }

  deinit { io.close() }

  /// Ends the connection: every call that is under way fails UNAVAILABLE.
  public func close() { io.close() }

  /// The daemon's default place for this user and environment.
  package static func defaultSocketPath() throws -> String {
    do throws(Errno) {
      return try DefaultPaths(environment: environmentVariables()).socket()
    } catch {
      throw BatonError(.failedPrecondition, error.description)
    }
  }

  private static func environmentVariables() -> [String: String] {
    var variables: [String: String] = [:]
    for name in ["BATON_SOCKET", "XDG_RUNTIME_DIR", "HOME"] {
      if let value = getenv(name) { variables[name] = String(cString: value) }
    }
    return variables
  }

  // MARK: - Calls

  /// One request, one reply. `timeoutMilliseconds` is told to the daemon and kept here too; nil waits for ever.
  package func unary(
    _ method: Method, _ request: [UInt8], timeoutMilliseconds: Int64? = nil
  ) async throws -> [UInt8] {
    let ticket = CallTicket()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        io.open(
          method, request, timeoutMilliseconds: timeoutMilliseconds, ticket,
          ChannelIO.Receiver(
            message: { continuation.resume(returning: $0) },
            ended: { if let error = $0 { continuation.resume(throwing: error) } }, isUnary: true))
      }
    } onCancel: {
      io.cancel(ticket)
    }
  }

  /// One request, many replies; they wait in order, at most `buffered` of them: who reads too slowly gets an error.
  package func stream(
    _ method: Method, _ request: [UInt8], buffered: Int = 1024
  ) -> AsyncThrowingStream<[UInt8], any Error> {
    let (stream, continuation) = AsyncThrowingStream.makeStream(
      of: [UInt8].self, throwing: (any Error).self, bufferingPolicy: .bufferingOldest(buffered))
    let ticket = CallTicket()
    // Holds the channel: who reads the stream need not.
    continuation.onTermination = { [self] reason in
      if case .cancelled = reason { io.cancel(ticket) }
    }
    io.open(
      method, request, timeoutMilliseconds: nil, ticket,
      ChannelIO.Receiver(
        message: { [io] bytes in
          guard case .dropped = continuation.yield(bytes) else { return }
          continuation.finish(
            throwing: BatonError(.resourceExhausted, "\(buffered) messages wait: read faster"))
          io.cancel(ticket)
        },
        ended: { continuation.finish(throwing: $0) }, isUnary: false))
    return stream
  }
}

/// Names a call before it has a stream id, so that a cancellation that comes first is not lost.
final class CallTicket: Sendable {
  enum State {
    case waiting
    case open(UInt32)
    case cancelled
    case ended
  }

  let state = Locked(State.waiting)

  var isCancelled: Bool {
    state.withLock { if case .cancelled = $0 { true } else { false } }
  }
}
