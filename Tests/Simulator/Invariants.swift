import Handover
import Registry

/// What must hold after every commit, and once everything is quiet. Looked up in the database itself.
extension World {
  /// After a commit.
  func check(_ daemon: SimulatedDaemon, excused: Set<RunnerID>? = [], isOnlyArrivals: Bool = false) {
    do {
      if random.oneIn(16) {
        for finding in try daemon.sqlite.verifyCounters() { violate("counters: \(finding)") }
      }
      let runners = try all(daemon.reader) {
        Query.runners(RunnerFilter(), $0)
      } pick: {
        if case .runners(let page) = $0 { page } else { nil }
      }
      var keys: [String: RunnerID] = [:]
      for runner in runners where runner.phase == .ready {
        if let other = keys.updateValue(runner.id, forKey: "\(runner.pool)/\(runner.key)") {
          violate("invariant 6: runners \(other) and \(runner.id) are both ready with key \(runner.key)")
        }
        if runner.remainingSlots > runner.totalSlots {
          violate("invariant 3: runner \(runner.id) has slots beyond its own")
        }
      }
      let living = Dictionary(uniqueKeysWithValues: runners.map { ($0.id, $0) })
      let open = try all(daemon.reader) {
        Query.drains(DrainFilter(), $0)
      } pick: {
        if case .drains(let page) = $0 { page } else { nil }
      }
      for order in open where living[order.runner]?.phase != .draining {
        violate("order \(order.id) is open, but runner \(order.runner) is not draining")
      }
      for finding in deadlines.findings(in: open, at: now, troubleAt: lastTroubleAt) { violate(finding) }
      let ordered = Set(open.map(\.runner))
      for runner in runners where runner.phase == .draining && !ordered.contains(runner.id) {
        violate("runner \(runner.id) is draining without an open order")
      }
      try checkPlans(daemon, runners)
      checkOffers(runners, open)
      try checkUpgrades(daemon, runners, open, isOnlyArrivals: isOnlyArrivals)
      try checkFences(daemon)
      try checkActors(daemon, runners, excused: excused)
    } catch {
      violate("a check could not read: \(error)")
    }
  }

  /// Invariant 1, as far as runners go: who is given up for silence has stopped its work by then, so that nobody else
  /// is given it while it runs. A process that gets no time can do nothing about it until it wakes.
  private func checkFences(_ daemon: SimulatedDaemon) throws {
    for client in clients where client.life == .running && now >= client.hangsUntil && !client.hasFinished {
      guard let id = client.runner, case .runner(let runner) = try daemon.reader.read(.runner(id)).content
      else { continue }
      if runner.phase == .lost, runner.end == .threshold {
        violate("invariant 1: runner \(id) was given up for silence and its process works on")
      }
    }
  }

  /// Nothing is left of a batch that failed.
  func checkNothingHappened(_ daemon: SimulatedDaemon, since revision: Revision) {
    do {
      let found = try daemon.reader.read(.status).revision
      if found != revision { violate("a batch failed, and the log went from \(revision) to \(found)") }
    } catch {
      violate("a check could not read: \(error)")
    }
  }

  /// The books against what the daemon knows, while nothing is on its way between them.
  func checkLinks(_ daemon: SimulatedDaemon) {
    guard daemon.service.isSettled else { return }
    do {
      let runners = try all(daemon.reader) {
        Query.runners(RunnerFilter(), $0)
      } pick: {
        if case .runners(let page) = $0 { page } else { nil }
      }
      let attached = Set(runners.filter { $0.link == .attached }.map(\.id))
      let known = daemon.service.attachedRunners
      for id in attached.symmetricDifference(known).sorted() {
        violate(
          "runner \(id) is \(attached.contains(id) ? "attached" : "detached") in the books, but not in fact")
      }
      let silent = runners.count { $0.isSilent }
      if silent > daemon.service.quietRunners || silent == 0 && daemon.service.quietAttachedRunners > 0 {
        violate("\(silent) runners are silent in the books, \(daemon.service.quietAttachedRunners) in fact")
      }
    } catch {
      violate("a check could not read: \(error)")
    }
  }

