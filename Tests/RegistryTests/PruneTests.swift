import CSQLite
import Handover
import Testing

@testable import Registry

/// The end of the history: what goes, what stays whatever the limits, and what is told of what has gone.
@Suite struct PruneTests {
  private static let day: Int64 = 86_400_000
  private static let tiny = limits(runners: 1, orders: 1, actors: 1, events: 1)

  private static func limits(
    days: Int64 = 0, runners: Int64 = 1000, orders: Int64 = 1000, actors: Int64 = 1000, events: Int64 = 1000
  ) -> HistoryLimits {
    var limits = HistoryLimits()
    limits.keepMilliseconds = days * day
    limits.endedRunners = runners
    limits.endedOrders = orders
    limits.destroyedActors = actors
    limits.events = events
    return limits
  }

  /// What is there of each kind, as `events orders runners actors`.
  private func left(_ fleet: Fleet) throws -> String {
    let database = fleet.store.database
    let counts = try [
      "events", "drain_orders WHERE state > 3", "runners WHERE phase >= 3", "actors WHERE state = 6",
    ].map { try database.integer("SELECT count(*) FROM \($0)") }
    return counts.map(String.init).joined(separator: " ")
  }

  /// A runner comes, is ordered to leave and leaves, and an actor is made and destroyed: six events.
  private func cycle(_ fleet: Fleet) throws {
    let runner = try fleet.admit(1)
    try fleet.apply([
      .drain(
        DrainCommand(target: .runner(runner.runner), graceMilliseconds: 0, reason: "its day", who: peer())),
      .leave(runner, exitCode: 0, reason: ""),
    ])
    let creation = ActorCreation(
      identity: ActorIdentity(pool: web, name: "box", key: nil, crashPolicy: .restart), who: peer())
    guard case .success(.actor(let actor, _, _)) = try fleet.apply(one: .createActor(creation)).result else {
      Issue.record("no actor")
      return
    }
    try fleet.apply([.changeActor(actor.id, .destroy, who: peer())])
  }

  /// Two events of the pool's making, and one cycle a day for ten days; now is the day after the last.
  private func tenDays() throws -> Fleet {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    for _ in 0..<10 {
      try cycle(fleet)
      fleet.advance(milliseconds: Self.day)
    }
    return fleet
  }

  /// Step after step until there is nothing left to do; the number of steps.
  @discardableResult
  private func prune(_ fleet: Fleet, _ limits: HistoryLimits) throws -> (steps: Int, removed: PrunedCounts) {
    var (steps, removed) = (0, PrunedCounts())
    while true {
      steps += 1
      guard case .success(.pruned(let counts, let hasMore)) = try fleet.apply(one: .prune(limits)).result
      else {
        Issue.record("pruning was refused")
        return (steps, removed)
      }
      removed += counts
      guard hasMore else { return (steps, removed) }
    }
  }

  struct Row: CustomTestStringConvertible {
    var name: String
    var limits: HistoryLimits
    var left: String
    var testDescription: String { name }
  }

  static let rows = [
    Row(name: "nothing is too much", limits: limits(), left: "62 10 10 10"),
    Row(name: "all of an age", limits: limits(days: 5), left: "30 5 5 5"),
    Row(name: "nothing is that old", limits: limits(days: 11), left: "62 10 10 10"),
    Row(name: "all but the last day", limits: limits(days: 1), left: "6 1 1 1"),
    Row(name: "too many runners", limits: limits(runners: 3), left: "62 10 3 10"),
    Row(name: "too many actors", limits: limits(actors: 2), left: "62 10 10 2"),
    Row(name: "too many events", limits: limits(events: 7), left: "7 10 10 10"),
    Row(name: "orders that events tell of", limits: limits(orders: 3), left: "62 10 10 10"),
    Row(name: "those whose event has gone", limits: limits(orders: 3, events: 30), left: "30 5 10 10"),
    Row(name: "too many orders", limits: limits(orders: 3, events: 6), left: "6 3 10 10"),
    Row(
      name: "too old, and of the young too many", limits: limits(days: 5, runners: 2, actors: 9),
      left: "30 5 2 5"),
    Row(name: "one of each", limits: tiny, left: "1 1 1 1"),
  ]

