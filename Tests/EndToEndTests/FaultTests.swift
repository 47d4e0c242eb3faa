import Foundation
import Glibc
import HandWire
import Testing

/// Faults that only real processes and a real kernel have, and that no other suite is about.
@Suite(.timeLimit(.minutes(5))) struct FaultTests {
  /// A daemon that got no time for longer than the threshold gives up nobody: what waits in its sockets is read first, and
  /// everyone has the full threshold anew.
  @Test func aStoppedDaemonGivesUpNobody() async throws {
    let machine = try Machine()
    try await machine.startDaemon(
      "--lost-threshold", "2s", "--silent-threshold", "1s", "--heartbeat-interval", "300ms")
    let peers = try (1...3).map { token in
      let peer = try RawPeer(machine.socket)
      peer.send(RawPeer.register(token: UInt64(token) << 8))
      #expect(peer.answers(1).first?.type == HandFrame.data)
      return peer
    }
    var sequence: UInt64 = 0
    func beat() {
      sequence += 1
      for peer in peers { peer.send(RawPeer.heartbeat(sequence)) }
    }
    let daemon = try #require(machine.daemon)
    daemon.signal(SIGSTOP)
    let stopped = ContinuousClock.now
    beat()
    try await machine.until("twice the threshold has passed") { ContinuousClock.now - stopped > .seconds(4) }
    daemon.signal(SIGCONT)
    try await machine.until("it has noticed") {
      beat()
      return daemon.text(of: "err").contains("the daemon did not run for a while")
    }
    #expect(try await machine.runners("RUNNER_PHASE_READY") == 3)
    #expect(!daemon.text(of: "err").contains("runner ended"))
    for peer in peers { peer.end() }
    try await machine.until("those who are really gone are given up") {
      try await machine.runners("RUNNER_PHASE_LOST") == 3
    }
  }

  /// One user's connections are bounded, and beyond the bound the daemon's own user still gets in, so that somebody can see
  /// what is going on.
  @Test func oneUsersConnectionsAreBounded() async throws {
    let machine = try Machine()
    try await machine.startDaemon("--max-connections-per-uid", "3")
    // The daemon's user is this one: three, and those that are kept for it.
    let peers = try (0..<67).map { _ in try RawPeer(machine.socket) }
    for peer in peers { #expect(peer.isServed()) }
    let late = try RawPeer(machine.socket)
    late.send(RawPeer.ping(1))
    #expect(late.answers(1).first?.code == 8)
    #expect(late.rest() == [])
    peers[0].end()
    try await machine.until("there is room again") { try await machine.run("baton", "health").code == 0 }
    for peer in peers.dropFirst() { #expect(peer.isServed(stream: 3)) }
  }

  @Test(.enabled(if: geteuid() == 0))
  func anotherUsersConnectionsLeaveRoomForTheOperator() async throws {
    let machine = try Machine()
    try await machine.startDaemon("--allow-uid", "12345", "--max-connections", "3")
    #expect(try await machine.run("chmod", "755", machine.directory).code == 0)
    let theirs = try (0..<3).map { _ in
      try machine.start([
        "setpriv", "--reuid", "12345", "--clear-groups", "socat", "-u", "PIPE",
        "UNIX-CONNECT:\(machine.socket)",
      ])
    }
    try await machine.until("they have all the connections") {
      // One of them is the asker's own, one of those that are kept.
      try await machine.json("status").first?["connections"] as? Int == 4
    }
    // It only listens: what it wrote to a connection that is closed already would end socat before it has read why.
    let more = try await machine.run(
      "setpriv", "--reuid", "12345", "--clear-groups", "socat", "-u", "UNIX-CONNECT:\(machine.socket)", "-")
    #expect(more.output.contains("--max-connections"), "\(more)")
    #expect(try await machine.run("baton", "health").code == 0)
    for process in theirs { process.signal(SIGKILL) }
  }
}
