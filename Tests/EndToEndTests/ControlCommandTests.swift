import Foundation
import Glibc
import Testing

/// How an operator sees, holds, hastens and undoes an upgrade.
@Suite(.timeLimit(.minutes(5))) struct ControlCommandTests {
  private static let config = [
    "config", "put", "mail", "--drain-on-version-upgrade", "--capacity", "wait", "--max-draining", "1",
  ]

  /// A daemon, a config and one runner of each of these versions.
  private func fleet(_ config: [String], _ versions: Int...) async throws -> (Machine, [Running]) {
    let machine = try Machine()
    try await machine.startDaemon()
    #expect(try await machine.start(["baton"] + config).ended().code == 0)
    var runners: [Running] = []
    for version in versions {
      runners.append(try machine.start(UpgradeTests.run(version, UpgradeTests.deaf)))
      try await machine.until("it is there") { try await machine.json("runners").count == runners.count }
    }
    return (machine, runners)
  }

  @Test func everyCommandForPeopleAndForPrograms() async throws {
    let (machine, runners) = try await fleet(Self.config, 1)
    for words in [
      ["plan", "mail"], ["plan", "mail", "--version", "2", "--slots", "8"],
      ["plan", "mail", "--target", "7"],
      ["plan", "mail", "--target", "auto"],
      ["plan", "mail", "--strategy", "careful", "--drain-on-version-upgrade"],
      ["cordon", "1", "--reason", "its disk is slow"], ["runners"], ["uncordon", "1"],
      ["pin", "mail", "7", "--reason", "soon"], ["pools"], ["pin", "mail", "auto"],
      ["drains", "--watch", "mail", "--until-done"], ["drain", "mail", "--all", "--grace", "1h"],
      ["drain", "--extend", "10m", "1", "--reason", "it is close"], ["drain", "--cancel", "1"], ["drains"],
      ["explain", "1"], ["explain", "runner", "1"], ["explain", "order", "1"], ["explain", "mail"],
      ["explain", "pool", "mail"],
      ["actors", "create", "mail", "letter"], ["explain", "actor", "1"],
      ["history"], ["history", "mail", "--limit", "2"], ["history", "nothing"],
    ] { try await machine.expectAnswers(words) }
    for runner in runners { runner.signal(SIGKILL) }
  }

  @Test func aConfigSaysHowUpgradesGo() async throws {
    let (machine, _) = try await fleet([
      "config", "put", "mail", "--strategy", "careful", "--min-healthy", "5s", "--capacity", "wait",
      "--min-available",
      "75%", "--max-draining", "3", "--hold-timeout", "0",
    ])
    let get = try await machine.run("baton", "config", "get", "mail")
    let words = "healthy for 5s, waits for room (75% slots stay), 3 at once, never given up"
    #expect(get.output.contains(words), "\(get.output)")
    #expect(try await machine.run("baton", "config", "list").output.contains(words))
    let stored = try #require(
      try await machine.json("config", "get", "mail").first?["config"] as? [String: Any])
    let normal = try #require(stored["normal"] as? [String: Any])
    #expect(normal["strategy"] as? String == "STRATEGY_CAREFUL" && normal["holdTimeoutMs"] as? String == "0")
    // As it came, so it goes back; a plan may suppose it too.
    let file = machine.directory + "/config.json"
    let json = try await machine.run("baton", "config", "get", "mail", "--json").output
    try json.write(toFile: file, atomically: true, encoding: .utf8)
    #expect(try await machine.run("baton", "config", "put", "other", "--file", file).code == 0)
    #expect(try await machine.run("baton", "config", "get", "other").output.contains(words))
    #expect(try await machine.run("baton", "plan", "other", "--file", file).code == 0)
  }

  /// Three of version 1, and one of version 2 that has not room for all: one goes, two stay and it is said why.
  @Test func aPlanSaysWhoIsHeldAndByWhat() async throws {
    let (machine, runners) = try await fleet(
      ["config", "put", "mail", "--drain-on-version-upgrade", "--capacity", "wait", "--min-available", "12"],
      1, 1, 1)
    let plan = try #require(try await machine.json("plan", "mail", "--version", "2", "--slots", "4").first)
    let decision = try #require(plan["decision"] as? [String: Any])
    #expect(decision["ordered"] as? Int == 1 && plan["targetBecomes"] as? Int == 2, "\(plan)")
    let hold = try #require((plan["holds"] as? [[String: Any]])?.first)
    #expect(hold["gate"] as? String == "min_available" && hold["count"] as? Int == 2, "\(hold)")
    let fates = try #require(plan["runners"] as? [[String: Any]]).map { $0["fate"] as? String }
    #expect(fates.count { $0 == "FATE_ORDERED" } == 1 && fates.count { $0 == "FATE_HELD" } == 2)
    let said = try await machine.run("baton", "plan", "mail", "--version", "2", "--slots", "4").output
      .split { $0.isWhitespace }.joined(separator: " ")
    for part in [
      "version 2 would become its target (promoted)",
      "1 would be ordered to leave, 2 held back by min_available",
      "held (min_available)", "new 2 0 stays", try #require(hold["sentence"] as? String),
    ] { #expect(said.contains(part), "\(part): \(said)") }
    // Nothing of it has happened.
    #expect(try await machine.json("drains", "--all").isEmpty)
    for runner in runners { runner.signal(SIGKILL) }
  }

  /// One at a time to the older version, seen to its end across a crash of the daemon, and back again.
  @Test func aPinIsWatchedToItsEndAndRolledBack() async throws {
    let (machine, runners) = try await fleet(["config", "put", "mail", "--max-draining", "1"], 1, 2, 2)
    let watch = try machine.start(["baton", "drains", "--watch", "mail", "--json"])
    try await machine.until("it looks") { !watch.text(of: "out").isEmpty }
    let pin = try await machine.run("baton", "pin", "mail", "1", "--reason", "2 is slow")
    #expect(
      pin.output == """
        default/mail is pinned to version 1
        its target is version 1; 1 were ordered to leave, 1 held back by max_draining: baton drains --watch mail

        """, "\(pin.output)\(pin.errors)")
    let done = try machine.start(["baton", "drains", "--watch", "mail", "--until-done"])
    try await machine.until("the pace is shown") { done.text(of: "out").contains("1 (max_draining)") }
    #expect(try await machine.json("pools").first?["pin"] != nil)
    #expect(try await machine.run("baton", "pools").output.contains("1 (pinned)"))
    for _ in 0..<2 {
      try await machine.until("one drains") { try await machine.json("drains").count == 1 }
      let runner = try #require(try await machine.json("drains").first?["runnerId"] as? String)
      #expect(try await machine.run("baton", "drain", "--force", runner).code == 0)
      try await machine.killDaemon()
      try await machine.startDaemon()
    }
    let ended = try await done.ended()
    #expect(ended.code == 0 && ended.output.contains("target 1 (pinned)"), "\(ended.output)\(ended.errors)")
    try await machine.until("the other one saw it too") {
      watch.text(of: "out").contains(#""left":2,"total":2,"done":true"#)
    }
    let rollback = try await machine.run("baton", "rollback", "mail")
    #expect(
      rollback.output.hasPrefix("default/mail is pinned to version 2\n"),
      "\(rollback.output)\(rollback.errors)")
    #expect(rollback.output.contains("1 held back by no_runner"))
    let auto = try await machine.run("baton", "pin", "mail", "auto")
    #expect(auto.output.hasPrefix("the target of default/mail moves by itself again\n"))
    watch.signal(SIGINT)
    for runner in runners { runner.signal(SIGKILL) }
  }

  /// Whoever waits for an upgrade that was given up is not left waiting.
  @Test func anAbandonedUpgradeEndsTheWatch() async throws {
    let (machine, runners) = try await fleet(
      Self.config + ["--hold-timeout", "2s", "--min-available", "8"], 1, 2)
    let ended = try await machine.run("baton", "drains", "--watch", "mail", "--until-done", "--json")
    #expect(ended.code == 4, "\(ended.errors)")
    let last = try #require(ended.output.split(separator: "\n").last)
    #expect(last.contains(#""gate":"abandoned""#) && last.contains(#""done":false"#), "\(last)")
    #expect(try await machine.run("baton", "pools").output.contains("v2 abandoned"))
    for runner in runners { runner.signal(SIGKILL) }
  }

  /// A wrapper that has sent SIGTERM cannot take it back; the order goes on, with more time, until it is forced.
  @Test func anOrderIsChanged() async throws {
    let (machine, runners) = try await fleet(["config", "put", "mail"], 1, 1)
    #expect(try await machine.run("baton", "drain", "--runner", "1", "--grace", "1h").code == 0)
    try await machine.until("it has its Stop") {
      try await machine.json("drains").first?["state"] as? String == "DRAIN_STATE_ACKED"
    }
    let offered = try await machine.run("baton", "drain", "--cancel", "1", "--reason", "a mistake")
    #expect(
      offered.code == 0 && offered.output.contains("was offered a way back"),
      "\(offered.output)\(offered.errors)")
    try await machine.until("it has answered") {
      try await machine.run("baton", "drains").output.contains("(way back too_late)")
    }
    let again = try await machine.run("baton", "drain", "--cancel", "--order", "1")
    #expect(again.code == 1 && again.errors.contains("answered that it has begun to end"), "\(again.errors)")
    let extended = try await machine.run(
      "baton", "drain", "--extend", "1h", "--order", "1", "--reason", "it is close")
    #expect(extended.output.hasPrefix("runner 1 v1: order 1 has 1h59m left"), "\(extended.output)")
    // One that is refused does not keep the other from its end.
    let forced = try await machine.run("baton", "drain", "--force", "2", "1", "--reason", "now")
    #expect(forced.code == 1 && forced.errors.contains("runner 2 is ready: it has no open drain order"))
    #expect(forced.output.hasPrefix("runner 1 v1: forced after "), "\(forced.output)")
    for runner in runners { runner.signal(SIGKILL) }
  }

  @Test func runnersAreCordoned() async throws {
    let (machine, runners) = try await fleet(["config", "put", "mail"], 1, 1)
    let cordon = try await machine.run("baton", "cordon", "1", "2", "9", "--reason", "their disk is slow")
    #expect(cordon.code == 1 && cordon.errors.contains("runner 9 does not exist"), "\(cordon.errors)")
    #expect(cordon.output.split(separator: "\n").count == 2)
    #expect(cordon.output.hasPrefix("runner 1 v1 of default/mail is cordoned: it keeps its 0 actors"))
    #expect(try await machine.json("runners").allSatisfy { $0["cordoned"] as? Bool == true })
    #expect(try await machine.run("baton", "runners").output.contains("ready (cordoned)"))
    #expect(try await machine.json("uncordon", "1").first?["cordoned"] as? Bool == false)
    for runner in runners { runner.signal(SIGKILL) }
  }

  /// The runner that does not finish, the one that waits for it, and who is to blame.
  @Test func explainSaysWhyWhoAndWhatCanBeDone() async throws {
    let (machine, runners) = try await fleet(["config", "put", "mail", "--max-draining", "1"], 1, 2, 2)
    #expect(try await machine.run("baton", "pin", "mail", "1", "--reason", "2 is slow").code == 0)
    try await machine.until("one drains") { try await machine.json("drains").count == 1 }
    let who = "uid \(getuid())"
    for (words, parts) in [
      (["2"], ["order 1", "2 is slow", who, "baton drain --force 2"]),
      (["order", "1"], ["runner 2", "2 is slow", who]),
      (["3"], ["max_draining", "2 is slow", "baton drains --watch mail"]), (["1"], ["version 1"]),
      (["mail"], ["max_draining", "2 is slow", who]), (["pool", "mail"], ["max_draining"]),
    ] {
      let said = try await machine.start(["baton", "explain"] + words).ended()
      #expect(said.code == 0, "\(said.errors)")
      let text = said.output.split { $0.isWhitespace }.joined(separator: " ")
      for part in parts { #expect(text.contains(part), "\(words), \(part): \(text)") }
    }
    let json = try #require(try await machine.json("explain", "2").first)
    #expect(
      json["outlook"] as? String == "OUTLOOK_SLOW" && (json["sentences"] as? [String])?.isEmpty == false)
    let who2 = (json["causes"] as? [[String: Any]])?.compactMap {
      ($0["who"] as? [String: Any])?["uid"] as? Int
    }
    #expect(who2?.contains(Int(getuid())) == true, "\(json)")
    for runner in runners { runner.signal(SIGKILL) }
  }

  @Test func historyTellsWhoDecidedWhatAndWhy() async throws {
    let (machine, runners) = try await fleet(["config", "put", "mail"], 1, 1)
    #expect(try await machine.run("baton", "pin", "mail", "1", "--reason", "2 is slow").code == 0)
    #expect(try await machine.run("baton", "drain", "mail", "--all", "--reason", "night").code == 0)
    let said = try await machine.run("baton", "history", "mail").output.split(separator: "\n").map(
      String.init)
    let who = "(uid \(getuid())), baton["
    for (row, parts) in [
      (1, ["drain_ordered: 2 runners of v1", who, "operator: night"]),
      (2, ["target_set: v1", who, "pinned to 1: 2 is slow"]),
    ] { for part in parts { #expect(said[row].contains(part), "\(part): \(said)") } }
    #expect(said.last?.contains("config_put") == true)
    let entries = try await machine.json("history", "--limit", "2")
    #expect(entries.map { $0["orders"] as? Int } == [2, 0])
    #expect(
      entries.map { ($0["event"] as? [String: Any])?["kind"] as? String }
        == ["EVENT_KIND_DRAIN_ORDERED", "EVENT_KIND_TARGET_SET"])
    for runner in runners { runner.signal(SIGKILL) }
  }

  @Test(arguments: [
    CommandTests.Wrong(words: ["plan"], code: 2, says: "the pool"),
    .init(words: ["plan", "nothing"], code: 1, says: "NOT_FOUND: pool default/nothing does not exist"),
    .init(words: ["plan", "mail", "--version", "0"], code: 2, says: "--version must be"),
    .init(words: ["plan", "mail", "--slots", "3"], code: 2, says: "--slots goes with --version"),
    .init(words: ["plan", "mail", "--version", "2", "--target", "2"], code: 2, says: "one thing at a time"),
    .init(words: ["plan", "mail", "--target", "old"], code: 2, says: "--target must be"),
    .init(words: ["config", "put", "mail", "--strategy", "brave"], code: 2, says: "immediate or careful"),
    .init(words: ["config", "put", "mail", "--capacity", "x"], code: 2, says: "proceed or wait"),
    .init(words: ["config", "put", "mail", "--max-draining", "some"], code: 2, says: "such as 25%"),
    .init(
      words: ["config", "put", "mail", "--max-draining", "0"], code: 1, says: "config.normal.max_draining"),
    .init(
      words: ["config", "put", "mail", "--min-available", "50%"], code: 1, says: "only with capacity wait"),
    .init(
      words: ["config", "put", "mail", "--serverless", "--strategy", "careful"], code: 2,
      says: "never drained"),
    .init(words: ["explain"], code: 2, says: "runner ID, order ID, actor ID or pool NAME"),
    .init(
      words: ["explain", "runner", "mail"], code: 2, says: "a runner is named by its id, not by \"mail\""),
    .init(words: ["explain", "order", "x"], code: 2, says: "an order is named by its id"),
    .init(words: ["explain", "daemon", "1"], code: 2, says: "runner ID, order ID, actor ID or pool NAME"),
    .init(words: ["explain", "77"], code: 1, says: "NOT_FOUND: runner 77 does not exist"),
    .init(words: ["explain", "order", "77"], code: 1, says: "NOT_FOUND: drain order 77 does not exist"),
    .init(words: ["explain", "actor", "77"], code: 1, says: "NOT_FOUND: actor 77 does not exist"),
    .init(words: ["explain", "nothing"], code: 1, says: "NOT_FOUND: pool default/nothing does not exist"),
    .init(words: ["history", "a", "b"], code: 2, says: "at most one name"),
    .init(words: ["history", "--limit", "0"], code: 2, says: "--limit must be"),
    .init(words: ["history", "!"], code: 1, says: "INVALID_ARGUMENT: name must be"),
    .init(words: ["pin", "mail"], code: 2, says: "a VERSION or auto"),
    .init(words: ["pin", "mail", "new"], code: 2, says: "or auto; not \"new\""),
    .init(words: ["pin", "nothing", "2"], code: 1, says: "NOT_FOUND: pool default/nothing does not exist"),
    .init(words: ["rollback"], code: 2, says: "the pool"),
    .init(words: ["rollback", "mail"], code: 1, says: "has had no other target version"),
    .init(words: ["cordon"], code: 2, says: "name each runner by its id"),
    .init(words: ["cordon", "mail"], code: 2, says: "a runner is named by its id, not by \"mail\""),
    .init(words: ["uncordon", "77"], code: 1, says: "NOT_FOUND: runner 77 does not exist"),
    .init(words: ["drain", "--cancel"], code: 2, says: "name each runner by its id"),
    .init(words: ["drain", "--cancel", "--force", "1"], code: 2, says: "not two of them"),
    .init(words: ["drain", "--force", "1", "--grace", "1s"], code: 2, says: "--grace is for new orders"),
    .init(words: ["drain", "--extend", "1ms", "1"], code: 2, says: "--extend must be"),
    .init(words: ["drain", "mail", "--order"], code: 2, says: "--order goes with"),
    .init(words: ["drain", "--cancel", "--order", "77"], code: 1, says: "NOT_FOUND: drain order 77"),
    .init(words: ["drains", "--watch"], code: 2, says: "drains --watch NAME"),
    .init(words: ["drains", "--watch", "mail", "--all"], code: 2, says: "--all is for the list"),
    .init(words: ["drains", "--watch", "nothing"], code: 1, says: "NOT_FOUND: pool default/nothing"),
    .init(words: ["drains", "mail", "--until-done"], code: 2, says: "--until-done goes with --watch"),
  ])
  func aWrongCommandSaysWhatIsWrong(_ row: CommandTests.Wrong) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    #expect(try await machine.run("baton", "config", "put", "mail").code == 0)
    let ended = try await machine.start(["baton"] + row.words).ended()
    #expect(ended.code == row.code, "\(ended.code): \(ended.errors)")
    #expect((ended.errors + ended.output).contains(row.says), "\(ended.errors)")
  }
}
