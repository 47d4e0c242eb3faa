import Handover
import Testing

@testable import Registry

/// Lists and the log, while others change what is in them.
@Suite struct ReaderTests {
  private func pages(_ fleet: Fleet, _ filter: RunnerFilter, size: Int) throws -> [[Int64]] {
    var pages: [[Int64]] = []
    var page = Page(size: size)
    repeat {
      let answer = try fleet.runners(filter, page)
      pages.append(answer.elements.map(\.id.rawValue))
      page.token = answer.next
    } while !page.token.isEmpty
    return pages
  }

  @Test func pagesCoverEverythingOnce() throws {
    let fleet = try Fleet()
    try fleet.apply((0..<10).map { _ in .register(fleet.registration(1)) })
    for filter in [RunnerFilter(), RunnerFilter(includeEnded: true)] {
      #expect(try pages(fleet, filter, size: 4) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]])
      #expect(try pages(fleet, filter, size: 5) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
      #expect(try pages(fleet, filter, size: 1000) == [Array(1...10)])
    }
    #expect(try pages(fleet, RunnerFilter(name: "none"), size: 5) == [[]])
  }

  @Test func changesBetweenPagesMoveNobody() throws {
    let fleet = try Fleet()
    try fleet.apply((0..<6).map { _ in .register(fleet.registration(1)) })
    let first = try fleet.runners(RunnerFilter(), Page(size: 3))
    #expect(first.elements.map(\.id.rawValue) == [1, 2, 3])
    let gone = first.elements.prefix(2).map {
      Handover.Attachment(runner: $0.id, id: AttachmentID($0.id.rawValue))
    }
    try fleet.apply([.lose(gone, .threshold), .register(fleet.registration(1))])
    let second = try fleet.runners(RunnerFilter(), Page(size: 3, token: first.next))
    #expect(second.elements.map(\.id.rawValue) == [4, 5, 6])
    let third = try fleet.runners(RunnerFilter(), Page(size: 3, token: second.next))
    #expect(third.elements.map(\.id.rawValue) == [7])
    #expect(third.next.isEmpty)
  }

  @Test func filters() throws {
    let fleet = try Fleet()
    let api = PoolName(namespace: "default", name: "api")
    let blue = PoolName(namespace: "blue", name: "web")
    try fleet.apply([.createNamespace("blue", who: peer())])
    let ready = try fleet.admit(1)
    let draining = try fleet.admit(1)
    let lost = try fleet.admit(1)
    let elsewhere = try fleet.admit(1, in: api)
    let apart = try fleet.admit(1, in: blue)
    try fleet.apply([.stopping(draining, reason: "", graceMilliseconds: 0), .lose([lost], .threshold)])
    let (r, d, l, e, a) = (
      ready.runner.rawValue, draining.runner.rawValue, lost.runner.rawValue, elsewhere.runner.rawValue,
      apart.runner.rawValue
    )
    #expect(try pages(fleet, RunnerFilter(), size: 9) == [[r, d, e, a]])
    #expect(try pages(fleet, RunnerFilter(includeEnded: true), size: 9) == [[r, d, l, e, a]])
    #expect(try pages(fleet, RunnerFilter(phase: .ready), size: 9) == [[r, e, a]])
    #expect(try pages(fleet, RunnerFilter(phase: .draining), size: 9) == [[d]])
    #expect(try pages(fleet, RunnerFilter(phase: .lost), size: 9) == [[l]])
    #expect(try pages(fleet, RunnerFilter(phase: .stopped), size: 9) == [[]])
    #expect(try pages(fleet, RunnerFilter(namespace: "blue"), size: 9) == [[a]])
    #expect(try pages(fleet, RunnerFilter(name: "web"), size: 9) == [[r, d, a]])
    #expect(
      try pages(fleet, RunnerFilter(namespace: "default", name: "web", includeEnded: true), size: 9)
        == [[r, d, l]])

