import CSQLite
import Handover

/// One step from a schema to the next.
struct Migration: Sendable {
  /// `user_version` after it.
  var version: Int
  var statements: [String]
}

/// Whether a file is ours, and how it comes to the schema of today.
enum Migrations {
  /// "Batn", as `PRAGMA application_id` keeps it.
  static let applicationID: Int64 = 0x4261_746E

  /// A file up to this size is checked whole before it is used; that takes about a tenth of a second. Of a
  /// larger one only the small tables are, which every decision reads; the rest is for
  /// `SQLiteReader.findDamage` to go through while the daemon is already up, since runners are waiting for
  /// it.
  static let wholeCheckBytes: Int64 = 33_554_432

  private static let smallTables = [
    "sqlite_schema", "fleet", "namespaces", "pools", "pool_versions", "target_changes", "drain_terms",
  ]

  /// Refuses a file that is not ours, or from a later release, before anything in it is changed.
  static func identify(
    _ database: Database, known: Int = Schema.migrations.last?.version ?? 0
  ) throws(StoreFailure) {
    let path = database.path
    do {
      let application = try database.integer("PRAGMA application_id")
      let version = try database.integer("PRAGMA user_version")
      let objects = try database.integer("SELECT count(*) FROM sqlite_schema")
      if application == 0, version == 0, objects == 0 { return }
      guard application == applicationID else {
        throw StoreFailure.fatal(
          "\(path) is a database of another program (application id \(application)); "
            + "choose another state directory, or move the file away")
      }
      guard version <= known else {
        throw StoreFailure.fatal(
          "\(path) was written by a newer release (schema \(version), this one knows \(known)); "
            + "start that release, or restore a backup made before the upgrade")
      }
    } catch let failure as StoreFailure {
      throw failure
    } catch let error as DatabaseError {
      throw startFailure(path, error)
    } catch {
      preconditionFailure("an error of no kind that is thrown here: \(error)")
    }
  }

  /// Refuses a damaged file.
  static func check(
    _ database: Database, wholeCheckBytes: Int64 = wholeCheckBytes
  ) throws(StoreFailure) {
    let path = database.path
    do throws(DatabaseError) {
      let bytes = try database.integer("PRAGMA page_count") * database.integer("PRAGMA page_size")
      let isSmall = bytes <= wholeCheckBytes
      let tables = try isSmall ? [] : existing(smallTables, in: database)
      let found = try damage(in: database, tables: tables)
      guard let first = found.first else { return }
      throw DatabaseError(code: .corrupt, message: first)
    } catch {
      throw startFailure(path, error)
    }
  }

  /// What is wrong in the whole file, or in these tables; empty when it is sound.
  static func damage(in database: Database, tables: [String] = []) throws(DatabaseError) -> [String] {
    var found: [String] = []
    let statements = tables.isEmpty ? ["PRAGMA quick_check(3)"] : tables.map { "PRAGMA quick_check('\($0)')" }
    for sql in statements {
      do throws(DatabaseError) {
        try Statement(database, sql).forEach { row in
          let line = row.text(0)
          if line != "ok" { found.append(line) }
        }
      } catch {
        // Some damage ends the check instead of being its answer.
        guard case .corrupt = error.code else { throw error }
        found.append(error.message)
      }
    }
    return found
  }

  private static func existing(
    _ tables: [String], in database: Database
  ) throws(DatabaseError) -> [String] {
    let names = try Statement(database, "SELECT name FROM sqlite_schema WHERE type = 'table'").all {
      $0.text(0)
    }
    return tables.filter { $0 == "sqlite_schema" || names.contains($0) }
  }

  /// Brings the file to the latest schema, each migration in a transaction of its own: wherever it is cut
  /// off, the file has either all of a migration or nothing of it. `beforeStatement` is told the number of
  /// each statement and may throw, as a disk may.
  static func migrate(
    _ database: Database, through migrations: [Migration] = Schema.migrations,
    beforeStatement: (Int) throws(DatabaseError) -> Void = { _ in }
  ) throws(DatabaseError) {
    var number = 0
    for migration in migrations {
      do throws(DatabaseError) {
        // Read inside the transaction: nobody can migrate between the question and the work.
        try database.execute("BEGIN IMMEDIATE")
        guard try database.integer("PRAGMA user_version") < migration.version else {
          try database.execute("COMMIT")
          continue
        }
        let marks = [
          "PRAGMA application_id = \(applicationID)", "PRAGMA user_version = \(migration.version)", "COMMIT",
        ]
        for sql in migration.statements + marks {
          try beforeStatement(number)
          number += 1
          try database.execute(sql)
        }
      } catch {
        database.rollBack()
        throw error
      }
    }
  }

  /// What an error at the start means for the file, which the text names.
  static func startFailure(_ path: String, _ error: DatabaseError) -> StoreFailure {
    switch error.code {
    case .notADatabase:
      .fatal("\(path) is not a database; choose another state directory, or move the file away")
    case .corrupt:
      .fatal(
        "\(path) is damaged (\(error.message)); keep a copy of it, restore a backup in its place, "
          + "remove \(path)-wal and \(path)-shm, and start again")
    default:
      DatabaseError(
        code: error.code, message: error.message.contains(path) ? error.message : "\(path): \(error.message)",
        sql: error.sql
      ).storeFailure
    }
  }
}
