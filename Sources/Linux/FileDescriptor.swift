import CLinux
import Glibc

/// An open file of this process, closed exactly once: when its owner lets go of it.
package struct FileDescriptor: ~Copyable, Sendable {
  /// The number, valid as long as this value lives.
  package let rawValue: Int32

  /// Takes over a number that nobody else closes.
  package init(owning rawValue: Int32) {
    precondition(rawValue >= 0, "descriptor \(rawValue)")
    self.rawValue = rawValue
  }

  // Never again after EINTR: Linux has freed the number by then, and another thread may have it.
  deinit { _ = close(rawValue) }

  /// Gives the number away, unclosed.
  package consuming func release() -> Int32 {
    let rawValue = rawValue
    discard self
    return rawValue
  }

  /// What a read gave.
  package enum ReadResult: Equatable, Sendable {
    case bytes(Int)
    case wouldBlock
    case end
  }

  /// What a write took.
  package enum WriteResult: Equatable, Sendable {
    case bytes(Int)
    case wouldBlock
  }

  /// What came in from a socket.
  package enum ReceiveResult: Equatable, Sendable {
    case bytes(Int)
    case wouldBlock
    case end
    /// The peer sent descriptors along, which nobody asked for. They are closed; drop the peer.
    case descriptorsReceived
  }

  /// Reads what is there, at most the buffer's size, which must not be 0.
  package borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> ReadResult {
    precondition(!buffer.isEmpty, "a read of no bytes looks like the end")
    let fd = rawValue
    let count = try syscallUnlessItWaits("read") { Glibc.read(fd, buffer.baseAddress, buffer.count) }
    guard let count else { return .wouldBlock }
    return count == 0 ? .end : .bytes(count)
  }

  /// Writes as much as fits, for files and pipes; a socket takes `send`.
  package borrowing func write(_ buffer: UnsafeRawBufferPointer) throws(Errno) -> WriteResult {
    let fd = rawValue
    let count = try syscallUnlessItWaits("write") { Glibc.write(fd, buffer.baseAddress, buffer.count) }
    return count.map { .bytes($0) } ?? .wouldBlock
  }

  /// Sends as much as the socket takes, without SIGPIPE: a peer that is gone throws EPIPE or ECONNRESET.
  package borrowing func send(_ buffer: UnsafeRawBufferPointer) throws(Errno) -> WriteResult {
    let fd = rawValue
    let count = try syscallUnlessItWaits("send") { clinux_send(fd, buffer.baseAddress, buffer.count) }
    return count.map { .bytes($0) } ?? .wouldBlock
  }

  /// Receives what a socket has, at most the buffer's size, which must not be 0. Descriptors that a peer sends along are
  /// closed on a thread of their own, since a close can take as long as the peer likes (SO_LINGER).
  package borrowing func recv(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> ReceiveResult {
    precondition(!buffer.isEmpty, "a receive of no bytes looks like the end")
    let fd = rawValue
    let capacity = Int(CLINUX_MAX_DESCRIPTORS)
    return try withUnsafeTemporaryAllocation(of: Int32.self, capacity: capacity) {
      (descriptors) throws(Errno) -> ReceiveResult in
      var descriptorCount: Int32 = 0
      var truncated: Int32 = 0
      let count = try syscallUnlessItWaits("recvmsg") {
        clinux_receive(
          fd, buffer.baseAddress, buffer.count, descriptors.baseAddress, &descriptorCount, &truncated)
      }
      guard let count else { return .wouldBlock }
      guard descriptorCount == 0, truncated == 0 else {
        closeElsewhere(Array(descriptors.prefix(Int(descriptorCount))))
        return .descriptorsReceived
      }
      return count == 0 ? .end : .bytes(count)
    }
  }

  /// Whether calls wait, or say `.wouldBlock`.
  package borrowing func setNonblocking(_ nonblocking: Bool) throws(Errno) {
    let fd = rawValue
    _ = try syscall("fcntl") { clinux_set_nonblocking(fd, nonblocking ? 1 : 0) }
  }

  /// Opens a file, close-on-exec; `flags` as of open(2), `mode` for a file that is created.
  package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(Errno)
    -> FileDescriptor
  {
    FileDescriptor(owning: try syscall("open", path) { clinux_open(path, flags, mode) })
  }
}

private func closeElsewhere(_ descriptors: [Int32]) {
  guard !descriptors.isEmpty else { return }
  let closeAll: @Sendable () -> Void = { for descriptor in descriptors { _ = close(descriptor) } }
  // Without a thread to be had it is better to wait than to leak.
  do { _ = try WorkerThread(name: "closer", closeAll) } catch { closeAll() }
}

/// The start of a file, at most `limit` bytes: for what /proc and lock files say.
func startOfFile(_ path: String, limit: Int = 4096) throws(Errno) -> String {
  try startOfFile(FileDescriptor.open(path, O_RDONLY), limit: limit)
}

func startOfFile(_ file: borrowing FileDescriptor, limit: Int = 4096) throws(Errno) -> String {
  let fd = file.rawValue
  return try withUnsafeTemporaryAllocation(byteCount: limit, alignment: 1) { buffer throws(Errno) -> String in
    let count = try syscall("pread") { pread(fd, buffer.baseAddress, buffer.count, 0) }
    return String(decoding: buffer.prefix(count), as: UTF8.self)
  }
}
