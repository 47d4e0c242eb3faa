import Handover

struct ExplainStatements {
  let standing: Statement
  let leadingTo: Statement
  let doneTo: Statement
  let held: Statement

  init(_ database: Database) throws(DatabaseError) {
    standing = try Statement(database, ExplainSQL.standing)
    leadingTo = try Statement(database, ExplainSQL.leadingTo)
    doneTo = try Statement(database, ExplainSQL.doneTo)
    held = try Statement(database, ExplainSQL.held)
  }
}

enum ExplainSQL {
  static let standing = "SELECT pool_id, authorized, used_slots FROM runners WHERE id = ?"

  /// The change that made a version the target, for an order of that time.
  static let leadingTo = """
    SELECT version, previous_version, cause, runner_id, at_ms, uid, gid, pid, program
    FROM target_changes WHERE pool_id = ?1 AND version = ?2 AND at_ms <= ?3 ORDER BY id DESC LIMIT 1
    """

  /// The last of each kind that somebody did to a runner: `Event`'s columns, of no terms.
  static let doneTo = """
    SELECT e.revision, e.at_ms, e.kind, n.name, p.name, e.runner_id, e.drain_order_id, e.version, e.detail,
      e.uid, e.gid, e.pid, e.program, NULL, NULL, NULL, NULL, NULL, NULL, e.actor_id, e.generation
    FROM (
      SELECT max(revision) AS revision FROM events INDEXED BY events_done_to
      WHERE \(Schema.isDoneToRunner) AND runner_id = ? GROUP BY kind
    ) last JOIN events e ON e.revision = last.revision JOIN pools p ON p.id = e.pool_id
      JOIN namespaces n ON n.id = p.namespace_id
    """

  /// Those that have been at it for the longest: the stopping ones first. They are looked for among so many that were told
  /// something the longest ago.
  static let held = """
    SELECT id, state, coalesce(
        CASE state WHEN 2 THEN starting_at_ms WHEN 3 THEN running_at_ms WHEN 4 THEN stopping_at_ms END,
        created_at_ms) AS since_ms
    FROM (
      SELECT id, state, starting_at_ms, running_at_ms, stopping_at_ms, created_at_ms
      FROM actors INDEXED BY actors_held WHERE runner_id = ? AND runner_id IS NOT NULL
      ORDER BY command_seq LIMIT 10000
    ) ORDER BY state = 4 DESC, since_ms, id LIMIT \(Explanation.blockingActorsShown)
    """
}

/// Why something is as it is: the facts, each found by an index. The sentences are `Explaining`'s.
extension SQLiteReader {
  func explain(
    _ subject: ExplainSubject, _ now: Moment, _ latest: Latest
  ) throws(DatabaseError) -> QueryAnswer.Content {
    let facts: ExplainFacts
    switch subject {
    case .runner(let id):
      guard let runner = try runnerFacts(id, now) else {
        return Self.absent("runner", id.rawValue, latest: latest.runner)
      }
      facts = .runner(runner)
    case .order(let id):
      guard let order = try statements.drain.first(id.rawValue, read: { DrainOrder($0) }) else {
        return Self.absent("drain order", id.rawValue, latest: latest.order)
      }
      guard let runner = try runnerFacts(order.runner, now, order: order) else {
        return .refused(
          Refusal(
            .notFound,
            "drain order \(id) has ended (\(order.state.word)), and its runner \(order.runner) is no longer kept"
          ))
      }
      facts = .order(order, runner)
    case .actor(let id):
      guard let actor = try actors.one.first(id.rawValue, read: { Actor($0) }),
        let pool = try pool(actor.identity.pool, now)
      else { return try absentActor(id) }
      let runner = try actor.runner.flatMap { (id) throws(DatabaseError) in try runnerFacts(id, now) }
      facts = .actor(ActorFacts(actor: actor, pool: try poolFacts(pool, now), runner: runner))
    case .pool(let name):
      guard let pool = try pool(name, now), pool.config != nil else { return .refused(.noConfig(name)) }
      facts = .pool(try poolFacts(pool, now))
    }
    return .explanation(Explaining.explanation(of: facts, at: now))
  }

  private func poolFacts(_ pool: PoolRecord, _ now: Moment) throws(DatabaseError) -> PoolFacts {
    let state = pool.state
    return PoolFacts(
      name: pool.name, state: state,
      plan: try statements.planning.plan(pool, as: state, now: now.nanoseconds),
      target: try pool.target.map { (change) throws(DatabaseError) in try caused(change) },
      pin: pool.control.pin)
  }

  private func caused(_ change: TargetChange) throws(DatabaseError) -> CausedChange {
    let runner = try change.runner.flatMap { (id) throws(DatabaseError) in
      try statements.runner.first(id.rawValue) { Runner($0) }
    }
    return CausedChange(change: change, runner: runner)
  }

  /// `order` is the one that is asked about; else it is the open one, or the last.
  private func runnerFacts(
    _ id: RunnerID, _ now: Moment, order asked: DrainOrder? = nil
  ) throws(DatabaseError) -> RunnerFacts? {
    let standing = try statements.explain.standing.first(id.rawValue) { row in
      (pool: row.int64(0), isAuthorized: row.bool(1), usedSlots: row.int(2))
    }
    guard let standing, let runner = try statements.runner.first(id.rawValue, read: { Runner($0) }) else {
      return nil
    }
    var order = asked
    if order == nil, let id = runner.drainOrder {
      order = try statements.drain.first(id.rawValue) { DrainOrder($0) }
    }
    let change = try order?.targetVersion.flatMap { (version) throws(DatabaseError) in
      try statements.explain.leadingTo.first(
        standing.pool, version.number, order?.orderedAtMilliseconds ?? 0
      ) { $0.targetChange(0) }.flatMap { $0 }
    }
    let deeds = try statements.explain.doneTo.all(id.rawValue) { Event($0) }
    let held = try statements.explain.held.all(id.rawValue) { row in
      HeldActor(
        id: ActorID(row.int64(0)), state: ActorState(rawValue: row.int(1)) ?? .running,
        sinceMilliseconds: row.int64(2))
    }
    return RunnerFacts(
      runner: runner, isAuthorized: standing.isAuthorized,
      pool: try poolFacts(statements.planning.pool(standing.pool, now: now.nanoseconds), now), order: order,
      orderedFor: try change.map { (change) throws(DatabaseError) in try caused(change) }, deeds: deeds,
      actorCount: runner.phase.hasEnded ? 0 : standing.usedSlots, actors: held,
      lostThresholdMilliseconds: times.lostThresholdMilliseconds)
  }
}
