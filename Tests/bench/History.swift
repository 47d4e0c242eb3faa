import CSQLite

/// A long past, written at once: what a busy pool leaves in months.
enum History {
  static func write(_ count: Int, to path: String) throws {
    run(
      path,
      """
      PRAGMA synchronous = OFF;
      BEGIN;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO runners (id, pool_id, key, version, phase, link, authorized, total_slots, attachment,
        ends_with_process, uid, gid, pid, program, token_high, token_low, registered_at_ms, link_changed_at_ms,
        ended_at_ms, end_cause, exit_code, detach_reason)
      SELECT 1000 + i, 1, 'host-' || i, 1 + i % 50, 3, NULL, 1, 8, i, 0, 1000, 1000, 4711, 'worker',
        random(), random(), 1790000000000 + i, 1790000000000 + i, 1790000000001 + i, 1, 0, 'done' FROM n;
      UPDATE fleet SET last_runner = \(1000 + count), last_attachment = \(count), ended_runners = \(count);
      COMMIT;
      """)
  }

  /// Actors that are destroyed, in a pool that has none alive; each had a request id.
  static func writeActors(_ count: Int, to path: String) {
    run(
      path,
      """
      PRAGMA synchronous = OFF;
      BEGIN;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO actors (id, pool_id, namespace_id, name, key, crash_policy, request_high, request_low, uid, gid, pid,
        program, created_at_ms, state, generation, wake_wanted, place, command_index, command_acked, command_seq,
        report_index, retries, stop_message, pending_at_ms, starting_at_ms, running_at_ms, stopping_at_ms,
        destroyed_at_ms)
      SELECT i, pool.id, pool.namespace_id, 'room', 'old-' || i, 1, random(), random(), 1000, 1000, 4711, 'worker',
        1790000000000 + i, 6, 1, 0, i, 2, 2, 2 * i, 2, 0, 'done', 1790000000000 + i, 1790000000000 + i,
        1790000000001 + i, 1790000000002 + i, 1790000000003 + i
      FROM n, (SELECT id, namespace_id FROM pools ORDER BY id LIMIT 1) pool;
      UPDATE fleet SET last_actor = \(count), last_place = \(count), last_command = \(2 * count), destroyed_actors = \(count);
      COMMIT;
      """)
  }

  private static func run(_ path: String, _ sql: String) {
    var database: OpaquePointer?
    precondition(sqlite3_open(path, &database) == SQLITE_OK, path)
    defer { sqlite3_close(database) }
    precondition(
      sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK, String(cString: sqlite3_errmsg(database)))
  }
}

/// One row a transaction into a database of its own, on the same disk and as durable as the daemon's.
final class RawCommits {
  private var database: OpaquePointer?
  private var insert: OpaquePointer?

  init(_ path: String) {
    let sql =
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)"
    precondition(sqlite3_open(path, &database) == SQLITE_OK, path)
    precondition(sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK)
    precondition(
      sqlite3_prepare_v2(database, "INSERT INTO t (x) VALUES ('room')", -1, &insert, nil) == SQLITE_OK)
  }

  deinit {
    sqlite3_finalize(insert)
    sqlite3_close(database)
  }

  /// Seconds of each.
  func times(_ count: Int) -> [Double] {
    (0..<count).map { _ in
      Measure.seconds {
        precondition(sqlite3_step(insert) == SQLITE_DONE)
        sqlite3_reset(insert)
      }
    }
  }
}
