import Glibc
import Testing

/// Versions relieve each other as real processes, under daemons and workers that die.
@Suite(.timeLimit(.minutes(5))) struct UpgradeTests {
  /// A worker that finishes what it has begun when SIGTERM comes, and says both: one that has not begun yet would just die.
  static let worker = ["sh", "-c", "trap 'echo finished; exit 0' TERM; echo begun; sleep 1000 & wait $!"]
  /// One that does not listen.
  static let deaf = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1000 & wait $!; done"]

  static func run(_ version: Int, _ program: [String] = worker, _ options: String...) -> [String] {
    ["baton", "run", "--name", "mail", "--version", "\(version)", "--slots", "4"] + options + ["--"] + program
  }

  @Test func anUpgradeUnderBatonRun() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    _ = try await machine.run("baton", "config", "put", "mail", "--drain-on-version-upgrade")
    let old = [
      try machine.start(Self.run(1)), try machine.start(Self.run(1)), try machine.start(Self.run(1)),
    ]
    try await machine.until("three of version 1") { try await machine.runners("RUNNER_PHASE_READY") == 3 }
    try await machine.until("they work") { old.allSatisfy { $0.text(of: "out") == "begun\n" } }
    let new = try machine.start(Self.run(2))
    for process in old {
      let ended = try await process.ended()
      #expect(ended.code == 85)
      #expect(ended.output == "begun\nfinished\n")
      #expect(ended.errors.contains("stop, order") && ended.errors.contains("version_upgrade"))
    }
    // Who was stopped, why, by whom, and how long it took.
    let orders = try await machine.json("drains", "--all")
    #expect(orders.count == 3)
    for order in orders {
      #expect(order["state"] as? String == "DRAIN_STATE_COMPLETED")
      #expect(order["cause"] as? String == "DRAIN_CAUSE_VERSION_UPGRADE")
      #expect(order["targetVersion"] as? Int == 2)
      #expect((order["who"] as? [String: Any])?["pid"] as? Int == Int(new.pid))
      #expect(order["reason"] as? String == "version 2 is the target of default/mail")
    }
    let table = try await machine.run("baton", "drains", "--all")
    #expect(table.output.contains("completed") && table.output.contains("baton[\(new.pid)]"))
    new.signal(SIGTERM)
    #expect(try await new.ended().code == 0)
    #expect(try await machine.runners("RUNNER_PHASE_STOPPED") == 4)
  }

  /// The daemon is killed when the Stops are out and one worker is still at it; what was decided is decided.
  @Test func theDaemonIsKilledInTheMiddleOfAnUpgrade() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    _ = try await machine.run("baton", "config", "put", "mail", "--drain-on-version-upgrade")
    let quick = try machine.start(Self.run(1))
    let gate = machine.directory + "/gate"
    let slow = try machine.start(
      Self.run(
        1,
        ["sh", "-c", "trap ': > \(gate).asked' TERM; while [ ! -e \(gate) ]; do sleep 0.05; done; echo late"])
    )
    try await machine.until("two of version 1") { try await machine.runners("RUNNER_PHASE_READY") == 2 }
    let new = try machine.start(Self.run(2))
    #expect(try await quick.ended().code == 85)
    try await machine.until("the slow one is asked") { access(gate + ".asked", F_OK) == 0 }
    try await machine.killDaemon()
    try await machine.startDaemon()
    // The one that finished is finished, the other's order is open, whoever was ready is.
    try await machine.until("everybody is back") {
      try await machine.json("runners").count { $0["link"] as? String == "RUNNER_LINK_ATTACHED" } == 2
    }
    #expect(try await machine.json("drains").count == 1)
    #expect(try await machine.runners("RUNNER_PHASE_DRAINING", version: 1) == 1)
    #expect(try await machine.runners("RUNNER_PHASE_READY", version: 2) == 1)
    #expect(try await machine.run("touch", gate).code == 0)
    let ended = try await slow.ended()
    #expect(ended.code == 85 && ended.output == "late\n")
    let orders = try await machine.json("drains", "--all")
    #expect(orders.count == 2 && orders.allSatisfy { $0["state"] as? String == "DRAIN_STATE_COMPLETED" })
    new.signal(SIGTERM)
    #expect(try await new.ended().code == 0)
  }

  /// The order is made while its runner is stopped (SIGSTOP) and the daemon dies before it is delivered: the Stop comes
  /// after the restart.
  @Test func aStopThatCannotBeDeliveredIsDeliveredLater() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let old = try machine.start(Self.run(1))
    try await machine.until("it works") { old.text(of: "out") == "begun\n" }
    try await machine.until("one of version 1") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    old.signal(SIGSTOP)
    #expect(try await machine.run("baton", "drain", "mail", "--all", "--reason", "move").code == 0)
    #expect(try await machine.json("drains").first?["ackedAtMs"] as? String == "0")
    try await machine.killDaemon()
    try await machine.startDaemon()
    #expect(try await machine.json("drains").count == 1)
    old.signal(SIGCONT)
    let ended = try await old.ended()
    #expect(
      ended.code == 85 && ended.output == "begun\nfinished\n" && ended.errors.contains("move (operator)"))
    #expect(try await machine.json("drains", "--all").first?["state"] as? String == "DRAIN_STATE_COMPLETED")
  }

  /// kill -9 of the wrapper: its program is stopped and the daemon gives the runner up at once, not after the threshold.
  @Test func aRunnerIsKilled() async throws {
    let machine = try Machine()
    try await machine.startDaemon("--lost-threshold", "10m")
    let runner = try machine.start(Self.run(1))
    try await machine.until("it works") { runner.text(of: "out") == "begun\n" }
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    runner.signal(SIGKILL)
    #expect(try await runner.ended().code == 128 + 9)
    try await machine.until("it is lost") { try await machine.runners("RUNNER_PHASE_LOST") == 1 }
    let lost = try #require(try await machine.json("runners", "--all").first)
    #expect(lost["end"] as? String == "RUNNER_END_PROCESS_DIED")
    try await machine.until("its program got SIGTERM") { runner.text(of: "out") == "begun\nfinished\n" }
  }

  /// Killed while the daemon is down: the restarted one finds the process gone.
  @Test func aRunnerIsKilledWhileNoDaemonRuns() async throws {
    let machine = try Machine()
    try await machine.startDaemon(
      "--lost-threshold", "2s", "--silent-threshold", "1s", "--heartbeat-interval", "300ms")
    let runner = try machine.start(Self.run(1))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    try await machine.killDaemon()
    runner.signal(SIGKILL)
    _ = try await runner.ended()
    try await machine.startDaemon(
      "--lost-threshold", "2s", "--silent-threshold", "1s", "--heartbeat-interval", "300ms")
    try await machine.until("it is lost") { try await machine.runners("RUNNER_PHASE_LOST") == 1 }
  }

  /// Its order says so: nobody waits for who will not come.
  @Test func aDrainingRunnerIsKilled() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(Self.run(1, Self.deaf))
    try await machine.until("it is ready") { runner.text(of: "out") == "deaf\n" }
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    #expect(try await machine.run("baton", "drain", "mail", "--all").code == 0)
    runner.signal(SIGKILL)
    try await machine.until("its order ends") {
      try await machine.json("drains", "--all").first?["state"] as? String == "DRAIN_STATE_RUNNER_LOST"
    }
  }

  @Test func theDaemonStopsWell() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let runner = try machine.start(Self.run(1))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    let daemon = try #require(machine.daemon)
    daemon.signal(SIGTERM)
    #expect(try await daemon.ended().code == 0)
    let refused = try await machine.run("baton", "health")
    #expect(refused.code == 3 && refused.errors.contains("no daemon at \(machine.socket)"))
    // The program works on, and is there when a daemon is.
    try await machine.startDaemon()
    try await machine.until("it is back") {
      try await machine.json("runners").first?["link"] as? String == "RUNNER_LINK_ATTACHED"
    }
    #expect(try await machine.json("runners").first?["id"] as? String == "1")
    runner.signal(SIGTERM)
    #expect(try await runner.ended().code == 0)
  }

  @Test func aSecondDaemonIsRefusedWithWhoHoldsTheState() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    let second = try await machine.run("batond", "--socket", machine.directory + "/other")
    #expect(second.code == 1)
    #expect(second.errors.contains("\(try #require(machine.daemon).pid)"), "\(second.errors)")
    #expect(try await machine.run("baton", "health").code == 0)
  }
}
