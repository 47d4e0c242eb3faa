import Glibc
import Linux
import Ttrpc

/// Why a call, a connection or a runner failed: gRPC's codes, and a sentence that says what to do.
public struct BatonError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The codes of https://grpc.io/docs/guides/status-codes/.
  public enum Code: Int32, Sendable, CaseIterable {
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16
  }

  /// What kind of failure.
  public var code: Code
  /// What is wrong and what to do.
  public var message: String
  /// Nobody answered at all: there is no daemon, or the connection to it broke.
  public var isConnectionFailure: Bool

  /// An error of a kind.
  public init(_ code: Code, _ message: String, isConnectionFailure: Bool = false) {
    self.code = code
    self.message = message
    self.isConnectionFailure = isConnectionFailure
  }

  /// The code's name and the message.
  public var description: String {
    "\(StatusCode(rawValue: code.rawValue)?.name ?? "UNKNOWN"): \(message)"
  }

  init(_ status: Status) { self.init(Code(rawValue: status.code.rawValue) ?? .unknown, status.message) }

  var status: Status { Status(StatusCode(rawValue: code.rawValue) ?? .unknown, message) }

  /// The failure to connect to a path.
  init(connecting path: String, _ error: Errno) {
    let start = "start batond --socket \(path), or set BATON_SOCKET to where it is"
    let (code, message): (Code, String) =
      switch error.code {
      case ENOENT: (.unavailable, "no daemon at \(path): there is no such socket; \(start)")
      case ECONNREFUSED:
        (.unavailable, "no daemon at \(path): its socket is there, but nobody listens; \(start)")
      case EAGAIN:
        (
          .resourceExhausted,
          "the daemon at \(path) has more new connections than it can take; try again soon"
        )
      case EACCES, EPERM:
        (.permissionDenied, "\(path) may not be opened by this user: batond --allow-uid or --allow-gid")
      case ENAMETOOLONG, EINVAL: (.invalidArgument, error.description)
      default: (.unavailable, "connecting to \(path): \(error)")
      }
    self.init(code, message, isConnectionFailure: true)
  }
}
