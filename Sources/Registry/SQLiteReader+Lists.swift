import Handover

/// Lists go by the key of the last element that was given, never by a count of rows to skip: what comes or
/// goes between two pages moves nobody from one to the other.
extension SQLiteReader {
  /// Cuts the one element off that was read only to see whether there is a next page.
  func page<Element>(
    _ elements: [Element], _ size: Int, list: String, key: (Element) -> [String]
  ) -> PageOf<Element> {
    guard elements.count > size, let last = elements.prefix(size).last else {
      return PageOf(elements: elements, next: "")
    }
    return PageOf(
      elements: Array(elements.prefix(size)), next: PageToken(list: list, key: key(last)).text)
  }

  /// Where a list by names begins.
  private func names(_ page: Page, list: String, columns: Int) -> Result<[String], Refusal> {
    do throws(Refusal) {
      let key = try PageToken.key(in: page.token, list: list, columns: columns)
      return .success(key ?? Array(repeating: "", count: columns))
    } catch {
      return .failure(error)
    }
  }

  /// After which id a list by ids begins.
  func id(_ page: Page, list: String) -> Result<Int64, Refusal> {
    do throws(Refusal) {
      guard let key = try PageToken.key(in: page.token, list: list, columns: 1) else { return .success(0) }
      guard let id = Int64(key[0]), id >= 0 else { return .failure(PageToken.noToken) }
      return .success(id)
    } catch {
      return .failure(error)
    }
  }

  static func size(_ page: Page) -> Int { min(max(1, page.size), Bounds.pageSize) }

  // MARK: - Namespaces, configs, pools

  func namespaces(_ page: Page) throws(DatabaseError) -> QueryAnswer.Content {
    let list = "namespaces"
    let size = Self.size(page)
    switch names(page, list: list, columns: 1) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let after):
      let found = try statements.namespaces.all(after[0], size + 1) { row in
        Namespace(name: row.text(0), createdAtMilliseconds: row.int64(1))
      }
      return .namespaces(self.page(found, size, list: list) { [$0.name] })
    }
  }

  func config(_ name: PoolName) throws(DatabaseError) -> QueryAnswer.Content {
    let found = try statements.pool.first(name.namespace, name.name) { $0.config(3) }
    guard case .some(.some(let config)) = found else { return .refused(.noConfig(name)) }
    return .config(config)
  }

  func configs(_ namespace: String?, _ page: Page) throws(DatabaseError) -> QueryAnswer.Content {
    let list = "configs \(namespace ?? "*")"
    let size = Self.size(page)
    switch names(page, list: list, columns: 2) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let after):
      let found = try statements.pools.all(after[0], after[1], namespace, size + 1) { row in
        PoolConfig(
          pool: PoolName(namespace: row.text(1), name: row.text(2)),
          config: row.config(3) ?? .automatic)
      }
      return .configs(self.page(found, size, list: list) { [$0.pool.namespace, $0.pool.name] })
    }
  }

  func pools(_ namespace: String?, _ page: Page) throws(DatabaseError) -> QueryAnswer.Content {
    let list = "pools \(namespace ?? "*")"
    let size = Self.size(page)
    switch names(page, list: list, columns: 2) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let after):
      let rows = try statements.pools.all(after[0], after[1], namespace, size + 1) { PoolRow($0) }
      let shown = self.page(rows, size, list: list) { [$0.pool.name.namespace, $0.pool.name.name] }
      var pools: [Pool] = []
      for row in shown.elements { pools.append(try completed(row)) }
      return .pools(PageOf(elements: pools, next: shown.next))
    }
  }

  func pool(_ name: PoolName) throws(DatabaseError) -> QueryAnswer.Content {
    guard let row = try statements.pool.first(name.namespace, name.name, read: { PoolRow($0) }) else {
      return .refused(.noConfig(name))
    }
    let history = try statements.targetHistory.all(row.id, Bounds.targetHistoryShown) { $0.targetChange(0) }
    return .pool(try completed(row), history: history.compactMap { $0 })
  }

  private struct PoolRow: Hashable, Sendable {
    var id: Int64
    var pool: Pool
    var control: PoolControl

    init(_ row: Row) {
      id = row.int64(0)
      pool = Pool(
        name: PoolName(namespace: row.text(1), name: row.text(2)),
        config: row.config(3) ?? .automatic,
        target: row.targetChange(20), ownerUID: row.isNull(19) ? nil : row.uint32(19), versions: [],
        openDrains: 0)
      control = PoolControl(row, 29)
      pool.pin = control.pin
      pool.heldUpgrade = control.memory.upgrade
    }
  }

  private func completed(_ row: PoolRow) throws(DatabaseError) -> Pool {
    var pool = row.pool
    pool.versions = try statements.versions.all(row.id, Bounds.versionsShown) { VersionCounts($0).summary }
    pool.actors = try statements.planning.readActors.first(row.id) { $0.actorCounts(0) } ?? ActorCounts()
    pool.openDrains = try statements.openDrains.first(row.id) { $0.int(0) } ?? 0
    return pool
  }

  // MARK: - Runners

  func runner(_ id: RunnerID, _ latest: Latest) throws(DatabaseError) -> QueryAnswer.Content {
    guard let runner = try statements.runner.first(id.rawValue, read: { Runner($0) }) else {
      return Self.absent("runner", id.rawValue, latest: latest.runner)
    }
    return .runner(runner)
  }

  func runners(
    _ filter: RunnerFilter, _ page: Page, _ latest: Latest
  ) throws(DatabaseError) -> QueryAnswer.Content {
    let phase = filter.phase?.rawValue
    let seesEnded = filter.phase.map(\.hasEnded) ?? filter.includeEnded
    let list = "runners \(filter.namespace ?? "*") \(filter.name ?? "*") \(phase ?? 0) \(seesEnded)"
    let size = Self.size(page)
    let after: Int64
    switch id(page, list: list) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let id): after = id
    }
    let key = { (runner: Runner) in [String(runner.id.rawValue)] }
    guard seesEnded else {
      let found = try statements.livingRunners.all(after, filter.namespace, filter.name, phase, size + 1) {
        Runner($0)
      }
      return .runners(self.page(found, size, list: list, key: key))
    }
    let window = try window(after, from: statements.runnerBounds, latest: latest.runner)
    let found = try statements.allRunners.all(
      window.after, window.end, filter.namespace, filter.name, phase, size + 1
    ) { Runner($0) }
    return .runners(bounded(self.page(found, size, list: list, key: key), window, list: list))
  }

  // MARK: - Drain orders

  func drain(_ id: DrainOrderID, _ latest: Latest) throws(DatabaseError) -> QueryAnswer.Content {
    guard let order = try statements.drain.first(id.rawValue, read: { DrainOrder($0) }) else {
      return Self.absent("drain order", id.rawValue, latest: latest.order)
    }
    return .drain(order)
  }

  func drains(
    _ filter: DrainFilter, _ page: Page, _ latest: Latest
  ) throws(DatabaseError) -> QueryAnswer.Content {
    let state = filter.state?.rawValue
    let seesEnded = filter.state.map { !$0.isOpen } ?? filter.includeEnded
    let list =
      "drains \(filter.namespace ?? "*") \(filter.name ?? "*") \(state ?? 0) \(seesEnded) \(filter.runner?.rawValue ?? 0)"
    let size = Self.size(page)
    let after: Int64
    switch id(page, list: list) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let id): after = id
    }
    let key = { (order: DrainOrder) in [String(order.id.rawValue)] }
    if let runner = filter.runner {
      let found = try statements.drainsOfRunner.all(
        after, runner.rawValue, filter.namespace, filter.name, state, seesEnded, size + 1
      ) { DrainOrder($0) }
      return .drains(self.page(found, size, list: list, key: key))
    }
    guard seesEnded else {
      let found = try statements.openDrainsList.all(after, filter.namespace, filter.name, state, size + 1) {
        DrainOrder($0)
      }
      return .drains(self.page(found, size, list: list, key: key))
    }
    let window = try window(after, from: statements.drainBounds, latest: latest.order)
    let found = try statements.allDrains.all(
      window.after, window.end, filter.namespace, filter.name, state, size + 1
    ) { DrainOrder($0) }
    return .drains(bounded(self.page(found, size, list: list, key: key), window, list: list))
  }

  // MARK: - Bounded scans of history

  struct Window {
    var after: Int64
    var end: Int64
    var isLast: Bool
  }

  /// Which ids one page of a history looks at: from the first one on that is still kept.
  func window(
    _ after: Int64, from least: Statement, latest: Int64
  ) throws(DatabaseError) -> Window {
    let first = try least.first(after) { $0.optionalInt64(0) }.flatMap { $0 }
    let start = first.map { $0 - 1 } ?? latest
    let end = start + Self.scanLimit
    return Window(after: start, end: end, isLast: end >= latest)
  }

  func bounded<Element>(
    _ page: PageOf<Element>, _ window: Window, list: String
  ) -> PageOf<Element> {
    guard page.next.isEmpty, !window.isLast else { return page }
    return PageOf(elements: page.elements, next: PageToken(list: list, key: [String(window.end)]).text)
  }
}

