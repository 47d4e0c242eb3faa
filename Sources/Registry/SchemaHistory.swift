extension Schema {
  /// What people ask of the history.
  static let audit = [
    // The revision of the first event of the orders that were made together, and how many they are.
    "ALTER TABLE drain_terms ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE drain_terms ADD COLUMN orders INTEGER NOT NULL DEFAULT 1",
    """
    UPDATE drain_terms SET revision = first.revision, orders = first.orders FROM (
      SELECT o.terms_id, min(e.revision) AS revision, count(*) AS orders
      FROM events e JOIN drain_orders o ON o.id = e.drain_order_id
      WHERE e.kind = 12 GROUP BY o.terms_id
    ) first WHERE first.terms_id = drain_terms.id
    """,
    // With the pool, so that those of others are passed over without being read. No registration, no heartbeat and no
    // actor's event is in them.
    "CREATE INDEX events_history ON events (revision, pool_id) WHERE \(isHistory)",
    "CREATE INDEX drain_terms_history ON drain_terms (revision, pool_id)",
    // What somebody did to one runner: why it is cordoned, may stay, has more time, was ended.
    "CREATE INDEX events_done_to ON events (runner_id, kind) WHERE \(isDoneToRunner)",
  ]

  /// Decisions, as SQLite compares them with those of an index. Orders to leave are found by their terms; of those that
  /// ended by force only somebody's word is one.
  static let isHistory =
    "(kind IN (1, 2, 3, 4, 18, 26, 27, 28, 29, 30, 31, 32, 33) OR kind = 16 AND uid IS NOT NULL)"
  static let isDoneToRunner =
    "(kind IN (18, 27, 28, 29, 30, 31) OR kind = 16 AND uid IS NOT NULL)"

  /// How the history ends.
  static let pruning = [
    // An order outlives its runner's row.
    "ALTER TABLE drain_orders ADD COLUMN version INTEGER NOT NULL DEFAULT 0",
    "UPDATE drain_orders SET version = r.version FROM runners r WHERE r.id = drain_orders.runner_id",
    // Who ended first goes first. Written at the end only, at the end of each index.
    "CREATE INDEX runners_ended ON runners (ended_at_ms) WHERE ended_at_ms IS NOT NULL",
    "CREATE INDEX drain_orders_ended ON drain_orders (ended_at_ms) WHERE ended_at_ms IS NOT NULL",
    "CREATE INDEX actors_destroyed ON actors (destroyed_at_ms) WHERE state = 6",
    "ALTER TABLE fleet ADD COLUMN ended_orders INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE fleet ADD COLUMN destroyed_actors INTEGER NOT NULL DEFAULT 0",
    // Orders up to this one have no event any more that says that they were made, and whose terms it would need.
    "ALTER TABLE fleet ADD COLUMN unlogged_order INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE fleet SET ended_orders = (SELECT count(*) FROM drain_orders WHERE ended_at_ms IS NOT NULL),
      destroyed_actors = (SELECT count(*) FROM actors WHERE state = 6)
    """,
  ]
}
