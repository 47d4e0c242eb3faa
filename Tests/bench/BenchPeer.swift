import Glibc
import HandWire
import Linux

/// A client of sockets and bytes: what it costs is not what is measured.
final class BenchPeer {
  let descriptor: Int32
  private var rest: [UInt8] = []
  /// Frames by the first field of their message: 1 Registered, 2 HeartbeatAck, 3 Stop, 4 Close, 5 ActorCommands,
  /// 6 AckEvents; 0 a Response.
  var counts = [0, 0, 0, 0, 0, 0, 0]
  /// How many of the Responses say that something was not done.
  var failures = 0
  var lastSequence: UInt64 = 0
  /// Is given each message of a stream: its field, and what is in it.
  var onMessage: ((Int, HandFields) -> Void)?
  /// Of the one thread that has peers.
  private nonisolated(unsafe) static let buffer = UnsafeMutableRawBufferPointer.allocate(
    byteCount: 1 << 18, alignment: 16)

  /// Waits while the daemon's backlog is full.
  init(_ path: String) throws {
    while true {
      do throws(Errno) {
        descriptor = try UnixSocket.connect(path: path, nonblocking: false).release()
        return
      } catch {
        guard error.code == EAGAIN || error.code == ECONNREFUSED || error.code == ENOENT else { throw error }
        sched_yield()
      }
    }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { all in
      var sent = 0
      while sent < all.count {
        let count = Glibc.send(descriptor, all.baseAddress! + sent, all.count - sent, Int32(MSG_NOSIGNAL))
        if count < 0, errno == EINTR || errno == EAGAIN { continue }
        precondition(count > 0, "send: \(String(cString: strerror(errno)))")
        sent += count
      }
    }
  }

  /// What is taken without waiting; the daemon may have closed, too.
  func flood(_ bytes: [UInt8]) {
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
  }

  /// Reads once and counts the whole frames. False when there was nothing and it was not to wait.
  @discardableResult
  func receive(waits: Bool = true) -> Bool {
    let count = recv(descriptor, Self.buffer.baseAddress, Self.buffer.count, waits ? 0 : Int32(MSG_DONTWAIT))
    if count < 0, errno == EAGAIN || errno == EINTR { return false }
    precondition(count > 0, "the daemon ended the connection (\(count), \(errno))")
    let read = UnsafeRawBufferPointer(rebasing: Self.buffer[..<count])
    if rest.isEmpty {
      let used = scan(read)
      if used < read.count { rest = Array(read[used...]) }
    } else {
      rest += read
      let used = rest.withUnsafeBytes { scan($0) }
      rest.removeFirst(used)
    }
    return true
  }

  private func scan(_ bytes: UnsafeRawBufferPointer) -> Int {
    var at = 0
    while bytes.count - at >= 10 {
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
      guard bytes.count - at >= 10 + length else { break }
      if bytes[at + 8] == HandFrame.data, length > 0 {
        let field = Int(bytes[at + 10] >> 3)
        counts[field] += 1
        if field == 2 { lastSequence = Self.varint(bytes, at + 13) }
        if let onMessage {
          var fields = HandFields(UnsafeRawBufferPointer(rebasing: bytes[(at + 10)..<(at + 10 + length)]))
          if let (field, _, content) = fields.next() { onMessage(field, content) }
        }
      } else {
        counts[0] += 1
        var fields = HandFields(UnsafeRawBufferPointer(rebasing: bytes[(at + 10)..<(at + 10 + length)]))
        if let (field, _, status) = fields.next(), field == 1, !status.isEmpty { failures += 1 }
      }
      at += 10 + length
    }
    return at
  }

  private static func varint(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> UInt64 {
    var (value, shift, index): (UInt64, UInt64, Int) = (0, 0, at)
    while index < bytes.count {
      value |= UInt64(bytes[index] & 0x7F) << shift
      if bytes[index] < 0x80 { break }
      (shift, index) = (shift + 7, index + 1)
    }
    return value
  }

  func waitFor(_ field: Int, _ count: Int = 1) {
    while counts[field] < count { receive() }
  }

  // MARK: - What it says

  static func ping(_ stream: UInt32) -> [UInt8] {
    HandFrame.call(
      stream, "baton.v1.ConnectionService", "Ping", Wire.bytes(1, [UInt8](repeating: 7, count: 8)))
  }

  static func register(
    _ name: String, version: UInt64, token: UInt64, slots: UInt64 = 8, takesActors: Bool = false
  ) -> [UInt8] {
    let secret =
      (0..<8).map { UInt8(truncatingIfNeeded: token >> (UInt64($0) * 8)) } + [1, 2, 3, 4, 5, 6, 7, 8]
    let message = Wire.bytes(
      1,
      Wire.text(2, name) + Wire.number(4, version) + Wire.number(5, slots) + Wire.bytes(6, secret)
        + (takesActors ? Wire.number(9, 1) : []))
    return HandFrame.call(
      1, "baton.v1.RunnerService", "Attach", flags: HandFrame.remoteOpen | HandFrame.noData)
      + HandFrame.bytes(1, HandFrame.data, 0, message)
  }

  static func heartbeat(_ sequence: UInt64) -> [UInt8] {
    HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(2, Wire.number(1, sequence)))
  }

  /// Draining on, with ten minutes.
  static func drainOn(_ name: String, stream: UInt32 = 1) -> [UInt8] {
    let config = Wire.bytes(1, Wire.number(1, 1) + Wire.number(2, 600_000))
    return HandFrame.call(
      stream, "baton.v1.FleetService", "PutRunnerConfig", Wire.text(2, name) + Wire.bytes(3, config))
  }
}

/// A released batond of this build, on a directory of its own.
final class BenchDaemon {
  let directory: String
  let pid: pid_t
  var socket: String { directory + "/s" }

  static let programs = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false)
    .dropLast().joined(separator: "/")

  /// As other rows want it: a history is there for as long as it is measured beside.
  static let keepsAll = [
    "--keep-history", "0", "--keep-runners", "1000000000", "--keep-orders", "1000000000", "--keep-actors",
    "1000000000", "--keep-events", "1000000000",
  ]

  /// Returns when it answers.
  init(_ directory: String, keeping options: [String] = keepsAll) throws {
    self.directory = directory
    mkdir(directory, 0o700)
    let words =
      [
        "\(Self.programs)/batond", "--socket", directory + "/s", "--state-dir", directory, "--log-level",
        "warning",
        "--heartbeats-per-second", "100000000", "--lost-threshold", "10m", "--silent-threshold", "9m",
      ] + options
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, words[0], nil, nil, &arguments, environ)
    precondition(code == 0, "\(words[0]): \(String(cString: strerror(code))); make bench builds it")
    self.pid = pid
    let peer = try BenchPeer(socket)
    peer.send(BenchPeer.ping(1))
    peer.waitFor(0)
  }

  func stop() {
    kill(pid, SIGTERM)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }

  func residentKibibytes() -> Int {
    guard let file = fopen("/proc/\(pid)/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    fgets(&line, 256, file)
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (Int(text.split(separator: " ")[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024
  }
}
