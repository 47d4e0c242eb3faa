import Foundation
import Glibc
import HandWire
import Seeded
import Testing

/// kill -9 of the daemon at any moment, again and again: whatever it acknowledged is there afterwards.
///
/// `CHAOS=n` runs n cycles; `make chaos` a thousand. The moments are drawn from `SEED`.
@Suite(.timeLimit(.minutes(60))) struct ChaosTests {
  private static let environment = ProcessInfo.processInfo.environment

  @Test func whatWasAcknowledgedIsThere() async throws {
    let cycles = Self.environment["CHAOS"].flatMap { Int($0) } ?? 100
    let seed = Self.environment["SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
    let machine = try Machine()
    var chaos = Chaos(machine, seed: seed)
    for cycle in 1...cycles {
      try await machine.startDaemon(
        "--log-level", "error", "--lost-threshold", "10m")
      #expect(try chaos.lost() == [], "SEED=\(seed) cycle \(cycle)")
      try chaos.work()
      machine.daemon?.signal(SIGKILL)
      // What is in the sockets' buffers was said before the kill and counts.
      chaos.hearTheRest()
      _ = try await machine.daemon?.ended()
    }
    try await machine.startDaemon()
    chaos.checkAll = true
    #expect(try chaos.lost() == [], "SEED=\(seed)")
    #expect(
      chaos.acknowledged > cycles, "\(chaos.acknowledged) acknowledgements in \(cycles) cycles prove little")
  }

  /// The control: a database without the last commits is what a daemon leaves that acknowledges before it commits. The
  /// check must see it.
  @Test func anAcknowledgementBeforeTheCommitIsFound() async throws {
    let machine = try Machine()
    var chaos = Chaos(machine, seed: 1)
    try await machine.startDaemon("--log-level", "error")
    try await machine.killDaemon()
    #expect(try await machine.run("cp", "-a", machine.state, machine.directory + "/before").code == 0)
    try await machine.startDaemon("--log-level", "error")
    try chaos.work()
    machine.daemon?.signal(SIGKILL)
    chaos.hearTheRest()
    _ = try await machine.daemon?.ended()
    #expect(try await machine.run("rm", "-r", machine.state).code == 0)
    #expect(try await machine.run("mv", machine.directory + "/before", machine.state).code == 0)
    try await machine.startDaemon("--log-level", "error")
    let lost = try chaos.lost()
    #expect(lost.count >= chaos.acknowledged / 2 && !lost.isEmpty, "\(lost)")
  }
}

/// Runners and operators that speak all at once, and the history of what they were told.
private struct Chaos {
  private struct Told {
    var version: UInt64
    /// Whether it was told that it has left, too.
    var hasLeft = false
    /// A Detach is on its way: either may be true.
    var mayHaveLeft = false
  }

  private final class Client {
    let peer: RawPeer
    let version: UInt64
    var runner: UInt64?
    var hasSaidGoodbye = false
    init(_ peer: RawPeer, version: UInt64) { (self.peer, self.version) = (peer, version) }
  }

  var checkAll = false
  private(set) var acknowledged = 0
  private let machine: Machine
  private var random: SeededRandom
  private var told: [UInt64: Told] = [:]
  private var recent: Set<UInt64> = []
  private var clients: [Client] = []
  private var lastToken: UInt64 = 0

  init(_ machine: Machine, seed: UInt64) {
    self.machine = machine
    random = SeededRandom(seed: seed)
  }

  /// Everybody speaks, a few listen, and then it is time for the kill.
  mutating func work() throws {
    recent = []
    clients = []
    for _ in 0..<Int.random(in: 1...24, using: &random) {
      lastToken += 1
      let client = Client(try RawPeer(machine.socket), version: .random(in: 1...5, using: &random))
      client.peer.send(RawPeer.register(token: lastToken << 8, version: client.version))
      clients.append(client)
    }
    for client in clients.prefix(Int.random(in: 0...clients.count, using: &random)) {
      hear(client, client.peer.answers(1))
      if Bool.random(using: &random) {
        client.hasSaidGoodbye = true
        if let runner = client.runner { told[runner]?.mayHaveLeft = true }
        client.peer.send(RawPeer.detach)
      }
    }
    for client in clients where client.hasSaidGoodbye && Bool.random(using: &random) {
      hear(client, client.peer.answers(1))
    }
  }

  mutating func hearTheRest() {
    for client in clients {
      var bytes = client.peer.rest()
      hear(client, HandAnswer.take(from: &bytes))
    }
    clients = []
  }

  /// AttachResponse: registered = 1 {runner_id = 1}, close = 4 {cause = 1}; CAUSE_DETACHED is 5.
  private mutating func hear(_ client: Client, _ answers: [HandAnswer]) {
    for answer in answers where answer.type == HandFrame.data {
      let message = HandMessage(answer.payload)
      if let registered = message.messages(1).first, let runner = registered.number(1) {
        client.runner = runner
        told[runner] = Told(version: client.version, mayHaveLeft: client.hasSaidGoodbye)
        recent.insert(runner)
        acknowledged += 1
      }
      if let close = message.messages(4).first, close.number(1) == 5, let runner = client.runner {
        told[runner]?.hasLeft = true
        acknowledged += 1
      }
    }
  }

  /// What was acknowledged and is not so.
  func lost() throws -> [String] {
    let peer = try RawPeer(machine.socket)
    var found: [String] = []
    var stream: UInt32 = 1
    for (runner, told) in told.sorted(by: { $0.key < $1.key }) where checkAll || recent.contains(runner) {
      peer.send(HandFrame.call(stream, "baton.v1.FleetService", "GetRunner", Wire.number(1, runner)))
      stream += 2
      guard let answer = peer.answers(1).first else { return found + ["no answer"] }
      guard answer.code == 0, let record = HandMessage(answer.payload).messages(1).first else {
        found.append("runner \(runner): \(answer)")
        continue
      }
      // Runner: version = 5, phase = 8; RUNNER_PHASE_STOPPED is 3.
      let hasLeft = record.number(8) == 3
      if record.number(5) != told.version {
        found.append("runner \(runner) has version \(record.number(5) ?? 0)")
      }
      if told.hasLeft, !hasLeft { found.append("runner \(runner) was let go and is there") }
      if hasLeft, !told.hasLeft, !told.mayHaveLeft {
        found.append("runner \(runner) never said goodbye and is gone")
      }
    }
    return found
  }
}