  @Test(arguments: rows) func whatGoes(_ row: Row) throws {
    let fleet = try tenDays()
    let all = try left(fleet)
    #expect(all == "62 10 10 10")
    let events = try fleet.events()
    let before = try fleet.counts()
    _ = try prune(fleet, row.limits)
    #expect(try left(fleet) == row.left)
    // The youngest stay, and say what they said before.
    let oldest = try fleet.store.database.integer("SELECT coalesce(min(revision), 63) FROM events")
    #expect(try fleet.events(after: oldest - 1) == events.filter { $0.revision.rawValue >= oldest })
    let orders = try fleet.drains()
    #expect(orders.map(\.id.rawValue) == Array((11 - Int64(orders.count))..<11))
    #expect(orders.allSatisfy { $0.reason == "its day" && $0.runnerVersion == version(1) })
    let runners = try fleet.runners(includeEnded: true)
    #expect(runners.map(\.id.rawValue) == Array((11 - Int64(runners.count))..<11))
    #expect(try fleet.counts().ended == runners.count)
    #expect(try fleet.counts().pools == before.pools)
    // Its numbers go on.
    #expect(try fleet.admit(1).runner == RunnerID(11))
    // And once more there is nothing to do.
    try fleet.reopen()
    #expect(try prune(fleet, row.limits).removed.runners == 0)
  }

