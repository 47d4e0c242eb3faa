import CLinux
import Glibc

/// A file that one process at a time holds locked (flock). The kernel lets go of it when the holder ends, however that
/// happens; the file itself stays, since removing it would let two processes lock two files of one name.
struct FileLock: ~Copyable, Sendable {
  private let file: FileDescriptor

  /// Locks `path`, or throws EADDRINUSE at once and says who holds it. `what` names what is held, for people.
  init(path: String, what: String) throws(Errno) {
    let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    let fd = file.rawValue
    var attempts = 0
    while clinux_lock(fd) == -1 {
      let code = errno
      guard code == EWOULDBLOCK || code == EINTR else {
        throw Errno(code: code, operation: "flock", context: path)
      }
      // Whoever has just locked it takes a moment to write its pid; an older pid is of a process that ended.
      let holder = Int32(try startOfFile(file, limit: 32).prefix { $0.isNumber })
      attempts += 1
      if let holder, isAlive(holder) { throw Self.held(by: holder, path: path, what: what) }
      if attempts == 100 { throw Self.held(by: nil, path: path, what: what) }
      usleep(5_000)
    }
    _ = try syscall("ftruncate", path) { ftruncate(fd, 0) }
    let line = Array("\(getpid())\n".utf8)
    _ = try syscall("pwrite", path) { pwrite(fd, line, line.count, 0) }
    self.file = file
  }

  // An orderly end leaves no pid behind that another process may have by the time it is read.
  deinit { _ = ftruncate(file.rawValue, 0) }

  private static func held(by holder: Int32?, path: String, what: String) -> Errno {
    let name = holder.flatMap { processName($0) }
    let who = holder.map { "\(name ?? "a process") (pid \($0))" } ?? "another process"
    return Errno(code: EADDRINUSE, operation: "lock", context: path, explanation: "\(what) is held by \(who)")
  }
}

private func isAlive(_ pid: Int32) -> Bool {
  // EPERM says that it is there, and someone else's.
  pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)
}

/// Says that one process at a time works in a state directory: `lock` in it is locked as long as this value lives.
package struct StateLock: ~Copyable, Sendable {
  private let lock: FileLock

  /// Makes the directory (0700, with its parents) if it is missing, and locks it. EADDRINUSE: another process holds it, and
  /// the text says which. EPERM: the directory is neither ours nor root's, or everybody may write to it.
  package init(directory: String) throws(Errno) {
    try ensurePrivateDirectory(directory)
    lock = try FileLock(path: directory + "/lock", what: "the state directory \(directory)")
  }
}

/// Makes a directory and its missing parents, for us alone, and checks that nobody else can swap what is in it.
func ensurePrivateDirectory(_ path: String) throws(Errno) {
  if mkdir(path, 0o700) == -1 {
    let code = errno
    switch code {
    case EEXIST: break
    case ENOENT:
      guard let parent = parentDirectory(of: path), parent != path else {
        throw Errno(code: code, operation: "mkdir", context: path)
      }
      try ensureParents(parent)
      _ = try syscall("mkdir", path) { mkdir(path, 0o700) }
    default: throw Errno(code: code, operation: "mkdir", context: path)
    }
  }
  var status = stat()
  _ = try syscall("stat", path) { stat(path, &status) }
  guard status.st_mode & S_IFMT == S_IFDIR else {
    throw Errno(code: ENOTDIR, operation: "stat", context: path)
  }
  guard status.st_uid == geteuid() || status.st_uid == 0 else {
    throw Errno(
      code: EPERM, operation: "stat", context: path,
      explanation: "the directory belongs to uid \(status.st_uid), neither to us (\(geteuid())) nor to root")
  }
  // Sticky as /tmp is: there nobody replaces the file of another.
  guard status.st_mode & S_IWOTH == 0 || status.st_mode & S_ISVTX != 0 else {
    throw Errno(
      code: EPERM, operation: "stat", context: path, explanation: "everybody may write to the directory")
  }
}

private func ensureParents(_ path: String) throws(Errno) {
  if mkdir(path, 0o700) == 0 { return }
  let code = errno
  if code == EEXIST { return }
  guard code == ENOENT, let parent = parentDirectory(of: path), parent != path else {
    throw Errno(code: code, operation: "mkdir", context: path)
  }
  try ensureParents(parent)
  if mkdir(path, 0o700) == -1, errno != EEXIST { throw Errno(code: errno, operation: "mkdir", context: path) }
}

/// "/a/b" for "/a/b/c", "." for "c"; nil for the root.
func parentDirectory(of path: String) -> String? {
  let parts = path.split(separator: "/")
  guard let last = parts.last else { return nil }
  guard parts.count > 1 || path.hasPrefix("/") else { return last == "." ? nil : "." }
  return (path.hasPrefix("/") ? "/" : "") + parts.dropLast().joined(separator: "/")
}
