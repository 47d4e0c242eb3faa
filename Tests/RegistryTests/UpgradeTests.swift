import Handover
import Testing

@testable import Registry

/// What an upgrade does to a pool, in the transaction that brings it. The cases are those that the reviews of
/// the original feature asked for, by name.
@Suite struct UpgradeTests {
  private static func decided(
    _ upgrade: Decision.Upgrade, config: Decision.Config = .found, ordered: Int = 0,
    standing: Decision.Standing = .ready, target: UInt32
  ) -> Decision {
    Decision(config: config, upgrade: upgrade, ordered: ordered, standing: standing, target: version(target))
  }

  @Test func drainEnabled() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let old = try fleet.admit(1)
    fleet.advance(milliseconds: 500)
    let step = try fleet.register(2)
    let admission = try #require(step.admission)
    #expect(admission.decision == Self.decided(.applied, ordered: 1, target: 2))
    #expect(admission.openOrder == nil)

    let terms = OrderTerms(
      cause: .versionUpgrade, reason: "version 2 is the target of default/web", target: version(2),
      graceMilliseconds: 60_000, deadlineNanoseconds: fleet.now.nanoseconds + 60_000_000_000)
    let stop = StopAcknowledgement(runner: old.runner, order: DrainOrderID(1))
    #expect(step.consequences.contains(.stopsOrdered(pool: web, terms, [stop])))
    #expect(
      step.consequences.contains(
        .decided(web, version: version(2), runner: admission.runner, admission.decision)))
    #expect(try fleet.phases() == [.draining, .ready])
    #expect(try fleet.target() == 2)

    let order = try fleet.drain(DrainOrderID(1))
    #expect(order.state == .ordered)
    #expect(order.runnerVersion == version(1))
    #expect(order.targetVersion == version(2))
    #expect(order.who == peer())
    #expect(order.orderedAtMilliseconds == fleet.now.wallMilliseconds)
    #expect(order.deadlineNanoseconds == terms.deadlineNanoseconds)
    let ordered = try #require(try fleet.events().last)
    #expect(ordered.kind == .drainOrdered)
    #expect(ordered.detail == "version_upgrade: version 2 is the target of default/web")
    #expect(ordered.who == peer())
  }

  @Test func drainDisabled() throws {
    for setting in [false, nil] as [Bool?] {
      let fleet = try Fleet()
      _ = try fleet.configure(draining(setting))
      try fleet.admit(1)
      #expect(try fleet.register(2).admission?.decision == Self.decided(.disabled, target: 2))
      #expect(try fleet.phases() == [.ready, .ready])
    }
  }

  @Test func configAbsent() throws {
    let fleet = try Fleet()
    #expect(
      try fleet.register(1).admission?.decision == Self.decided(.disabled, config: .created, target: 1))
    #expect(try fleet.register(2).admission?.decision == Self.decided(.disabled, target: 2))
    #expect(try fleet.phases() == [.ready, .ready])
    #expect(try fleet.pool().pool.config == .automatic)
  }

  @Test func notNormal() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(RunnerConfig(kind: .serverless))
    try fleet.admit(1)
    #expect(try fleet.register(2).admission?.decision == Self.decided(.notNormal, target: 2))
    #expect(try fleet.phases() == [.ready, .ready])
  }

  @Test func noneOlder() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    #expect(try fleet.register(5).admission?.decision == Self.decided(.noneOlder, target: 5))
    #expect(try fleet.drains().isEmpty)
  }

  @Test func severalOlderVersions() throws {
    let fleet = try Fleet()
    try fleet.apply([1, 2, 2, 3].map { .register(fleet.registration($0)) })
    _ = try fleet.configure(draining(false))
    try fleet.admit(4)
    let step = try fleet.configure(draining())
    #expect(step.stops.count == 4)
    #expect(try fleet.phases() == [.draining, .draining, .draining, .draining, .ready])
    #expect(try fleet.drains().allSatisfy { $0.targetVersion == version(4) })
  }

  @Test func equalVersions() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(2)
    #expect(try fleet.register(2).admission?.decision == Self.decided(.noneOlder, target: 2))
    #expect(try fleet.phases() == [.ready, .ready])
  }

  @Test func leastAndGreatestVersion() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(1)
    // Compared unsigned: as a signed number this one would be negative.
    #expect(
      try fleet.register(4_294_967_294).admission?.decision
        == Self.decided(.applied, ordered: 1, target: 4_294_967_294))
    #expect(try fleet.phases() == [.draining, .ready])
  }

  @Test func hundredsOfOldRunners() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.apply((0..<700).map { _ in .register(fleet.registration(1)) })
    let step = try fleet.register(2)
    #expect(step.admission?.decision == Self.decided(.applied, ordered: 700, target: 2))
    #expect(step.stops.map(\.runner.rawValue) == Array(1...700))
    #expect(step.stops.map(\.order.rawValue) == Array(1...700))
    #expect(step.consequences.count { if case .stopsOrdered = $0 { true } else { false } } == 1)
    #expect(try fleet.counts().draining == 700)
    let told = try fleet.events(after: fleet.latest().rawValue - 700)
    #expect(told.map(\.kind) == Array(repeating: .drainOrdered, count: 700))
    #expect(told.map(\.drainOrder) == step.stops.map(\.order))
    #expect(told.map(\.runner) == step.stops.map(\.runner))
  }

  @Test func oldVersionThatComesLate() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(2, uid: ownerUID)
    let step = try fleet.register(1, uid: otherUID)
    let admission = try #require(step.admission)
    #expect(admission.decision == Self.decided(.applied, ordered: 1, standing: .draining, target: 2))
    let order = try #require(admission.openOrder)
    #expect(order.runner == admission.runner)
    #expect(order.state == .ordered)
    #expect(order.terms.cause == .versionUpgrade)
    // Its own Stop follows its Registered: it is not said twice.
    #expect(step.stops.isEmpty)
    #expect(try fleet.runner(admission.runner).phase == .draining)
    // On the word that made the target, not on its own.
    #expect(try fleet.drain(order.id).who.uid == ownerUID)
  }

  @Test func drainingRunnerIsToldSoAtItsResume() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    var old = fleet.registration(1)
    try fleet.apply([.register(old)])
    try fleet.admit(2)
    old.attachment = fleet.nextAttachment()
    let admission = try #require(try fleet.apply(one: .register(old)).admission)
    #expect(admission.isResumed)
    #expect(admission.decision.standing == .draining)
    #expect(admission.openOrder?.id == DrainOrderID(1))
  }

  /// Whoever may not speak for the pool is admitted, and moves nothing.
  @Test func notAuthorized() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(1)
    let step = try fleet.register(2, uid: otherUID)
    #expect(step.admission?.decision == Self.decided(.notAuthorized, target: 1))
    #expect(try fleet.phases() == [.ready, .ready])
    #expect(
      try fleet.register(2, uid: 0).admission?.decision == Self.decided(.applied, ordered: 1, target: 2))
    #expect(try fleet.phases() == [.draining, .ready, .ready])
  }

  @Test func turningTheSettingOnDrainsTheOlderOnes() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    try fleet.admit(2)
    let admin = Peer(uid: 0, gid: 0, pid: 1, program: "baton")
    let step = try fleet.configure(draining(), who: admin)
    #expect(step.decision?.upgrade == .applied)
    #expect(step.decision?.ordered == 1)
    #expect(step.stops.count == 1)
    #expect(try fleet.drain(DrainOrderID(1)).who == admin)
  }

  @Test func targetWithoutReadyRunnersGivesWay() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    try fleet.admit(2)
    let new = try fleet.admit(3)
    let step = try fleet.apply(one: .lose([new], .processDied))
    #expect(step.decision?.target == version(2))
    #expect(try fleet.target() == 2)
    let last = try #require(try fleet.pool().history.first)
    #expect(last.cause == .demoted)
    #expect(last.previousVersion == version(3))
    #expect(last.who.program == "batond")
    #expect(step.consequences.contains(.targetChanged(web, last)))
  }

  @Test func detachedTargetStaysWhileItIsReady() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(1)
    let new = try fleet.admit(2)
    try fleet.apply([.detached([new])])
    #expect(try fleet.target() == 2)
    #expect(try fleet.register(1).admission?.decision.standing == .draining)
  }

  @Test func poolsDoNotTouchEachOther() throws {
    let fleet = try Fleet()
    let other = PoolName(namespace: "default", name: "api")
    _ = try fleet.configure(draining())
    _ = try fleet.configure(draining(), other)
    try fleet.admit(1)
    try fleet.admit(1, in: other)
    #expect(try fleet.register(2).stops.map(\.runner) == [RunnerID(1)])
    #expect(try fleet.runners().map(\.phase) == [.draining, .ready, .ready])
  }
}
