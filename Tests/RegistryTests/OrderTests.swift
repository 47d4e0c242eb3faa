import Handover
import Testing

@testable import Registry

/// The life of a drain order, and of the runner that it is for.
@Suite struct OrderTests {
  /// A v1 with an order and the v2 that brought it.
  private func upgraded() throws -> (Fleet, old: Handover.Attachment, order: DrainOrderID) {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let old = try fleet.admit(1)
    try fleet.admit(2)
    return (fleet, old, DrainOrderID(1))
  }

  private func applied(_ step: Fleet.Step) throws -> Int {
    guard case .success(.applied(let count)) = step.result else {
      throw Fleet.Unexpected(content: .refused(step.refusal ?? Refusal(.aborted, "\(step.result)")))
    }
    return count
  }

  @Test func deliveredAckedCompleted() throws {
    let (fleet, old, order) = try upgraded()
    fleet.advance(milliseconds: 10)
    #expect(try applied(fleet.apply(one: .stopDelivered([order]))) == 1)
    let delivered = try fleet.drain(order)
    #expect(delivered.state == .delivered)
    #expect(delivered.deliveries == 1)
    #expect(delivered.deliveredAtMilliseconds == fleet.now.wallMilliseconds)

    // Delivered again at a resume: counted, not told again.
    let before = try fleet.latest()
    fleet.advance(milliseconds: 10)
    #expect(try applied(fleet.apply(one: .stopDelivered([order]))) == 1)
    #expect(try fleet.drain(order).deliveries == 2)
    #expect(try fleet.drain(order).deliveredAtMilliseconds == delivered.deliveredAtMilliseconds)
    #expect(try fleet.latest() == before)

    let ack = StopAcknowledgement(runner: old.runner, order: order)
    #expect(try applied(fleet.apply(one: .stopAcked([ack]))) == 1)
    #expect(try applied(fleet.apply(one: .stopAcked([ack]))) == 0)
    #expect(try fleet.drain(order).state == .acked)
    #expect(try applied(fleet.apply(one: .stopDelivered([order]))) == 1)
    #expect(try fleet.drain(order).state == .acked)

    fleet.advance(milliseconds: 980)
    let step = try fleet.apply(one: .leave(old, exitCode: 3, reason: "done"))
    #expect(step.result == .success(.left))
    #expect(step.consequences.contains(.orderEnded(order, old.runner, .completed, tookMilliseconds: 1000)))
    let completed = try fleet.drain(order)
    #expect(completed.state == .completed)
    #expect(completed.endedAtMilliseconds == fleet.now.wallMilliseconds)
    #expect(completed.remainingMilliseconds(at: fleet.now) == 0)
    let runner = try fleet.runner(old.runner)
    #expect(runner.phase == .stopped)
    #expect(runner.end == .detached)
    #expect(runner.exitCode == 3)
    #expect(runner.detachReason == "done")
    #expect(runner.drainOrder == order)
    #expect(runner.link == nil)
    #expect(
      try fleet.events().map(\.kind).suffix(5)
        == [.drainOrdered, .drainDelivered, .drainAcked, .runnerStopped, .drainCompleted])
    // The reply was lost and the Detach is sent again.
    #expect(try fleet.apply(one: .leave(old, exitCode: 3, reason: "done")).result == .success(.left))
  }

  @Test func acknowledgementOfAnothersOrderIsIgnored() throws {
    let (fleet, _, order) = try upgraded()
    let foreign = StopAcknowledgement(runner: RunnerID(2), order: order)
    let unknown = StopAcknowledgement(runner: RunnerID(1), order: DrainOrderID(77))
    #expect(try applied(fleet.apply(one: .stopAcked([foreign, unknown]))) == 0)
    #expect(try applied(fleet.apply(one: .stopDelivered([DrainOrderID(77)]))) == 0)
    #expect(try fleet.drain(order).state == .ordered)
  }

  @Test func forcedAtTheDeadlineAndNotBefore() throws {
    let (fleet, old, order) = try upgraded()
    fleet.advance(milliseconds: 59_999)
    #expect(try applied(fleet.apply(one: .force([order]))) == 0)
    fleet.advance(milliseconds: 1)
    let step = try fleet.apply(one: .force([order, DrainOrderID(9)]))
    #expect(try applied(step) == 1)
    #expect(step.consequences.contains(.runnerEnded(old.runner, .forced)))
    #expect(step.consequences.contains(.orderEnded(order, old.runner, .forced, tookMilliseconds: 60_000)))
    #expect(try fleet.drain(order).state == .forced)
    #expect(try fleet.runner(old.runner).phase == .stopped)
    #expect(try fleet.runner(old.runner).end == .forced)
    #expect(try applied(fleet.apply(one: .force([order]))) == 0)
    // Late news of it find nothing.
    #expect(try applied(fleet.apply(one: .stopDelivered([order]))) == 0)
    #expect(try fleet.apply(one: .leave(old, exitCode: 0, reason: "")).refusal?.code == .failedPrecondition)
  }

  @Test func lostWhileDraining() throws {
    let (fleet, old, order) = try upgraded()
    let step = try fleet.apply(one: .lose([old], .threshold))
    #expect(step.consequences.contains(.runnerEnded(old.runner, .threshold)))
    #expect(try fleet.drain(order).state == .runnerLost)
    #expect(try fleet.runner(old.runner).phase == .lost)
  }

  /// The loop decided that a runner is lost while it was coming back on another connection: the connection
  /// wins.
  @Test func whoHasAttachedAgainIsNotLost() throws {
    let fleet = try Fleet()
    var registration = fleet.registration(1)
    let runner = try #require(try fleet.apply(one: .register(registration)).admission).runner
    let first = Handover.Attachment(runner: runner, id: registration.attachment)
    registration.attachment = fleet.nextAttachment()
    try fleet.apply([.detached([first]), .register(registration), .lose([first], .threshold)])
    #expect(try fleet.runner(runner).phase == .ready)
    #expect(try fleet.apply(one: .leave(first, exitCode: 0, reason: "")).refusal?.code == .aborted)
    #expect(
      try fleet.apply(one: .stopping(first, reason: "", graceMilliseconds: 0)).refusal?.code == .aborted)
  }

  @Test func silentAndHeardAreToldOnce() throws {
    let fleet = try Fleet()
    let runner = try fleet.admit(1)
    #expect(try applied(fleet.apply(one: .silent([runner, runner]))) == 1)
    #expect(try fleet.runner(runner.runner).isSilent)
    #expect(try applied(fleet.apply(one: .heard([runner]))) == 1)
    #expect(try applied(fleet.apply(one: .heard([runner]))) == 0)
    try fleet.apply([.silent([runner]), .detached([runner])])
    #expect(try !fleet.runner(runner.runner).isSilent)
    #expect(try applied(fleet.apply(one: .silent([runner]))) == 0)
  }

  // MARK: A runner's own word

  @Test func ownDrain() throws {
    let fleet = try Fleet()
    let runner = try fleet.admit(1)
    let step = try fleet.apply(one: .stopping(runner, reason: "SIGTERM", graceMilliseconds: 5000))
    #expect(step.result == .success(.stopping(DrainOrderID(1))))
    #expect(step.stops == [StopAcknowledgement(runner: runner.runner, order: DrainOrderID(1))])
    let again = try fleet.apply(one: .stopping(runner, reason: "again", graceMilliseconds: 9000))
    #expect(again.result == .success(.stopping(DrainOrderID(1))))
    #expect(again.consequences.isEmpty)
    let order = try fleet.drain(DrainOrderID(1))
    #expect(order.cause == .`self`)
    #expect(order.reason == "SIGTERM")
    #expect(order.graceMilliseconds == 5000)
    try fleet.apply([.leave(runner, exitCode: nil, reason: "")])
    #expect(try fleet.drain(DrainOrderID(1)).state == .completed)
    #expect(try fleet.runner(runner.runner).exitCode == nil)
  }

  @Test func ownDrainOfTheLastTargetDemotes() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    let new = try fleet.admit(2)
    let step = try fleet.apply(one: .stopping(new, reason: "", graceMilliseconds: 0))
    #expect(step.decision?.target == version(1))
    #expect(try fleet.target() == 1)
  }

  // MARK: An operator's word

  private func drained(_ step: Fleet.Step) throws -> (orders: [Int64], existing: [Int64]) {
    guard case .success(.drained(let orders, let existing, _)) = step.result else {
      throw Fleet.Unexpected(content: .refused(step.refusal ?? Refusal(.aborted, "\(step.result)")))
    }
    return (orders.map(\.rawValue), existing.map(\.rawValue))
  }

  private func command(
    _ target: DrainCommand.Target, grace: Int64 = 0, uid: UInt32 = ownerUID
  ) -> Mutation {
    .drain(DrainCommand(target: target, graceMilliseconds: grace, reason: "rack 7 goes", who: peer(uid)))
  }

  @Test func oneRunner() throws {
    let fleet = try Fleet()
    let runner = try fleet.admit(1)
    let step = try fleet.apply(one: command(.runner(runner.runner), grace: 2000))
    #expect(try drained(step) == ([1], []))
    #expect(step.stops.map(\.runner) == [runner.runner])
    let order = try fleet.drain(DrainOrderID(1))
    #expect(order.cause == .operator)
    #expect(order.reason == "rack 7 goes")
    #expect(order.graceMilliseconds == 2000)
    #expect(try drained(fleet.apply(one: command(.runner(runner.runner)))) == ([], [1]))
    try fleet.apply([.leave(runner, exitCode: 0, reason: "")])
    #expect(try fleet.apply(one: command(.runner(runner.runner))).refusal?.code == .failedPrecondition)
    #expect(try fleet.apply(one: command(.runner(RunnerID(99)))).refusal?.code == .notFound)
  }

  @Test func olderVersionsAndWholePool() throws {
    let fleet = try Fleet()
    try fleet.apply([1, 2, 3, 3].map { .register(fleet.registration($0)) })
    #expect(
      try drained(fleet.apply(one: command(.olderVersions(web, belowVersion: version(2))))) == ([1], []))
    #expect(try drained(fleet.apply(one: command(.olderVersions(web, belowVersion: nil)))) == ([2], [1]))
    #expect(try drained(fleet.apply(one: command(.wholePool(web)))) == ([3, 4], [1, 2]))
    #expect(try fleet.phases() == [.draining, .draining, .draining, .draining])
    #expect(try fleet.target() == 3)
    let nowhere = PoolName(namespace: "default", name: "none")
    #expect(try fleet.apply(one: command(.wholePool(nowhere))).refusal?.code == .notFound)
  }

  @Test func graceIsTheCommandsThePoolsOrTheDefault() throws {
    let fleet = try Fleet()
    let first = try fleet.admit(1)
    let second = try fleet.admit(1)
    let third = try fleet.admit(1)
    try fleet.apply([
      command(.runner(first.runner)), .putConfig(web, draining(false, graceMilliseconds: 7000), who: peer()),
      command(.runner(second.runner)), command(.runner(third.runner), grace: 1500),
    ])
    #expect(try fleet.drains().map(\.graceMilliseconds) == [1_800_000, 7000, 1500])
  }

  @Test func onlyThoseWhoMayDrain() throws {
    let fleet = try Fleet()
    let runner = try fleet.admit(1)
    for target in [DrainCommand.Target.runner(runner.runner), .wholePool(web)] {
      let refusal = try #require(try fleet.apply(one: command(target, uid: otherUID)).refusal)
      #expect(refusal.code == .permissionDenied)
      #expect(refusal.message.contains("uid 0, uid 900, uid 1000"))
    }
    #expect(try drained(fleet.apply(one: command(.wholePool(web), uid: daemonUID))) == ([1], []))
  }

  // MARK: Configs and namespaces

  @Test func configOfAnOwnedPoolIsItsOwners() throws {
    let fleet = try Fleet()
    #expect(try fleet.configure(draining(), who: peer(otherUID)).refusal == nil)
    try fleet.admit(1)
    #expect(try fleet.configure(draining(), who: peer(otherUID)).refusal?.code == .permissionDenied)
    #expect(try fleet.configure(draining(), who: peer(ownerUID)).refusal == nil)
    #expect(try fleet.apply(one: .deleteConfig(web, who: peer(otherUID))).refusal?.code == .permissionDenied)
  }

  @Test func configIsKeptAsItWasSent() throws {
    let fleet = try Fleet()
    let config = RunnerConfig(
      kind: .normal(.init(drainOnVersionUpgrade: nil, drainGracePeriodMilliseconds: 1234)),
      metadata: [MetadataPair(key: "team", value: "core"), MetadataPair(key: "empty", value: "")],
      encoded: [0, 255, 7])
    guard case .success(.configPut(let decision, let revision)) = try fleet.configure(config).result else {
      Issue.record("not stored")
      return
    }
    #expect(decision == Decision(config: .created, upgrade: .disabled))
    #expect(try fleet.latest() == revision)
    #expect(try fleet.read(.config(web)).content == .config(config))
    #expect(try fleet.pools().map(\.config) == [config])
    #expect(try fleet.configure(RunnerConfig(kind: .serverless)).decision?.config == .found)
    try fleet.reopen()
    #expect(try fleet.read(.config(web)).content == .config(RunnerConfig(kind: .serverless)))
  }

  @Test func configIsNotDeletedUnderARunner() throws {
    let fleet = try Fleet()
    let runner = try fleet.admit(1)
    let refusal = try #require(try fleet.apply(one: .deleteConfig(web, who: peer())).refusal)
    #expect(refusal.code == .failedPrecondition)
    try fleet.apply([.leave(runner, exitCode: 0, reason: "")])
    #expect(try fleet.apply(one: .deleteConfig(web, who: peer())).refusal == nil)
    #expect(try fleet.apply(one: .deleteConfig(web, who: peer())).refusal?.code == .notFound)
    #expect(try fleet.pools().isEmpty)
    #expect(throws: Fleet.Unexpected.self) { try fleet.pool() }
    // Whoever comes next begins anew.
    #expect(try fleet.register(1, uid: otherUID).admission?.decision.config == .created)
    #expect(try fleet.pool().pool.ownerUID == otherUID)
  }

  @Test func namespacesAreMadeOnce() throws {
    let fleet = try Fleet()
    let made = try fleet.apply(one: .createNamespace("blue", who: peer()))
    #expect(
      made.result
        == .success(
          .namespaceCreated(
            Namespace(name: "blue", createdAtMilliseconds: fleet.now.wallMilliseconds), Revision(1))))
    #expect(try fleet.apply(one: .createNamespace("blue", who: peer())).refusal?.code == .alreadyExists)
    #expect(try fleet.apply(one: .createNamespace("default", who: peer())).refusal?.code == .alreadyExists)
    let event = try #require(try fleet.events().first)
    #expect(event.kind == .namespaceCreated)
    #expect(event.namespace == "blue")
    #expect(event.name == "")
    #expect(event.who == peer())
    let missing = PoolName(namespace: "green", name: "web")
    #expect(try fleet.configure(draining(), missing).refusal?.code == .notFound)
  }
}
