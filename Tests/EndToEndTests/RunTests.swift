import Glibc
import Testing

/// The table of exit codes in `Sources/baton/RUN.md`, each by a real program.
@Suite(.timeLimit(.minutes(5))) struct RunTests {
  struct Row: Sendable, CustomTestStringConvertible {
    var what: String
    var program: [String]
    var code: Int32
    var says = ""
    var testDescription: String { what }
  }

  @Test(arguments: [
    Row(what: "it ends well", program: ["true"], code: 0),
    Row(what: "it ends with a code of its own", program: ["sh", "-c", "exit 7"], code: 7),
    Row(what: "a signal ends it", program: ["sh", "-c", "kill -SEGV $$"], code: 128 + 11),
    Row(what: "there is no such command", program: ["no-such-command"], code: 127, says: "command not found"),
    Row(what: "it is no program", program: ["/etc/passwd"], code: 126, says: "/etc/passwd"),
  ])
  func itEndsByItself(_ row: Row) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let ended = try await machine.start(UpgradeTests.run(1, row.program)).ended()
    #expect(ended.code == row.code, "\(ended.errors)")
    #expect(row.says.isEmpty || ended.errors.contains(row.says))
    #expect(try await machine.json("runners").isEmpty)
  }

  @Test func withoutADaemon() async throws {
    let machine = try Machine()
    let ended = try await machine.start(UpgradeTests.run(1, ["true"])).ended()
    #expect(ended.code == 69)
    #expect(ended.errors.contains("no daemon at \(machine.socket)") && ended.errors.contains("batond"))
  }

  @Test(arguments: [
    (["--version", "0"], "version"), (["--version", "4294967295"], "version"), (["--name", "a b"], "name"),
  ])
  func aRegistrationThatIsRefused(_ options: [String], _ says: String) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    var words = ["baton", "run", "--name", "mail", "--version", "1", "--slots", "4"]
    words[try #require(words.firstIndex(of: options[0])) + 1] = options[1]
    let ended = try await machine.start(words + ["--", "true"]).ended()
    #expect(ended.code == 78 || ended.code == 2, "\(ended.code): \(ended.errors)")
    #expect(ended.errors.contains(says))
  }

  /// An old version that comes late registers, is told at once, and leaves as drained.
  @Test func anOldVersionThatComesLate() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    _ = try await machine.run("baton", "config", "put", "mail", "--drain-on-version-upgrade")
    let new = try machine.start(UpgradeTests.run(2))
    try await machine.until("version 2 is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    #expect(try await machine.start(UpgradeTests.run(1)).ended().code == 85)
    #expect(try await machine.runners("RUNNER_PHASE_READY", version: 2) == 1)
    new.signal(SIGTERM)
    #expect(try await new.ended().code == 0)
  }

  @Test func aDeafProgramIsKilledWithItsWholeGroup() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(
      UpgradeTests.run(
        1,
        [
          "sh", "-c",
          "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $!; wait; wait; wait",
        ]))
    try await machine.until("both are up") { runner.text(of: "out").split(separator: "\n").count == 2 }
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    #expect(try await machine.run("baton", "drain", "mail", "--all", "--grace", "1s").code == 0)
    #expect(try await runner.ended().code == 86)
    let grandchild = try #require(runner.text(of: "out").split(separator: "\n").first.flatMap { pid_t($0) })
    try await machine.until("its child is gone") { kill(grandchild, 0) != 0 }
  }

  /// One signal begins a drain of its own, a second is passed on.
  @Test func aSecondSignalIsPassedOn() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(
      UpgradeTests.run(
        1,
        [
          "sh", "-c",
          "trap 'echo one; trap \"echo two; exit 0\" TERM' TERM; echo up; while :; do sleep 0.05; done",
        ]))
    try await machine.until("it is up") { runner.text(of: "out") == "up\n" }
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    runner.signal(SIGTERM)
    try await machine.until("the first came") { runner.text(of: "out") == "up\none\n" }
    try await machine.until("its own drain") {
      try await machine.json("drains").first?["cause"] as? String == "DRAIN_CAUSE_SELF"
    }
    runner.signal(SIGTERM)
    let ended = try await runner.ended()
    #expect(ended.code == 0 && ended.output == "up\none\ntwo\n")
  }

  /// Cut off from a daemon that lives (it is stopped, not dead), the program is killed before its work is another's.
  @Test func whoIsCutOffForTooLongGivesUp() async throws {
    let machine = try Machine()
    let times = ["--lost-threshold", "2s", "--silent-threshold", "1s", "--heartbeat-interval", "300ms"]
    try await machine.startDaemon(times[0], times[1], times[2], times[3], times[4], times[5])
    let runner = try machine.start(UpgradeTests.run(1, UpgradeTests.deaf))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    machine.daemon?.signal(SIGSTOP)
    let ended = try await runner.ended()
    machine.daemon?.signal(SIGCONT)
    #expect(ended.code == 87, "\(ended.errors)")
  }

  @Test func theVersionMayComeFromTheEnvironment() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let ended = try await machine.start(
      ["baton", "run", "--name", "mail", "--slots", "1", "--", "true"], environment: ["BATON_VERSION": "9"]
    ).ended()
    #expect(ended.code == 0, "\(ended.errors)")
    #expect(try await machine.json("runners", "--all").first?["version"] as? Int == 9)
  }
}
