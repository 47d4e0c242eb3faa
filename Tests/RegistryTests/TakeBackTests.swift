import Handover
import Testing

@testable import Registry

/// Orders that are taken back: by somebody, and by a target that no longer asks for them.
@Suite struct TakeBackTests {
  private static let operator_ = peer(ownerUID, pid: 99)

  private func cancel(_ fleet: Fleet, _ id: Int64, who: Peer = Self.operator_) throws -> Fleet.Step {
    try fleet.apply(one: .cancelDrain(.order(DrainOrderID(id)), reason: "a mistake", who: who))
  }

  private func told(_ step: Fleet.Step) -> [StopAcknowledgement] {
    step.consequences.reduce(into: []) { told, consequence in
      if case .stopsCancelled(_, let orders) = consequence { told += orders }
    }
  }

  /// One ready runner of version 1, whose order by version 2 is open.
  private func upgraded(_ settings: UpgradeSettings = UpgradeSettings()) throws -> (
    Fleet, Handover.Attachment
  ) {
    let fleet = try Fleet()
    _ = try fleet.configure(
      RunnerConfig(kind: .normal(.init(drainOnVersionUpgrade: true, upgrade: settings))))
    let old = try fleet.admit(1)
    try fleet.admit(2)
    return (fleet, old)
  }

  @Test func anOrderThatNobodyHasHeardOfIsCancelledAtOnce() throws {
    let (fleet, old) = try upgraded()
    let step = try cancel(fleet, 1)
    guard case .success(.drainChanged(let order, _)) = step.result else {
      return #expect(Bool(false), "\(step.result)")
    }
    #expect(order.state == .cancelled && order.wayBack == nil)
    #expect(order.cancelledBy == Self.operator_ && order.cancelReason == "a mistake")
    #expect(try fleet.drain(DrainOrderID(1)) == order)
    // Its Stop may be on the way.
    #expect(told(step) == [StopAcknowledgement(runner: old.runner, order: DrainOrderID(1))])
    #expect(try fleet.phases() == [.ready, .ready])
    let event = try #require(try fleet.events().last)
    #expect(event.kind == .drainCancelled && event.who == Self.operator_ && event.detail == "a mistake")
  }

  /// The planner would order it again at once, if nobody remembered.
  @Test func whoWasTakenBackIsExemptUntilTheNextTarget() throws {
    let (fleet, old) = try upgraded()
    _ = try cancel(fleet, 1)
    #expect(try fleet.runners().first?.exemptFrom == version(2))
    #expect(try fleet.pool().pool.versions.last?.exempt == 1)
    // Neither another newcomer, nor a restart, nor its own resume sends it away.
    try fleet.admit(2)
    try fleet.reopen()
    let again = try fleet.register(2)
    #expect(again.admission?.decision.held == [.init(gate: "exempt", count: 1)])
    #expect(try fleet.runner(old.runner).phase == .ready)
    // A drain by hand does not ask.
    // The next target does not know of it either.
    try fleet.admit(3)
    #expect(try fleet.runner(old.runner).phase == .draining)
    #expect(try fleet.runner(old.runner).exemptFrom == nil)
  }

  @Test func aDeliveredOneIsCancelledByItsRunnersWord() throws {
    for answer in Undo.Answer.allCases {
      let (fleet, old) = try upgraded()
      try fleet.apply([.stopDelivered([DrainOrderID(1)])])
      let step = try cancel(fleet, 1)
      #expect(told(step).count == 1)
      #expect(try fleet.drain(DrainOrderID(1)).wayBack == .offered)
      #expect(try fleet.runner(old.runner).phase == .draining)
      #expect(try fleet.events().last?.kind == .drainWayBackOffered)
      // Once more: the same answer, nothing new.
      let revision = try fleet.apply([]).revision
      #expect(told(try cancel(fleet, 1)) == [])
      #expect(try fleet.apply([]).revision == revision)

      let word = Mutation.stopCancelledAnswered(old, DrainOrderID(1), answer)
      try fleet.apply([word])
      switch answer {
      case .resumed:
        #expect(try fleet.drain(DrainOrderID(1)).state == .cancelled)
        #expect(try fleet.runner(old.runner).phase == .ready)
        #expect(try fleet.runner(old.runner).exemptFrom == version(2))
      case .tooLate:
        #expect(try fleet.drain(DrainOrderID(1)).state == .delivered)
        #expect(try fleet.drain(DrainOrderID(1)).wayBack == .tooLate)
        #expect(try cancel(fleet, 1).refusal?.code == .failedPrecondition)
      }
      let after = try fleet.apply([]).revision
      try fleet.apply([word])
      #expect(try fleet.apply([]).revision == after, "said twice, counts once")
    }
  }

  /// The Stop and the cancel crossed on their way: the runner ends, and the books say so.
  @Test func tooLateForACancelledOrderIsItsOwnDrain() throws {
    let (fleet, old) = try upgraded()
    _ = try cancel(fleet, 1)
    try fleet.apply([.stopCancelledAnswered(old, DrainOrderID(1), .tooLate)])
    #expect(try fleet.runner(old.runner).phase == .draining)
    let own = try #require(try fleet.drains().last)
    #expect(own.cause == .self && own.state == .ordered)
    #expect(try cancel(fleet, own.id.rawValue).refusal?.code == .failedPrecondition)
  }

