import Handover
import Testing

@testable import Registry

/// Who did what: decisions, latest first, each once.
@Suite struct HistoryTests {
  /// An entry as `what runner by uid: detail`.
  private func words(_ entry: HistoryEntry) -> String {
    let event = entry.event
    let subject = event.runner.map { " \($0)" } ?? ""
    let orders = entry.orders > 0 ? " x\(entry.orders)" : ""
    let who = event.who.map { " by \($0.uid)" } ?? ""
    return "\(event.kind)\(subject)\(orders)\(who): \(event.detail)"
  }

  private func pages(
    _ fleet: Fleet, namespace: String? = nil, name: String? = nil, size: Int = 100
  ) throws -> [[HistoryEntry]] {
    var pages: [[HistoryEntry]] = []
    var token = ""
    repeat {
      let content = try fleet.read(
        .history(namespace: namespace, name: name, Page(size: size, token: token))
      ).content
      guard case .history(let page) = content else { throw Fleet.Unexpected(content: content) }
      #expect(page.elements.count <= size)
      pages.append(page.elements)
      token = page.next
    } while !token.isEmpty
    return pages
  }

  private func story(_ fleet: Fleet) throws -> [String] { try pages(fleet).flatMap { $0 }.map(words) }

  @Test func everyDecisionIsThereOnceLatestFirst() throws {
    let fleet = try Fleet()
    let operators = peer(ownerUID, pid: 99)
    try fleet.apply([.createNamespace("blue", who: operators)])
    _ = try fleet.configure(draining(), who: operators)
    let old = try fleet.admit(1)
    try fleet.admit(1)
    try fleet.apply([.cordon(old.runner, true, reason: "noisy disk", who: operators)])
    try fleet.admit(2)
    let orders = try fleet.drains(includeEnded: false).map(\.id)
    try fleet.apply([
      .changeDeadline(.order(orders[0]), .extend(milliseconds: 5000), reason: "long job", who: operators)
    ])
    try fleet.apply([.cancelDrain(.order(orders[1]), reason: "needed", who: operators)])
    try fleet.apply([.changeDeadline(.order(orders[0]), .forceNow, reason: "stuck", who: operators)])
    try fleet.apply([.setTarget(web, .version(version(1)), reason: "2 is bad", who: operators)])
    #expect(
      try story(fleet) == [
        "drainOrdered 3 x1 by 1000: version_upgrade: version 1 is the target of default/web (set by hand: 2 is bad)",
        "targetChanged by 1000: pinned, was 2",
        "targetSet by 1000: pinned to 1: 2 is bad",
        "drainForced 1 by 1000: stuck",
        "drainCancelled 2 by 1000: needed",
        "drainExtended 1 by 1000: by 5000 ms: long job",
        "drainOrdered 1 x2 by 1000: version_upgrade: version 2 is the target of default/web",
        "targetChanged 3 by 1000: promoted, was 1",
        "runnerCordoned 1 by 1000: noisy disk",
        "targetChanged 1 by 1000: first",
        "configPut by 1000: created",
        "namespaceCreated by 1000: ",
      ])
    #expect(try pages(fleet, namespace: "blue").flatMap { $0 }.map { $0.event.namespace } == ["blue"])
    #expect(try pages(fleet, name: "web").flatMap { $0 }.count == 11)
    #expect(try pages(fleet, namespace: "default", name: "api") == [[]])
  }

  /// What the clock ended is nobody's decision.
  @Test func aDeadlineThatPassesIsNotInIt() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining(graceMilliseconds: 1000))
    try fleet.admit(1)
    try fleet.admit(2)
    let before = try story(fleet)
    fleet.advance(milliseconds: 2000)
    try fleet.apply([.force(try fleet.drains(includeEnded: false).map(\.id))])
    #expect(try fleet.events().contains { $0.kind == .drainForced })
    #expect(try story(fleet) == before)
  }

  @Test(arguments: [1, 2, 3, 7]) func pagesOfAnySizeAreTheWhole(size: Int) throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    for number in 1...UInt32(9) { try fleet.admit(number) }
    let whole = try pages(fleet).flatMap { $0 }
    #expect(whole.count == 1 + 9 + 8)
    #expect(whole.map(\.event.revision) == whole.map(\.event.revision).sorted(by: >))
    #expect(try pages(fleet, size: size).flatMap { $0 } == whole)
    #expect(try pages(fleet, name: "web", size: size).flatMap { $0 } == whole)
  }

  /// Those of one pool are looked for in bounded steps: a page may be short, the list never is.
  @Test func aRareOneIsFoundBehindManyOthers() throws {
    let fleet = try Fleet()
    let api = PoolName(namespace: "default", name: "api")
    _ = try fleet.configure(draining(), api)
    _ = try fleet.configure(draining())
    try fleet.store.database.execute(
      """
      INSERT INTO events (revision, at_ms, kind, pool_id, detail, uid, gid, pid, program)
      WITH RECURSIVE n (id) AS (SELECT 10 UNION ALL SELECT id + 1 FROM n WHERE id < 50000)
      SELECT id, 1, 2, (SELECT id FROM pools WHERE name = 'web'), 'replaced', 1, 1, 1, 'w' FROM n;
      UPDATE fleet SET last_revision = 50000;
      """)
    try fleet.reopen()
    let found = try pages(fleet, name: "api", size: 10)
    #expect(found.count == 3)
    #expect(found.flatMap { $0 }.map(words) == ["configPut by 1000: created"])
  }

  /// Both sources are merged as they come: nothing is sorted but the page, and nothing else of a log of millions is
  /// looked at.
  @Test func noPageReadsThroughTheLog() throws {
    let fleet = try Fleet()
    let steps = fleet.queryPlan(HistorySQL.entries)
    #expect(steps.contains("MERGE (UNION ALL)"), "\(steps)")
    #expect(steps.count { $0.contains("TEMP B-TREE") } <= 1, "\(steps)")
    for step in steps + fleet.queryPlan(HistorySQL.eventsEnd) + fleet.queryPlan(HistorySQL.termsEnd) {
      let isPage = step == "SCAN h" || step.hasPrefix("SCAN p USING COVERING")
      #expect(isPage || !step.hasPrefix("SCAN"), "\(steps)")
    }
  }
}
