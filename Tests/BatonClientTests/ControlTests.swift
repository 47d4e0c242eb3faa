import BatonClient
import Glibc
import Testing

/// Every typed call about upgrades against a real daemon.
@Suite(.timeLimit(.minutes(2))) struct ControlTests {
  private static func happened(_ kind: String, _ fleet: FleetClient) async throws {
    for try await answer in fleet.watch(from: 0) where answer.events.contains(where: { $0.kind == kind }) {
      return
    }
  }

  @Test func aConfigSaysHowUpgradesGo() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var policy = UpgradePolicy()
    policy.strategy = .careful
    policy.minHealthyMilliseconds = 0
    policy.capacity = .wait
    policy.minAvailable = .count(7)
    policy.maxDraining = Share("30%")
    policy.holdTimeoutMilliseconds = 0
    let config = PoolConfig(
      .normal(drainOnVersionUpgrade: true, graceMilliseconds: nil, upgrade: policy), metadata: ["owner": "me"]
    )
    let plan = try await fleet.putConfig(config, name: "w")
    #expect(plan.held == [:])
    #expect(try await fleet.config(name: "w") == config)
    #expect(try PoolConfig(json: config.json) == config)
    #expect(throws: BatonError.self) { try PoolConfig(json: "{}") }
    policy.maxDraining = .count(0)
    let wrong = PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: nil, upgrade: policy))
    let refused = await #expect(throws: BatonError.self) { try await fleet.putConfig(wrong, name: "w") }
    #expect(refused?.code == .invalidArgument && refused?.message.contains("max_draining") == true)
  }

  @Test(arguments: [
    ("3", Share.count(3)), ("25%", .percent(25)), ("0", .count(0)), ("101%", nil), ("", nil), ("%", nil),
    ("-1", nil),
    ("4294967296", nil),
  ])
  func sharesAreRead(_ text: String, _ share: Share?) {
    #expect(Share(text) == share)
    if let share { #expect(share.description == text) }
  }

  @Test func aTargetIsPinnedPlannedAndRolledBack() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var policy = UpgradePolicy()
    policy.maxDraining = .count(1)
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: nil, graceMilliseconds: nil, upgrade: policy)), name: "w")
    let old = try await Runner.start(.test(daemon, 1))
    let new = [try await Runner.start(.test(daemon, 2)), try await Runner.start(.test(daemon, 2))]

    let supposed = try await fleet.planUpgrade(name: "w", supposing: .target(1))
    #expect(supposed.decision.ordered == 1 && supposed.decision.held == ["max_draining": 1])
    #expect(supposed.targetBecomes == 1 && supposed.cause == "pinned")
    #expect(supposed.versions.map(\.version) == [2, 1] && supposed.versions.map(\.ordered) == [1, 0])
    #expect(supposed.versions[0].gate == "max_draining" && supposed.versions[1].gate == nil)
    #expect(supposed.runners.map(\.runner) == [old.id] + new.map(\.id))
    #expect(supposed.runners.map(\.fate) == ["stays", "ordered", "held"])
    let hold = try #require(supposed.holds.first)
    #expect(hold.gate == "max_draining" && hold.goalVersion == 1 && hold.count == 1 && hold.isPossible)
    #expect(hold.opensInMilliseconds == nil && hold.missingSlots == nil && !hold.sentence.isEmpty)
    let newcomer = try await fleet.planUpgrade(name: "w", supposing: .registers(version: 3, totalSlots: 4))
    #expect(newcomer.targetBecomes == 3 && newcomer.decision.upgrade == "disabled")
    let on = PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: nil))
    #expect(try await fleet.planUpgrade(name: "w", supposing: .config(on)).decision.ordered == 1)
    #expect(try await fleet.planUpgrade(name: "w").decision.ordered == 0)

    let (decision, pinned) = try await fleet.setTarget(.version(1), name: "w", reason: "2 is slow")
    #expect(decision == supposed.decision && pinned == 1)
    let pool = try await fleet.pool(name: "w").pool
    let pin = try #require(pool.pin)
    #expect(
      pin.version == 1 && pin.reason == "2 is slow" && pin.who.pid == getpid() && pin.atMilliseconds > 0)
    #expect(pool.heldUpgrade?.goalVersion == 1 && pool.heldUpgrade?.heldMilliseconds == nil)
    #expect(try await fleet.setTarget(.previous, name: "w").pinnedVersion == 2)
    #expect(try await fleet.setTarget(.automatic, name: "w").pinnedVersion == nil)
    #expect(try await fleet.pool(name: "w").pool.pin == nil)
    _ = await (old.finish(), new[0].finish(), new[1].finish())
  }

  @Test func everySubjectIsExplained() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await Runner.start(.test(daemon, 1))
    let order = try await fleet.drain(.runner(runner.id), graceMilliseconds: 60_000, reason: "disk").ordered[
      0]
    let actor = try await fleet.createActor(NewActor(name: "box", runnerName: "w"))
    for subject in [ExplainSubject.runner(runner.id), .order(order)] {
      let answer = try await fleet.explain(subject)
      #expect(answer.outlook == "slow" && !answer.state.isEmpty && !answer.sentences.isEmpty)
      #expect((1...60_000).contains(try #require(answer.endsInMilliseconds)))
      let cause = try #require(answer.causes.first { $0.who?.pid == getpid() })
      #expect(cause.reason == "disk" && cause.atMilliseconds > 0 && !cause.what.isEmpty)
      #expect(answer.hints.contains("baton drain --force \(runner.id)"))
      #expect(answer.blockingActors == [] && answer.blockingActorCount == 0 && answer.holds == [])
    }
    let waiting = try await fleet.explain(.actor(actor.id))
    #expect(waiting.endsInMilliseconds == nil && waiting.outlook != "unknown")
    #expect(try await fleet.explain(.pool(name: "w")).sentences.contains { $0.contains("default/w") })
    let none = await #expect(throws: BatonError.self) { try await fleet.explain(.pool(name: "x")) }
    #expect(none?.code == .notFound)
    await runner.finish()
  }

  @Test func historyIsReadToItsLimit() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    for name in ["a", "b", "c"] { try await fleet.putConfig(PoolConfig(.serverless), name: name) }
    #expect(try await fleet.history().map(\.event.name) == ["c", "b", "a"])
    #expect(try await fleet.history(limit: 2).map(\.event.name) == ["c", "b"])
    let one = try await fleet.history(name: "b", namespace: "default")
    #expect(one.map(\.event.kind) == ["config_put"] && one[0].orders == 0)
    #expect(one[0].event.who?.pid == getpid())
  }

  @Test func aRunnerIsCordonedAndTakenBack() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await Runner.start(.test(daemon, 1))
    #expect(try await fleet.cordon(runner.id, reason: "disk").isCordoned)
    #expect(try await fleet.runner(runner.id).isCordoned)
    #expect(try await !fleet.uncordon(runner.id).isCordoned)
    let none = await #expect(throws: BatonError.self) { try await fleet.cordon(99) }
    #expect(none?.code == .notFound)
    await runner.finish()
  }

  /// One that can stay does, and is exempt; one that cannot is given time, and then none.
  @Test func ordersAreTakenBackExtendedAndForced() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var options = Runner.Options.test(daemon, 1)
    options.canStay = true
    let stays = try await Runner.start(options)
    let leaves = try await Runner.start(.test(daemon, 1))
    let orders = try await fleet.drain(.pool(name: "w"), graceMilliseconds: 60_000).ordered
    var stops = stays.stops.makeAsyncIterator()
    _ = await stops.next()
    try await Self.happened("drain_acked", fleet)
    let offered = try await fleet.cancelDrain(.runner(stays.id), reason: "a mistake")
    #expect(offered.id == orders[0] && offered.wayBack == "offered" && offered.isOpen)
    #expect(offered.cancelledBy?.pid == getpid() && offered.cancelReason == "a mistake")
    try await Self.happened("drain_cancelled", fleet)
    let runner = try await fleet.runner(stays.id)
    #expect(runner.phase == "ready" && runner.exemptFromTarget == 1)
    #expect(try await fleet.pool(name: "w").pool.versions.first?.exempt == 1)

    let extended = try await fleet.extendDrain(.order(orders[1]), byMilliseconds: 3_600_000, reason: "close")
    #expect((3_600_000...3_660_000).contains(extended.remainingMilliseconds))
    let forced = try await fleet.forceDrain(.runner(leaves.id))
    #expect(forced.state == "forced" && forced.remainingMilliseconds == 0)
    let over = await #expect(throws: BatonError.self) { try await fleet.cancelDrain(.order(orders[1])) }
    #expect(over?.code == .failedPrecondition)
    await stays.finish()
  }
}
