import Foundation
import HandWire
import Testing

/// `CYCLES=100000` has the numbers of a long life; it takes minutes.
@Suite(.timeLimit(.minutes(60))) struct CycleTests {
  /// Runners that come and go: what they cost is given back.
  @Test func cyclesLeaveNothingBehind() async throws {
    let cycles = ProcessInfo.processInfo.environment["CYCLES"].flatMap { Int($0) } ?? 2000
    let machine = try Machine()
    try await machine.startDaemon("--log-level", "warning")
    let pid = try #require(machine.daemon).pid
    func turn(_ range: Range<Int>) async throws {
      for cycle in range {
        await Task.yield()
        let peer = try RawPeer(machine.socket)
        peer.send(RawPeer.register(token: UInt64(cycle + 1) << 8))
        #expect(peer.answers(1).first?.type == HandFrame.data)
        peer.send(RawPeer.detach)
        // Close, and the end of the stream.
        #expect(peer.answers(2).count == 2)
      }
    }
    // Caches, arenas and SQLite's pages fill first.
    try await turn(0..<cycles / 4)
    let (descriptors, memory) = (
      try HostilePeerTests.descriptors(of: pid), try HostilePeerTests.residentKilobytes(of: pid)
    )
    let database = try machine.databaseKilobytes()
    try await turn(cycles / 4..<cycles)
    try await machine.until("no descriptor is kept") {
      try HostilePeerTests.descriptors(of: pid) <= descriptors
    }
    // SQLite keeps the pages that it wrote, up to its cache's bound; beside them nothing may grow.
    let pages = try machine.databaseKilobytes() - database
    let grown = try HostilePeerTests.residentKilobytes(of: pid) - memory
    #expect(grown - pages < 8192, "\(cycles) cycles: grew by \(grown) KiB, the database by \(pages)")
    #expect(try await machine.json("status").first?["runnersEnded"] as? String == "\(cycles)")
  }
}
