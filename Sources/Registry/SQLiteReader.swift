import CSQLite
import Glibc
import Handover

/// Answers queries, each from one short read transaction. It never checkpoints: that is the writer's alone,
/// and an idle or long read would keep the writer's checkpoints from finishing.
package final class SQLiteReader: StoreReader {
  let database: Database
  let statements: ReaderStatements
  let actors: ActorReaderStatements
  let times: FleetTimes

  /// How many rows one query looks at when it cannot find them by an index: what it has not reached is the
  /// next page's, so that a page may be short, even empty, and still name a next one.
  static let scanLimit: Int64 = 20_000

  /// Opens a database that a `SQLiteStore` has opened before; `times` are that store's.
  /// Throws `.fatal` when the file is not ours or damaged.
  package init(path: String, times: FleetTimes = FleetTimes()) throws(StoreFailure) {
    self.times = times
    do {
      database = try Database(path: path, role: .reader)
      try Migrations.identify(database)
      statements = try ReaderStatements(database)
      actors = try ActorReaderStatements(database)
    } catch let failure as StoreFailure {
      throw failure
    } catch let error as DatabaseError {
      throw Migrations.startFailure(path, error)
    } catch {
      preconditionFailure("an error of no kind that is thrown here: \(error)")
    }
  }

  package func read(_ query: Query) throws(StoreFailure) -> QueryAnswer {
    do throws(DatabaseError) {
      try statements.begin.run()
      defer { database.rollBack() }
      let ledger = try statements.revision.first { row in
        Latest(revision: row.int64(0), runner: row.int64(1), order: row.int64(2))
      }
      guard let ledger else { throw DatabaseError(code: .corrupt, message: "the fleet has no row") }
      return QueryAnswer(content: try content(query, ledger), revision: Revision(ledger.revision))
    } catch {
      throw error.storeFailure
    }
  }

  /// Goes through the whole file. The answer is what is damaged, in words; empty when it is sound. Reads
  /// every page: a second for some hundred megabytes, during which the write-ahead log only grows. Meant to
  /// be run once, in the background, after a start on a file that was too large to be checked whole.
  package func findDamage() throws(StoreFailure) -> [String] {
    do throws(DatabaseError) {
      return try Migrations.damage(in: database)
    } catch {
      throw error.storeFailure
    }
  }

  /// Of what is not there: whether it can have been, and was forgotten.
  static func absent(_ what: String, _ id: Int64, latest: Int64) -> QueryAnswer.Content {
    let isPast = 1 <= id && id <= latest
    return .refused(
      Refusal(.notFound, isPast ? "\(what) \(id) is no longer kept" : "\(what) \(id) does not exist"))
  }

  struct Latest {
    var revision: Int64
    var runner: Int64
    var order: Int64
  }

  private func content(_ query: Query, _ latest: Latest) throws(DatabaseError) -> QueryAnswer.Content {
    switch query {
    case .status: try .status(counts())
    case .namespaces(let page): try namespaces(page)
    case .config(let name): try config(name)
    case .configs(let namespace, let page): try configs(namespace, page)
    case .runners(let filter, let page): try runners(filter, page, latest)
    case .runner(let id): try runner(id, latest)
    case .pools(let namespace, let page): try pools(namespace, page)
    case .pool(let name): try pool(name)
    case .drains(let filter, let page): try drains(filter, page, latest)
    case .drain(let id): try drain(id, latest)
    case .events(let after, let namespace, let name, let limit):
      try events(after: after.rawValue, namespace: namespace, name: name, limit: limit, latest)
    case .actor(let id): try actor(id)
    case .actors(let filter, let page): try actors(filter, page)
    case .commands(let runner, let after, let limitBytes):
      try commands(of: runner, after: after, limitBytes: limitBytes)
    case .plan(let name, let supposition, let page, let now): try plan(name, supposition, page, now)
    case .explain(let subject, let now): try explain(subject, now, latest)
    case .history(let namespace, let name, let page): try history(namespace, name, page)
    }
  }

  private func counts() throws(DatabaseError) -> FleetCounts {
    let fixed = try statements.counts.first { ($0.int(0), $0.int(1), $0.int(2)) } ?? (0, 0, 0)
    let living = try statements.livingCounts.first { ($0.int(0), $0.int(1), $0.int(2)) } ?? (0, 0, 0)
    var status = stat()
    let isThere = stat(database.path + "-wal", &status) == 0
    return FleetCounts(
      namespaces: fixed.0, pools: fixed.1, ready: living.0, draining: living.1, detached: living.2,
      ended: fixed.2, openDrains: living.1,
      actors: try actors.counts.first { $0.actorCounts(0) } ?? ActorCounts(),
      walBytes: isThere ? Int64(status.st_size) : 0)
  }

  // MARK: - The log

  private func events(
    after: Int64, namespace: String?, name: String?, limit: Int, _ latest: Latest
  ) throws(DatabaseError) -> QueryAnswer.Content {
    // With nothing kept the oldest that can still come is the next one.
    let oldest =
      try statements.oldestEvent.first { $0.optionalInt64(0) }.flatMap { $0 } ?? latest.revision + 1
    guard after >= oldest - 1 else {
      let kept =
        oldest > latest.revision
        ? "no event up to \(latest.revision) is kept" : "the oldest event kept is \(oldest)"
      return .refused(
        Refusal(
          .outOfRange,
          "revision \(after) is no longer followed: \(kept); list anew and watch from that list's revision"))
    }
    guard after <= latest.revision else {
      return .refused(
        Refusal(
          .outOfRange,
          "revision \(after) has not been reached: the latest is \(latest.revision); "
            + "it is another fleet's, or this one was restored from a backup; list anew"))
    }
    let limit = min(max(1, limit), Bounds.pageSize)
    let end = min(latest.revision, after + Self.scanLimit)
    let found = try statements.events.all(after, end, namespace, name, limit) { Event($0) }
    let isFull = found.count == limit
    return .events(found, upTo: isFull ? found[limit - 1].revision : Revision(end))
  }
}

extension Event {
  init(_ row: Row) {
    var who = row.isNull(9) ? nil : row.peer(9)
    var detail = row.text(8)
    if !row.isNull(13) {
      who = row.peer(15)
      let cause = DrainCause(rawValue: row.int(13))?.word ?? "unknown"
      let reason = row.text(14)
      detail = reason.isEmpty ? cause : "\(cause): \(reason)"
    }
    self.init(
      revision: Revision(row.int64(0)), atMilliseconds: row.int64(1),
      kind: EventKind(rawValue: row.int(2)) ?? .configPut, namespace: row.text(3), name: row.text(4),
      runner: row.optionalInt64(5).map { RunnerID($0) },
      drainOrder: row.optionalInt64(6).map { DrainOrderID($0) }, version: row.optionalVersion(7), who: who,
      detail: detail, actor: row.optionalInt64(19).map { ActorID($0) }, generation: row.optionalInt64(20))
  }
}
