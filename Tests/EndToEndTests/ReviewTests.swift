import Glibc
import HandWire
import Testing

/// The tests that reviews of `drain_on_version_upgrade` asked for, by their names. Each row: what the pool's config is, who
/// is there, who comes, and what the newcomer's decision and the drain orders are. The planner's and the registry's own
/// tables have many more; here they go through sockets, processes and a file.
@Suite(.timeLimit(.minutes(5))) struct ReviewTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var what: String
    /// Arguments of `baton config put`; nil: no config.
    var config: [String]?
    var there: [UInt32]
    var comes: UInt32
    var upgrade: String
    /// Versions of the runners that are ordered to leave.
    var leave: [Int]
    var testDescription: String { what }
  }

  private static let on = ["--drain-on-version-upgrade"]

  @Test(arguments: [
    Row(what: "drain enabled", config: on, there: [1], comes: 2, upgrade: "applied", leave: [1]),
    Row(what: "drain disabled", config: ["--no-drain"], there: [1], comes: 2, upgrade: "disabled", leave: []),
    Row(what: "config absent", config: nil, there: [1], comes: 2, upgrade: "disabled", leave: []),
    Row(what: "not normal", config: ["--serverless"], there: [1], comes: 2, upgrade: "not_normal", leave: []),
    Row(what: "none older", config: on, there: [], comes: 2, upgrade: "none_older", leave: []),
    Row(what: "equal versions", config: on, there: [2, 2], comes: 2, upgrade: "none_older", leave: []),
    Row(
      what: "several older versions", config: on, there: [1, 1], comes: 9, upgrade: "applied",
      leave: [1, 1]),
    Row(
      what: "the least and the greatest version", config: on, there: [1], comes: 4_294_967_294,
      upgrade: "applied", leave: [1]),
    Row(
      what: "an old version that comes late", config: on, there: [5], comes: 4, upgrade: "applied", leave: [4]
    ),
  ])
  func upgrade(_ row: Row) async throws {
    let machine = try Machine()
    // Where nothing is to be done, the decision is said at debug.
    try await machine.startDaemon("--log-level", "debug")
    if let config = row.config {
      #expect(try await machine.start(["baton", "config", "put", "mail"] + config).ended().code == 0)
    }
    for (index, version) in row.there.enumerated() {
      // The program does not leave when it is asked, so that who is draining is still there to be seen.
      _ = try machine.start(UpgradeTests.run(Int(version), UpgradeTests.deaf))
      try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == index + 1 }
    }
    _ = try machine.start(UpgradeTests.run(Int(row.comes), UpgradeTests.deaf))
    try await machine.until("it is there") {
      try await machine.json("runners", "--all").count == row.there.count + 1
    }
    #expect(
      try await machine.json("drains", "--all").compactMap { $0["runnerVersion"] as? Int }.sorted()
        == row.leave)
    let log = try #require(machine.daemon).text(of: "err")
    let decision = try #require(
      log.split(separator: "\n").last { $0.contains("msg=decided") && $0.contains("version=\(row.comes) ") })
    #expect(decision.contains("upgrade=\(row.upgrade) "), "\(decision)")
  }

  /// 0 is no version, and neither is the number that would have no successor.
  @Test(arguments: ["0", "4294967295", "-1", "x"])
  func versionsThatAreNone(_ version: String) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let ended = try await machine.run(
      "baton", "run", "--name", "mail", "--version", version, "--slots", "1", "--", "true")
    #expect(ended.code == 2 || ended.code == 78)
    #expect(ended.errors.contains("ersion"))
    #expect(try await machine.json("runners", "--all").isEmpty)
  }

  /// A runner that went before the upgrade came is asked nothing.
  @Test func aRunnerGone() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    _ = try await machine.run("baton", "config", "put", "mail", "--drain-on-version-upgrade")
    #expect(try await machine.start(UpgradeTests.run(1, ["true"])).ended().code == 0)
    let new = try machine.start(UpgradeTests.run(2))
    try await machine.until("version 2 is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    #expect(try await machine.json("drains", "--all").isEmpty)
    new.signal(SIGTERM)
    _ = try await new.ended()
  }

  /// Every one of hundreds gets its Stop, once, and the newcomer's decision counts them.
  @Test func hundredsOfOldRunners() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    _ = try await machine.run("baton", "config", "put", "mail", "--drain-on-version-upgrade")
    let old = try (1...400).map { number in
      let peer = try RawPeer(machine.socket)
      peer.send(RawPeer.register(token: UInt64(number) << 8))
      return peer
    }
    for peer in old { #expect(peer.answers(1).count == 1) }
    let new = try RawPeer(machine.socket)
    new.send(RawPeer.register(token: 1 << 40, version: 2))
    // AttachResponse: registered = 1 {decision = 5 {ordered = 3}}, stop = 3 {order_id = 1}.
    let decision = try #require(
      new.answers(1).first.flatMap { HandMessage($0.payload).messages(1).first?.messages(5).first })
    #expect(decision.number(3) == 400)
    let orders = old.compactMap { peer in
      peer.answers(1).first.flatMap { HandMessage($0.payload).messages(3).first?.number(1) }
    }
    #expect(Set(orders).count == 400)
    #expect(try await machine.json("pools").first?["openDrains"] as? Int == 400)
  }
}
