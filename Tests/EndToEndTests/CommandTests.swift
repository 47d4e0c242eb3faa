import Foundation
import Glibc
import Testing

/// What an operator types, and what they see.
@Suite(.timeLimit(.minutes(5))) struct CommandTests {
  /// Every command that asks; each prints something for people and one JSON object a line for programs.
  @Test func everyCommandForPeopleAndForPrograms() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let commands = [
      [
        "config", "put", "mail", "--drain-on-version-upgrade", "--drain-grace", "20s", "--metadata",
        "team=post",
      ],
      ["config", "get", "mail"], ["config", "list"], ["namespaces", "create", "staging"], ["namespaces"],
      [
        "config", "put", "mail", "--actor-start", "20s", "--actor-stop", "5m", "--actor-backoff", "1s",
        "--fallback",
      ],
      ["actors", "create", "mail", "letter", "--key", "a", "--input", "dear", "--crash-policy", "sleep"],
      ["actors", "create", "mail", "letter", "--key", "a", "--or-get"],
      ["actors"], ["actors", "list", "mail", "--state", "pending", "--name", "letter", "--key", "a"],
      ["actors", "get", "1"], ["actors", "why", "1"], ["actors", "sleep", "1"], ["actors", "wake", "1"],
      ["actors", "destroy", "1"], ["actors", "watch", "1"], ["actors", "list", "--all"],
      ["status"],
      ["health"], ["ping"], ["metrics"], ["runners"], ["runners", "mail", "--all"], ["pools"],
      ["drain", "mail", "--all"],
      ["drains"], ["drains", "--all"], ["call", "ListRunners"], ["call", "GetPool", #"{"name":"mail"}"#],
    ]
    let runner = try machine.start(UpgradeTests.run(1, UpgradeTests.deaf))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    for words in commands {
      try await machine.expectAnswers(words)
    }
    runner.signal(SIGKILL)
  }

  /// Copied while runners come and go, the daemon is killed and its state lost: what the copy holds goes on.
  @Test func aBackupIsRestored() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(UpgradeTests.run(1, UpgradeTests.deaf))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    #expect(try await machine.run("baton", "config", "put", "mail", "--drain-grace", "20s").code == 0)
    let copy = machine.directory + "/copy.db"
    let made = try await machine.run("baton", "backup", copy)
    #expect(made.code == 0 && made.output == "copied to \(copy)\n", "\(made.errors)")
    let again = try await machine.run("baton", "backup", copy)
    #expect(again.code == 1 && again.errors.contains("File exists"), "\(again.errors)")
    // The daemon goes on writing as if nobody had read.
    #expect(try await machine.run("baton", "config", "put", "late").code == 0)
    try await machine.killDaemon()
    for name in ["baton.db", "baton.db-wal", "baton.db-shm"] {
      try? FileManager.default.removeItem(atPath: "\(machine.state)/\(name)")
    }
    let nothing = try await machine.run("baton", "backup", machine.directory + "/other.db")
    #expect(nothing.code == 1 && nothing.errors.contains("baton.db"), "\(nothing.errors)")
    #expect(!FileManager.default.fileExists(atPath: machine.directory + "/other.db"))
    try FileManager.default.moveItem(atPath: copy, toPath: machine.state + "/baton.db")
    try await machine.startDaemon()
    #expect(try await machine.json("config", "list").map { $0["name"] as? String } == ["mail"])
    // It resumes with its token, as after any restart.
    try await machine.until("it is back") {
      try await machine.json("runners").first?["link"] as? String == "RUNNER_LINK_ATTACHED"
    }
    runner.signal(SIGKILL)
  }

  struct Wrong: Sendable, CustomTestStringConvertible {
    var words: [String]
    var code: Int32
    var says: String
    var testDescription: String { words.joined(separator: " ") }
  }

  /// Each error says what to do next.
  @Test(arguments: [
    Wrong(words: [], code: 2, says: "usage: baton"),
    Wrong(words: ["frobnicate"], code: 2, says: "frobnicate"),
    Wrong(words: ["runners", "--wrong"], code: 2, says: "unknown option --wrong"),
    Wrong(words: ["backup"], code: 2, says: "the file to make"),
    Wrong(words: ["drain"], code: 2, says: "--runner"),
    Wrong(words: ["drain", "--runner", "x"], code: 2, says: "x"),
    Wrong(words: ["drain", "nothing", "--all"], code: 1, says: "does not exist"),
    Wrong(words: ["drain", "--runner", "77"], code: 1, says: "77"),
    Wrong(words: ["config", "get", "nothing"], code: 1, says: "nothing"),
    Wrong(words: ["config", "put", "a b"], code: 1, says: "name must be"),
    Wrong(words: ["actors", "list", "--state", "dreaming"], code: 2, says: "pending, starting"),
    Wrong(words: ["actors", "get", "mail"], code: 2, says: "by its id"),
    Wrong(words: ["actors", "why", "77"], code: 1, says: "77"),
    Wrong(
      words: ["actors", "create", "mail", "a", "--crash-policy", "x"], code: 2,
      says: "restart, sleep or destroy"),
    Wrong(words: ["actors", "create", "mail", "a", "--or-get"], code: 2, says: "--key"),
    Wrong(words: ["config", "put", "mail", "--actor-start", "1ms"], code: 2, says: "--actor-start"),
    Wrong(words: ["call", "Nothing"], code: 2, says: "Nothing"),
    Wrong(words: ["call", "Ping", "{"], code: 1, says: "JSON"),
    Wrong(words: ["run", "--name", "a"], code: 2, says: "--version"),
  ])
  func aWrongCommandSaysWhatIsWrong(_ row: Wrong) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let ended = try await machine.start(["baton"] + row.words).ended()
    #expect(ended.code == row.code, "\(ended.code): \(ended.errors)")
    #expect((ended.errors + ended.output).contains(row.says), "\(ended.errors)")
  }

  @Test(arguments: [["status"], ["runners"], ["drain", "mail", "--all"], ["watch"], ["metrics"], ["ping"]])
  func withoutADaemonItSaysWhatToStart(_ words: [String]) async throws {
    let machine = try Machine()
    let ended = try await machine.start(["baton"] + words).ended()
    #expect(ended.code == 3)
    #expect(ended.errors.contains("no daemon at \(machine.socket)"), "\(ended.errors)")
    #expect(ended.errors.contains("batond --socket \(machine.socket)"), "\(ended.errors)")
  }

  /// As the README has it.
  @Test func aSessionWithSocat() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let said = try await machine.run(
      "socat", "-t", "60", "-", "UNIX-CONNECT:\(machine.socket)",
      input: """
        CreateNamespace {"name":"staging"}
        ListNamespaces
        GetRunner {"runnerId":"1"}
        quit

        """)
    #expect(said.code == 0, "\(said.errors)")
    let lines = said.output.split(separator: "\n")
    #expect(lines.count == 6)
    #expect(lines[1] == "OK" && lines[3] == "OK" && lines[5] == "OK")
    #expect(lines[2].contains(#""name":"staging""#))
    #expect(lines[4] == "ERR NOT_FOUND runner 1 does not exist")
  }

  /// A drain that is not done in its time has an exit code of its own.
  @Test func aDrainThatHadToBeForcedIsNoSuccess() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(UpgradeTests.run(1))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    runner.signal(SIGSTOP)
    let drain = try await machine.run("baton", "drain", "mail", "--all", "--grace", "1s", "--wait")
    #expect(drain.code == 4, "\(drain.errors)")
    #expect((drain.output + drain.errors).contains("forced"))
    runner.signal(SIGKILL)
  }

  @Test func watchFollows() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let watch = try machine.start(["baton", "watch", "--from", "0", "--json"])
    #expect(try await machine.start(UpgradeTests.run(1, ["true"])).ended().code == 0)
    try await machine.until("it has seen the end") {
      watch.text(of: "out").contains("EVENT_KIND_RUNNER_STOPPED")
    }
    #expect(watch.text(of: "out").contains("EVENT_KIND_RUNNER_REGISTERED"))
    // Revisions without a gap.
    let revisions = watch.text(of: "out").split(separator: "\n").compactMap { line in
      (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["revision"] as? String
    }.compactMap { Int($0) }
    #expect(revisions == Array(1...revisions.count))
    watch.signal(SIGINT)
    #expect(try await watch.ended().code == 128 + SIGINT)
  }
}
