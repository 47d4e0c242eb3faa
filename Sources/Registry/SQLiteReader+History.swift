import Handover

struct HistoryStatements {
  let entries: Statement
  let eventsEnd: Statement
  let termsEnd: Statement

  init(_ database: Database) throws(DatabaseError) {
    entries = try Statement(database, HistorySQL.entries)
    eventsEnd = try Statement(database, HistorySQL.eventsEnd)
    termsEnd = try Statement(database, HistorySQL.termsEnd)
  }
}

/// Who did what, latest first.
extension SQLiteReader {
  func history(
    _ namespace: String?, _ name: String?, _ page: Page
  ) throws(DatabaseError) -> QueryAnswer.Content {
    let list = "history \(namespace ?? "*") \(name ?? "*")"
    let size = Self.size(page)
    let before: Int64
    switch id(page, list: list) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let id): before = id == 0 ? .max : id
    }
    // With a filter whoever is asked for may be rare.
    let isFiltered = namespace != nil || name != nil
    let end = isFiltered ? try historyEnd(before) : 0
    let found = try statements.history.entries.all(before, end, namespace, name, size + 1) { row in
      HistoryEntry(event: Event(row), orders: row.int(21))
    }
    let shown = self.page(found, size, list: list) { [String($0.event.revision.rawValue)] }
    guard shown.next.isEmpty, end > 0 else { return .history(shown) }
    return .history(PageOf(elements: shown.elements, next: PageToken(list: list, key: [String(end)]).text))
  }

  /// Down to which revision one page looks; 0 is to the first.
  private func historyEnd(_ before: Int64) throws(DatabaseError) -> Int64 {
    let skipped = Self.scanLimit - 1
    let event = try statements.history.eventsEnd.first(before, skipped) { $0.int64(0) }
    let terms = try statements.history.termsEnd.first(before, skipped) { $0.int64(0) }
    return max(event ?? 0, terms ?? 0)
  }
}
