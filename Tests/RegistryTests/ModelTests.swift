import Handover
import Seeded
import Testing

@testable import Registry

/// Random changes, each checked against a model that knows nothing of SQLite.
@Suite struct ModelTests {
  private struct Sequence {
    let fleet: Fleet
    var model: Model
    var random: SeededRandom
    var sent: [Registration] = []
    let names = [web, PoolName(namespace: "default", name: "api")]
    var boots = 1

    init(seed: UInt64) throws {
      random = SeededRandom(seed: seed)
      fleet = try Fleet()
      model = Model(now: fleet.now.nanoseconds)
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements.randomElement(using: &random)! }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    mutating func uid() -> UInt32 { pick([ownerUID, ownerUID, ownerUID, otherUID, daemonUID, 0]) }

    mutating func registration() -> Registration {
      if !sent.isEmpty, chance(30) {
        var again = pick(sent)
        if chance(80) { again.attachment = fleet.nextAttachment() }
        if chance(5) { again.peer.uid = otherUID }
        if chance(5) { again.version = version(9) }
        return again
      }
      let key = chance(50) ? pick(["a", "b", "c", "3", "7"]) : nil
      let made = fleet.registration(pick([1, 1, 2, 2, 3, 4]), key: key, in: pick(names), uid: uid())
      sent.append(made)
      return made
    }

    mutating func attachments() -> [Handover.Attachment] {
      let living = model.runners.filter { !$0.value.phase.hasEnded }.keys.sorted()
      var chosen: [Handover.Attachment] = []
      for _ in 0..<Int.random(in: 1...3, using: &random) where !living.isEmpty {
        let id = pick(living)
        let stale: Int64 = chance(10) ? 1 : 0
        chosen.append(
          Handover.Attachment(
            runner: RunnerID(id), id: AttachmentID(model.runners[id]!.attachment - stale)))
      }
      return chosen
    }

    mutating func orders() -> [DrainOrderID] {
      let known = model.orders.keys.sorted()
      guard !known.isEmpty else { return [DrainOrderID(1)] }
      return (0..<Int.random(in: 1...4, using: &random)).map { _ in DrainOrderID(pick(known)) }
    }

    mutating func drain() -> Mutation {
      let target: DrainCommand.Target =
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .wholePool(pick(names))
        case 1: .olderVersions(pick(names), belowVersion: chance(50) ? nil : version(3))
        default: .runner(RunnerID(Int64.random(in: 1...Int64(max(2, sent.count)), using: &random)))
        }
      return .drain(
        DrainCommand(
          target: target, graceMilliseconds: pick([0, 2000, 90_000]), reason: "", who: peer(uid())))
    }

    mutating func mutation() -> Mutation {
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<38: return .register(registration())
      case 38..<48: return .detached(attachments())
      case 48..<53: return .silent(attachments())
      case 53..<56: return .heard(attachments())
      case 56..<62: return .stopDelivered(orders())
      case 62..<68:
        return .stopAcked(
          orders().map {
            StopAcknowledgement(runner: RunnerID(model.orders[$0.rawValue]?.runner ?? 1), order: $0)
          })
      case 68..<72:
        guard let one = attachments().first else { return .force(orders()) }
        return .stopping(one, reason: "", graceMilliseconds: pick([0, 3000]))
      case 72..<79:
        guard let one = attachments().first else { return .force(orders()) }
        return .leave(one, exitCode: 0, reason: "")
      case 79..<85: return .lose(attachments(), pick([.threshold, .processDied]))
      case 85..<90: return .force(orders())
      case 90..<93:
        let config = chance(15) ? RunnerConfig(kind: .serverless) : draining(pick([true, true, false]))
        return .putConfig(pick(names), config, who: peer(uid()))
      case 93..<95: return .cancelDrain(.order(pick(orders())), reason: "", who: peer(uid()))
      case 95..<97:
        guard let one = attachments().first, chance(80) else { return .force(orders()) }
        let order = model.runners[one.runner.rawValue]?.order ?? 1
        return .stopCancelledAnswered(one, DrainOrderID(order), pick([.resumed, .resumed, .tooLate]))
      case 97..<98: return .deleteConfig(pick(names), who: peer(uid()))
      default: return drain()
      }
    }
  }

  @Test(arguments: 1...40) func storeDoesAsTheModel(seed: Int) throws {
    var run = try Sequence(seed: UInt64(seed))
    for step in 0..<150 {
      var batch: [Mutation] = []
      var expected: [Refusal.Code?] = []
      for _ in 0..<Int.random(in: 1...4, using: &run.random) {
        let mutation = run.mutation()
        batch.append(mutation)
        expected.append(run.model.apply(mutation))
      }
      let committed = try run.fleet.apply(batch)
      let codes = committed.results.map { result in
        switch result {
        case .success: Refusal.Code?.none
        case .failure(let refusal): refusal.code
        }
      }
      try #require(codes == expected, "seed \(seed), step \(step): \(batch)")
      try compare(run, "seed \(seed), step \(step): \(batch)")
      if run.chance(10) {
        run.fleet.advance(milliseconds: run.pick([10, 1000, 30_000, 70_000]))
        run.model.now = run.fleet.now.nanoseconds
      }
      if run.chance(3) { try restart(&run) }
    }
  }

  private func restart(_ run: inout Sequence) throws {
    let changes = run.chance(25)
    if changes {
      run.boots += 1
      run.fleet.bootID = "boot-\(run.boots)"
    }
    run.model.restart(
      bootChanged: changes, lostThresholdMilliseconds: FleetTimes().lostThresholdMilliseconds)
    try run.fleet.reopen()
    try compare(run, "after a restart")
  }

  private func compare(_ run: Sequence, _ story: String) throws {
    let runners = try run.fleet.runners(includeEnded: true)
    try #require(runners.map(\.id.rawValue) == run.model.runners.keys.sorted(), "\(story)")
    for runner in runners {
      let expected = run.model.runners[runner.id.rawValue]!
      let link: RunnerLink? = expected.phase.hasEnded ? nil : expected.isAttached ? .attached : .detached
      try #require(
        runner.phase == expected.phase && runner.link == link && runner.isSilent == expected.isSilent
          && runner.end == expected.end && runner.drainOrder?.rawValue == expected.order,
        "\(story): \(runner) is not \(expected)")
    }
    for order in try run.fleet.drains() {
      let expected = run.model.orders[order.id.rawValue]!
      try #require(
        order.runner.rawValue == expected.runner && order.state == expected.state
          && order.cause == expected.cause
          && (!order.state.isOpen || order.deadlineNanoseconds == expected.deadline),
        "\(story): \(order) is not \(expected)")
    }
    for pool in try run.fleet.pools() {
      let expected = run.model.pools[pool.name]!
      try #require(
        pool.target?.version.number == expected.target && pool.config == expected.config
          && pool.ownerUID == expected.owner, "\(story): \(pool) is not \(expected)")
    }
  }
}
