extension Schema {
  /// Gates, pacing, pins and undo; then what people ask of the history, and its end.
  static let version3 = control + audit + pruning

  private static let control = [
    // How an upgrade goes; NULL where the config does not say. Shares as `Share` spells them.
    "ALTER TABLE pools ADD COLUMN strategy INTEGER",
    "ALTER TABLE pools ADD COLUMN min_healthy_ms INTEGER",
    "ALTER TABLE pools ADD COLUMN capacity INTEGER",
    "ALTER TABLE pools ADD COLUMN min_available TEXT",
    "ALTER TABLE pools ADD COLUMN max_draining TEXT",
    "ALTER TABLE pools ADD COLUMN hold_timeout_ms INTEGER",
    "ALTER TABLE pools ADD COLUMN pin_version INTEGER",
    "ALTER TABLE pools ADD COLUMN pin_reason TEXT",
    "ALTER TABLE pools ADD COLUMN pin_at_ms INTEGER",
    "ALTER TABLE pools ADD COLUMN pin_uid INTEGER",
    "ALTER TABLE pools ADD COLUMN pin_gid INTEGER",
    "ALTER TABLE pools ADD COLUMN pin_pid INTEGER",
    "ALTER TABLE pools ADD COLUMN pin_program TEXT",
    // `PoolMemory`. Its times, and `plan_due_ns`, when the pool is planned anew by itself, are on the boot clock of
    // `fleet.boot_id`.
    "ALTER TABLE pools ADD COLUMN upgrade_goal INTEGER",
    "ALTER TABLE pools ADD COLUMN upgrade_held_since_ns INTEGER",
    "ALTER TABLE pools ADD COLUMN upgrade_abandoned INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pools ADD COLUMN settled_slots INTEGER",
    "ALTER TABLE pools ADD COLUMN strikes BLOB",
    "ALTER TABLE pools ADD COLUMN plan_due_ns INTEGER",
    "CREATE INDEX pools_due ON pools (plan_due_ns) WHERE plan_due_ns IS NOT NULL",
    "ALTER TABLE runners ADD COLUMN cordoned INTEGER NOT NULL DEFAULT 0",
    // The target change for which somebody cancelled its order.
    "ALTER TABLE runners ADD COLUMN exempt_change INTEGER",
    // Its open order is an upgrade's and has not been offered a way back.
    "ALTER TABLE runners ADD COLUMN recallable INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE runners SET recallable = 1 WHERE id IN (
      SELECT o.runner_id FROM drain_orders o JOIN drain_terms t ON t.id = o.terms_id
      WHERE o.state <= 3 AND t.cause = 1)
    """,
    "DROP INDEX runners_ready",
    // Who leaves next: the fewest actors of the oldest version first.
    "CREATE INDEX runners_ready ON runners (pool_id, version, used_slots) WHERE phase = 1",
    "DROP INDEX runners_free",
    """
    CREATE INDEX runners_free ON runners (pool_id, version, free_slots DESC, last_work_ns)
    WHERE phase = 1 AND link = 1 AND silent = 0 AND authorized = 1 AND takes_actors = 1 AND cordoned = 0
    """,
    "ALTER TABLE pool_versions ADD COLUMN healthy_since_ns INTEGER",
    "ALTER TABLE pool_versions ADD COLUMN serving_slots INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pool_versions ADD COLUMN serving_free_slots INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pool_versions ADD COLUMN exempt INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pool_versions ADD COLUMN recallable INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pool_versions ADD COLUMN draining_used_slots INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE pool_versions SET serving_slots = c.slots, serving_free_slots = c.free, recallable = c.recallable,
      draining_used_slots = c.used
    FROM (
      SELECT pool_id, version, sum(iif(phase = 1 AND link = 1 AND silent = 0, total_slots, 0)) AS slots,
        sum(iif(phase = 1 AND link = 1 AND silent = 0 AND takes_actors AND authorized, max(0, free_slots), 0))
          AS free,
        sum(phase = 2 AND recallable) AS recallable, sum(iif(phase = 2, used_slots, 0)) AS used
      FROM runners WHERE phase <= 2 GROUP BY pool_id, version
    ) c WHERE c.pool_id = pool_versions.pool_id AND c.version = pool_versions.version
    """,
    // NULL is the terms'.
    "ALTER TABLE drain_orders ADD COLUMN deadline_ns INTEGER",
    // `way_back` 1 offered, 2 too late; who took the order back, or wanted to.
    "ALTER TABLE drain_orders ADD COLUMN way_back INTEGER",
    "ALTER TABLE drain_orders ADD COLUMN cancel_reason TEXT",
    "ALTER TABLE drain_orders ADD COLUMN cancel_uid INTEGER",
    "ALTER TABLE drain_orders ADD COLUMN cancel_gid INTEGER",
    "ALTER TABLE drain_orders ADD COLUMN cancel_pid INTEGER",
    "ALTER TABLE drain_orders ADD COLUMN cancel_program TEXT",
  ]
}