  /// At the end, when faults have stopped and time enough has passed.
  func checkQuiet(_ watchers: [SimulatedWatcher]) {
    guard let daemon else { return violate("the daemon is not running at the end") }
    do {
      let open = try all(daemon.reader) {
        Query.drains(DrainFilter(), $0)
      } pick: {
        if case .drains(let page) = $0 { page } else { nil }
      }
      for order in open {
        violate("invariant 4: order \(order.id) of runner \(order.runner) never ended: \(order.state)")
      }
      checkAcknowledged(daemon)
      let kept = try allEvents(daemon.reader)
      for watcher in watchers {
        let events = kept.filter { $0 > watcher.beginning }
        let seen = watcher.revisions.filter { $0 >= kept.first ?? .max }
        guard seen != events else { continue }
        let missing = Set(events).subtracting(seen).sorted().prefix(3)
        violate(
          "invariant 8: a watcher saw \(seen.count) events of \(events.count); missing \(Array(missing))")
      }
      for finding in try daemon.sqlite.verifyCounters() { violate("counters: \(finding)") }
    } catch {
      violate("the last check could not read: \(error)")
    }
  }

  /// Invariant 5; after every start, and at the end.
  func checkAcknowledged(_ daemon: SimulatedDaemon) {
    do {
      try checkAcknowledged(daemon.reader)
    } catch {
      violate("a check could not read: \(error)")
    }
  }

  private func checkAcknowledged(_ reader: any StoreReader) throws {
    for (id, registered) in history.runners.sorted(by: { $0.key < $1.key }) {
      guard case .runner(let runner) = try reader.read(.runner(id)).content else {
        if try !forgetsRunners(reader) { violate("invariant 5: runner \(id) was acknowledged and is gone") }
        continue
      }
      if runner.pool != registered.pool || runner.version.number != registered.version {
        violate("invariant 5: runner \(id) is another than was acknowledged")
      }
    }
    for id in history.orders.union(history.stopsSeen).sorted() {
      guard case .drain = try reader.read(.drain(id)).content else {
        if try !forgetsOrders(reader) { violate("invariant 5: order \(id) was acknowledged and is gone") }
        continue
      }
    }
    for pool in history.configs.keys.sorted() {
      guard let settings = history.config(of: pool) else { continue }
      guard case .config(let config) = try reader.read(.config(pool)).content else {
        violate("invariant 5: the config of \(pool) was acknowledged and is gone")
        continue
      }
      guard case .normal(let normal) = config.kind, normal.drainOnVersionUpgrade == settings.drains,
        normal.upgrade == settings.upgrade
      else {
        violate("invariant 5: the config of \(pool) is another than was acknowledged")
        continue
      }
    }
  }

  private func allEvents(_ reader: any StoreReader) throws -> [Int64] {
    var revisions: [Int64] = []
    // As many as are kept are there.
    var cursor = Revision(max(0, try reader.read(.status).revision.rawValue - limits.events))
    while true {
      let answer = try reader.read(.events(after: cursor, namespace: nil, name: nil, limit: 1000))
      guard case .events(let events, let upTo) = answer.content else {
        violate("the log after \(cursor) is not there: \(answer.content)")
        return revisions
      }
      revisions += events.map(\.revision.rawValue)
      guard upTo < answer.revision else { return revisions }
      cursor = upTo
    }
  }

  func all<Element>(
    _ reader: any StoreReader, _ query: (Page) -> Query, pick: (QueryAnswer.Content) -> PageOf<Element>?
  ) throws -> [Element] {
    var elements: [Element] = []
    var token = ""
    repeat {
      let answer = try reader.read(query(Page(size: 1000, token: token)))
      guard let page = pick(answer.content) else { return elements }
      elements += page.elements
      token = page.next
    } while !token.isEmpty
    return elements
  }
}
