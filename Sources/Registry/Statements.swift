/// Every statement that a change runs, compiled once. `Schema` says why the partial indexes are named:
/// a plan that missed one would still answer, a thousand times slower.
struct Statements {
  let begin: Statement
  let commit: Statement

  let readFleet: Statement
  let writeFleet: Statement
  let nameFleet: Statement
  let dateDefaultNamespace: Statement
  let findNamespace: Statement
  let insertNamespace: Statement

  let findPool: Statement
  let readPool: Statement
  let readPoolVersions: Statement
  let insertPool: Statement
  let writePool: Statement
  let writePoolVersion: Statement
  let deletePoolVersion: Statement
  let deleteAllPoolVersions: Statement
  let detachPoolVersions: Statement
  let insertTargetChange: Statement

  let findLivingToken: Statement
  let findEndedToken: Statement
  let findKey: Statement
  let findRunner: Statement
  let findEndedRunner: Statement
  let insertRunner: Statement
  let attachRunner: Statement
  let detachRunner: Statement
  let setSilent: Statement
  let startDraining: Statement
  let endRunner: Statement

  let insertTerms: Statement
  let insertOrder: Statement
  let findOpenOrder: Statement
  let findOrder: Statement
  let markDelivered: Statement
  let markAcked: Statement
  let endOrder: Statement
  let insertEvent: Statement

  let orderReadyBelow: Statement
  let newOrders: Statement
  let startDrainingNew: Statement
  let insertNewOrderEvents: Statement
  let openOrdersOfPool: Statement

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    begin = try make("BEGIN IMMEDIATE")
    commit = try make("COMMIT")

    readFleet = try make(
      """
      SELECT fleet_id, boot_id, last_revision, last_runner, last_order, last_attachment, ended_runners
      FROM fleet
      """)
    writeFleet = try make(
      """
      UPDATE fleet SET last_revision = ?, last_runner = ?, last_order = ?, last_attachment = ?, ended_runners = ?
      """)
    nameFleet = try make("UPDATE fleet SET fleet_id = ?, boot_id = ?")
    dateDefaultNamespace = try make("UPDATE namespaces SET created_at_ms = ? WHERE id = 1")
    findNamespace = try make("SELECT id FROM namespaces WHERE name = ?")
    insertNamespace = try make("INSERT INTO namespaces (name, created_at_ms) VALUES (?, ?) RETURNING id")