  @Test func whatCannotBeTakenBackSaysWhy() throws {
    let fleet = try Fleet()
    let first = try fleet.admit(1, key: "a")
    try fleet.admit(2, key: "a")
    let superseded = try #require(try cancel(fleet, 1).refusal)
    #expect(superseded.code == .failedPrecondition && superseded.message.contains("key"))
    #expect(try cancel(fleet, 7).refusal?.code == .notFound)
    #expect(try cancel(fleet, 1, who: peer(otherUID)).refusal?.code == .permissionDenied)
    try fleet.apply([.leave(first, exitCode: 0, reason: "")])
    let ended = try #require(try cancel(fleet, 1).refusal)
    #expect(ended.code == .failedPrecondition && ended.message.contains("completed"))
    let ready = try fleet.apply(
      one: .cancelDrain(.runner(RunnerID(2)), reason: "", who: Self.operator_))
    #expect(ready.refusal?.code == .failedPrecondition)
  }

  /// While it was asked, somebody took its place: it hears its Stop once more.
  @Test func aKeyThatWasTakenMeanwhileStandsInTheWay() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let old = try fleet.admit(1, key: "a")
    try fleet.admit(2, key: "b")
    try fleet.apply([.stopDelivered([DrainOrderID(1)])])
    _ = try cancel(fleet, 1)
    try fleet.admit(2, key: "a")
    let step = try fleet.apply(one: .stopCancelledAnswered(old, DrainOrderID(1), .resumed))
    #expect(step.stops == [StopAcknowledgement(runner: old.runner, order: DrainOrderID(1))])
    #expect(try fleet.runner(old.runner).phase == .draining)
    #expect(try fleet.drain(DrainOrderID(1)).wayBack == .tooLate)
  }

  /// "No, leave all the same": the answer that is still on its way must not undo the later word.
  @Test func whoeverIsDrainedAgainWhileItIsAskedLeaves() throws {
    let (fleet, old) = try upgraded()
    try fleet.apply([.stopDelivered([DrainOrderID(1)])])
    let targets: [DrainCommand.Target] = [.runner(old.runner), .olderVersions(web, belowVersion: version(2))]
    for (target, last) in zip(targets, [2, 3] as [Int64]) {
      _ = try cancel(fleet, last - 1)
      #expect(try fleet.drain(DrainOrderID(last - 1)).wayBack == .offered)
      let command = DrainCommand(
        target: target, graceMilliseconds: 0, reason: "it must", who: Self.operator_)
      let step = try fleet.apply(one: .drain(command))
      #expect(step.stops.contains(StopAcknowledgement(runner: old.runner, order: DrainOrderID(last))))
      #expect(try fleet.drain(DrainOrderID(last - 1)).state == .cancelled)
      for answer in Undo.Answer.allCases {
        try fleet.apply([.stopCancelledAnswered(old, DrainOrderID(last - 1), answer)])
      }
      #expect(try fleet.runner(old.runner).phase == .draining)
      #expect(try fleet.drain(DrainOrderID(last)).state == .ordered)
      try fleet.apply([.stopDelivered([DrainOrderID(last)])])
    }
  }

  /// The new version is gone before the old ones have left: those who have not heard of it stay, the others are asked.
  @Test func aDemotionTakesBackItsOrders() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let old = try (0..<3).map { _ in try fleet.admit(1) }
    let new = try fleet.admit(2)
    try fleet.apply([.stopDelivered([DrainOrderID(2)])])
    let step = try fleet.apply(one: .lose([new], .processDied))
    #expect(try fleet.target() == 1)
    #expect(try fleet.drains().map(\.state) == [.cancelled, .delivered, .cancelled])
    #expect(try fleet.drain(DrainOrderID(2)).wayBack == .offered)
    #expect(told(step).map(\.order.rawValue) == [1, 2, 3])
    try fleet.apply([.stopCancelledAnswered(old[1], DrainOrderID(2), .resumed)])
    #expect(try fleet.phases() == [.ready, .ready, .ready, .lost])
    #expect(try fleet.runners().allSatisfy { $0.exemptFrom == nil }, "the daemon exempts nobody")
  }

  /// The way back is durable: whoever was away is asked at its resume.
  @Test func anOfferOutlivesTheDaemon() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let token = fleet.nextToken()
    let old = try #require(try fleet.register(1, token: token).admission).runner
    try fleet.admit(2)
    try fleet.apply([.stopDelivered([DrainOrderID(1)])])
    _ = try cancel(fleet, 1)
    try fleet.reopen()
    #expect(fleet.snapshot.openOrders.map(\.wayBack) == [.offered])
    let resumed = try #require(try fleet.register(1, token: token).admission)
    #expect(resumed.runner == old && resumed.decision.standing == .draining)
    #expect(resumed.openOrder?.wayBack == .offered && resumed.openOrder?.cancelReason == "a mistake")
  }

  /// Actors that were told to go stop as told, and by a deadline of their own: the order's is gone.
  @Test func actorsOfWhoStaysHaveADeadlineAgain() throws {
    let actors = try ActorFleet()
    let old = try actors.runner(1)
    let box = try actors.create()
    try actors.run(box)
    try actors.runner(2)
    #expect(try actors[box].stopReason == .goingAway)
    try actors.fleet.apply([.cancelDrain(.runner(old.runner), reason: "", who: peer())])
    #expect(try actors[box].state == .stopping)
    #expect(try actors[box].dueNanoseconds == actors.fleet.now.nanoseconds + 1_800_000_000_000)
    try actors.stop(box)
    #expect(try actors[box].state == .starting)
  }
}