  @Test func termsGoWithTheLastOfTheirOrders() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let old = try (0..<3).map { _ in try fleet.admit(1) }
    try fleet.admit(2)
    try fleet.apply([.leave(old[1], exitCode: 0, reason: "")])
    try fleet.apply([.leave(old[0], exitCode: 0, reason: "")])
    fleet.advance(milliseconds: Self.day)
    func terms() throws -> Int64 { try fleet.store.database.integer("SELECT count(*) FROM drain_terms") }
    #expect(try prune(fleet, Self.limits(days: 1, events: 1)).removed.orders == 0)
    fleet.advance(milliseconds: 1)
    #expect(try prune(fleet, Self.limits(days: 1, events: 1)).removed.orders == 2)
    #expect(try terms() == 1)
    let open = try #require(try fleet.drains().first)
    #expect(open.runner == old[2].runner && open.cause == .versionUpgrade && open.who == peer())
    try fleet.apply([.leave(old[2], exitCode: 0, reason: "")])
    fleet.advance(milliseconds: 2 * Self.day)
    try prune(fleet, Self.limits(days: 1, events: 1))
    #expect(try terms() == 0)
    #expect(try fleet.drains() == [])
  }

  /// However old and however many.
  @Test func whatLivesStays() throws {
    let actors = try ActorFleet()
    let fleet = actors.fleet
    let ready = try actors.runner(2)
    let draining = try actors.runner(2)
    try fleet.apply([
      .drain(
        DrainCommand(
          target: .runner(draining.runner), graceMilliseconds: 604_800_000, reason: "by hand", who: peer()))
    ])
    let running = try actors.running(on: ready)
    let sleeping = try actors.create(actors.creation(input: [1], request: "r")).id
    try actors.wish(.sleep, sleeping)
    for _ in 0..<5 { try cycle(fleet) }
    fleet.advance(milliseconds: 3650 * Self.day)
    let runners = try fleet.runners()
    let orders = try fleet.drains(includeEnded: false)
    let pool = try fleet.pool()
    try prune(fleet, Self.limits(days: 1, runners: 1, orders: 1, actors: 1, events: 1))
    #expect(try left(fleet) == "0 0 0 0")
    #expect(try fleet.runners() == runners)
    #expect(try fleet.runners(includeEnded: true) == runners)
    #expect(try fleet.drains(includeEnded: true) == orders)
    #expect(orders.map(\.reason) == ["by hand"])
    #expect(try fleet.pool().pool == pool.pool)
    #expect(try fleet.pool().history == pool.history)
    #expect(try actors.story(running) == "running on 1 generation 1")
    #expect(try actors.create(actors.creation(input: [1], request: "r")).id == sleeping)
    try fleet.reopen()
    #expect(fleet.snapshot.runners.map(\.id) == [ready.runner, draining.runner])
    #expect(fleet.snapshot.openOrders.map(\.terms.reason) == ["by hand"])
  }

  /// A step is small, whatever there is to do, and the next one says that there is more until there is none.
  @Test func aStepIsSmall() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    var leaving: [Mutation] = []
    for _ in 0..<150 {
      let runner = try fleet.admit(1)
      leaving.append(
        .drain(DrainCommand(target: .runner(runner.runner), graceMilliseconds: 0, reason: "", who: peer())))
      leaving.append(.lose([runner], .threshold))
    }
    try fleet.apply(leaving)
    #expect(try left(fleet) == "602 150 150 0")
    var steps = 0
    var hasMore = true
    while hasMore {
      let before = sqlite3_total_changes(fleet.store.database.handle)
      guard case .success(.pruned(_, let more)) = try fleet.apply(one: .prune(Self.tiny)).result else {
        break
      }
      #expect(sqlite3_total_changes(fleet.store.database.handle) - before <= 501)
      hasMore = more
      steps += 1
    }
    #expect(try left(fleet) == "1 1 1 0")
    #expect(steps == 3)
    // Nothing to do writes nothing.
    let before = sqlite3_total_changes(fleet.store.database.handle)
    try fleet.apply([.prune(Self.tiny)])
    #expect(sqlite3_total_changes(fleet.store.database.handle) == before)
  }

  @Test func aListUnderWayGoesOn() throws {
    let fleet = try tenDays()
    let filter = RunnerFilter(includeEnded: true)
    let first = try fleet.runners(filter, Page(size: 4))
    #expect(first.elements.map(\.id.rawValue) == [1, 2, 3, 4])
    try prune(fleet, Self.limits(runners: 3))
    let second = try fleet.runners(filter, Page(size: 2, token: first.next))
    #expect(second.elements.map(\.id.rawValue) == [8, 9])
    try prune(fleet, Self.tiny)
    let texts = try [
      Query.runner(RunnerID(8)), .drain(DrainOrderID(8)), .actor(ActorID(8)), .actor(ActorID(11)),
    ].map {
      guard case .refused(let refusal) = try fleet.read($0).content else { return "there" }
      return refusal.message
    }
    #expect(
      texts == [
        "runner 8 is no longer kept", "drain order 8 is no longer kept", "actor 8 is no longer kept",
        "actor 11 does not exist",
      ])
    let third = try fleet.runners(filter, Page(size: 4, token: second.next))
    #expect(third.elements.map(\.id.rawValue) == [10])
    #expect(third.next.isEmpty)
  }

  /// A hole of a million ids between an old runner that lives and the young ones is no million rows, and no page of its own.
  @Test func aHoleIsPassedAtOnce() throws {
    let fleet = try tenDays()
    _ = try fleet.store.database.execute(
      "UPDATE fleet SET last_runner = 1000000, last_order = 1000000")
    try fleet.reopen()
    let young = try fleet.admit(1)
    #expect(young.runner == RunnerID(1_000_001))
    let first = try fleet.runners(RunnerFilter(includeEnded: true), Page(size: 10))
    let second = try fleet.runners(RunnerFilter(includeEnded: true), Page(size: 10, token: first.next))
    #expect(second.elements.map(\.id) == [young.runner])
  }

  // MARK: - What is told of what has gone

  @Test func aWatchIsToldWhatIsKept() throws {
    let fleet = try tenDays()
    func answer(_ after: Int64) throws -> String {
      switch try fleet.read(.events(after: Revision(after), namespace: nil, name: nil, limit: 5)).content {
      case .refused(let refusal): "\(refusal.code): \(refusal.message)"
      case .events(let events, let upTo): "\(events.map(\.revision.rawValue)) up to \(upTo)"
      default: "?"
      }
    }
    #expect(try answer(0) == "[1, 2, 3, 4, 5] up to 5")
    try prune(fleet, Self.limits(events: 3))
    let gone = "is no longer followed:"
    let remedy = "list anew and watch from that list's revision"
    #expect(try answer(58) == "outOfRange: revision 58 \(gone) the oldest event kept is 60; \(remedy)")
    #expect(try answer(59) == "[60, 61, 62] up to 62")
    fleet.advance(milliseconds: 1)
    try prune(fleet, Self.limits(days: 1))
    #expect(try left(fleet).hasPrefix("0 "))
    #expect(try answer(61) == "outOfRange: revision 61 \(gone) no event up to 62 is kept; \(remedy)")
    #expect(try answer(62) == "[] up to 62")
    try fleet.admit(1)
    #expect(try answer(62) == "[63] up to 63")
    #expect(try answer(61) == "outOfRange: revision 61 \(gone) the oldest event kept is 63; \(remedy)")
  }

  @Test func aFenceIsForgottenWithItsRunner() throws {
    let fleet = try Fleet()
    let token = fleet.nextToken()
    let registration = fleet.registration(1, token: token)
    let first = try #require(try fleet.apply(one: .register(registration)).admission)
    try fleet.apply([.lose([Attachment(runner: first.runner, id: registration.attachment)], .threshold)])
    #expect(try fleet.register(1, token: token).refusal?.code == .failedPrecondition)
    fleet.advance(milliseconds: 2 * Self.day)
    try prune(fleet, Self.limits(days: 1))
    let second = try #require(try fleet.register(1, token: token).admission)
    #expect(second.runner != first.runner && !second.isResumed)
  }

  @Test func aRequestIsForgottenWithItsActor() throws {
    let actors = try ActorFleet()
    let creation = actors.creation(request: "once")
    let first = try actors.create(creation).id
    try actors.wish(.destroy, first)
    #expect(try actors.create(creation).id == first)
    actors.advance(seconds: 2 * 86_400)
    try prune(actors.fleet, Self.limits(days: 1))
    #expect(try actors.create(creation).id != first)
    #expect(try actors.fleet.store.database.integer("SELECT count(*) FROM actors") == 1)
  }

  /// What one transaction has read does not outlive its row.
  @Test func whatGoesInTheSameTransactionIsGone() throws {
    let actors = try ActorFleet()
    let ids = try actors.create(2)
    let committed = try actors.fleet.apply([
      .changeActor(ids[0], .destroy, who: peer()), .changeActor(ids[1], .destroy, who: peer()),
      .prune(Self.tiny), .changeActor(ids[0], .destroy, who: peer()),
    ])
    guard case .failure(let refusal) = committed.results[3] else {
      Issue.record("\(committed.results[3])")
      return
    }
    #expect(refusal.code == .notFound)
  }

  /// The text of a refusal, or that there was none.
  private func told(_ fleet: Fleet, _ subject: ExplainSubject) throws -> String {
    let answer = try fleet.read(Query.explain(subject, at: fleet.now))
    guard case .refused(let refusal) = answer.content else { return "explained" }
    return refusal.message
  }

  /// Explanations and the history do without what is gone.
  @Test func whatLivesIsExplained() throws {
    let fleet = try tenDays()
    let living = try fleet.admit(1)
    let leaving = try fleet.admit(1)
    try fleet.apply([
      .cordon(living.runner, true, reason: "look at it", who: peer()),
      .drain(
        DrainCommand(target: .runner(leaving.runner), graceMilliseconds: 604_800_000, reason: "", who: peer())
      ),
    ])
    fleet.advance(milliseconds: Self.day)
    try prune(fleet, Self.limits(runners: 2))
    #expect(
      try told(fleet, .order(DrainOrderID(1)))
        == "drain order 1 has ended (completed), and its runner 1 is no longer kept")
    #expect(try told(fleet, .order(DrainOrderID(10))) == "explained")
    try prune(fleet, Self.tiny)
    fleet.advance(milliseconds: 2 * Self.day)
    try prune(fleet, Self.limits(days: 1))
    #expect(try left(fleet) == "0 0 0 0")
    for subject in [
      ExplainSubject.runner(living.runner), .runner(leaving.runner), .order(DrainOrderID(11)), .pool(web),
    ] {
      #expect(try told(fleet, subject) == "explained")
    }
    #expect(try told(fleet, .runner(RunnerID(10))) == "runner 10 is no longer kept")
    #expect(try told(fleet, .actor(ActorID(10))) == "actor 10 is no longer kept")
    guard
      case .history(let page) = try fleet.read(.history(namespace: nil, name: nil, Page(size: 10))).content
    else {
      Issue.record("no history")
      return
    }
    // What the open order came from is there for as long as the order is.
    #expect(page.elements.map(\.event.kind) == [.drainOrdered])
  }

  // MARK: - Targets

  /// A rollback finds the target before the present one, however long ago that was.
  @Test func thePreviousTargetStays() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining(false))
    try fleet.admit(1)
    try fleet.admit(2)
    let database = fleet.store.database
    #expect(try fleet.target() == 2)
    // A pool that is made anew may come back to its last target, time and again.
    for _ in 0..<1010 {
      try database.execute(
        """
        INSERT INTO target_changes (pool_id, version, cause, uid, gid, pid, program, at_ms)
        SELECT pool_id, 2, cause, uid, gid, pid, program, at_ms FROM target_changes WHERE id = 2
        """)
    }
    try database.execute("UPDATE pools SET target_change_id = NULL")
    func count() throws -> Int64 { try database.integer("SELECT count(*) FROM target_changes") }
    try fleet.admit(2)
    #expect(try fleet.target() == 2)
    #expect(try count() == 1003)
    #expect(try database.integer("SELECT version FROM target_changes ORDER BY id LIMIT 1") == 1)
    try fleet.admit(3)
    #expect(try count() == 1000)
    _ = try fleet.apply(one: .setTarget(web, .previous, reason: "", who: peer()))
    #expect(try fleet.pool().pool.pin?.version == version(2))
  }
}