    findPool = try make("SELECT id FROM pools WHERE namespace_id = ? AND name = ?")
    readPool = try make(
      """
      SELECT p.id, p.namespace_id, n.name, p.name, p.kind, p.drain_on_version_upgrade, p.grace_ms,
        p.config_metadata, p.config_encoded, p.owner_uid, p.target_change_id, t.version, t.previous_version,
        t.cause, t.runner_id, t.at_ms, t.uid, t.gid, t.pid, t.program
      FROM pools p JOIN namespaces n ON n.id = p.namespace_id
        LEFT JOIN target_changes t ON t.id = p.target_change_id
      WHERE p.id = ?
      """)
    readPoolVersions = try make(
      """
      SELECT version, ready, ready_attached, ready_attached_authorized, ready_slots, draining, draining_attached
      FROM pool_versions WHERE pool_id = ? ORDER BY version
      """)
    insertPool = try make("INSERT INTO pools (namespace_id, name) VALUES (?, ?) RETURNING id")
    writePool = try make(
      """
      UPDATE pools SET kind = ?, drain_on_version_upgrade = ?, grace_ms = ?, config_metadata = ?,
        config_encoded = ?, owner_uid = ?, target_change_id = ?
      WHERE id = ?
      """)
    writePoolVersion = try make("INSERT OR REPLACE INTO pool_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    deletePoolVersion = try make("DELETE FROM pool_versions WHERE pool_id = ? AND version = ?")
    deleteAllPoolVersions = try make("DELETE FROM pool_versions")
    detachPoolVersions = try make(
      "UPDATE pool_versions SET ready_attached = 0, ready_attached_authorized = 0, draining_attached = 0")
    insertTargetChange = try make(
      """
      INSERT INTO target_changes
        (pool_id, version, previous_version, cause, runner_id, uid, gid, pid, program, at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
      """)

    findLivingToken = try make(
      """
      SELECT \(RunnerRecord.columns) FROM runners INDEXED BY runners_living_token
      WHERE token_high = ? AND ended_at_ms IS NULL AND token_low = ?
      """)
    findEndedToken = try make(
      """
      SELECT id, uid, phase, end_cause FROM runners INDEXED BY runners_ended_token
      WHERE token_high = ? AND ended_at_ms IS NOT NULL AND token_low = ?
      """)
    findKey = try make(
      """
      SELECT \(RunnerRecord.columns) FROM runners INDEXED BY runners_key
      WHERE pool_id = ? AND key = ? AND phase = 1 AND key IS NOT NULL
      """)
    findRunner = try make("SELECT \(RunnerRecord.columns) FROM runners WHERE id = ? AND phase <= 2")
    findEndedRunner = try make("SELECT attachment, phase, end_cause FROM runners WHERE id = ? AND phase >= 3")
    insertRunner = try make(
      """
      INSERT INTO runners (id, pool_id, key, version, phase, link, authorized, total_slots, attachment,
        ends_with_process, uid, gid, pid, program, token_high, token_low, registered_at_ms,
        link_changed_at_ms, metadata)
      VALUES (?1, ?2, ?3, ?4, 1, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16)
      """)
    attachRunner = try make(
      """
      UPDATE runners SET link = 1, silent = 0, authorized = ?, total_slots = ?, attachment = ?,
        ends_with_process = ?, uid = ?, gid = ?, pid = ?, program = ?, link_changed_at_ms = ?, metadata = ?
      WHERE id = ?
      """)
    detachRunner = try make(
      "UPDATE runners SET link = 2, silent = 0, link_changed_at_ms = ? WHERE id = ?")
    setSilent = try make("UPDATE runners SET silent = ? WHERE id = ?")
    startDraining = try make("UPDATE runners SET phase = 2 WHERE id = ?")
    endRunner = try make(
      """
      UPDATE runners SET phase = ?, link = NULL, silent = 0, ended_at_ms = ?, end_cause = ?, drain_order_id = ?,
        exit_code = ?, detach_reason = ?
      WHERE id = ?
      """)

    insertTerms = try make(
      """
      INSERT INTO drain_terms (pool_id, cause, reason, target_version, uid, gid, pid, program, ordered_at_ms,
        ordered_ns, grace_ms, deadline_ns)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
      """)
    insertOrder = try make("INSERT INTO drain_orders (id, runner_id, terms_id) VALUES (?, ?, ?)")
    findOpenOrder = try make(
      """
      SELECT \(OrderRecord.columns) FROM drain_orders o INDEXED BY drain_orders_open
        JOIN drain_terms t ON t.id = o.terms_id
      WHERE o.runner_id = ? AND o.state <= 3
      """)
    findOrder = try make(
      """
      SELECT \(OrderRecord.columns) FROM drain_orders o JOIN drain_terms t ON t.id = o.terms_id
      WHERE o.id = ? AND o.state <= 3
      """)
    markDelivered = try make(
      """
      UPDATE drain_orders SET deliveries = deliveries + 1, state = max(state, 2),
        delivered_at_ms = coalesce(delivered_at_ms, ?)
      WHERE id = ?
      """)
    markAcked = try make("UPDATE drain_orders SET state = 3, acked_at_ms = ? WHERE id = ?")
    endOrder = try make("UPDATE drain_orders SET state = ?, ended_at_ms = ? WHERE id = ?")
    insertEvent = try make(
      "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")

    orderReadyBelow = try make(
      """
      INSERT INTO drain_orders (id, runner_id, terms_id)
      SELECT ? + row_number() OVER (ORDER BY id), id, ?
      FROM runners INDEXED BY runners_ready WHERE phase = 1 AND pool_id = ? AND version < ?
      """)
    newOrders = try make(
      """
      SELECT o.id, r.id, r.version, r.link, r.authorized, r.total_slots
      FROM drain_orders o JOIN runners r ON r.id = o.runner_id WHERE o.id > ? ORDER BY o.id
      """)
    startDrainingNew = try make(
      "UPDATE runners SET phase = 2 WHERE id IN (SELECT runner_id FROM drain_orders WHERE id > ?)")
    insertNewOrderEvents = try make(
      """
      INSERT INTO events (revision, at_ms, kind, pool_id, runner_id, drain_order_id, version)
      SELECT ?1 + o.id - ?2, ?3, ?4, ?5, o.runner_id, o.id, r.version
      FROM drain_orders o JOIN runners r ON r.id = o.runner_id WHERE o.id > ?2
      """)
    openOrdersOfPool = try make(
      """
      SELECT o.id FROM drain_orders o INDEXED BY drain_orders_open
        JOIN drain_terms t ON t.id = o.terms_id JOIN runners r ON r.id = o.runner_id
      WHERE o.state <= 3 AND t.pool_id = ? AND r.version < ? ORDER BY o.id
      """)
  }
}
