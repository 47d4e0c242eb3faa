extension Schema {
  /// What people ask of the history.
  static let audit = [
    // The revision of the first event of the orders that were made together.
    "ALTER TABLE drain_terms ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE drain_terms SET revision = first.revision FROM (
      SELECT o.terms_id, min(e.revision) AS revision FROM events e JOIN drain_orders o ON o.id = e.drain_order_id
      WHERE e.kind = 12 GROUP BY o.terms_id
    ) first WHERE first.terms_id = drain_terms.id
    """,
  ]

  /// How the history ends.
  static let pruning: [String] = []
}
