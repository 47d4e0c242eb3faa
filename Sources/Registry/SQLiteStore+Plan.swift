import Handover

/// What the plan makes of a pool.
extension SQLiteStore {
  /// How often one mutation plans a pool anew: each plan's deeds may ask for another, and each time less is left to do.
  private static let rounds = 8

  /// Brings every pool that this mutation touched to where it should be, and writes what changed: plans it until nothing is
  /// left to do, and gives out slots after each plan: what must leave is given nothing.
  func settle() throws(DatabaseError) {
    for round in 1...Self.rounds {
      for id in work.touched.sorted() {
        let pool = try pool(id)
        if pool.isStale { try replan(pool, isLast: round == Self.rounds) }
        try giveSlots(of: pool)
      }
      guard try isAnyStale() else { break }
    }
    for id in work.touched.sorted() { try tellNoCapacity(in: pool(id)) }
    work.touched.removeAll(keepingCapacity: true)
    work.wanting.removeAll(keepingCapacity: true)
    try writeActors()
  }

  private func isAnyStale() throws(DatabaseError) -> Bool {
    for id in work.touched where try pool(id).isStale { return true }
    return false
  }

  /// What should happen to the pool as it is now in this transaction.
  func plan(_ pool: PoolRecord) throws(DatabaseError) -> Plan {
    try statements.pools.plan(pool, as: pool.state, now: work.now.nanoseconds)
  }

  private func replan(_ pool: PoolRecord, isLast: Bool) throws(DatabaseError) {
    let plan = try plan(pool)
    if plan.targetMove != nil || plan.retirement != nil || !plan.recalled.isEmpty {
      work.consequences.append(
        .decided(pool.name, version: plan.target, runner: nil, plan.decision(config: .found)))
    }
    _ = try carryOut(plan, on: pool, actor: daemon)
    if isLast, pool.isStale { pool.control.planDueNanoseconds = work.now.nanoseconds + 1_000_000_000 }
  }

  /// Makes the pool what its plan says.
  ///
  /// A first target and a promotion happen on `actor`'s word (or see `mover`); a demotion is the daemon's own. Those who must
  /// leave do on the word that made the target, unless `retirer` asked for it just now, and said why. `newcomer` is the
  /// runner whose registration this is part of: its own order, when it gets one, is the answer and not a
  /// consequence.
  func carryOut(
    _ plan: Plan, on pool: PoolRecord, actor: Peer, retirer: Peer? = nil, why: String = "",
    newcomer: RunnerRecord? = nil
  ) throws(DatabaseError) -> OpenOrder? {
    if let move = plan.targetMove {
      let (mover, who) = try mover(of: pool, to: move, actor: actor, newcomer: newcomer)
      try moveTarget(of: pool, to: move, runner: mover, who: who)
    }
    let own = try retire(
      plan, of: pool, who: retirer ?? pool.target?.who ?? actor, why: why, newcomer: newcomer)
    for version in plan.recalled { try recall(version, of: pool) }
    try remember(plan, of: pool)
    // Once nobody must leave any more there may be something else to remember, and who was taken back may be in the way.
    let didSomething = plan.targetMove != nil || plan.retirement != nil
    pool.isStale = !plan.recalled.isEmpty || didSomething && pool.looksAtSlots
    return own
  }

  /// On whose word a target moves, and which runner brought it. Where only time has passed, and the version has proved itself,
  /// it is still the word of the runner that brought it.
  private func mover(
    of pool: PoolRecord, to move: Plan.TargetMove, actor: Peer, newcomer: RunnerRecord?
  ) throws(DatabaseError) -> (RunnerID?, Peer) {
    switch move.cause {
    case .demoted: return (nil, daemon)
    case .pinned: return (nil, pool.control.pin?.who ?? actor)
    case .first, .promoted:
      if let newcomer, newcomer.version == move.version { return (newcomer.id, actor) }
      guard actor == daemon else { return (nil, actor) }
      let first = try statements.firstOfVersion.first(pool.id, move.version.number) { row in
        (RunnerID(row.int64(0)), row.peer(1))
      }
      return first ?? (nil, actor)
    }
  }