extension Runner {
  init(_ row: Row) {
    let id = row.int64(0)
    self.init(
      id: RunnerID(id), pool: PoolName(namespace: row.text(1), name: row.text(2)),
      key: row.optionalText(3) ?? String(id), version: row.version(4), totalSlots: row.uint32(5),
      remainingSlots: row.uint32(23), phase: RunnerPhase(rawValue: row.int(6)) ?? .lost,
      link: RunnerLink(rawValue: row.int(7)), isSilent: row.bool(8), endsWithProcess: row.bool(9),
      peer: row.peer(10), metadata: MetadataCoding.decode(row.blob(14)),
      registeredAtMilliseconds: row.int64(15), linkChangedAtMilliseconds: row.int64(16),
      endedAtMilliseconds: row.optionalInt64(17), end: RunnerEnd(rawValue: row.int(18)),
      drainOrder: row.optionalInt64(19).map { DrainOrderID($0) },
      exitCode: row.isNull(20) ? nil : row.int32(20), detachReason: row.text(21), takesActors: row.bool(22),
      isCordoned: row.bool(24), exemptFrom: row.optionalVersion(25))
  }
}

extension DrainOrder {
  init(_ row: Row) {
    self.init(
      id: DrainOrderID(row.int64(0)), runner: RunnerID(row.int64(1)),
      pool: PoolName(namespace: row.text(2), name: row.text(3)), runnerVersion: row.version(4),
      cause: DrainCause(rawValue: row.int(5)) ?? .operator, reason: row.text(6),
      targetVersion: row.optionalVersion(7), who: row.peer(8),
      state: DrainState(rawValue: row.int(12)) ?? .ordered, orderedAtMilliseconds: row.int64(13),
      deliveredAtMilliseconds: row.optionalInt64(14), ackedAtMilliseconds: row.optionalInt64(15),
      endedAtMilliseconds: row.optionalInt64(16), graceMilliseconds: row.int64(17),
      deadlineNanoseconds: row.int64(18), deliveries: row.uint32(19), wayBack: WayBack(rawValue: row.int(20)),
      cancelledBy: row.isNull(22) ? nil : row.peer(22), cancelReason: row.text(21))
  }
}
