import Handover
import Testing

@testable import Registry

/// Who is admitted, who is resumed, and what becomes of a key.
@Suite struct RegistrationTests {
  @Test func firstRunnerMakesThePoolAndIsItsTarget() throws {
    let fleet = try Fleet()
    let step = try fleet.register(3)
    let admission = try #require(step.admission)
    #expect(admission.runner == RunnerID(1))
    #expect(admission.key == "1")
    #expect(!admission.isResumed)
    #expect(admission.openOrder == nil)
    #expect(
      admission.decision
        == Decision(config: .created, upgrade: .disabled, standing: .ready, target: version(3)))
    let (shown, history) = try fleet.pool()
    #expect(shown.ownerUID == ownerUID)
    #expect(shown.config == .automatic)
    #expect(history.map(\.cause) == [.first])
    #expect(history.first?.runner == RunnerID(1))
    #expect(try fleet.events().map(\.kind) == [.configPut, .runnerRegistered, .targetChanged])
  }

  @Test func namespaceMustExist() throws {
    let fleet = try Fleet()
    let elsewhere = PoolName(namespace: "blue", name: "web")
    let refusal = try #require(try fleet.register(1, in: elsewhere).refusal)
    #expect(refusal.code == .notFound)
    #expect(refusal.message.contains("baton namespaces create blue"))
    #expect(try fleet.events().isEmpty)
    #expect(throws: Never.self) {
      try fleet.apply([
        .createNamespace("blue", who: peer()), .register(fleet.registration(1, in: elsewhere)),
      ])
    }
    #expect(try fleet.runners().map(\.pool) == [elsewhere])
  }

  // MARK: Tokens

  @Test func knownTokenResumesTheSameRunner() throws {
    let fleet = try Fleet()
    let token = fleet.nextToken()
    let first = try #require(try fleet.register(1, key: "a", token: token).admission)
    let attachment = Handover.Attachment(runner: first.runner, id: AttachmentID(1))
    try fleet.apply([.detached([attachment])])
    #expect(try fleet.runner(first.runner).link == .detached)

    var again = fleet.registration(1, key: "a", token: token, slots: 9)
    again.metadata = [MetadataPair(key: "zone", value: "north")]
    again.peer.pid = 99
    let resumed = try #require(try fleet.apply(one: .register(again)).admission)
    #expect(resumed.runner == first.runner)
    #expect(resumed.isResumed)
    let runner = try fleet.runner(first.runner)
    #expect(runner.link == .attached)
    #expect(runner.totalSlots == 9)
    #expect(runner.peer.pid == 99)
    #expect(runner.metadata == again.metadata)
    #expect(try fleet.runners().count == 1)
  }

  /// A reply was lost, the runner sent its Register once more on the same connection: the same answer, done
  /// once.
  @Test func sameRegisterAgainChangesNothing() throws {
    let fleet = try Fleet()
    let registration = fleet.registration(1, key: "a")
    let first = try #require(try fleet.apply(one: .register(registration)).admission)
    let revision = try fleet.latest()
    let second = try #require(try fleet.apply(one: .register(registration)).admission)
    #expect(second.runner == first.runner)
    #expect(second.isResumed)
    #expect(try fleet.latest() == revision)
  }

  /// Two connections of one runner race: what the older one says comes late and must not take the newer one's
  /// place.
  @Test func earlierConnectionDoesNotTakeOver() throws {
    let fleet = try Fleet()
    let late = fleet.registration(1)
    var current = late
    current.attachment = fleet.nextAttachment()
    let runner = try #require(try fleet.apply(one: .register(current)).admission).runner
    #expect(try fleet.apply(one: .register(late)).refusal?.code == .aborted)
    try fleet.apply([.detached([Handover.Attachment(runner: runner, id: late.attachment)])])
    #expect(try fleet.runner(runner).link == .attached)
  }

  @Test(arguments: ["pool", "version", "key", "no key"]) func tokenIsOneRunners(difference: String) throws {
    let fleet = try Fleet()
    var registration = fleet.registration(1, key: "a")
    try fleet.apply([.register(registration)])
    registration.attachment = fleet.nextAttachment()
    switch difference {
    case "pool": registration.pool.name = "other"
    case "version": registration.version = version(2)
    case "key": registration.key = "b"
    default: registration.key = nil
    }
    let refusal = try #require(try fleet.apply(one: .register(registration)).refusal)
    #expect(refusal.code == .failedPrecondition)
    #expect(refusal.message.contains("new token"))
    #expect(try fleet.runners().count == 1)
  }

  @Test func anothersTokenIsRefusedWhetherItLivesOrNot() throws {
    let fleet = try Fleet()
    let registration = fleet.registration(1)
    var stolen = registration
    stolen.peer.uid = otherUID
    let runner = try #require(try fleet.apply(one: .register(registration)).admission).runner
    #expect(try fleet.apply(one: .register(stolen)).refusal?.code == .permissionDenied)
    try fleet.apply([.lose([Handover.Attachment(runner: runner, id: registration.attachment)], .threshold)])
    #expect(try fleet.apply(one: .register(stolen)).refusal?.code == .permissionDenied)
  }

  /// A runner that was thought lost comes back: it must not go on beside the one that replaced it.
  @Test(arguments: [RunnerEnd.threshold, .detached, .forced])
  func endedTokenIsFenced(end: RunnerEnd) throws {
    let fleet = try Fleet()
    let registration = fleet.registration(1)
    let runner = try #require(try fleet.apply(one: .register(registration)).admission).runner
    let attachment = Handover.Attachment(runner: runner, id: registration.attachment)
    switch end {
    case .detached: try fleet.apply([.leave(attachment, exitCode: 0, reason: "")])
    case .forced:
      try fleet.apply([.stopping(attachment, reason: "", graceMilliseconds: 1000)])
      fleet.advance(milliseconds: 1000)
      try fleet.apply([.force([DrainOrderID(1)])])
    case .threshold, .processDied, .machineRestarted, .keyTaken:
      try fleet.apply([.lose([attachment], end)])
    }
    let refusal = try #require(try fleet.apply(one: .register(registration)).refusal)
    #expect(refusal.code == .failedPrecondition)
    #expect(refusal.message.hasPrefix("fenced: runner \(runner) "))
    #expect(refusal.message.contains("make up a new token"))
    #expect(try fleet.runner(runner).end == end)
  }

  // MARK: Keys

  struct KeyCase: CustomTestStringConvertible {
    enum Fate: Equatable { case superseded, lost, refused(Refusal.Code) }
    var newcomer: UInt32
    var holderIsAttached: Bool
    var uid: UInt32 = ownerUID
    var holderUID: UInt32 = ownerUID
    var fate: Fate
    var testDescription: String {
      "v\(newcomer) of uid \(uid) against \(holderIsAttached ? "attached" : "detached") v2 of uid \(holderUID)"
    }
  }

  /// The pool is uid 1000's, the daemon is 900, the holder is version 2.
  @Test(arguments: [
    KeyCase(newcomer: 3, holderIsAttached: true, fate: .superseded),
    KeyCase(newcomer: 2, holderIsAttached: true, fate: .refused(.alreadyExists)),
    KeyCase(newcomer: 1, holderIsAttached: true, fate: .refused(.failedPrecondition)),
    KeyCase(newcomer: 3, holderIsAttached: false, fate: .lost),
    KeyCase(newcomer: 2, holderIsAttached: false, fate: .lost),
    KeyCase(newcomer: 1, holderIsAttached: false, fate: .refused(.failedPrecondition)),
    KeyCase(newcomer: 3, holderIsAttached: true, uid: otherUID, fate: .refused(.permissionDenied)),
    KeyCase(newcomer: 3, holderIsAttached: false, uid: otherUID, fate: .refused(.permissionDenied)),
    KeyCase(newcomer: 3, holderIsAttached: true, uid: 0, fate: .superseded),
    KeyCase(newcomer: 3, holderIsAttached: true, uid: daemonUID, fate: .superseded),
    KeyCase(newcomer: 3, holderIsAttached: true, uid: otherUID, holderUID: otherUID, fate: .superseded),
    KeyCase(newcomer: 3, holderIsAttached: true, uid: ownerUID, holderUID: otherUID, fate: .superseded),
  ]) func keyIsSettled(_ row: KeyCase) throws {
    let fleet = try Fleet()
    try fleet.admit(2)
    let holder = try fleet.admit(2, key: "host-a/0", uid: row.holderUID)
    if !row.holderIsAttached { try fleet.apply([.detached([holder])]) }
    let before = try fleet.runners(includeEnded: true)
    let step = try fleet.register(row.newcomer, key: "host-a/0", uid: row.uid)
    switch row.fate {
    case .refused(let code):
      let refusal = try #require(step.refusal)
      #expect(refusal.code == code)
      #expect(refusal.message.contains("runner \(holder.runner)"))
      #expect(refusal.message.contains("version 2"))
      #expect(refusal.message.contains("pid 4711"))
      #expect(try fleet.runners(includeEnded: true) == before)
    case .superseded:
      let admission = try #require(step.admission)
      #expect(admission.decision.superseded == holder.runner)
      #expect(admission.decision.ordered == 0)
      #expect(step.stops.map(\.runner) == [holder.runner])
      let order = try fleet.drain(try #require(step.stops.first).order)
      #expect(order.cause == .superseded)
      #expect(order.who.uid == row.uid)
      #expect(try fleet.runner(holder.runner).phase == .draining)
    case .lost:
      #expect(step.admission != nil)
      #expect(step.consequences.contains(.runnerEnded(holder.runner, .keyTaken)))
      #expect(try fleet.runner(holder.runner).phase == .lost)
      #expect(try fleet.runner(holder.runner).end == .keyTaken)
    }
  }

  @Test func drainingRunnerHoldsNoKey() throws {
    let fleet = try Fleet()
    let first = try fleet.admit(1, key: "a")
    try fleet.apply([.stopping(first, reason: "", graceMilliseconds: 0)])
    let second = try fleet.admit(1, key: "a")
    #expect(try fleet.runner(first.runner).phase == .draining)
    #expect(try fleet.runner(second.runner).phase == .ready)
  }

  @Test func sameKeyInAnotherPoolIsAnotherKey() throws {
    let fleet = try Fleet()
    try fleet.admit(1, key: "a")
    try fleet.admit(1, key: "a", in: PoolName(namespace: "default", name: "api"))
    #expect(try fleet.runners().map(\.phase) == [.ready, .ready])
  }

  /// A runner without a key shows its id for one: somebody who names that number as key meets it as its
  /// holder.
  @Test func shownIDIsAKeyLikeAnyOther() throws {
    let fleet = try Fleet()
    let implicit = try fleet.admit(2)
    #expect(try fleet.runner(implicit.runner).key == "1")
    #expect(try fleet.register(2, key: "1").refusal?.code == .alreadyExists)
    let named = try #require(try fleet.register(3, key: "1").admission)
    #expect(named.decision.superseded == implicit.runner)
    #expect(try fleet.register(3, key: "01").admission != nil)
  }

  /// The other way round: an id that is taken as a key already is passed over.
  @Test func idThatIsSomebodysKeyIsNotGiven() throws {
    let fleet = try Fleet()
    try fleet.admit(1, key: "2")
    try fleet.admit(1, key: "3")
    let implicit = try fleet.admit(1)
    #expect(try fleet.runner(implicit.runner).key == "\(implicit.runner)")
    let keys = try fleet.runners().map(\.key)
    #expect(Set(keys).count == keys.count)
  }

  // MARK: Batches

  @Test func refusedOneLeavesTheOthers() throws {
    let fleet = try Fleet()
    let batch = try fleet.apply([
      .register(fleet.registration(1, key: "a")),
      .register(fleet.registration(1, key: "a")),
      .register(fleet.registration(1, in: PoolName(namespace: "nowhere", name: "web"))),
      .register(fleet.registration(1, key: "b")),
    ])
    let codes = batch.results.map { result in
      switch result {
      case .success: Refusal.Code?.none
      case .failure(let refusal): refusal.code
      }
    }
    #expect(codes == [nil, .alreadyExists, .notFound, nil])
    #expect(try fleet.runners().map(\.key) == ["a", "b"])
    #expect(try fleet.pools().map(\.name) == [web])
  }

  @Test func emptyBatchChangesNothing() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    let revision = try fleet.latest()
    #expect(try fleet.store.apply([], at: fleet.now).revision == revision)
  }

  @Test func batchesAreAnsweredInOrderWithTheirRevision() throws {
    let fleet = try Fleet()
    let batch = try fleet.apply((1...100).map { .register(fleet.registration($0)) })
    let ids = batch.results.compactMap { result in
      if case .success(.registered(let admission)) = result { admission.runner.rawValue } else { nil }
    }
    #expect(ids == Array(1...100))
    #expect(batch.revision == (try fleet.latest()))
    #expect(batch.consequences.count { if case .decided = $0 { true } else { false } } == 100)
  }
}
