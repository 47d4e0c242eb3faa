/// The statements that end the history. Each finds what goes next by an index, in the order in which it ended.
enum PruneSQL {
  /// Of a piece of the log, the first event that is young enough.
  static let firstYoungEvent =
    "SELECT min(revision) FROM events WHERE revision >= ?1 AND revision < ?2 AND at_ms >= ?3"
  static let lastOrderBefore = "SELECT max(drain_order_id) FROM events WHERE revision < ? AND kind = 12"
  static let deleteEvents = "DELETE FROM events WHERE revision < ?"
  static let deleteRunners = """
    DELETE FROM runners WHERE id IN (
      SELECT id FROM runners INDEXED BY runners_ended WHERE ended_at_ms IS NOT NULL AND ended_at_ms < ?
      ORDER BY ended_at_ms, id LIMIT ?)
    """
  /// Looks at so many only: those whose events are still there may stand in front of others.
  static let oldOrders = """
    SELECT id, terms_id FROM (
      SELECT id, terms_id FROM drain_orders INDEXED BY drain_orders_ended
      WHERE ended_at_ms IS NOT NULL AND ended_at_ms < ? ORDER BY ended_at_ms, id LIMIT ?)
    WHERE id <= ? ORDER BY id
    """
  static let deleteOrder = "DELETE FROM drain_orders WHERE id = ?"
  /// Orders that were made together lie side by side: whether one is left of those beside which this one lay.
  static let deleteTerms = """
    DELETE FROM drain_terms WHERE id = ?1
      AND (SELECT terms_id FROM drain_orders WHERE id < ?2 ORDER BY id DESC LIMIT 1) IS NOT ?1
      AND (SELECT terms_id FROM drain_orders WHERE id > ?2 ORDER BY id LIMIT 1) IS NOT ?1
    """
  static let deleteActors = """
    DELETE FROM actors WHERE id IN (
      SELECT id FROM actors INDEXED BY actors_destroyed WHERE state = 6 AND destroyed_at_ms < ?
      ORDER BY destroyed_at_ms, id LIMIT ?)
    RETURNING id
    """
}

/// Every statement that ends the history, compiled once.
struct PruneStatements {
  let oldestEvent: Statement
  let firstYoungEvent: Statement
  let lastOrderBefore: Statement
  let deleteEvents: Statement
  let deleteRunners: Statement
  let oldOrders: Statement
  let deleteOrder: Statement
  let deleteTerms: Statement
  let deleteActors: Statement

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    oldestEvent = try make(QuerySQL.oldestEvent)
    firstYoungEvent = try make(PruneSQL.firstYoungEvent)
    lastOrderBefore = try make(PruneSQL.lastOrderBefore)
    deleteEvents = try make(PruneSQL.deleteEvents)
    deleteRunners = try make(PruneSQL.deleteRunners)
    oldOrders = try make(PruneSQL.oldOrders)
    deleteOrder = try make(PruneSQL.deleteOrder)
    deleteTerms = try make(PruneSQL.deleteTerms)
    deleteActors = try make(PruneSQL.deleteActors)
  }
}
