import Glibc
import HandWire
import Testing

/// A client made of nothing but a socket. It waits at most a minute for an answer, which no machine needs.
final class RawPeer {
  private(set) var descriptor: Int32
  private var received: [UInt8] = []

  init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0, "socket: \(errno)")
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(code == 0, "connect \(path): \(errno)")
  }

  deinit { end() }

  func end() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// False when the daemon takes no more.
  @discardableResult
  func send(_ bytes: [UInt8], pieceBytes: Int = .max) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, min(pieceBytes, $0.count), Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Bytes without waiting, as many as the daemon and the kernel take.
  func flood(_ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes {
      max(
        0,
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      )
    }
  }

  /// Sends one byte with a descriptor beside it (SCM_RIGHTS).
  func send(descriptor passed: Int32) -> Bool {
    var byte: UInt8 = 0
    // A cmsghdr: its length, SOL_SOCKET, SCM_RIGHTS, then the descriptor, padded to eight bytes.
    var control: (Int, Int32, Int32, Int32, Int32) = (20, SOL_SOCKET, 1, passed, 0)
    return withUnsafeMutablePointer(to: &byte) { byte in
      withUnsafeMutableBytes(of: &control) { control in
        var vector = iovec(iov_base: byte, iov_len: 1)
        return withUnsafeMutablePointer(to: &vector) { vector in
          var message = msghdr()
          message.msg_iov = vector
          message.msg_iovlen = 1
          message.msg_control = control.baseAddress
          message.msg_controllen = 24
          return sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL)) == 1
        }
      }
    }
  }

  /// Reads once. False at the end, or when the connection was reset.
  private func readMore() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    guard count > 0 else { return false }
    received += buffer.prefix(count)
    return true
  }

  /// The next frames, `count` of them, or fewer when the connection ends before.
  func answers(_ count: Int) -> [HandAnswer] {
    var found: [HandAnswer] = []
    while found.count < count {
      found += HandAnswer.take(from: &received)
      guard found.count < count, readMore() else { break }
    }
    return found
  }

  /// Everything until the daemon ends the connection.
  func rest() -> [UInt8] {
    while readMore() {}
    defer { received = [] }
    return received
  }

  /// Whether a call is answered.
  func isServed(stream: UInt32 = 1) -> Bool {
    send(HandFrame.call(stream, "baton.v1.ConnectionService", "Ping"))
      && answers(1).first.map { $0.code == 0 && $0.type == HandFrame.response } == true
  }

  static func ping(_ stream: UInt32) -> [UInt8] {
    HandFrame.call(stream, "baton.v1.ConnectionService", "Ping")
  }

  /// Attach and Register in one write, as a runner in a hurry does.
  static func register(token: UInt64, version: UInt64 = 1) -> [UInt8] {
    let secret = (0..<16).map { UInt8(truncatingIfNeeded: (token | 1) >> (UInt64($0 % 8) * 8)) }
    let message = Wire.bytes(
      1, Wire.text(2, "mail") + Wire.number(4, version) + Wire.number(5, 1) + Wire.bytes(6, secret))
    return HandFrame.call(
      1, "baton.v1.RunnerService", "Attach", flags: HandFrame.remoteOpen | HandFrame.noData)
      + HandFrame.bytes(1, HandFrame.data, 0, message)
  }

  static func heartbeat(_ sequence: UInt64) -> [UInt8] {
    HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(2, Wire.number(1, sequence)))
  }

  /// Detach, the last word of a conversation.
  static let detach = HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(5, []))
}
