/// The statements that queries run.
enum QuerySQL {
  private static let poolColumns = """
    p.id, n.name, p.name, \(ConfigColumns.columns), p.owner_uid, t.version, t.previous_version, t.cause,
    t.runner_id, t.at_ms, t.uid, t.gid, t.pid, t.program, \(PoolControl.columns)
    """

  private static let runnerColumns = """
    r.id, n.name, p.name, r.key, r.version, r.total_slots, r.phase, r.link, r.silent, r.ends_with_process,
    r.uid, r.gid, r.pid, r.program, r.metadata, r.registered_at_ms, r.link_changed_at_ms, r.ended_at_ms,
    r.end_cause, coalesce((
      SELECT o.id FROM drain_orders o WHERE o.runner_id = r.id AND o.state <= 3), r.drain_order_id),
    r.exit_code, r.detach_reason, r.takes_actors, max(0, r.free_slots), r.cordoned,
    (SELECT x.version FROM target_changes x WHERE x.id = r.exempt_change AND x.id = p.target_change_id)
    """

  private static let drainColumns = """
    o.id, o.runner_id, n.name, p.name, o.version, t.cause, t.reason, t.target_version, t.uid, t.gid, t.pid,
    t.program, o.state, t.ordered_at_ms, o.delivered_at_ms, o.acked_at_ms, o.ended_at_ms, t.grace_ms,
    coalesce(o.deadline_ns, t.deadline_ns), o.deliveries, o.way_back, o.cancel_reason, o.cancel_uid,
    o.cancel_gid, o.cancel_pid, o.cancel_program
    """

  private static let drainTables = """
    JOIN drain_terms t ON t.id = o.terms_id JOIN pools p ON p.id = t.pool_id
    JOIN namespaces n ON n.id = p.namespace_id
    """

