import Handover
import Testing

@testable import Registry

/// That the facts of an explanation are those of the fleet; what is said of them is `ExplainingTests`'.
@Suite struct ExplainTests {
  private let actors: ActorFleet
  private var fleet: Fleet { actors.fleet }

  init() throws { actors = try ActorFleet() }

  private func explain(_ subject: ExplainSubject) throws -> Explanation {
    let content = try fleet.read(.explain(subject, at: fleet.now)).content
    guard case .explanation(let explanation) = content else { throw Fleet.Unexpected(content: content) }
    return explanation
  }

  @Test func aRunnerNamesTheActorThatBlocksItAndWhoMadeItLeave() throws {
    let old = try actors.runner(1)
    let slow = try actors.running(on: old)
    actors.advance(seconds: 5)
    let new = try actors.runner(2, slots: 1)
    let order = try #require(try fleet.drains(includeEnded: false).first)
    try fleet.apply([.stopDelivered([order.id])])
    try fleet.apply([.stopAcked([StopAcknowledgement(runner: old.runner, order: order.id)])])
    try fleet.apply([
      .changeDeadline(.runner(old.runner), .extend(milliseconds: 5000), reason: "long job", who: peer())
    ])
    let explanation = try explain(.runner(old.runner))
    #expect(explanation.state == "draining, attached")
    #expect(explanation.blockingActors == [slow])
    #expect(explanation.blockingActorCount == 1)
    #expect(explanation.outlook == .slow)
    #expect(explanation.endsAtNanoseconds == order.deadlineNanoseconds + 5_000_000_000)
    #expect(
      explanation.causes.map(\.what) == [
        "its deadline was extended",
        "runner \(old.runner) was ordered to leave for another version (drain order \(order.id))",
        "version 2 became the target, after version 1",
        "runner \(new.runner) registered with version 2",
      ])
    #expect(explanation.causes[0].reason == "by 5000 ms: long job")
    #expect(explanation.causes.allSatisfy { $0.who == peer() })
    // The order says the same, and the actor names both.
    let ofOrder = try explain(.order(order.id))
    #expect(ofOrder.state == "acked" && ofOrder.blockingActors == [slow])
    #expect(ofOrder.causes == explanation.causes)
    let ofActor = try explain(.actor(slow))
    #expect(ofActor.state == "stopping" && ofActor.causes == explanation.causes)
    // Forced, it tells who did it.
    try fleet.apply([.changeDeadline(.runner(old.runner), .forceNow, reason: "stuck", who: peer())])
    let ended = try explain(.runner(old.runner))
    #expect(ended.state == "stopped" && ended.outlook == .settled)
    #expect(ended.causes.first?.what == "it was ended by force")
    #expect(ended.causes.first?.reason == "stuck")
  }

  /// Of several actors those that have been stopping for the longest are named, and at most ten.
  @Test func theLongestAtItComeFirst() throws {
    let old = try actors.runner(1, slots: 20)
    let many = try (0..<12).map { _ in try actors.running(on: old) }
    try actors.wish(.sleep, many[7])
    actors.advance(seconds: 2)
    try actors.runner(2, slots: 20)
    let explanation = try explain(.runner(old.runner))
    #expect(explanation.blockingActors.first == many[7])
    #expect(explanation.blockingActors.count == Explanation.blockingActorsShown)
    #expect(explanation.blockingActorCount == 12)
  }

  @Test func aGateIsNamedByEverybodyItConcerns() throws {
    try actors.configure { $0.upgrade.capacity = .wait }
    let old = try actors.runner(1)
    try actors.runner(2, slots: 1)
    for subject in [ExplainSubject.runner(old.runner), .pool(web)] {
      let explanation = try explain(subject)
      #expect(explanation.holds.map(\.gate) == [.minAvailable], "\(subject)")
      #expect(explanation.holds.first?.missingSlots == 3)
      #expect(explanation.outlook == .impossible)
    }
    #expect(try explain(.pool(web)).state == "held")
  }

  @Test func whoCordonedAndWhoCancelled() throws {
    let old = try actors.runner(1)
    try fleet.apply([.cordon(old.runner, true, reason: "noisy disk", who: peer())])
    var explanation = try explain(.runner(old.runner))
    #expect(explanation.causes.first?.what == "it was cordoned")
    #expect(explanation.causes.first?.reason == "noisy disk")
    #expect(explanation.hints.contains("baton uncordon \(old.runner)"))
    try fleet.apply([.cordon(old.runner, false, reason: "", who: peer())])
    try actors.runner(2)
    try fleet.apply([.cancelDrain(.runner(old.runner), reason: "needed", who: peer())])
    explanation = try explain(.runner(old.runner))
    #expect(explanation.holds.map(\.gate) == [.exempt])
    #expect(explanation.causes.first?.what == "its order was cancelled")
    #expect(explanation.causes.first?.who == peer())
  }

  @Test func anActorSaysWhereThereAreSlots() throws {
    try actors.runner(1, slots: 1)
    _ = try actors.create()
    let waiting = try actors.create()
    let explanation = try explain(.actor(waiting))
    #expect(explanation.state == "pending")
    #expect(explanation.sentences.contains("Version 1 has 0 of 1 slot free."))
  }

  @Test func whatIsNotThere() throws {
    let api = PoolName(namespace: "default", name: "api")
    for subject in [
      ExplainSubject.runner(RunnerID(99)), .order(DrainOrderID(99)), .actor(ActorID(99)), .pool(api),
    ] {
      let content = try fleet.read(.explain(subject, at: fleet.now)).content
      guard case .refused(let refusal) = content else { throw Fleet.Unexpected(content: content) }
      #expect(refusal.code == .notFound, "\(subject)")
    }
  }

  /// However long the history: every fact is found by an index.
  @Test(arguments: [
    ExplainSQL.standing, ExplainSQL.leadingTo, ExplainSQL.doneTo, ExplainSQL.held, PoolSQL.candidates,
    PoolSQL.readVersions, QuerySQL.runner, QuerySQL.drain, ActorSQL.one,
  ])
  func nothingIsSearchedThrough(sql: String) throws {
    let steps = fleet.queryPlan(sql)
    #expect(!steps.isEmpty)
    for step in steps where step.hasPrefix("SCAN") {
      #expect(step == "SCAN last" || step.hasPrefix("SCAN (subquery"), "\(steps)")
    }
  }
}
