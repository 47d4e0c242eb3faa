import Foundation
import Glibc
import Testing

/// Actors as real processes under `baton run --per-actor`.
@Suite(.timeLimit(.minutes(5))) struct PerActorTests {
  static func run(_ version: Int, slots: Int = 4, _ script: String) -> [String] {
    [
      "baton", "run", "--name", "mail", "--version", "\(version)", "--slots", "\(slots)", "--per-actor", "--",
      "sh", "-c", script,
    ]
  }

  private static func actor(_ machine: Machine, _ id: Int) async throws -> [String: Any] {
    try #require(try await machine.json("actors", "get", "\(id)").first)
  }

  private static func state(_ machine: Machine, _ id: Int) async throws -> String? {
    try await actor(machine, id)["state"] as? String
  }

  @Test func aProgramKnowsItsActor() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let told = machine.directory + "/told"
    let runner = try machine.start(
      Self.run(
        1,
        """
        { echo "$BATON_ACTOR_ID $BATON_ACTOR_NAMESPACE $BATON_ACTOR_NAME $BATON_ACTOR_KEY $BATON_ACTOR_GENERATION"
          echo "$BATON_RUNNER_ID $BATON_ACTOR_INPUT"; cat; } > \(told)
        """))
    let created = try await machine.run(
      "baton", "actors", "create", "mail", "letter", "--key", "a/1", "--input", "dear")
    #expect(created.code == 0, "\(created.errors)")
    try await machine.until("it is done") { try await Self.state(machine, 1) == "ACTOR_STATE_DESTROYED" }
    #expect(try String(contentsOfFile: told, encoding: .utf8) == "1 default letter a/1 1\n1 dear\ndear")
    runner.signal(SIGTERM)
    #expect(try await runner.ended().code == 0)
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var script: String
    var input = "x"
    var state: String
    var message: String
    var testDescription: String { script }
  }

  @Test(arguments: [
    Row(script: "exit 0", state: "DESTROYED", message: ""),
    Row(script: "exit 7", state: "SLEEPING", message: "exit status 7"),
    Row(script: "kill -SEGV $$", state: "SLEEPING", message: "ended by signal 11"),
    // What the environment cannot hold is on standard input alone.
    Row(
      script: #"test -z "${BATON_ACTOR_INPUT+x}" && test $(wc -c) = 40000"#,
      input: String(repeating: "x", count: 40_000), state: "DESTROYED", message: ""),
  ])
  func itsExitStatusSaysHowItEnded(_ row: Row) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(Self.run(1, row.script))
    let created = try await machine.run(
      "baton", "actors", "create", "mail", "letter", "--input-file", "-", "--crash-policy", "sleep",
      input: row.input)
    #expect(created.code == 0, "\(created.errors)")
    try await machine.until("it has ended") { try await Self.state(machine, 1) == "ACTOR_STATE_\(row.state)" }
    #expect(try await Self.actor(machine, 1)["stopMessage"] as? String == row.message)
    runner.signal(SIGTERM)
    #expect(try await runner.ended().code == 0)
  }

  @Test func aProgramThatCannotBeStartedIsACrash() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(
      ["baton", "run", "--name", "mail", "--version", "1", "--per-actor", "--", "no-such-command"])
    _ = try await machine.run("baton", "actors", "create", "mail", "letter", "--crash-policy", "sleep")
    try await machine.until("it has failed") { try await Self.state(machine, 1) == "ACTOR_STATE_SLEEPING" }
    let message = try await Self.actor(machine, 1)["stopMessage"] as? String
    #expect(message?.contains("command not found") == true, "\(message ?? "")")
    runner.signal(SIGTERM)
    #expect(try await runner.ended().code == 0)
  }

  /// SIGKILL before its time is over; the runner says that it had to.
  @Test func aProgramThatDoesNotListenIsKilled() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    _ = try await machine.run("baton", "config", "put", "mail", "--actor-stop", "1s")
    let deaf = "trap '' TERM; echo deaf; while :; do read line; done < \(machine.directory)/fifo"
    #expect(try await machine.run("mkfifo", machine.directory + "/fifo").code == 0)
    let runner = try machine.start(Self.run(1, "exec 3<>\(machine.directory)/fifo; " + deaf))
    _ = try await machine.run("baton", "actors", "create", "mail", "letter")
    try await machine.until("it runs") { runner.text(of: "out") == "deaf\n" }
    _ = try await machine.run("baton", "actors", "sleep", "1")
    try await machine.until("it sleeps") { try await Self.state(machine, 1) == "ACTOR_STATE_SLEEPING" }
    #expect(try await Self.actor(machine, 1)["stopMessage"] as? String == "ended by signal 9")
    runner.signal(SIGTERM)
    #expect(try await runner.ended().code == 86)
  }

  /// Writes down when it finds another process of its actor at work.
  private static func alone(_ directory: String) -> String {
    """
    last=$(cat \(directory)/actor.$BATON_ACTOR_ID 2>/dev/null)
    if [ -n "$last" ] && grep -q '^State:.*[RSDT] ' /proc/$last/status 2>/dev/null &&
      ! grep -qE '^(Sig|Shd)Pnd:.*[13579bdf][0-9a-f]{2}$' /proc/$last/status; then
      echo "actor $BATON_ACTOR_ID runs twice" >> \(directory)/twice
    fi
    echo $$ > \(directory)/actor.$BATON_ACTOR_ID
    exec sleep 1000
    """
  }

  /// Version 1 on four processes, kill -9 of the daemon and of one of them, then version 2, and kill -9 of the daemon again.
  @Test func actorsOutliveTheirRunnersAndMoveToTheNextVersion() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let count = 500
    let script = Self.alone(machine.directory)
    _ = try await machine.run("baton", "config", "put", "mail", "--drain-on-version-upgrade")
    let old = try (0..<4).map { _ in try machine.start(Self.run(1, slots: 300, script)) }
    for number in 1...count {
      let created = try await machine.run(
        "baton", "actors", "create", "mail", "letter", "--key", "k\(number)")
      try #require(created.code == 0, "\(created.errors)")
    }
    func generations(onVersion version: Int) async throws -> [String: Int] {
      var generations: [String: Int] = [:]
      for actor in try await machine.json("actors", "list", "mail", "--state", "running") {
        guard actor["runnerVersion"] as? Int == version, let key = actor["key"] as? String else { continue }
        generations[key] = (actor["generation"] as? String).flatMap { Int($0) }
      }
      return generations
    }
    try await machine.until("all run") { try await generations(onVersion: 1).count == count }
    #expect(try await generations(onVersion: 1).values.allSatisfy { $0 == 1 })

    try await machine.killDaemon()
    try await machine.startDaemon()
    try await machine.until("the runners are back") {
      try await machine.json("runners").count { $0["link"] as? String == "RUNNER_LINK_ATTACHED" } == 4
    }
    // Nothing moved.
    #expect(try await generations(onVersion: 1).values.allSatisfy { $0 == 1 })

    let lost = try await machine.json("runners").first {
      ($0["peer"] as? [String: Any])?["pid"] as? Int == Int(old[0].pid)
    }
    let moved = try await machine.json("actors", "list", "--runner", try #require(lost?["id"] as? String))
      .count
    old[0].signal(SIGKILL)
    try await machine.until("its actors run elsewhere") {
      let generations = try await generations(onVersion: 1)
      return generations.count == count && generations.values.count { $0 == 2 } == moved
    }
    let before = try await generations(onVersion: 1)

    let new = try (0..<2).map { _ in try machine.start(Self.run(2, slots: 300, script)) }
    // And once more in the middle of the move.
    try await machine.until("some have moved") { try await !generations(onVersion: 2).isEmpty }
    try await machine.killDaemon()
    try await machine.startDaemon()
    for runner in old.dropFirst() {
      let ended = try await runner.ended()
      #expect(ended.code == 85, "\(ended.errors)")
    }
    try await machine.until("all run on version 2") { try await generations(onVersion: 2).count == count }
    #expect(try await generations(onVersion: 2) == before.mapValues { $0 + 1 })
    #expect(access(machine.directory + "/twice", F_OK) != 0)
    for runner in new { runner.signal(SIGTERM) }
    for runner in new { #expect(try await runner.ended().code == 0) }
    #expect(try await machine.json("actors", "list", "--state", "pending").count == count)
    #expect(try await machine.json("runners").isEmpty)
  }
}
