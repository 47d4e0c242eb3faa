/// The statements of actors: those that changes run, then what both changes and queries read.
enum ActorSQL {
  static let find = "SELECT \(ActorRecord.columns) FROM actors WHERE id = ?"
  static let findKey = """
    SELECT id FROM actors INDEXED BY actors_key
    WHERE namespace_id = ? AND name = ? AND key = ? AND key IS NOT NULL AND state < 6
    """
  static let findRequest = """
    SELECT id FROM actors INDEXED BY actors_request
    WHERE request_high = ? AND request_high IS NOT NULL AND request_low = ?
    """
  static let insert = """
    INSERT INTO actors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
      ?, ?, ?, ?, ?, ?, ?)
    """
  static let update = """
    UPDATE actors SET state = ?, generation = ?, runner_id = ?, stop_reason = ?, wake_wanted = ?,
      ran_since_ns = ?, due_ns = ?, place = ?, command_index = ?, command_acked = ?, command_seq = ?,
      report_index = ?, alarm_ns = ?, alarm_at_ms = ?, retries = ?, failure = ?, failed_at_ms = ?,
      stop_message = ?, pending_at_ms = ?, starting_at_ms = ?, running_at_ms = ?, stopping_at_ms = ?,
      sleeping_at_ms = ?, destroyed_at_ms = ?
    WHERE id = ?
    """
  static let insertInput = "INSERT INTO actor_inputs VALUES (?, ?)"
  static let deleteInput = "DELETE FROM actor_inputs WHERE actor_id = ?"
  static let held =
    "SELECT id FROM actors INDEXED BY actors_held WHERE runner_id = ? AND runner_id IS NOT NULL ORDER BY command_seq"
  static let queueHeads = """
    SELECT id FROM actors INDEXED BY actors_queue
    WHERE pool_id = ? AND state = 1 AND due_ns IS NULL ORDER BY place LIMIT ?
    """
  static let dueNow = """
    SELECT id FROM actors INDEXED BY actors_due
    WHERE due_ns IS NOT NULL AND due_ns <= ? ORDER BY due_ns, id LIMIT ?
    """
  static let nextDue = "SELECT min(due_ns) FROM actors INDEXED BY actors_due WHERE due_ns IS NOT NULL"
  /// The rule is `Allocator`'s.
  static let findSlot = """
    SELECT id FROM runners INDEXED BY runners_free
    WHERE pool_id = ? AND version = ? AND phase = 1 AND link = 1 AND silent = 0 AND authorized = 1
      AND takes_actors = 1 AND cordoned = 0 AND free_slots > 0
    ORDER BY free_slots DESC, last_work_ns, id LIMIT 1
    """
  static let readStanding =
    """
    SELECT version, phase, link, authorized, total_slots, used_slots, silent, cordoned, exempt_change, recallable,
      takes_actors
    FROM runners WHERE id = ? AND phase <= 2
    """
  static let takeSlot = "UPDATE runners SET used_slots = used_slots + 1, last_work_ns = ? WHERE id = ?"
  static let freeSlot = "UPDATE runners SET used_slots = used_slots - 1 WHERE id = ?"
  static let writePoolActors = "INSERT OR REPLACE INTO pool_actors VALUES (?, ?, ?, ?, ?, ?, ?)"
  static let queuedPools = "SELECT pool_id FROM pool_actors WHERE queued > 0"
  /// Another boot's clock means nothing: what waits for its next try is tried now, alarms keep their wall time, and who ran
  /// has run since it said so on the wall clock.
  static let restartClock = """
    UPDATE actors SET
      alarm_ns = iif(alarm_at_ms IS NULL, NULL, ?1 + max(0, alarm_at_ms - ?2) * 1000000),
      due_ns = CASE state WHEN 1 THEN iif(due_ns IS NULL, NULL, ?1)
        WHEN 5 THEN iif(alarm_at_ms IS NULL, NULL, ?1 + max(0, alarm_at_ms - ?2) * 1000000) ELSE due_ns END,
      ran_since_ns = iif(ran_since_ns IS NULL, NULL, ?1 - max(0, ?2 - coalesce(running_at_ms, ?2)) * 1000000)
    WHERE state < 6 AND (due_ns IS NOT NULL OR alarm_at_ms IS NOT NULL OR ran_since_ns IS NOT NULL)
    """
  /// Whoever must answer has at least this long after a start of the daemon.
  static let extendDeadlines = """
    UPDATE actors SET due_ns = max(?1, min(due_ns, ?2))
    WHERE id IN (SELECT id FROM actors INDEXED BY actors_due WHERE due_ns IS NOT NULL) AND state IN (2, 4)
    """

  // MARK: - Read by both

