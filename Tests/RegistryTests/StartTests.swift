import Handover
import Testing

@testable import Registry

/// What a daemon finds when it starts again.
@Suite struct StartTests {
  @Test func newFleet() throws {
    let fleet = try Fleet()
    #expect(
      fleet.snapshot
        == FleetSnapshot(
          fleetID: 7, revision: Revision(0), nextAttachment: AttachmentID(1), runners: [], openOrders: []))
    let answer = try fleet.read(.namespaces(Page(size: 10)))
    let made = Namespace(name: "default", createdAtMilliseconds: fleet.now.wallMilliseconds)
    #expect(answer.content == .namespaces(PageOf(elements: [made], next: "")))
  }

  @Test func sameBootKeepsEveryoneDetached() throws {
    let fleet = try Fleet()
    let first = try fleet.admit(1)
    let second = try fleet.admit(2)
    let gone = try fleet.admit(1)
    try fleet.apply([.detached([second]), .lose([gone], .threshold), .silent([first])])
    fleet.advance(milliseconds: 5000)
    try fleet.reopen()
    #expect(fleet.snapshot.fleetID == 7)
    #expect(fleet.snapshot.nextAttachment == AttachmentID(4))
    #expect(
      fleet.snapshot.runners
        == [
          LiveRunner(id: RunnerID(1), attachment: first.id, endsWithProcess: false, pid: 4711),
          LiveRunner(id: RunnerID(2), attachment: second.id, endsWithProcess: false, pid: 4711),
        ])
    #expect(try fleet.runners().map(\.link) == [.detached, .detached])
    #expect(try fleet.runners().map(\.isSilent) == [false, false])
    #expect(try fleet.runner(first.runner).linkChangedAtMilliseconds == fleet.now.wallMilliseconds)
    #expect(try fleet.events().last?.kind == .runnerDetached)
    #expect(fleet.snapshot.revision == (try fleet.latest()))
    #expect(try fleet.store.verifyCounters() == [])
    // Numbers go on where they were.
    #expect(try fleet.admit(1).runner == RunnerID(4))
  }

  @Test func anotherBootLosesEveryone() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    let old = try fleet.admit(1)
    let new = try fleet.admit(2)
    fleet.bootID = "boot-2"
    fleet.now.nanoseconds = 5_000_000_000
    try fleet.reopen()
    #expect(fleet.snapshot.fleetID == 7)
    #expect(fleet.snapshot.runners.isEmpty)
    #expect(fleet.snapshot.openOrders.isEmpty)
    for runner in [old, new] {
      #expect(try fleet.runner(runner.runner).phase == .lost)
      #expect(try fleet.runner(runner.runner).end == .machineRestarted)
    }
    #expect(try fleet.drain(DrainOrderID(1)).state == .runnerLost)
    #expect(try fleet.store.verifyCounters() == [])
    // It happened once: the next start of this boot loses nobody.
    let survivor = try fleet.admit(3)
    try fleet.reopen()
    #expect(fleet.snapshot.runners.map(\.id) == [survivor.runner])
  }

  struct DeadlineCase: CustomTestStringConvertible {
    var graceMilliseconds: Int64
    var downMilliseconds: Int64
    var leftMilliseconds: Int64
    var testDescription: String {
      "grace \(graceMilliseconds), down for \(downMilliseconds): \(leftMilliseconds) left"
    }
  }

  /// The lost threshold is 15 s.
  @Test(arguments: [
    DeadlineCase(graceMilliseconds: 60_000, downMilliseconds: 10_000, leftMilliseconds: 50_000),
    DeadlineCase(graceMilliseconds: 60_000, downMilliseconds: 50_000, leftMilliseconds: 15_000),
    DeadlineCase(graceMilliseconds: 60_000, downMilliseconds: 500_000, leftMilliseconds: 15_000),
    DeadlineCase(graceMilliseconds: 5000, downMilliseconds: 1000, leftMilliseconds: 15_000),
    // The clock of another time namespace may be behind: nobody gets more than the whole grace.
    DeadlineCase(graceMilliseconds: 60_000, downMilliseconds: -100_000, leftMilliseconds: 60_000),
  ]) func openOrdersKeepWhatTheyHaveLeft(_ row: DeadlineCase) throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining(graceMilliseconds: row.graceMilliseconds))
    try fleet.admit(1)
    try fleet.admit(2)
    fleet.advance(milliseconds: row.downMilliseconds)
    try fleet.reopen()
    let order = try #require(fleet.snapshot.openOrders.first)
    #expect(order.runner == RunnerID(1))
    #expect(order.state == .ordered)
    #expect(order.terms.graceMilliseconds == row.graceMilliseconds)
    #expect(order.terms.deadlineNanoseconds == fleet.now.nanoseconds + row.leftMilliseconds * 1_000_000)
    let shown = try fleet.drain(order.id)
    #expect(shown.remainingMilliseconds(at: fleet.now) == row.leftMilliseconds)
  }
}