  private func retire(
    _ plan: Plan, of pool: PoolRecord, who: Peer, why: String, newcomer: RunnerRecord?
  ) throws(DatabaseError) -> OpenOrder? {
    guard let retirement = plan.retirement, let target = plan.target else { return nil }
    let pin =
      pool.control.pin.map { $0.reason.isEmpty ? " (set by hand)" : " (set by hand: \($0.reason))" } ?? ""
    let asked = why.isEmpty ? "" : " (new config: \(why))"
    let terms = newTerms(
      pool, cause: .versionUpgrade,
      reason: "version \(target) is the target of \(pool.name)\(pin)\(asked)", graceMilliseconds: 0)
    var stops = try order(retirement, of: pool, terms: terms, who: who)
    let own = newcomer.flatMap { newcomer in stops.firstIndex { $0.runner == newcomer.id } }
      .map { stops.remove(at: $0) }
    if !stops.isEmpty {
      work.consequences.append(.stopsOrdered(pool: pool.name, terms, stops))
    }
    return own.map { OpenOrder(id: $0.order, runner: $0.runner, state: .ordered, terms: terms) }
  }

  private func order(
    _ retirement: Plan.Retirement, of pool: PoolRecord, terms: OrderTerms, who: Peer
  ) throws(DatabaseError) -> [StopAcknowledgement] {
    switch retirement {
    case .all(let outgoing):
      var stops: [StopAcknowledgement] = []
      for range in outgoing.ranges {
        stops += try orderReady(range, of: pool, terms: terms, who: who)
      }
      return stops
    case .runners(let ids):
      return try order(ids, of: pool, terms: terms, who: who)
    }
  }

  private func moveTarget(
    of pool: PoolRecord, to move: Plan.TargetMove, runner: RunnerID?, who: Peer
  ) throws(DatabaseError) {
    let change = TargetChange(
      version: move.version, previousVersion: pool.target?.version, cause: move.cause, runner: runner,
      who: who,
      atMilliseconds: work.now.wallMilliseconds)
    let id = try statements.insertTargetChange.first(
      pool.id, change.version.number, change.previousVersion?.number, change.cause.rawValue,
      runner?.rawValue, who.uid, who.gid, who.pid, who.program, change.atMilliseconds
    ) { $0.int64(0) }
    try statements.forgetTargetChanges.run(pool.id, Bounds.targetHistoryKept, change.version.number)
    pool.setTarget(change, id: id)
    let detail = change.previousVersion.map { "\(move.cause.word), was \($0)" } ?? move.cause.word
    try event(
      .targetChanged, of: pool, runner: runner, version: change.version, detail: detail, who: who)
    work.consequences.append(.targetChanged(pool.name, change))
  }

  /// An upgrade that begins to be held back, and one that is given up, are told once.
  private func remember(_ plan: Plan, of pool: PoolRecord) throws(DatabaseError) {
    let before = pool.control.memory.upgrade
    pool.control.memory = plan.memory
    pool.control.planDueNanoseconds = plan.wakeAtNanoseconds
    guard let upgrade = plan.memory.upgrade else { return }
    let isNews =
      before?.goal != upgrade.goal || upgrade.isAbandoned && before?.isAbandoned != true
    guard isNews else { return }
    try event(
      upgrade.isAbandoned ? .upgradeAbandoned : .upgradeHeld, of: pool, version: upgrade.goal,
      detail: plan.heldWords)
    work.consequences.append(
      .upgradeHeld(pool.name, goal: upgrade.goal, plan.held, isAbandoned: upgrade.isAbandoned))
  }
}

extension Plan {
  /// Gates and how many each holds, as an event's detail says it.
  fileprivate var heldWords: String {
    held.map { "held[\($0.gate)]=\($0.count)" }.joined(separator: " ")
  }
}
