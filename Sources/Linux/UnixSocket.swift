import CLinux
import Glibc

/// Stream sockets with a path. Abstract names are never used: any user can connect to those.
package enum UnixSocket {
  /// How many bytes of UTF-8 the kernel takes for a path.
  package static let maximumPathBytes = 107

  /// Says clearly why a path cannot be a socket's: EINVAL when empty or with a NUL, ENAMETOOLONG with the limit.
  package static func check(path: String) throws(Errno) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw Errno(
        code: EINVAL, operation: "socket", context: path.debugDescription,
        explanation: "a socket's path is not empty and has no NUL")
    }
    let bytes = path.utf8.count
    guard bytes <= maximumPathBytes else {
      throw Errno(
        code: ENAMETOOLONG, operation: "socket", context: path,
        explanation: "a socket's path has at most \(maximumPathBytes) bytes, this one has \(bytes)")
    }
  }

  /// Connects to who listens at `path`. The errors to tell apart by code: ENOENT (no socket there), ECONNREFUSED (nobody
  /// listens), EAGAIN (the backlog is full, of a non-blocking one only: try again later), EACCES (not allowed).
  package static func connect(path: String, nonblocking: Bool = true) throws(Errno) -> FileDescriptor {
    try check(path: path)
    let socket = FileDescriptor(owning: try syscall("socket") { clinux_socket(nonblocking ? 1 : 0) })
    let fd = socket.rawValue
    // A local connect is done or refused at once, there is no EINPROGRESS to wait for.
    _ = try syscall("connect", path) { clinux_connect(fd, path) }
    return socket
  }

  /// Two sockets that are connected to each other.
  package struct Pair: ~Copyable {
    package let first: FileDescriptor
    package let second: FileDescriptor

    init(first: consuming FileDescriptor, second: consuming FileDescriptor) {
      self.first = first
      self.second = second
    }

    /// Hands each end to its new owner.
    package consuming func take<Result>(
      _ body: (consuming FileDescriptor, consuming FileDescriptor) throws -> Result
    ) rethrows -> Result { try body(first, second) }
  }

  /// Makes two sockets that are connected to each other.
  package static func socketPair(nonblocking: Bool = true) throws(Errno) -> Pair {
    var first: Int32 = -1
    var second: Int32 = -1
    _ = try syscall("socketpair") { clinux_socket_pair(nonblocking ? 1 : 0, &first, &second) }
    return Pair(first: FileDescriptor(owning: first), second: FileDescriptor(owning: second))
  }
}
