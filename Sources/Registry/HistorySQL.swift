/// Who did what: the statements of the history.
enum HistorySQL {
  private static let ofPool = """
    pool_id IN (SELECT p.id FROM pools p JOIN namespaces n ON n.id = p.namespace_id
      WHERE (?3 IS NULL OR n.name = ?3) AND (?4 IS NULL OR p.name = ?4))
    """

  /// Entries of revisions below ?1 and from ?2 on, latest first: `Event`'s columns, then how many orders. Both sources
  /// are read by their indexes and merged as they come, for as long as the page wants more.
  static let entries = """
    SELECT h.revision, coalesce(e.at_ms, t.ordered_at_ms), coalesce(e.kind, 12), n.name, coalesce(p.name, ''),
      e.runner_id, e.drain_order_id, e.version, e.detail, e.uid, e.gid, e.pid, e.program,
      t.cause, t.reason, t.uid, t.gid, t.pid, t.program, e.actor_id, e.generation, coalesce(t.orders, 0)
    FROM (
      SELECT revision, NULL AS terms_id FROM events INDEXED BY events_history
      WHERE \(Schema.isHistory) AND revision < ?1 AND revision >= ?2
        AND (?3 IS NULL AND ?4 IS NULL OR \(ofPool)
          OR ?4 IS NULL AND namespace_id = (SELECT id FROM namespaces WHERE name = ?3))
      UNION ALL
      SELECT revision, id FROM drain_terms INDEXED BY drain_terms_history
      WHERE revision < ?1 AND revision >= ?2 AND (?3 IS NULL AND ?4 IS NULL OR \(ofPool))
      ORDER BY revision DESC LIMIT ?5
    ) h LEFT JOIN events e ON e.revision = h.revision LEFT JOIN drain_terms t ON t.id = h.terms_id
      LEFT JOIN pools p ON p.id = coalesce(e.pool_id, t.pool_id)
      JOIN namespaces n ON n.id = coalesce(p.namespace_id, e.namespace_id)
    ORDER BY h.revision DESC
    """

  /// The revision of the so-manieth entry below ?1; none when there are fewer.
  static let eventsEnd = """
    SELECT revision FROM events INDEXED BY events_history
    WHERE \(Schema.isHistory) AND revision < ? ORDER BY revision DESC LIMIT 1 OFFSET ?
    """
  static let termsEnd = """
    SELECT revision FROM drain_terms INDEXED BY drain_terms_history
    WHERE revision < ? ORDER BY revision DESC LIMIT 1 OFFSET ?
    """
}
