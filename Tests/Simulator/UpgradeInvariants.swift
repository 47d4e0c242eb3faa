import Handover
import Registry

/// What must hold of upgrades after every commit, and once everything is quiet.
extension World {
  /// Invariant 9: what is stored is what the planner would do: it finds nothing left. Where there is no gate it is asked
  /// with the runners themselves, not with the counters that the store planned with.
  func checkPlans(_ daemon: SimulatedDaemon, _ runners: [Runner]) throws {
    for finding in try daemon.sqlite.unsettledPools(at: moment, late: lateness) {
      violate("invariant 9: \(finding)")
    }
    for pool in try pools(daemon) {
      // What was acknowledged, where that is certain, and not what the store takes it for.
      let config = history.config(of: pool.name)?.config ?? pool.config
      guard config.upgradePolicy == .immediate else { continue }
      let state = independentState(of: pool, config, runners)
      let plan = Planner.plan(state, now: now, candidates: [])
      if plan.retired > 0 {
        violate("invariant 7: \(plan.retired) ready runners of \(pool.name) are older than the target")
      }
      if let move = plan.targetMove {
        violate("invariant 9: the target of \(pool.name) should be \(move.version)")
      }
    }
  }

  /// How late a pool may be planned: a daemon that gets no time, or whose disk fails, plans nobody.
  private var lateness: Int64 { now - lastTroubleAt > 10_000_000_000 ? 10_000_000_000 : Int64.max / 2 }

  private func pools(_ daemon: SimulatedDaemon) throws -> [Pool] {
    try all(daemon.reader) {
      Query.pools(namespace: nil, $0)
    } pick: {
      if case .pools(let page) = $0 { page } else { nil }
    }
  }

  private func independentState(of pool: Pool, _ config: RunnerConfig, _ runners: [Runner]) -> PoolState {
    var versions: [Version: VersionSummary] = [:]
    var facts: [Version: VersionFacts] = [:]
    for runner in runners where runner.pool == pool.name {
      var summary =
        versions[runner.version]
        ?? VersionSummary(
          version: runner.version, ready: 0, readyAttached: 0, readyAttachedAuthorized: 0, draining: 0,
          totalSlots: 0, remainingSlots: 0)
      if runner.phase == .ready {
        summary.ready += 1
        if runner.link == .attached {
          summary.readyAttached += 1
          summary.readyAttachedAuthorized += 1
        }
        if runner.exemptFrom != nil { facts[runner.version, default: VersionFacts()].exempt += 1 }
      } else {
        summary.draining += 1
      }
      versions[runner.version] = summary
    }
    return PoolState(
      config: config, target: pool.target?.version, versions: Array(versions.values),
      pin: pool.pin?.version, facts: facts)
  }

  /// `isOnlyArrivals`: nobody went, fell silent or was sent away by hand in this commit, so that what there is less of is the
  /// upgrade's doing.
  func checkUpgrades(
    _ daemon: SimulatedDaemon, _ runners: [Runner], _ open: [DrainOrder], isOnlyArrivals: Bool
  ) throws {
    for pool in try pools(daemon) {
      var watched = upgrades[pool.name] ?? WatchedUpgrade()
      let ready = runners.filter { $0.pool == pool.name && $0.phase == .ready }
      let all = open.filter { $0.pool == pool.name && $0.id > watched.lastOrder }
      let new = all.filter { $0.cause == .versionUpgrade }
      watched.lastOrder = max(watched.lastOrder, open.map(\.id).max() ?? watched.lastOrder)
      checkBadVersions(pool, new)
      let policy = pool.config.upgradePolicy
      if case .wait(let minAvailable) = policy.capacity {
        let serving = ready.filter { $0.link == .attached && !$0.isSilent && !$0.isCordoned }
          .reduce(Int64(0)) { $0 + Int64($1.totalSlots) }
        if isOnlyArrivals, !new.isEmpty, let settled = watched.settled {
          let least = minAvailable?.roundedUp(of: settled) ?? settled
          if serving < least {
            violate("an upgrade of \(pool.name) left \(serving) slots that serve, and \(least) must stay")
          }
        }
        let slots = ready.reduce(Int64(0)) { $0 + Int64($1.totalSlots) }
        if isSettled(pool, ready) || watched.settled == nil { watched.settled = slots }
      } else {
        watched.settled = nil
      }
      if let pace = policy.maxDraining, !new.isEmpty {
        let draining = runners.count { $0.pool == pool.name && $0.phase == .draining }
        let most = max(1, pace.roundedDown(of: Int64(draining + ready.count)))
        if isOnlyArrivals, all.count == new.count, Int64(draining) > most {
          violate("\(draining) runners of \(pool.name) drain at once, at most \(most) may")
        }
      }
      upgrades[pool.name] = watched
    }
  }

