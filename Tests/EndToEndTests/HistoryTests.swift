import Foundation
import Glibc
import Testing

/// A daemon that keeps little, and what people see of it.
@Suite(.timeLimit(.minutes(5))) struct HistoryTests {
  @Test func whatHasEndedGoesAndWhatLivesStays() async throws {
    let machine = try Machine()
    try await machine.startDaemon(
      "--keep-runners", "3", "--keep-orders", "2", "--keep-actors", "1", "--keep-events", "9")
    let living = try machine.start(UpgradeTests.run(1, UpgradeTests.deaf))
    try await machine.until("it is ready") { try await machine.runners("RUNNER_PHASE_READY") == 1 }
    let id = try #require(try await machine.json("runners").first?["id"] as? String)
    for _ in 0..<8 {
      #expect(try await machine.start(UpgradeTests.run(1, ["true"])).ended().code == 0)
      let actor = try #require(
        try await machine.json("actors", "create", "mail", "letter").first?["id"] as? String)
      _ = try await machine.run("baton", "actors", "destroy", actor)
    }
    #expect(try await machine.runners("RUNNER_PHASE_STOPPED") == 8)
    // The first look is a minute after the start.
    try await machine.until("the history is pruned") {
      try await machine.run("baton", "metrics").output.contains(
        "baton_history_pruned_total{kind=\"runners\"} 5\n")
    }
    let runners = try await machine.json("runners", "--all").compactMap { $0["id"] as? String }
    #expect(runners.count == 4 && runners.first == id)
    #expect(try await machine.json("actors", "list", "--all").count == 1)
    let gone = try await machine.run("baton", "watch", "--from", "1")
    #expect(gone.code == 1)
    #expect(
      gone.errors.contains("revision 1 is no longer followed: the oldest event kept is"), "\(gone.errors)")
    #expect(gone.errors.contains("list anew"))
    #expect(machine.daemon?.text(of: "err").contains("history pruned") == true)
    // What is left goes on, over a restart.
    try await machine.killDaemon()
    try await machine.startDaemon("--keep-runners", "3")
    try await machine.until("it is back") {
      try await machine.json("runners").first?["link"] as? String == "RUNNER_LINK_ATTACHED"
    }
    #expect(try await machine.json("runners", "--all").count == 4)
    living.signal(SIGKILL)
  }

  @Test(arguments: [
    (["--keep-history", "1m"], "--keep-history must be 0 (for ever) or 1 hour to 3650 days"),
    (["--keep-runners", "0"], "--keep-runners must be"),
    (["--keep-events", "many"], "--keep-events must be"),
  ])
  func aLimitThatIsNone(_ options: [String], _ says: String) async throws {
    let machine = try Machine()
    let ended = try await machine.start(["batond"] + options).ended()
    #expect(ended.code == 2)
    #expect(ended.errors.contains(says), "\(ended.errors)")
  }
}