    let all = try fleet.drains(DrainFilter(includeEnded: true)).elements
    #expect(all.map(\.runner) == [draining.runner])
    #expect(try fleet.drains(DrainFilter(runner: draining.runner)).elements == all)
    #expect(try fleet.drains(DrainFilter(runner: ready.runner)).elements == [])
    #expect(try fleet.drains(DrainFilter(namespace: "blue")).elements == [])
    #expect(try fleet.drains(DrainFilter(state: .delivered)).elements == [])
    try fleet.apply([.leave(draining, exitCode: 0, reason: "")])
    #expect(try fleet.drains(DrainFilter()).elements == [])
    #expect(try fleet.drains(DrainFilter(state: .completed)).elements.map(\.state) == [.completed])
    #expect(try fleet.drains(DrainFilter(runner: draining.runner)).elements == [])
    #expect(
      try fleet.drains(DrainFilter(includeEnded: true, runner: draining.runner)).elements.map(\.state)
        == [.completed])
  }

  @Test func poolsAndConfigsByName() throws {
    let fleet = try Fleet()
    try fleet.apply([.createNamespace("blue", who: peer())])
    for (namespace, name) in [("default", "b"), ("default", "a"), ("blue", "z")] {
      _ = try fleet.configure(draining(), PoolName(namespace: namespace, name: name))
    }
    let first = try fleet.read(.configs(namespace: nil, Page(size: 2))).content
    guard case .configs(let configs) = first else {
      Issue.record("\(first)")
      return
    }
    #expect(configs.elements.map(\.pool.description) == ["blue/z", "default/a"])
    let second = try fleet.read(.configs(namespace: nil, Page(size: 2, token: configs.next))).content
    let last = PoolConfig(pool: PoolName(namespace: "default", name: "b"), config: draining())
    #expect(second == .configs(PageOf(elements: [last], next: "")))
    #expect(try fleet.pools(Page(size: 2)).map(\.name.description) == ["blue/z", "default/a"])
    #expect(
      try fleet.read(.pools(namespace: "blue", Page(size: 2))).content
        == .pools(PageOf(elements: try fleet.pools(Page(size: 1)), next: "")))
  }

  @Test func poolShowsItsVersions() throws {
    let fleet = try Fleet()
    try fleet.apply([1, 1, 2].map { .register(fleet.registration($0, slots: 3)) })
    try fleet.apply([.detached([Handover.Attachment(runner: RunnerID(1), id: AttachmentID(1))])])
    _ = try fleet.register(3, uid: otherUID)
    try fleet.apply([
      .drain(
        DrainCommand(
          target: .olderVersions(web, belowVersion: version(2)), graceMilliseconds: 0, reason: "", who: peer()
        ))
    ])
    let shown = try fleet.pool().pool
    #expect(shown.openDrains == 2)
    #expect(
      shown.versions
        == [
          VersionSummary(
            version: version(3), ready: 1, readyAttached: 1, readyAttachedAuthorized: 0, draining: 0,
            totalSlots: 4, remainingSlots: 4),
          VersionSummary(
            version: version(2), ready: 1, readyAttached: 1, readyAttachedAuthorized: 1, draining: 0,
            totalSlots: 3, remainingSlots: 3),
          VersionSummary(
            version: version(1), ready: 0, readyAttached: 0, readyAttachedAuthorized: 0, draining: 2,
            totalSlots: 0, remainingSlots: 0),
        ])
    let counts = try fleet.counts()
    #expect(
      [counts.ready, counts.draining, counts.detached, counts.ended, counts.openDrains] == [2, 2, 1, 0, 2])
    #expect([counts.namespaces, counts.pools] == [1, 1])
    #expect(counts.walBytes > 0)
  }

  @Test(arguments: ["nonsense", "00", "abc", "zz", String(repeating: "f", count: 40)])
  func badPageTokenIsRefused(token: String) throws {
    let fleet = try Fleet()
    for query in [
      Query.runners(RunnerFilter(), Page(size: 1, token: token)),
      .runners(RunnerFilter(includeEnded: true), Page(size: 1, token: token)),
      .drains(DrainFilter(), Page(size: 1, token: token)),
      .pools(namespace: nil, Page(size: 1, token: token)),
      .configs(namespace: nil, Page(size: 1, token: token)), .namespaces(Page(size: 1, token: token)),
    ] {
      guard case .refused(let refusal) = try fleet.read(query).content else {
        Issue.record("\(query) was answered")
        continue
      }
      #expect(refusal.code == .invalidArgument)
    }
  }

  @Test func tokenOfAnotherListIsRefused() throws {
    let fleet = try Fleet()
    try fleet.apply([1, 1].map { .register(fleet.registration($0)) })
    let token = try fleet.runners(RunnerFilter(), Page(size: 1)).next
    #expect(!token.isEmpty)
    for filter in [RunnerFilter(name: "web"), RunnerFilter(includeEnded: true)] {
      guard case .refused(let refusal) = try fleet.read(.runners(filter, Page(size: 1, token: token))).content
      else {
        Issue.record("\(filter) was answered")
        continue
      }
      #expect(refusal.message.contains("another list"))
    }
    // Whoever forges one gets an answer too, not a trap.
    let forged = [["x"], ["-1"], ["99999999999999999999"], ["1", "2"], []]
    for key in forged {
      let text = PageToken(list: "runners * * 0 false", key: key).text
      guard case .refused = try fleet.read(.runners(RunnerFilter(), Page(size: 1, token: text))).content
      else {
        Issue.record("\(key) was answered")
        continue
      }
    }
  }

  /// Of a history that no index leads through only so much is looked at for one page: the page may be short,
  /// the list never is.
  @Test func longHistoryIsReadInBoundedSteps() throws {
    let fleet = try Fleet()
    let wanted = try fleet.admit(1)
    let api = PoolName(namespace: "default", name: "api")
    try fleet.store.database.execute(
      """
      INSERT INTO runners (id, pool_id, version, phase, authorized, total_slots, attachment, ends_with_process, uid,
        gid, pid, program, token_high, token_low, registered_at_ms, link_changed_at_ms, ended_at_ms, end_cause)
      WITH RECURSIVE n (id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < 50000)
      SELECT id, 1, 1, 4, 1, 1, 1, 0, 1, 1, 1, 'w', id, id, 0, 0, 0, 3 FROM n;
      UPDATE fleet SET last_runner = 50000, ended_runners = 49999;
      """)
    try fleet.reopen()
    let last = try fleet.admit(1, in: api)
    let found = try pages(fleet, RunnerFilter(name: "api", includeEnded: true), size: 10)
    #expect(found.count == 3)
    #expect(found.flatMap { $0 } == [last.runner.rawValue])
    #expect(try pages(fleet, RunnerFilter(), size: 10) == [[wanted.runner.rawValue, last.runner.rawValue]])
  }

  // MARK: The log

  @Test func watchSeesEveryEventOnce() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.apply((1...20).map { .register(fleet.registration($0)) })
    var seen: [Int64] = []
    var after = Revision(0)
    while after < (try fleet.latest()) {
      let content = try fleet.read(.events(after: after, namespace: nil, name: nil, limit: 7)).content
      guard case .events(let events, let upTo) = content else { throw Fleet.Unexpected(content: content) }
      #expect(upTo > after)
      seen += events.map(\.revision.rawValue)
      after = upTo
    }
    #expect(seen == Array(1...(try fleet.latest().rawValue)))
    #expect(try fleet.events(after: after.rawValue).isEmpty)
  }

  @Test func watchOfOnePoolReadsOnPastTheOthers() throws {
    let fleet = try Fleet()
    let api = PoolName(namespace: "default", name: "api")
    try fleet.admit(1)
    try fleet.admit(1, in: api)
    let content = try fleet.read(
      .events(after: Revision(0), namespace: "default", name: "api", limit: 100)
    ).content
    guard case .events(let events, let upTo) = content else { throw Fleet.Unexpected(content: content) }
    #expect(events.map(\.kind) == [.configPut, .runnerRegistered, .targetChanged])
    #expect(events.allSatisfy { $0.name == "api" })
    #expect(upTo == (try fleet.latest()))
    let none = try fleet.read(.events(after: Revision(0), namespace: "blue", name: nil, limit: 100)).content
    #expect(none == .events([], upTo: upTo))
  }

  @Test func watchFromWhatIsPrunedOrNotYetThere() throws {
    let fleet = try Fleet()
    try fleet.apply((1...5).map { .register(fleet.registration($0)) })
    let latest = try fleet.latest().rawValue
    try fleet.store.database.execute("DELETE FROM events WHERE revision < 4")
    func code(_ after: Int64) throws -> Refusal? {
      let content = try fleet.read(.events(after: Revision(after), namespace: nil, name: nil, limit: 9))
        .content
      if case .refused(let refusal) = content { return refusal }
      return nil
    }
    #expect(try code(2)?.code == .outOfRange)
    #expect(try code(2)?.message.contains("oldest event kept is 4") == true)
    #expect(try code(3) == nil)
    #expect(try code(latest) == nil)
    #expect(try code(latest + 1)?.code == .outOfRange)
    #expect(try fleet.events(after: 3).first?.revision == Revision(4))
    try fleet.store.database.execute("DELETE FROM events")
    #expect(try code(latest) == nil)
    #expect(try code(latest - 1)?.code == .outOfRange)
  }

  @Test func whatIsNotThere() throws {
    let fleet = try Fleet()
    for query in [Query.runner(RunnerID(1)), .drain(DrainOrderID(1)), .pool(web), .config(web)] {
      guard case .refused(let refusal) = try fleet.read(query).content else {
        Issue.record("\(query) was answered")
        continue
      }
      #expect(refusal.code == .notFound)
    }
  }
}