  /// Whoever is offered to stay is told, and what it says counts.
  func checkOffers(_ runners: [Runner], _ open: [DrainOrder]) {
    var still: [DrainOrderID: Int64] = [:]
    for order in open where order.wayBack == .offered { still[order.id] = offers[order.id] ?? now }
    offers = still
    let attached = Set(runners.filter { $0.link == .attached && !$0.isSilent }.map(\.id))
    for order in open {
      guard let since = offers[order.id], attached.contains(order.runner),
        let client = clients.first(where: { $0.runner == order.runner && $0.life == .running }),
        let attachedSince = client.attachedSince
      else { continue }
      let undisturbed = max(since, lastTroubleAt, attachedSince, client.hangsUntil)
      if now > undisturbed + Self.patienceNanoseconds, client.obeys {
        violate(
          "runner \(order.runner) was offered a way back from order \(order.id), and nothing came of it")
      }
      if now > undisturbed + 3_000_000_000, !faults.slowReaders, !client.takenBack.contains(order.id) {
        violate("runner \(order.runner) was offered a way back from order \(order.id), and was never told")
      }
    }
  }

  /// Longer than a slow reader is slow.
  private static var patienceNanoseconds: Int64 { 20_000_000_000 }

  /// Nobody has to leave any more, as far as the runners show it.
  private func isSettled(_ pool: Pool, _ ready: [Runner]) -> Bool {
    guard let target = pool.target?.version else { return true }
    if let held = pool.heldUpgrade { return held.isAbandoned }
    let drains: Bool
    if case .normal(let normal) = pool.config.kind {
      drains = normal.drainOnVersionUpgrade == true
    } else {
      drains = false
    }
    guard drains || pool.pin != nil else { return true }
    if let pin = pool.pin?.version {
      return pin == target && ready.allSatisfy { $0.version == target || $0.exemptFrom != nil }
    }
    return ready.allSatisfy { runner in
      runner.version == target || runner.exemptFrom != nil
        || runner.version > target && runner.link != .attached
    }
  }

  /// A crash loop never sends anybody away where a version must first be healthy.
  private func checkBadVersions(_ pool: Pool, _ new: [DrainOrder]) {
    guard let settings = history.config(of: pool.name),
      settings.upgrade.policy.minHealthyMilliseconds >= 5000,
      now - lastTroubleAt > 30_000_000_000, pool.pin == nil
    else { return }
    for order in new {
      guard let target = order.targetVersion, badVersions.contains(PoolVersion(pool.name, target.number))
      else { continue }
      violate(
        "version \(target) of \(pool.name) crashes again and again, and runner \(order.runner) must leave for it"
      )
    }
  }

  /// Whether an order is open that has not had its whole time yet.
  var hasFreshOrders: Bool {
    guard let daemon,
      let open = try? all(
        daemon.reader, { Query.drains(DrainFilter(), $0) },
        pick: { if case .drains(let page) = $0 { page } else { nil } })
    else { return false }
    return open.contains { $0.deadlineNanoseconds > now - 5_000_000_000 }
  }

  /// Once all is quiet, everyone is of the target but those who were told to stay.
  func checkUpgradesAtRest() {
    guard let daemon else { return }
    do {
      let runners = try all(daemon.reader) {
        Query.runners(RunnerFilter(), $0)
      } pick: {
        if case .runners(let page) = $0 { page } else { nil }
      }
      for pool in try pools(daemon) where pool.config.upgradePolicy == .immediate {
        guard case .normal(let normal) = pool.config.kind, let target = pool.target?.version else { continue }
        guard normal.drainOnVersionUpgrade == true || pool.pin?.version == target else { continue }
        if let pin = pool.pin?.version, pin != target { continue }
        for runner in runners where runner.pool == pool.name && runner.version != target {
          if runner.exemptFrom != target {
            violate(
              "runner \(runner.id) of version \(runner.version) is still there, the target is \(target)")
          }
        }
      }
    } catch {
      violate("a check could not read: \(error)")
    }
  }
}

/// What is remembered of a pool's upgrades from one commit to the next.
struct WatchedUpgrade {
  var lastOrder = DrainOrderID(0)
  /// The ready slots when last nobody had to leave; nil where capacity does not count.
  var settled: Int64?
}
