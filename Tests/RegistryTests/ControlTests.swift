import Handover
import Testing

@testable import Registry

/// Targets, cordons and deadlines as people set them.
@Suite struct ControlTests {
  private func set(
    _ fleet: Fleet, _ wish: TargetWish, reason: String = "", who: Peer = peer()
  ) throws -> Fleet.Step {
    try fleet.apply(one: .setTarget(web, wish, reason: reason, who: who))
  }

  private func pin(of step: Fleet.Step) -> Version? {
    if case .success(.targetSet(_, let pin, _)) = step.result { pin } else { nil }
  }

  // MARK: Pins

  @Test func aPinDrainsNewerOnesToo() throws {
    let fleet = try Fleet()
    for number: UInt32 in [1, 2, 2] { try fleet.admit(number) }
    let step = try set(fleet, .version(version(1)), reason: "2 leaks")
    guard case .success(.targetSet(let decision, let pinned, _)) = step.result else {
      return #expect(Bool(false), "\(step.result)")
    }
    #expect(pinned == version(1) && decision.ordered == 2 && decision.target == version(1))
    #expect(try fleet.phases() == [.ready, .draining, .draining])
    let pool = try fleet.pool()
    #expect(pool.pool.target?.cause == .pinned && pool.pool.target?.version == version(1))
    #expect(pool.pool.pin?.reason == "2 leaks" && pool.pool.pin?.who == peer())
    #expect(try fleet.drains().allSatisfy { $0.who == peer() && $0.reason.contains("2 leaks") })
    let set = try #require(try fleet.events().first { $0.kind == .targetSet })
    #expect(set.detail == "pinned to 1: 2 leaks" && set.who == peer())

    // It holds against newcomers and restarts, until somebody says otherwise.
    try fleet.reopen()
    let late = try fleet.register(3)
    #expect(late.admission?.decision.standing == .draining)
    _ = try self.set(fleet, .automatic)
    #expect(try fleet.pool().pool.pin == nil)
  }