  /// One that stops has until its own deadline or that of its runner's drain, whichever is sooner.
  private static let due = """
    iif(a.state = 4, nullif(min(coalesce(a.due_ns, \(Int64.max)), coalesce((
      SELECT coalesce(o.deadline_ns, s.deadline_ns) FROM drain_orders o INDEXED BY drain_orders_open JOIN drain_terms s ON s.id = o.terms_id
      WHERE o.runner_id = a.runner_id AND o.state <= 3), \(Int64.max))), \(Int64.max)), a.due_ns)
    """
  static let columns = """
    a.id, n.name, p.name, a.name, a.key, a.crash_policy, a.state, a.generation, a.runner_id, r.version,
    a.stop_reason, a.failure, a.failed_at_ms, a.retries, a.stop_message,
    CASE WHEN a.state <> 1 THEN NULL WHEN a.due_ns IS NOT NULL THEN 3
      WHEN NOT EXISTS (SELECT 1 FROM runners INDEXED BY runners_free WHERE pool_id = a.pool_id AND phase = 1
        AND link = 1 AND silent = 0 AND authorized = 1 AND takes_actors = 1 AND cordoned = 0) THEN 1
      WHEN EXISTS (SELECT 1 FROM runners INDEXED BY runners_free WHERE pool_id = a.pool_id
        AND version = t.version AND phase = 1 AND link = 1 AND silent = 0 AND authorized = 1
        AND takes_actors = 1 AND cordoned = 0 AND free_slots > 0) THEN 4
      ELSE 2 END,
    iif(a.state = 1 AND a.due_ns IS NULL, (SELECT count(*) FROM (
      SELECT 1 FROM actors q INDEXED BY actors_queue
      WHERE q.pool_id = a.pool_id AND q.state = 1 AND q.due_ns IS NULL AND q.place < a.place LIMIT 1000)), 0),
    \(due),
    a.command_acked >= a.command_index, a.wake_wanted, a.uid, a.gid, a.pid, a.program, a.created_at_ms,
    a.pending_at_ms, a.starting_at_ms, a.running_at_ms, a.stopping_at_ms, a.sleeping_at_ms, a.destroyed_at_ms
    """
  static let tables = """
    JOIN pools p ON p.id = a.pool_id JOIN namespaces n ON n.id = p.namespace_id
      LEFT JOIN runners r ON r.id = a.runner_id LEFT JOIN target_changes t ON t.id = p.target_change_id
    """
  static let one = "SELECT \(columns) FROM actors a \(tables) WHERE a.id = ?"

  // MARK: - Queries

  private static let matches = """
    (?3 IS NULL OR n.name = ?3) AND (?4 IS NULL OR p.name = ?4) AND (?5 IS NULL OR a.name = ?5)
      AND (?6 IS NULL OR a.key = ?6) AND (?7 IS NULL OR a.state = ?7) AND (?8 IS NULL OR a.runner_id = ?8)
    """
  /// A bounded piece of the living, by id.
  static let living = """
    SELECT \(columns) FROM (
      SELECT id FROM actors INDEXED BY actors_living WHERE state < 6 AND id > ?1 AND id <= ?2
    ) page JOIN actors a ON a.id = page.id \(tables)
    WHERE \(matches) ORDER BY a.id LIMIT ?9
    """
  /// How far a piece of the living goes.
  static let livingEnd = """
    SELECT max(id) FROM (
      SELECT id FROM actors INDEXED BY actors_living WHERE state < 6 AND id > ? ORDER BY id LIMIT ?)
    """
  static let all = """
    SELECT \(columns) FROM actors a \(tables)
    WHERE a.id > ?1 AND a.id <= ?2 AND \(matches) ORDER BY a.id LIMIT ?9
    """
  static let heldByRunner = """
    SELECT \(columns) FROM actors a INDEXED BY actors_held \(tables)
    WHERE a.runner_id = ?8 AND a.runner_id IS NOT NULL AND a.id > ?1 AND a.id <= ?2 AND \(matches)
    ORDER BY a.id LIMIT ?9
    """
  static let bounds = "SELECT min(id) FROM actors WHERE id > ?"
  static let last = "SELECT last_actor FROM fleet"
  static let counts = """
    SELECT coalesce(sum(pending), 0), coalesce(sum(queued), 0), coalesce(sum(starting), 0),
      coalesce(sum(running), 0), coalesce(sum(stopping), 0), coalesce(sum(sleeping), 0)
    FROM pool_actors
    """
  static let commands = """
    SELECT a.command_seq, a.id, a.generation, a.command_index, a.state, a.stop_reason, n.name, a.name, a.key,
      iif(a.state = 2, i.input, NULL), \(due)
    FROM actors a INDEXED BY actors_held JOIN namespaces n ON n.id = a.namespace_id
      LEFT JOIN actor_inputs i ON i.actor_id = a.id
    WHERE a.runner_id = ? AND a.runner_id IS NOT NULL AND a.command_seq > ? AND a.command_acked < a.command_index
    ORDER BY a.command_seq
    """
}
