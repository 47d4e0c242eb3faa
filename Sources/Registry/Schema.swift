/// The tables, by the version that brought them. What was released is never edited: a change is a new
/// migration.
///
/// Rows of what has ended stay where they are; what lives is found through partial indexes, so that a million
/// ended runners cost a registration nothing but a deeper tree. There is no foreign key between the large
/// tables: history is pruned by age, each on its own.
enum Schema {
  static let migrations = [
    Migration(version: 1, statements: version1), Migration(version: 2, statements: version2),
    Migration(version: 3, statements: version3),
  ]

  private static let version1 = [
    // One row: who this fleet is and how far its numbers have come. The numbers are kept here and not taken
    // from the tables, so that pruning never brings an id back.
    """
    CREATE TABLE fleet (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      fleet_id INTEGER NOT NULL,
      boot_id TEXT NOT NULL,
      last_revision INTEGER NOT NULL,
      last_runner INTEGER NOT NULL,
      last_order INTEGER NOT NULL,
      last_attachment INTEGER NOT NULL,
      ended_runners INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE namespaces (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      created_at_ms INTEGER NOT NULL
    ) STRICT
    """,
    // `kind` is NULL while the pool has no config; `drain_on_version_upgrade` is NULL when absent.
    // `config_encoded` is the message as it was sent, which keeps what this version does not know.
    """
    CREATE TABLE pools (
      id INTEGER PRIMARY KEY,
      namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
      name TEXT NOT NULL,
      kind INTEGER CHECK (kind IN (1, 2)),
      drain_on_version_upgrade INTEGER,
      grace_ms INTEGER NOT NULL DEFAULT 0,
      config_metadata BLOB,
      config_encoded BLOB,
      owner_uid INTEGER,
      target_change_id INTEGER REFERENCES target_changes (id),
      UNIQUE (namespace_id, name)
    ) STRICT
    """,
    """
    CREATE TABLE target_changes (
      id INTEGER PRIMARY KEY,
      pool_id INTEGER NOT NULL REFERENCES pools (id),
      version INTEGER NOT NULL,
      previous_version INTEGER,
      cause INTEGER NOT NULL,
      runner_id INTEGER,
      uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
      at_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX target_changes_of_pool ON target_changes (pool_id)",
    // What the planner asks of a pool, kept as it changes: the living runners, counted by version.
    """
    CREATE TABLE pool_versions (
      pool_id INTEGER NOT NULL REFERENCES pools (id),
      version INTEGER NOT NULL,
      ready INTEGER NOT NULL,
      ready_attached INTEGER NOT NULL,
      ready_attached_authorized INTEGER NOT NULL,
      ready_slots INTEGER NOT NULL,
      draining INTEGER NOT NULL,
      draining_attached INTEGER NOT NULL,
      PRIMARY KEY (pool_id, version)
    ) STRICT, WITHOUT ROWID
    """,
    // `key` is NULL for a runner that gave none; its id is shown in its place and takes no named key.
    // `phase` 1 ready, 2 draining, 3 stopped, 4 lost; `link` 1 attached, 2 detached, NULL once it has ended.
    // `drain_order_id` is set when the order ends; until then `drain_orders_open` knows it.
    """
    CREATE TABLE runners (
      id INTEGER PRIMARY KEY,
      pool_id INTEGER NOT NULL,
      key TEXT,
      version INTEGER NOT NULL,
      phase INTEGER NOT NULL,
      link INTEGER,
      silent INTEGER NOT NULL DEFAULT 0,
      authorized INTEGER NOT NULL,
      total_slots INTEGER NOT NULL,
      attachment INTEGER NOT NULL,
      ends_with_process INTEGER NOT NULL,
      uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
      token_high INTEGER NOT NULL,
      token_low INTEGER NOT NULL,
      registered_at_ms INTEGER NOT NULL,
      link_changed_at_ms INTEGER NOT NULL,
      metadata BLOB,
      ended_at_ms INTEGER,
      end_cause INTEGER,
      drain_order_id INTEGER,
      exit_code INTEGER,
      detach_reason TEXT
    ) STRICT
    """,
    "CREATE INDEX runners_ready ON runners (pool_id, version) WHERE phase = 1",
    "CREATE UNIQUE INDEX runners_key ON runners (pool_id, key) WHERE phase = 1 AND key IS NOT NULL",
    // By `ended_at_ms` and not by `phase`, which a drain changes: it would take every entry out and put it in
    // again.
    "CREATE INDEX runners_living_token ON runners (token_high) WHERE ended_at_ms IS NULL",
    "CREATE INDEX runners_ended_token ON runners (token_high) WHERE ended_at_ms IS NOT NULL",
    // What the orders that were made together have in common: said once, whatever their number. The deadline
    // and `ordered_ns` are on the boot clock of `fleet.boot_id`; another boot leaves no order open.
    """
    CREATE TABLE drain_terms (
      id INTEGER PRIMARY KEY,
      pool_id INTEGER NOT NULL REFERENCES pools (id),
      cause INTEGER NOT NULL,
      reason TEXT NOT NULL,
      target_version INTEGER,
      uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
      ordered_at_ms INTEGER NOT NULL,
      ordered_ns INTEGER NOT NULL,
      grace_ms INTEGER NOT NULL,
      deadline_ns INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE drain_orders (
      id INTEGER PRIMARY KEY,
      runner_id INTEGER NOT NULL,
      terms_id INTEGER NOT NULL,
      state INTEGER NOT NULL DEFAULT 1,
      deliveries INTEGER NOT NULL DEFAULT 0,
      delivered_at_ms INTEGER,
      acked_at_ms INTEGER,
      ended_at_ms INTEGER
    ) STRICT
    """,
    "CREATE UNIQUE INDEX drain_orders_open ON drain_orders (runner_id) WHERE state <= 3",
    // Who and why of `drainOrdered` are its terms', since one commit may write ten thousand of them: left out
    // here.
    """
    CREATE TABLE events (
      revision INTEGER PRIMARY KEY,
      at_ms INTEGER NOT NULL,
      kind INTEGER NOT NULL,
      pool_id INTEGER,
      namespace_id INTEGER,
      runner_id INTEGER,
      drain_order_id INTEGER,
      version INTEGER,
      detail TEXT,
      uid INTEGER, gid INTEGER, pid INTEGER, program TEXT
    ) STRICT
    """,
    // The first start says which fleet it is, and since when.
    "INSERT INTO fleet VALUES (1, 0, '', 0, 0, 0, 0, 0)",
    "INSERT INTO namespaces (id, name, created_at_ms) VALUES (1, 'default', 0)",
  ]
}
