extension Schema {
  /// Actors. What lives is found through partial indexes, as everywhere.
  static let version2 = [
    "ALTER TABLE fleet ADD COLUMN last_actor INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE fleet ADD COLUMN last_place INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE fleet ADD COLUMN last_command INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pools ADD COLUMN actor_fallback INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pools ADD COLUMN actor_start_ms INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pools ADD COLUMN actor_stop_ms INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pools ADD COLUMN actor_backoff_ms INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pools ADD COLUMN actor_reset_ms INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE pool_versions ADD COLUMN ready_free_slots INTEGER NOT NULL DEFAULT 0",
    "UPDATE pool_versions SET ready_free_slots = ready_slots",
    "ALTER TABLE runners ADD COLUMN takes_actors INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runners ADD COLUMN used_slots INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runners ADD COLUMN last_work_ns INTEGER NOT NULL DEFAULT 0",
    // Negative while a resume has offered fewer slots than are in use.
    "ALTER TABLE runners ADD COLUMN free_slots INTEGER GENERATED ALWAYS AS (total_slots - used_slots) VIRTUAL",
    // Allocation reads its first entry.
    """
    CREATE INDEX runners_free ON runners (pool_id, version, free_slots DESC, last_work_ns)
    WHERE phase = 1 AND link = 1 AND silent = 0 AND authorized = 1 AND takes_actors = 1
    """,
    "ALTER TABLE events ADD COLUMN actor_id INTEGER",
    "ALTER TABLE events ADD COLUMN generation INTEGER",
    // `state` 1 pending, 2 starting, 3 running, 4 stopping, 5 sleeping, 6 destroyed; `runner_id` is set in 2 to 4.
    // `due_ns`, when something happens by itself, is on the boot clock of `fleet.boot_id`, and so are `alarm_ns` and
    // `ran_since_ns`; `alarm_at_ms` brings an alarm over a restart of the machine. `place` orders those who wait,
    // `command_seq` what a runner is told.
    """
    CREATE TABLE actors (
      id INTEGER PRIMARY KEY,
      pool_id INTEGER NOT NULL,
      namespace_id INTEGER NOT NULL,
      name TEXT NOT NULL,
      key TEXT,
      crash_policy INTEGER NOT NULL,
      request_high INTEGER,
      request_low INTEGER,
      uid INTEGER NOT NULL, gid INTEGER NOT NULL, pid INTEGER NOT NULL, program TEXT NOT NULL,
      created_at_ms INTEGER NOT NULL,
      state INTEGER NOT NULL,
      generation INTEGER NOT NULL,
      runner_id INTEGER,
      stop_reason INTEGER,
      wake_wanted INTEGER NOT NULL,
      ran_since_ns INTEGER,
      due_ns INTEGER,
      place INTEGER NOT NULL,
      command_index INTEGER NOT NULL,
      command_acked INTEGER NOT NULL,
      command_seq INTEGER NOT NULL,
      report_index INTEGER NOT NULL,
      alarm_ns INTEGER,
      alarm_at_ms INTEGER,
      retries INTEGER NOT NULL,
      failure INTEGER,
      failed_at_ms INTEGER,
      stop_message TEXT,
      pending_at_ms INTEGER,
      starting_at_ms INTEGER,
      running_at_ms INTEGER,
      stopping_at_ms INTEGER,
      sleeping_at_ms INTEGER,
      destroyed_at_ms INTEGER
    ) STRICT
    """,
    "CREATE UNIQUE INDEX actors_key ON actors (namespace_id, name, key) WHERE key IS NOT NULL AND state < 6",
    "CREATE INDEX actors_request ON actors (request_high) WHERE request_high IS NOT NULL",
    "CREATE INDEX actors_queue ON actors (pool_id, place) WHERE state = 1 AND due_ns IS NULL",
    "CREATE INDEX actors_due ON actors (due_ns) WHERE due_ns IS NOT NULL",
    "CREATE INDEX actors_held ON actors (runner_id, command_seq) WHERE runner_id IS NOT NULL",
    "CREATE INDEX actors_living ON actors (id) WHERE state < 6",
    // Beside the actors, whose rows change often.
    "CREATE TABLE actor_inputs (actor_id INTEGER PRIMARY KEY, input BLOB NOT NULL) STRICT",
    // What is asked of a pool's actors, kept as it changes. `queued` are those of the pending that wait for a slot.
    """
    CREATE TABLE pool_actors (
      pool_id INTEGER PRIMARY KEY REFERENCES pools (id),
      pending INTEGER NOT NULL,
      queued INTEGER NOT NULL,
      starting INTEGER NOT NULL,
      running INTEGER NOT NULL,
      stopping INTEGER NOT NULL,
      sleeping INTEGER NOT NULL
    ) STRICT
    """,
  ]
}
