import Handover
import Testing

@testable import Registry

/// Who gets a slot, whose, and when.
@Suite struct ActorAllocationTests {
  private let actors: ActorFleet
  private var fleet: Fleet { actors.fleet }

  init() throws { actors = try ActorFleet() }

  private func runnersOf(_ ids: [ActorID]) throws -> [Int64] {
    try ids.map { try actors[$0].runner?.rawValue ?? 0 }
  }

  @Test func pendingWithoutRunners() throws {
    let ids = try actors.create(2)
    #expect(try actors.stories(ids) == ["pending (noCapacity)", "pending (noCapacity)"])
    #expect(try ids.map { try actors[$0].wait } == [.runner, .runner])
    #expect(try ids.map { try actors[$0].queuedBefore } == [0, 1])
    try actors.wait(seconds: 86_400)
    #expect(try actors.stories(ids) == ["pending (noCapacity)", "pending (noCapacity)"])
    try actors.runner(1)
    #expect(
      try actors.stories(ids) == [
        "starting on 1 generation 1 (noCapacity)", "starting on 1 generation 1 (noCapacity)",
      ])
  }

  @Test func atMaximumCapacity() throws {
    let runner = try actors.runner(1, slots: 2)
    let ids = try actors.create(3)
    #expect(try runnersOf(ids) == [1, 1, 0])
    #expect(try actors[ids[2]].wait == .capacity)
    #expect(try fleet.runner(runner.runner).remainingSlots == 0)
    #expect(try fleet.pool().pool.versions.map(\.remainingSlots) == [0])
    try actors.report(runner, ids[1], ActorFleet.ok)
    #expect(try runnersOf(ids) == [1, 0, 1])
    #expect(try actors.used(runner) == 2)
  }

  @Test func queueOrder() throws {
    let ids = try actors.create(6)
    #expect(try ids.map { try actors[$0].queuedBefore } == [0, 1, 2, 3, 4, 5])
    let first = try actors.runner(1, slots: 2)
    #expect(try runnersOf(ids) == [1, 1, 0, 0, 0, 0])
    // A new one queues behind those who wait, though a slot becomes free as it comes.
    let batch = try fleet.apply([
      .createActor(actors.creation()),
      .actorReports(
        first,
        [
          ActorReport(
            checkpoint: ActorCheckpoint(actor: ids[0], generation: 1, index: 1), kind: ActorFleet.ok)
        ]),
    ])
    #expect(batch.results.count == 2)
    #expect(try runnersOf(ids) == [0, 1, 1, 0, 0, 0])
    #expect(try actors[ActorID(7)].queuedBefore == 3)
    try actors.runner(1, slots: 2)
    #expect(try runnersOf(ids) == [0, 1, 1, 2, 2, 0])
  }

  /// Who crashed queues behind the others; who lost its slot through no fault of its own does not.
  @Test func whoLostItsSlotKeepsItsPlace() throws {
    let first = try actors.runner(1, slots: 2)
    let ids = try actors.create(5)
    try actors.report(first, ids[0], .running)
    try actors.report(first, ids[1], .running)
    try actors.report(first, ids[0], ActorFleet.error)
    #expect(try runnersOf(ids) == [0, 1, 1, 0, 0])
    try actors.apply(.lose([first], .processDied))
    #expect(try ids.map { try actors[$0].queuedBefore } == [4, 0, 1, 2, 3])
    try actors.runner(1, slots: 1)
    #expect(try runnersOf(ids) == [0, 2, 0, 0, 0])
  }

  @Test func mostFreeThenLongestWithoutWorkThenLeast() throws {
    try actors.runner(1, slots: 2)
    try actors.runner(1, slots: 3)
    try actors.runner(1, slots: 2)
    var given: [Int64] = []
    for _ in 0..<7 {
      actors.advance(seconds: 1)
      given += try runnersOf([try actors.create()])
    }
    // 2/3/2 free; then all have two and the others never had work; then one each.
    #expect(given == [2, 1, 3, 2, 1, 3, 2])
  }

  @Test func theTargetFirst() throws {
    try actors.configure { $0.drainOnVersionUpgrade = false }
    let (old, new) = (try actors.runner(1, slots: 9), try actors.runner(2, slots: 1))
    let ids = try actors.create(2)
    #expect(try runnersOf(ids) == [new.runner.rawValue, 0])
    #expect(try actors.used(old) == 0)
  }

  @Test func fallbackToOtherVersions() throws {
    try actors.configure { $0.drainOnVersionUpgrade = false }
    for number: UInt32 in [1, 2, 3] { try actors.runner(number, slots: 1) }
    let ids = try actors.create(4)
    #expect(try runnersOf(ids) == [3, 0, 0, 0])
    try actors.configure {
      $0.drainOnVersionUpgrade = false
      $0.actors.fallsBackToOtherVersions = true
    }
    #expect(try runnersOf(ids) == [3, 2, 1, 0], "at once, the greatest first")
  }

  /// A pool that falls back says so of those who wait.
  @Test func whoWaitsKnowsForWhat() throws {
    let runner = try actors.runner(1, slots: 1)
    let ids = try actors.create(2)
    #expect(try actors[ids[1]].wait == .capacity)
    try actors.apply(.silent([runner]))
    #expect(try actors[ids[1]].wait == .runner)
    try actors.report(runner, ids[0], ActorFleet.error)
    try actors.report(runner, ids[0], ActorFleet.ok, generation: 1)
    #expect(try actors[ids[0]].state == .pending && actors[ids[0]].wait == .runner)
  }

  // MARK: - Who gets none

  @Test func aSilentRunnerGetsNone() throws {
    let runner = try actors.runner(1)
    try actors.apply(.silent([runner]))
    let box = try actors.create()
    #expect(try runnersOf([box]) == [0])
    try actors.apply(.heard([runner]))
    #expect(try runnersOf([box]) == [1])
  }

  @Test func aDetachedRunnerGetsNone() throws {
    var registration = actors.registration(1)
    let runner = try actors.admit(registration)
    try actors.apply(.detached([runner]))
    let box = try actors.create()
    #expect(try runnersOf([box]) == [0])
    registration.attachment = fleet.nextAttachment()
    try actors.admit(registration)
    #expect(try runnersOf([box]) == [1])
  }

  @Test func anUnauthorizedRunnerGetsNone() throws {
    let box = try actors.create()
    try actors.admit(actors.registration(1, uid: otherUID))
    #expect(try runnersOf([box]) == [0])
    #expect(try actors[box].wait == .runner)
    for uid in [0, daemonUID] { try actors.admit(actors.registration(1, slots: 1, uid: uid)) }
    #expect(try runnersOf([box, try actors.create()]) == [2, 3])
  }

  @Test func aRunnerThatTakesNoActorsGetsNone() throws {
    var registration = actors.registration(1, takesActors: false)
    try actors.admit(registration)
    let box = try actors.create()
    #expect(try runnersOf([box]) == [0])
    #expect(try actors[box].wait == .runner)
    // It says another thing when it attaches again.
    registration.takesActors = true
    registration.attachment = fleet.nextAttachment()
    try actors.admit(registration)
    #expect(try runnersOf([box]) == [1])
  }

  @Test func anEndedRunnerGetsNone() throws {
    let first = try actors.runner(1)
    try actors.apply(.leave(first, exitCode: 0, reason: ""))
    let box = try actors.create()
    #expect(try runnersOf([box]) == [0])
    #expect(try actors[box].wait == .runner)
  }

  /// The books are the daemon's: nothing is taken away, and nothing new comes until it fits.
  @Test func resumeWithFewerSlotsThanInUse() throws {
    var registration = actors.registration(1, slots: 4)
    let runner = try actors.admit(registration)
    let ids = try actors.create(4)
    for id in ids { try actors.report(runner, id, .running) }
    registration.totalSlots = 2
    registration.attachment = fleet.nextAttachment()
    let resumed = try actors.admit(registration)
    let waiting = try actors.create(2)
    #expect(try runnersOf(ids + waiting) == [1, 1, 1, 1, 0, 0])
    #expect(try fleet.runner(runner.runner).remainingSlots == 0)
    for id in ids[..<2] { try actors.report(resumed, id, ActorFleet.ok) }
    #expect(try runnersOf(ids + waiting) == [0, 0, 1, 1, 0, 0])
    try actors.report(resumed, ids[2], ActorFleet.ok)
    #expect(try runnersOf(ids + waiting) == [0, 0, 0, 1, 1, 0])
    // And more again.
    registration.totalSlots = 3
    registration.attachment = fleet.nextAttachment()
    try actors.admit(registration)
    #expect(try runnersOf(ids + waiting) == [0, 0, 0, 1, 1, 1])
  }

  // MARK: - More than one transaction gives out

  private static let limit = SQLiteStore.allocationsPerTransaction

  private func manyWait() throws -> CommittedBatch {
    let wish = Mutation.createActor(actors.creation())
    try fleet.apply(Array(repeating: wish, count: Self.limit + 500))
    return try fleet.apply([
      .register(actors.registration(1, slots: UInt32(Self.limit) + 400))
    ])
  }

  @Test func moreThanOneTransactionGivesOut() throws {
    #expect(try manyWait().nextDue == fleet.now.nanoseconds, "the rest is due at once")
    #expect(try fleet.pool().pool.actors.starting == Self.limit)
    let rest = try fleet.apply([.timePassed])
    #expect(try fleet.pool().pool.actors.starting == Self.limit + 400)
    #expect(rest.nextDue == fleet.now.nanoseconds + 30_000_000_000, "start deadlines are next")
  }

  /// What a transaction that came to nothing had begun is still to be done.
  @Test func theRestOutlivesATransactionThatFails() throws {
    _ = try manyWait()
    try fleet.fillDisk(true)
    #expect(throws: StoreFailure.self) { try fleet.store.apply([.timePassed], at: fleet.now) }
    try fleet.fillDisk(false)
    try fleet.apply([.timePassed])
    #expect(try fleet.pool().pool.actors.starting == Self.limit + 400)
  }

  /// To wait for the next transaction is not to lack a slot.
  @Test func whoIsNextLacksNoCapacity() throws {
    let runner = actors.registration(1, slots: UInt32(Self.limit) + 100)
    let wish = Mutation.createActor(actors.creation())
    try fleet.apply([.register(runner)] + Array(repeating: wish, count: Self.limit + 1))
    let last = ActorID(Int64(Self.limit) + 1)
    #expect(try actors.story(last) == "pending")
    #expect(try actors[last].wait == .turn)
    try actors.wait(seconds: 0)
    #expect(try actors.story(last) == "starting on 1 generation 1")
  }

  /// As many are due at once as one transaction does not look at.
  @Test func moreThanOneTransactionLooksAt() throws {
    let count = SQLiteStore.duePerTransaction + 10
    try actors.runner(1, slots: UInt32(count))
    try fleet.apply(Array(repeating: .createActor(actors.creation()), count: count))
    actors.advance(seconds: 30)
    let first = try fleet.apply([.timePassed])
    #expect(try #require(first.nextDue) <= fleet.now.nanoseconds)
    let second = try fleet.apply([.timePassed])
    #expect(try #require(second.nextDue) > fleet.now.nanoseconds)
    #expect(try actors[ActorID(Int64(count))].generation == 2)
  }
}

extension Fleet {
  /// The file may grow no more, or may again.
  func fillDisk(_ isFull: Bool) throws {
    _ = try Statement(store.database, "PRAGMA max_page_count = \(isFull ? 1 : 1_000_000_000)").first {
      $0.int64(0)
    }
  }
}
