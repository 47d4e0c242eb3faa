/// The statements that changes run.
enum ChangeSQL {
  static let begin = "BEGIN IMMEDIATE"
  static let commit = "COMMIT"
  static let readFleet = """
    SELECT fleet_id, boot_id, last_revision, last_runner, last_order, last_attachment, ended_runners,
      last_actor, last_place, last_command, ended_orders, destroyed_actors, unlogged_order
    FROM fleet
    """
  static let writeFleet = """
    UPDATE fleet SET last_revision = ?, last_runner = ?, last_order = ?, last_attachment = ?, ended_runners = ?,
      last_actor = ?, last_place = ?, last_command = ?, ended_orders = ?, destroyed_actors = ?, unlogged_order = ?
    """
  static let nameFleet = "UPDATE fleet SET fleet_id = ?, boot_id = ?"
  static let dateDefaultNamespace = "UPDATE namespaces SET created_at_ms = ? WHERE id = 1"
  static let insertNamespace = "INSERT INTO namespaces (name, created_at_ms) VALUES (?, ?) RETURNING id"
  static let poolsDue = """
    SELECT id FROM pools INDEXED BY pools_due WHERE plan_due_ns IS NOT NULL AND plan_due_ns <= ?
    ORDER BY plan_due_ns, id LIMIT ?
    """
  static let nextPoolDue =
    "SELECT min(plan_due_ns) FROM pools INDEXED BY pools_due WHERE plan_due_ns IS NOT NULL"
  /// Since the pool's first target (cause 1): one whose config was deleted has begun anew.
  static let previousTarget = """
    SELECT version FROM target_changes WHERE pool_id = ?1 AND version <> ?2
      AND id >= coalesce((SELECT max(id) FROM target_changes WHERE pool_id = ?1 AND cause = 1), 0)
    ORDER BY id DESC LIMIT 1
    """
  /// Another boot's clock means nothing, and no runner of it lives.
  static let forgetUpgrades = """
    UPDATE pools SET upgrade_goal = NULL, upgrade_held_since_ns = NULL, upgrade_abandoned = 0,
      settled_slots = NULL, strikes = NULL, plan_due_ns = NULL
    """
  /// Of the target changes of a pool those before its last so many go, but not the one that a rollback looks for: a few
  /// at a time.
  static let forgetTargetChanges = """
    DELETE FROM target_changes WHERE id IN (
      SELECT id FROM target_changes
      WHERE pool_id = ?1
        AND id <= (SELECT id FROM target_changes WHERE pool_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
        AND id IS NOT (SELECT max(id) FROM target_changes WHERE pool_id = ?1 AND version <> ?3)
      ORDER BY id LIMIT 10)
    """
  /// Whose word counts and who has been there longest.
  static let firstOfVersion = """
    SELECT id, uid, gid, pid, program FROM runners INDEXED BY runners_ready
    WHERE phase = 1 AND pool_id = ? AND version = ? AND link = 1 AND authorized = 1 ORDER BY id LIMIT 1
    """
  static let insertPool = "INSERT INTO pools (namespace_id, name) VALUES (?, ?) RETURNING id"
  static let writePool = """
    UPDATE pools SET kind = ?, drain_on_version_upgrade = ?, grace_ms = ?, config_metadata = ?,
      config_encoded = ?, owner_uid = ?, target_change_id = ?, actor_fallback = ?, actor_start_ms = ?,
      actor_stop_ms = ?, actor_backoff_ms = ?, actor_reset_ms = ?, strategy = ?, min_healthy_ms = ?,
      capacity = ?, min_available = ?, max_draining = ?, hold_timeout_ms = ?, pin_version = ?, pin_reason = ?,
      pin_at_ms = ?, pin_uid = ?, pin_gid = ?, pin_pid = ?, pin_program = ?, upgrade_goal = ?,
      upgrade_held_since_ns = ?, upgrade_abandoned = ?, settled_slots = ?, strikes = ?, plan_due_ns = ?
    WHERE id = ?
    """
  static let writePoolVersion = """
    INSERT OR REPLACE INTO pool_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """
  static let deletePoolVersion = "DELETE FROM pool_versions WHERE pool_id = ? AND version = ?"
  static let insertTargetChange = """
    INSERT INTO target_changes
      (pool_id, version, previous_version, cause, runner_id, uid, gid, pid, program, at_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
    """
  static let findLivingToken = """
    SELECT \(RunnerRecord.columns) FROM runners INDEXED BY runners_living_token
    WHERE token_high = ? AND ended_at_ms IS NULL AND token_low = ?
    """
  static let findEndedToken = """
    SELECT id, uid, phase, end_cause FROM runners INDEXED BY runners_ended_token
    WHERE token_high = ? AND ended_at_ms IS NOT NULL AND token_low = ?
    """
  static let findKey = """
    SELECT \(RunnerRecord.columns) FROM runners INDEXED BY runners_key
    WHERE pool_id = ? AND key = ? AND phase = 1 AND key IS NOT NULL
    """
  static let findRunner = "SELECT \(RunnerRecord.columns) FROM runners WHERE id = ? AND phase <= 2"
  static let findEndedRunner = "SELECT attachment, phase, end_cause FROM runners WHERE id = ? AND phase >= 3"
  static let insertRunner = """
    INSERT INTO runners (id, pool_id, key, version, phase, link, authorized, total_slots, attachment,
      ends_with_process, uid, gid, pid, program, token_high, token_low, registered_at_ms,
      link_changed_at_ms, metadata, takes_actors)
    VALUES (?1, ?2, ?3, ?4, 1, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17)
    """
  static let attachRunner = """
    UPDATE runners SET link = 1, silent = 0, authorized = ?, total_slots = ?, attachment = ?,
      ends_with_process = ?, uid = ?, gid = ?, pid = ?, program = ?, link_changed_at_ms = ?, metadata = ?,
      takes_actors = ?
    WHERE id = ?
    """
  static let detachRunner = "UPDATE runners SET link = 2, silent = 0, link_changed_at_ms = ? WHERE id = ?"
  static let setSilent = "UPDATE runners SET silent = ? WHERE id = ?"
  static let startDraining = "UPDATE runners SET phase = 2, recallable = ? WHERE id = ?"
  static let stopDraining =
    "UPDATE runners SET phase = 1, recallable = 0, exempt_change = ?, drain_order_id = ? WHERE id = ?"
  static let keepDraining = "UPDATE runners SET recallable = 0, exempt_change = ? WHERE id = ?"
  static let setCordoned = "UPDATE runners SET cordoned = ? WHERE id = ?"
  static let endRunner = """
    UPDATE runners SET phase = ?, link = NULL, silent = 0, recallable = 0, ended_at_ms = ?, end_cause = ?,
      drain_order_id = coalesce(?, drain_order_id),
      exit_code = ?, detach_reason = ?
    WHERE id = ?
    """
  static let insertTerms = """
    INSERT INTO drain_terms (pool_id, cause, reason, target_version, uid, gid, pid, program, ordered_at_ms,
      ordered_ns, grace_ms, deadline_ns, revision, orders)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
    """
  static let insertOrder = "INSERT INTO drain_orders (id, runner_id, terms_id, version) VALUES (?, ?, ?, ?)"
  static let findOpenOrder = """
    SELECT \(OrderRecord.columns) FROM drain_orders o INDEXED BY drain_orders_open
      JOIN drain_terms t ON t.id = o.terms_id
    WHERE o.runner_id = ? AND o.state <= 3
    """
  static let findOrder = """
    SELECT \(OrderRecord.columns) FROM drain_orders o JOIN drain_terms t ON t.id = o.terms_id
    WHERE o.id = ? AND o.state <= 3
    """
  static let findAnyOrder = """
    SELECT \(OrderRecord.columns) FROM drain_orders o JOIN drain_terms t ON t.id = o.terms_id WHERE o.id = ?
    """
  /// Open orders of an upgrade that have not been offered a way back.
  static let recallableOrders = """
    SELECT \(OrderRecord.columns) FROM drain_orders o INDEXED BY drain_orders_open
      CROSS JOIN drain_terms t ON t.id = o.terms_id CROSS JOIN runners r ON r.id = o.runner_id
    WHERE o.state <= 3 AND t.pool_id = ? AND r.version = ? AND r.recallable = 1 ORDER BY o.id
    """
  static let offeredOrders = """
    SELECT \(OrderRecord.columns) FROM drain_orders o INDEXED BY drain_orders_open
      CROSS JOIN drain_terms t ON t.id = o.terms_id CROSS JOIN runners r ON r.id = o.runner_id
    WHERE o.state <= 3 AND o.way_back = 1 AND t.pool_id = ? AND r.version < ? ORDER BY o.id
    """
  static let markCancelled = """
    UPDATE drain_orders SET way_back = ?, cancel_reason = ?, cancel_uid = ?, cancel_gid = ?, cancel_pid = ?,
      cancel_program = ?
    WHERE id = ?
    """
  static let markTooLate = "UPDATE drain_orders SET way_back = 2 WHERE id = ?"
  static let setDeadline = "UPDATE drain_orders SET deadline_ns = ? WHERE id = ?"
  static let markDelivered = """
    UPDATE drain_orders SET deliveries = deliveries + 1, state = max(state, 2),
      delivered_at_ms = coalesce(delivered_at_ms, ?)
    WHERE id = ?
    """
  static let markAcked = "UPDATE drain_orders SET state = 3, acked_at_ms = ? WHERE id = ?"
  static let endOrder = "UPDATE drain_orders SET state = ?, ended_at_ms = ? WHERE id = ?"
  static let insertEvent = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
  static let orderReady = """
    INSERT INTO drain_orders (id, runner_id, terms_id, version)
    SELECT ? + row_number() OVER (ORDER BY id), id, ?, version
    FROM runners INDEXED BY runners_ready WHERE phase = 1 AND pool_id = ? AND version BETWEEN ? AND ?
      AND exempt_change IS NOT coalesce(?, -1)
    """
  static let newOrders = """
    SELECT o.id, r.id, r.version, r.link, r.authorized, r.total_slots, r.used_slots, r.silent, r.cordoned,
      r.exempt_change, r.takes_actors
    FROM drain_orders o JOIN runners r ON r.id = o.runner_id WHERE o.id > ? ORDER BY o.id
    """
  static let startDrainingNew =
    "UPDATE runners SET phase = 2, recallable = ? WHERE id IN (SELECT runner_id FROM drain_orders WHERE id > ?)"
  static let insertNewOrderEvents = """
    INSERT INTO events (revision, at_ms, kind, pool_id, runner_id, drain_order_id, version)
    SELECT ?1 + id - ?2, ?3, ?4, ?5, runner_id, id, version FROM drain_orders WHERE id > ?2
    """
  static let openOrdersOfPool = """
    SELECT o.id FROM drain_orders o INDEXED BY drain_orders_open
      JOIN drain_terms t ON t.id = o.terms_id JOIN runners r ON r.id = o.runner_id
    WHERE o.state <= 3 AND t.pool_id = ? AND r.version < ? ORDER BY o.id
    """
}
