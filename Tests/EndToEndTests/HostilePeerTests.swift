import Foundation
import Glibc
import HandWire
import Seeded
import Testing

/// Peers that mean harm or were written badly, on real sockets, and good ones beside them that must not notice. Sockets
/// block the thread; between two peers it is given to other tests.
@Suite(.serialized, .timeLimit(.minutes(5))) struct HostilePeerTests {
  @Test(arguments: [Int.max, 1])
  func everyWrongInput(_ pieceBytes: Int) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let good = try RawPeer(machine.socket)
    for (index, input) in WrongInput.all.enumerated() {
      await Task.yield()
      let peer = try RawPeer(machine.socket)
      peer.send(input.bytes, pieceBytes: input.bytes.count > 100_000 ? 1 << 16 : pieceBytes)
      #expect(
        peer.answers(input.answers.count).map { "\($0.stream): \($0.code)" } == input.answers, "\(input)")
      if !input.closes, !input.isCutOff { #expect(peer.isServed(stream: 1001), "\(input)") }
      peer.endInput()
      #expect(peer.rest() == [], "\(input)")
      #expect(good.isServed(stream: UInt32(2 * index + 1)), "\(input)")
    }
  }

  /// Bytes from a seed, behind first bytes that lead to each mode.
  @Test func rubbish() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let seed =
      ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
    var random = SeededRandom(seed: seed)
    let good = try RawPeer(machine.socket)
    for round in 0..<300 {
      await Task.yield()
      let peer = try RawPeer(machine.socket)
      let first: [UInt8] = [[0, 0, 0, 40], [0x41], []][round % 3]
      peer.send(
        first
          + (0..<Int.random(in: 1...4000, using: &random)).map { _ in .random(in: 0...255, using: &random) })
      if round.isMultiple(of: 2) { peer.endInput() }
      peer.end()
      #expect(good.isServed(stream: UInt32(2 * round + 1)), "SEED=\(seed) round \(round)")
    }
  }

  /// A thousand that begin a frame and leave it at that, read nothing, or only connect; then they go, and so does all that
  /// was held for them.
  @Test func aThousandAtOnce() async throws {
    let machine = try Machine()
    try await machine.startDaemon("--first-call-timeout", "1s", "--write-timeout", "1s")
    let pid = try #require(machine.daemon).pid
    let good = try RawPeer(machine.socket)
    #expect(good.isServed())
    let before = try Self.descriptors(of: pid)
    var peers = try (0..<1000).map { _ in try RawPeer(machine.socket) }
    let big = HandFrame.call(
      1, "baton.v1.ConnectionService", "Ping", Wire.bytes(1, [UInt8](repeating: 1, count: 60_000)))
    for (index, peer) in peers.enumerated() {
      await Task.yield()
      switch index % 4 {
      case 0: _ = peer.flood([0, 0, 0])
      case 1:
        for stream: UInt32 in 0..<8 {
          var frame = big
          frame[7] = UInt8(2 * stream + 1)
          _ = peer.flood(frame)
        }
      case 2: _ = peer.flood(Array("ping".utf8))
      default: break
      }
    }
    for stream in 1...200 {
      await Task.yield()
      #expect(good.isServed(stream: UInt32(2 * stream + 1)))
    }
    #expect(try Self.residentKilobytes(of: pid) < 160_000)
    // Who only connected is left alone; the others are closed by the daemon.
    try await machine.until("the slow ones are closed") {
      try Self.descriptors(of: pid) <= before + 260 + 250
    }
    peers = []
    try await machine.until("nothing is held for them") { try Self.descriptors(of: pid) <= before }
    #expect(good.isServed(stream: 1001))
  }

  /// With no descriptor left the daemon turns people away without spinning, and takes them again when there are.
  @Test func noDescriptorIsLeft() async throws {
    let machine = try Machine()
    let daemon = try machine.start(["sh", "-c", "ulimit -n 64; exec \(Machine.programs)/batond"])
    try await machine.until("it answers") { try await machine.run("baton", "health").code == 0 }
    let good = try RawPeer(machine.socket)
    #expect(good.isServed())
    let peers = try (0..<200).map { _ in try RawPeer(machine.socket) }
    for stream in 1...50 { #expect(good.isServed(stream: UInt32(2 * stream + 1))) }
    // One line of it a while, and no loop that fails to accept again and again.
    #expect(daemon.text(of: "err").split(separator: "\n").count < 20)
    for peer in peers { peer.end() }
    try await machine.until("it takes people again") { try await machine.run("baton", "health").code == 0 }
    daemon.signal(SIGTERM)
    #expect(try await daemon.ended().code == 0)
  }

  @Test func aDescriptorThatIsPassedIsNotTaken() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let pid = try #require(machine.daemon).pid
    let good = try RawPeer(machine.socket)
    #expect(good.isServed())
    let before = try Self.descriptors(of: pid)
    for _ in 0..<50 {
      let peer = try RawPeer(machine.socket)
      _ = peer.send(descriptor: 2)
      peer.endInput()
      _ = peer.rest()
    }
    try await machine.until("none is kept") { try Self.descriptors(of: pid) <= before }
    #expect(good.isServed(stream: 3))
  }

  /// Another user finds the door open (the socket's mode is wide where uids are allowed) and is told who is served.
  @Test(.enabled(if: geteuid() == 0))
  func anotherUserIsTurnedAway() async throws {
    let machine = try Machine()
    try await machine.startDaemon("--allow-uid", "12345")
    #expect(try await machine.run("chmod", "755", machine.directory).code == 0)
    let baton = "\(machine.directory)/baton"
    #expect(try await machine.run("cp", "\(Machine.programs)/baton", baton).code == 0)
    let stranger = try await machine.run("setpriv", "--reuid", "54321", "--clear-groups", baton, "health")
    #expect(stranger.code == 1 && stranger.errors.contains("PERMISSION_DENIED"), "\(stranger)")
    let allowed = try await machine.run("setpriv", "--reuid", "12345", "--clear-groups", baton, "health")
    #expect(allowed.code == 0, "\(allowed)")
  }

  // MARK: - What the kernel says of a process

  static func descriptors(of pid: pid_t) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count
  }

  static func residentKilobytes(of pid: pid_t) throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)
    return try #require(Int(text.split(separator: " ")[1])) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024
  }
}