  static let begin = "BEGIN"
  static let end = "COMMIT"
  static let revision = "SELECT last_revision, last_runner, last_order FROM fleet"
  static let counts = """
    SELECT (SELECT count(*) FROM namespaces), (SELECT count(*) FROM pools WHERE kind IS NOT NULL),
      (SELECT ended_runners FROM fleet)
    """
  static let livingCounts = """
    SELECT coalesce(sum(ready), 0), coalesce(sum(draining), 0),
      coalesce(sum(ready - ready_attached + draining - draining_attached), 0)
    FROM pool_versions
    """
  static let namespaces = "SELECT name, created_at_ms FROM namespaces WHERE name > ? ORDER BY name LIMIT ?"
  static let pools = """
    SELECT \(poolColumns) FROM pools p JOIN namespaces n ON n.id = p.namespace_id
      LEFT JOIN target_changes t ON t.id = p.target_change_id
    WHERE p.kind IS NOT NULL AND (n.name, p.name) > (?1, ?2) AND (?3 IS NULL OR n.name = ?3)
    ORDER BY n.name, p.name LIMIT ?4
    """
  static let pool = """
    SELECT \(poolColumns) FROM pools p JOIN namespaces n ON n.id = p.namespace_id
      LEFT JOIN target_changes t ON t.id = p.target_change_id
    WHERE p.kind IS NOT NULL AND n.name = ? AND p.name = ?
    """
  static let versions =
    "SELECT \(VersionCounts.columns) FROM pool_versions WHERE pool_id = ? ORDER BY version DESC LIMIT ?"
  static let openDrains = "SELECT coalesce(sum(draining), 0) FROM pool_versions WHERE pool_id = ?"
  static let targetHistory = """
    SELECT version, previous_version, cause, runner_id, at_ms, uid, gid, pid, program
    FROM target_changes WHERE pool_id = ? ORDER BY id DESC LIMIT ?
    """
  static let runner = """
    SELECT \(runnerColumns) FROM runners r JOIN pools p ON p.id = r.pool_id
      JOIN namespaces n ON n.id = p.namespace_id
    WHERE r.id = ?
    """
  static let livingRunners = """
    SELECT \(runnerColumns)
    FROM (
      SELECT living.id FROM (
        SELECT id, pool_id FROM runners INDEXED BY runners_ready WHERE phase = 1 AND ?4 IS NOT 2
        UNION ALL
        SELECT o.runner_id, t.pool_id FROM drain_orders o INDEXED BY drain_orders_open
          JOIN drain_terms t ON t.id = o.terms_id
        WHERE o.state <= 3 AND ?4 IS NOT 1
      ) living JOIN pools p ON p.id = living.pool_id JOIN namespaces n ON n.id = p.namespace_id
      WHERE living.id > ?1 AND (?2 IS NULL OR n.name = ?2) AND (?3 IS NULL OR p.name = ?3)
      ORDER BY living.id LIMIT ?5
    ) page JOIN runners r ON r.id = page.id JOIN pools p ON p.id = r.pool_id
      JOIN namespaces n ON n.id = p.namespace_id
    ORDER BY r.id
    """
  static let allRunners = """
    SELECT \(runnerColumns) FROM runners r JOIN pools p ON p.id = r.pool_id
      JOIN namespaces n ON n.id = p.namespace_id
    WHERE r.id > ?1 AND r.id <= ?2 AND (?3 IS NULL OR n.name = ?3) AND (?4 IS NULL OR p.name = ?4)
      AND (?5 IS NULL OR r.phase = ?5)
    ORDER BY r.id LIMIT ?6
    """
  static let runnerBounds = "SELECT min(id) FROM runners WHERE id > ?"
  static let drain = "SELECT \(drainColumns) FROM drain_orders o \(drainTables) WHERE o.id = ?"
  static let drainsOfRunner = """
    SELECT \(drainColumns) FROM drain_orders o \(drainTables)
    WHERE o.id IN (
        SELECT id FROM drain_orders INDEXED BY drain_orders_open WHERE runner_id = ?2 AND state <= 3
        UNION ALL SELECT drain_order_id FROM runners WHERE id = ?2)
      AND o.id > ?1 AND (?3 IS NULL OR n.name = ?3) AND (?4 IS NULL OR p.name = ?4)
      AND (?5 IS NULL OR o.state = ?5) AND (?6 OR o.state <= 3)
    ORDER BY o.id LIMIT ?7
    """
  static let openDrainsList = """
    SELECT \(drainColumns)
    FROM (
      SELECT o.id FROM drain_orders o INDEXED BY drain_orders_open JOIN drain_terms t ON t.id = o.terms_id
        JOIN pools p ON p.id = t.pool_id JOIN namespaces n ON n.id = p.namespace_id
      WHERE o.state <= 3 AND o.id > ?1 AND (?2 IS NULL OR n.name = ?2) AND (?3 IS NULL OR p.name = ?3)
        AND (?4 IS NULL OR o.state = ?4)
      ORDER BY o.id LIMIT ?5
    ) page JOIN drain_orders o ON o.id = page.id \(drainTables)
    ORDER BY o.id
    """
  static let allDrains = """
    SELECT \(drainColumns) FROM drain_orders o \(drainTables)
    WHERE o.id > ?1 AND o.id <= ?2 AND (?3 IS NULL OR n.name = ?3) AND (?4 IS NULL OR p.name = ?4)
      AND (?5 IS NULL OR o.state = ?5)
    ORDER BY o.id LIMIT ?6
    """
  static let drainBounds = "SELECT min(id) FROM drain_orders WHERE id > ?"
  static let oldestEvent = "SELECT min(revision) FROM events"
  static let events = """
    SELECT e.revision, e.at_ms, e.kind, coalesce(n.name, m.name), coalesce(p.name, ''), e.runner_id,
      e.drain_order_id, e.version, e.detail, e.uid, e.gid, e.pid, e.program,
      t.cause, t.reason, t.uid, t.gid, t.pid, t.program, e.actor_id, e.generation
    FROM events e LEFT JOIN pools p ON p.id = e.pool_id LEFT JOIN namespaces n ON n.id = p.namespace_id
      LEFT JOIN namespaces m ON m.id = e.namespace_id
      LEFT JOIN drain_orders o ON e.kind = 12 AND o.id = e.drain_order_id
      LEFT JOIN drain_terms t ON t.id = o.terms_id
    WHERE e.revision > ?1 AND e.revision <= ?2 AND (?3 IS NULL OR coalesce(n.name, m.name) = ?3)
      AND (?4 IS NULL OR p.name = ?4)
    ORDER BY e.revision LIMIT ?5
    """
}
