import CLinux
import Glibc
import Synchronization

/// Listens at a path, as the only process that does. The socket's file stays when this ends: a client that comes
/// meanwhile is refused (ECONNREFUSED, try again), and the next listener replaces it.
package final class Listener: Sendable {
  /// The path that clients connect to.
  package let path: String
  private let lock: FileLock
  private let socket: FileDescriptor
  // Open for nothing but to be closed when descriptors run out, so that a waiting client can be turned away.
  private let reserve: Mutex<FileDescriptor?>

  /// What accepting gave.
  package enum Accepted: ~Copyable {
    /// A connection, non-blocking and close-on-exec.
    case accepted(FileDescriptor)
    /// Nobody waits.
    case wouldBlock
    /// This process or the system has no descriptor or memory left. A client that waited was turned away where possible;
    /// leave the listener alone for a while before trying again.
    case exhausted
  }

  /// Begins to listen. The file has mode 0600 from its first moment, and is widened to `mode` afterwards.
  ///
  /// Throws ENAMETOOLONG or EINVAL (the path), EADDRINUSE (another process listens here, the text says which), EEXIST
  /// (something is there that is no socket of ours: never removed), EPERM (a directory that others own).
  package static func bind(path: String, mode: mode_t = 0o600) throws(Errno) -> Listener {
    try UnixSocket.check(path: path)
    try ensurePrivateDirectory(parentDirectory(of: path) ?? "/")
    let lock = try FileLock(path: path + ".lock", what: "the socket \(path)")
    try removeStaleSocket(path)
    let socket = FileDescriptor(owning: try syscall("socket") { clinux_socket(1) })
    let fd = socket.rawValue
    // Before bind, which gives the file this mode: after it there would be a moment for everybody to connect.
    _ = try syscall("fchmod", path) { fchmod(fd, 0o600) }
    try refuseDescriptors(fd)
    _ = try syscall("bind", path) { clinux_bind(fd, path) }
    _ = try syscall("listen", path) { listen(fd, 4096) }
    if mode != 0o600 { _ = try syscall("chmod", path) { chmod(path, mode) } }
    return Listener(
      path: path, lock: lock, socket: socket, reserve: try FileDescriptor.open("/dev/null", O_RDONLY))
  }

  private init(
    path: String, lock: consuming FileLock, socket: consuming FileDescriptor,
    reserve: consuming FileDescriptor
  ) {
    self.path = path
    self.lock = lock
    self.socket = socket
    self.reserve = Mutex(reserve)
  }

  /// To watch for `.readable`.
  package var rawValue: Int32 { socket.rawValue }

  /// Takes the next client that waits, if any.
  package func accept() throws(Errno) -> Accepted {
    while true {
      let fd = clinux_accept(socket.rawValue)
      if fd >= 0 { return .accepted(FileDescriptor(owning: fd)) }
      let code = errno
      switch code {
      case EAGAIN: return .wouldBlock
      // The client is gone already; the next one may wait behind it.
      case EINTR, ECONNABORTED: continue
      case EMFILE, ENFILE: return turnAway() ? .exhausted : .wouldBlock
      case ENOBUFS, ENOMEM: return .exhausted
      default: throw Errno(code: code, operation: "accept", context: path)
      }
    }
  }

  /// Closes the connection that waits first, so that its client learns of it. False when none waited.
  private func turnAway() -> Bool {
    reserve.withLock { reserve in
      let hadReserve = reserve != nil
      reserve = nil
      let fd = clinux_accept(socket.rawValue)
      let nobodyWaited = fd == -1 && errno == EAGAIN
      if fd >= 0 { _ = close(fd) }
      // Another thread may have taken the number: then the next round does without.
      reserve = try? FileDescriptor.open("/dev/null", O_RDONLY)
      return !(hadReserve && nobodyWaited)
    }
  }

  private static func removeStaleSocket(_ path: String) throws(Errno) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw Errno(code: errno, operation: "lstat", context: path)
    }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw Errno(
        code: EEXIST, operation: "bind", context: path, explanation: "something is there that is not a socket"
      )
    }
    guard status.st_uid == geteuid() else {
      throw Errno(
        code: EEXIST, operation: "bind", context: path,
        explanation: "a socket of uid \(status.st_uid) is there, not of ours (\(geteuid()))")
    }
    _ = try syscall("unlink", path) { unlink(path) }
  }

  private static func refuseDescriptors(_ fd: Int32) throws(Errno) {
    guard clinux_refuse_descriptors(fd) == -1 else { return }
    let code = errno
    // Kernels before 6.16 do not know it: there `recv` finds the descriptors and closes them.
    guard code == ENOPROTOOPT || code == EINVAL || code == EOPNOTSUPP else {
      throw Errno(code: code, operation: "setsockopt SO_PASSRIGHTS")
    }
  }
}
