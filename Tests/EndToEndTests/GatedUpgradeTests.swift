import Foundation
import Glibc
import Testing

/// What people suffered from, with real processes: a canary that empties the fleet, a bad build that sends the good one away,
/// no way back, a drain that hangs on nobody knows what.
@Suite(.timeLimit(.minutes(5))) struct GatedUpgradeTests {
  private static func perActor(_ version: Int, slots: Int, _ script: String) -> [String] {
    PerActorTests.run(version, slots: slots, script)
  }

  /// An actor that works until it is told to stop.
  private static let worker = "trap 'exit 0' TERM; sleep 1000 & wait $!"

  private func configure(_ machine: Machine, _ options: String...) async throws {
    let put = try await machine.start(
      ["baton", "config", "put", "mail", "--drain-on-version-upgrade"] + options
    ).ended()
    #expect(put.code == 0, "\(put.errors)")
  }

  private func actors(_ machine: Machine, _ state: String) async throws -> [[String: Any]] {
    try await machine.json("actors", "list").filter { $0["state"] as? String == "ACTOR_STATE_\(state)" }
  }

  private func explain(_ machine: Machine, _ words: String...) async throws -> [String: Any] {
    try #require(try await machine.json(["explain"] + words).first)
  }

  /// One slot beside twenty runners with two each: it gets the next actor and drains nobody, until others bring the room.
  @Test(arguments: [false, true]) func aCanaryDrainsNobody(isFull: Bool) async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    try await configure(machine, "--capacity", "wait")
    let old = try (0..<20).map { _ in try machine.start(Self.perActor(1, slots: 2, Self.worker)) }
    try await machine.until("twenty of version 1") { try await machine.runners("RUNNER_PHASE_READY") == 20 }
    if isFull {
      for _ in 0..<40 { #expect(try await machine.run("baton", "actors", "create", "mail", "box").code == 0) }
      try await machine.until("all work") { try await actors(machine, "RUNNING").count == 40 }
    }
    let canary = try machine.start(Self.perActor(2, slots: 1, Self.worker))
    try await machine.until("the canary is the target") {
      try await machine.json("pools").first?["target"].flatMap { ($0 as? [String: Any])?["version"] as? Int }
        == 2
    }
    let why = try await explain(machine, "pool", "mail")
    #expect(why["outlook"] as? String == "OUTLOOK_IMPOSSIBLE")
    #expect((why["sentences"] as? [String])?.contains { $0.contains("20 runners stay") } == true, "\(why)")
    // The next actor is the canary's, and one more has a place only where the old ones have one.
    for _ in 0..<2 { #expect(try await machine.run("baton", "actors", "create", "mail", "box").code == 0) }
    let running = isFull ? 41 : 2
    try await machine.until("they work") { try await actors(machine, "RUNNING").count == running }
    #expect(try await actors(machine, "PENDING").count == (isFull ? 1 : 0))
    #expect(try await actors(machine, "RUNNING").count { $0["runnerVersion"] as? Int == 2 } == 1)
    #expect(try await machine.json("drains", "--all").isEmpty)

    // Room comes, and everyone goes.
    let new = try machine.start(Self.perActor(2, slots: 50, Self.worker))
    for process in old { #expect(try await process.ended().code == 85) }
    try await machine.until("all work on version 2") {
      try await actors(machine, "RUNNING").count { $0["runnerVersion"] as? Int == 2 } == (isFull ? 42 : 2)
    }
    // Whoever had a place before the upgrade was never without one for want of room.
    let failed = try await machine.json("actors", "list").filter {
      $0["failure"] as? String != "ACTOR_FAILURE_UNSPECIFIED"
    }
    #expect(failed.count == (isFull ? 1 : 0), "\(failed)")
    for process in [canary, new] { process.signal(SIGTERM) }
  }

  @Test func aBuildThatDiesLeavesTheOldOneUntouched() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    try await configure(machine, "--min-healthy", "5s")
    let old = try (0..<3).map { _ in try machine.start(UpgradeTests.run(1)) }
    try await machine.until("three of version 1") { try await machine.runners("RUNNER_PHASE_READY") == 3 }
    for _ in 0..<3 {
      let bad = try machine.start(UpgradeTests.run(2, ["sh", "-c", "sleep 2; exit 7"]))
      try await machine.until("it is there") {
        try await machine.runners("RUNNER_PHASE_READY", version: 2) == 1 || bad.hasEnded
      }
      #expect(try await bad.ended().code == 7)
    }
    #expect(try await machine.runners("RUNNER_PHASE_READY", version: 1) == 3)
    #expect(try await machine.runners("RUNNER_PHASE_READY", version: 2) == 0)
    #expect(try await machine.json("drains", "--all").isEmpty)
    let held = try await machine.json("history", "mail").count {
      ($0["event"] as? [String: Any])?["kind"] as? String == "EVENT_KIND_UPGRADE_HELD"
    }
    #expect(held == 3, "once for each time that it came")
    for process in old { process.signal(SIGTERM) }
  }

  /// One has begun to end and goes on ending; the others never hear of it; the new version leaves.
  @Test func rollbackInTheMiddleOfAnUpgrade() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    try await configure(machine, "--max-draining", "1")
    let gate = machine.directory + "/gate"
    let slow = [
      "sh", "-c",
      "trap 'asked=1; : > \(gate).asked' TERM; while [ -z \"$asked\" -o ! -e \(gate) ]; do sleep 0.05; done",
    ]
    let old = try (0..<3).map { _ in try machine.start(UpgradeTests.run(1, slow)) }
    try await machine.until("three of version 1") { try await machine.runners("RUNNER_PHASE_READY") == 3 }
    let new = try machine.start(UpgradeTests.run(2))
    try await machine.until("one is asked") { access(gate + ".asked", F_OK) == 0 }
    let back = try await machine.run("baton", "rollback", "mail", "--reason", "2 is slow")
    #expect(back.code == 0 && back.output.contains("version 1"), "\(back.output)\(back.errors)")
    // Its turn comes when the one that drains is done: no more than one at a time.
    #expect(try await machine.runners("RUNNER_PHASE_READY", version: 2) == 1)
    #expect(try await machine.run("touch", gate).code == 0)
    #expect(try await new.ended().code == 85)
    try await machine.until("it has come to rest") { try await machine.json("drains").isEmpty }
    #expect(try await machine.runners("RUNNER_PHASE_READY", version: 1) == 2)
    #expect(old.count { $0.hasEnded } == 1)
    let pool = try #require(try await machine.json("pools").first)
    let pin = try #require(pool["pin"] as? [String: Any])
    #expect(pin["version"] as? Int == 1 && pin["reason"] as? String == "2 is slow")
    for process in old { process.signal(SIGTERM) }
  }

  /// `explain` had named the actor that it waited for; at the deadline it is taken away and goes on elsewhere.
  @Test func whoNeverFinishesIsForcedAndWasExplained() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    try await configure(machine, "--drain-grace", "20s")
    let deaf = "trap '' TERM; while :; do sleep 1000 & wait $!; done"
    let old = try machine.start(Self.perActor(1, slots: 1, deaf))
    #expect(try await machine.run("baton", "actors", "create", "mail", "export").code == 0)
    try await machine.until("it works") { try await actors(machine, "RUNNING").count == 1 }
    let new = try machine.start(Self.perActor(2, slots: 1, Self.worker))
    try await machine.until("the old one drains") { try await machine.runners("RUNNER_PHASE_DRAINING") == 1 }

    let why = try await explain(machine, "runner", "1")
    #expect(why["blockingActors"] as? [String] == ["1"] || why["blockingActors"] as? [Int] == [1], "\(why)")
    #expect(why["outlook"] as? String == "OUTLOOK_SLOW")
    let people = try await machine.run("baton", "explain", "1")
    #expect(people.output.contains("actor 1") && people.output.contains("version 2"), "\(people.output)")
    #expect(people.output.contains("baton drain --force 1"))

    let forced = try await machine.run("baton", "drain", "--force", "1", "--reason", "it hangs")
    #expect(forced.code == 0, "\(forced.errors)")
    _ = try await old.ended()
    try await machine.until("it works elsewhere") {
      try await actors(machine, "RUNNING").first?["runnerVersion"] as? Int == 2
    }
    let order = try #require(try await machine.json("drains", "--all").first)
    #expect(order["state"] as? String == "DRAIN_STATE_FORCED")
    let after = try await machine.run("baton", "explain", "order", "1")
    #expect(after.output.contains("it hangs"), "\(after.output)")
    new.signal(SIGTERM)
  }

  /// The same without anybody's help.
  @Test func whoNeverFinishesIsForcedAtItsDeadline() async throws {
    let machine = try Machine()
    try await machine.startDaemon()
    try await configure(machine, "--drain-grace", "2s")
    let deaf = "trap '' TERM; while :; do sleep 1000 & wait $!; done"
    let old = try machine.start(Self.perActor(1, slots: 1, deaf))
    #expect(try await machine.run("baton", "actors", "create", "mail", "export").code == 0)
    try await machine.until("it works") { try await actors(machine, "RUNNING").count == 1 }
    let new = try machine.start(Self.perActor(2, slots: 1, Self.worker))
    _ = try await old.ended()
    try await machine.until("it works elsewhere") {
      try await actors(machine, "RUNNING").first?["runnerVersion"] as? Int == 2
    }
    new.signal(SIGTERM)
  }
}