  @Test func aPinThatAServerlessPoolStillHasIsLetGo() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    _ = try set(fleet, .version(version(1)))
    _ = try fleet.configure(RunnerConfig(kind: .serverless))
    #expect(try set(fleet, .version(version(2))).refusal?.code == .failedPrecondition)
    #expect(try set(fleet, .automatic).refusal == nil)
    #expect(try fleet.pool().pool.pin == nil)
  }

  @Test func aPinWaitsForItsVersion() throws {
    let fleet = try Fleet()
    for number: UInt32 in [2, 2] { try fleet.admit(number) }
    guard case .success(.targetSet(let decision, _, _)) = try set(fleet, .version(version(1))).result else {
      return #expect(Bool(false))
    }
    #expect(decision.held == [.init(gate: "no_runner", count: 2)])
    #expect(try fleet.phases() == [.ready, .ready])
    try fleet.admit(1)
    #expect(try fleet.target() == 1 && fleet.phases() == [.draining, .draining, .ready])
  }

  @Test func rollbackTakesThePreviousTarget() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    #expect(try set(fleet, .previous).refusal?.code == .failedPrecondition)
    try fleet.admit(4)
    #expect(try set(fleet, .previous).refusal?.code == .failedPrecondition)
    try fleet.admit(7)
    #expect(try fleet.drains().count == 1)
    let back = try set(fleet, .previous, reason: "7 is bad")
    #expect(pin(of: back) == version(4))
    // In the middle of the upgrade: the order that nobody had heard of is taken back.
    #expect(try fleet.drains().first?.state == .cancelled)
    #expect(try fleet.phases() == [.ready, .draining])
    #expect(pin(of: try set(fleet, .previous)) == version(7), "and forth")
  }

  /// Whoever sees that 2 is bad and says rollback means the version from before 2, though the daemon was faster.
  @Test func rollbackAfterADemotionStaysWhereThePoolWentByItself() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(1)
    let bad = try fleet.admit(2)
    try fleet.apply([.lose([bad], .processDied)])
    #expect(try fleet.target() == 1)
    #expect(pin(of: try set(fleet, .previous, reason: "2 is bad")) == version(1))
    try fleet.admit(2)
    #expect(try fleet.target() == 1 && fleet.phases() == [.ready, .lost, .draining])
  }

  /// Whoever deletes a pool's config makes it another pool: its targets from before are no way back.
  @Test func rollbackDoesNotReachBeyondAPoolsBeginning() throws {
    let fleet = try Fleet()
    for number: UInt32 in [1, 2] {
      let runner = try fleet.admit(number)
      try fleet.apply([.leave(runner, exitCode: 0, reason: "")])
    }
    try fleet.apply([.deleteConfig(web, who: peer())])
    try fleet.admit(3)
    #expect(try set(fleet, .previous).refusal?.code == .failedPrecondition)
    try fleet.admit(4)
    #expect(pin(of: try set(fleet, .previous)) == version(3))
  }

  @Test func aPinnedVersionTakesKeysAndKeepsThem() throws {
    let fleet = try Fleet()
    try fleet.admit(2, key: "a")
    _ = try set(fleet, .version(version(1)))
    let back = try #require(try fleet.register(1, key: "a").admission)
    #expect(back.decision.superseded == RunnerID(1))
    let newer = try fleet.register(3, key: "a").refusal
    #expect(newer?.code == .failedPrecondition && newer?.message.contains("pinned") == true)
  }

  @Test func whoMaySetATarget() throws {
    let fleet = try Fleet()
    #expect(try set(fleet, .automatic).refusal?.code == .notFound)
    try fleet.admit(1)
    #expect(try set(fleet, .automatic, who: peer(otherUID)).refusal?.code == .permissionDenied)
    #expect(pin(of: try set(fleet, .version(version(1)), who: peer(0))) == version(1))
    _ = try fleet.configure(RunnerConfig(kind: .serverless))
    #expect(try set(fleet, .version(version(1))).refusal?.code == .failedPrecondition)
  }

  @Test func aPinNeedsNoStandingDrain() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining(false))
    for number: UInt32 in [1, 2] { try fleet.admit(number) }
    _ = try set(fleet, .version(version(2)))
    #expect(try fleet.phases() == [.draining, .ready])
  }

  // MARK: Configs

  /// Who switches draining on sends runners away: their orders say who it was, and why.
  @Test func aConfigIsChangedWithAReason() throws {
    let fleet = try Fleet()
    for number: UInt32 in [1, 2] { try fleet.admit(number) }
    try fleet.apply([.putConfig(web, draining(), who: peer(0), reason: "2 is fine")])
    let order = try #require(try fleet.drains().first)
    #expect(order.who == peer(0))
    #expect(order.reason == "version 2 is the target of default/web (new config: 2 is fine)")
    try fleet.apply([.putConfig(web, draining(false), who: peer())])
    let puts = try fleet.events().filter { $0.kind == .configPut }
    #expect(puts.map(\.detail) == ["created", "replaced: 2 is fine", "replaced"])
    #expect(puts.map(\.who?.uid) == [daemonUID, 0, ownerUID])
  }

  // MARK: Cordons

  @Test func whoIsCordonedGetsNothingNewAndStays() throws {
    let actors = try ActorFleet()
    let fleet = actors.fleet
    let runner = try actors.runner(1, slots: 2)
    let before = try actors.create()
    try actors.run(before)
    let step = try fleet.apply(one: .cordon(runner.runner, true, reason: "disk", who: peer()))
    guard case .success(.cordoned(let view, _)) = step.result else { return #expect(Bool(false)) }
    #expect(view.isCordoned && view.phase == .ready)
    #expect(try fleet.runner(runner.runner) == view)
    let after = try actors.create()
    #expect(try actors[after].state == .pending && actors[after].wait == .runner)
    #expect(try actors[before].state == .running)
    let revision = try fleet.apply([]).revision
    try fleet.apply([.cordon(runner.runner, true, reason: "again", who: peer())])
    #expect(try fleet.apply([]).revision == revision, "said twice, counts once")
    try fleet.reopen()
    #expect(try fleet.runner(runner.runner).isCordoned)
    #expect(
      try fleet.apply(one: .cordon(runner.runner, false, reason: "", who: peer(otherUID))).refusal?.code
        == .permissionDenied)
  }

  @Test func uncordoningServesWhoWaits() throws {
    let actors = try ActorFleet()
    let runner = try actors.runner(1)
    try actors.fleet.apply([.cordon(runner.runner, true, reason: "", who: peer())])
    let box = try actors.create()
    try actors.fleet.apply([.cordon(runner.runner, false, reason: "", who: peer())])
    #expect(try actors[box].state == .starting)
    #expect(try actors.fleet.events().filter { $0.kind == .runnerUncordoned }.count == 1)
  }

  // MARK: Deadlines

  private func change(_ fleet: Fleet, _ change: DeadlineChange, who: Peer = peer()) throws -> Fleet.Step {
    try fleet.apply(
      one: .changeDeadline(.runner(RunnerID(1)), change, reason: "a long job", who: who))
  }

  @Test func anOrderIsGivenMoreTime() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining(graceMilliseconds: 60_000))
    try fleet.admit(1)
    #expect(
      try change(fleet, .extend(milliseconds: 1000)).refusal?.code == .failedPrecondition, "it is ready")
    try fleet.admit(2)
    let deadline = try fleet.drain(DrainOrderID(1)).deadlineNanoseconds
    let step = try change(fleet, .extend(milliseconds: 30_000))
    let later = deadline + 30_000_000_000
    #expect(step.consequences.contains(.deadlineChanged(DrainOrderID(1), nanoseconds: later)))
    #expect(try fleet.drain(DrainOrderID(1)).deadlineNanoseconds == later)
    fleet.advance(milliseconds: 60_000)
    try fleet.apply([.force([DrainOrderID(1)])])
    #expect(try fleet.drain(DrainOrderID(1)).state == .ordered)
    // A restart keeps it; its resume hears of it.
    try fleet.reopen()
    #expect(fleet.snapshot.openOrders.first?.terms.deadlineNanoseconds == later)
    fleet.advance(milliseconds: 30_000)
    try fleet.apply([.force([DrainOrderID(1)])])
    #expect(try fleet.drain(DrainOrderID(1)).state == .forced)
    let event = try #require(try fleet.events().first { $0.kind == .drainExtended })
    #expect(event.detail == "by 30000 ms: a long job" && event.who == peer())
  }

  @Test func noOrderIsExtendedBeyondAWeek() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(1)
    try fleet.admit(2)
    let week: Int64 = 604_800_000
    for _ in 0..<3 { _ = try change(fleet, .extend(milliseconds: week)) }
    #expect(try fleet.drain(DrainOrderID(1)).deadlineNanoseconds == fleet.now.nanoseconds + week * 1_000_000)
  }

  @Test func anOrderIsForcedNow() throws {
    let actors = try ActorFleet()
    let fleet = actors.fleet
    try actors.runner(1)
    let box = try actors.create()
    try actors.run(box)
    try actors.runner(2)
    #expect(try change(fleet, .forceNow, who: peer(otherUID)).refusal?.code == .permissionDenied)
    let step = try change(fleet, .forceNow)
    guard case .success(.drainChanged(let order, _)) = step.result else { return #expect(Bool(false)) }
    #expect(order.state == .forced)
    #expect(step.consequences.contains(.runnerEnded(RunnerID(1), .forced)))
    let event = try #require(try fleet.events().first { $0.kind == .drainForced })
    #expect(event.who == peer() && event.detail == "a long job")
    #expect(try fleet.runner(RunnerID(1)).detachReason == "", "the runner said nothing")
    #expect(try actors[box].failure == .runnerDrainingTimeout)
  }
}
