import CSQLite
import Foundation
import Handover
import Testing

@testable import Registry

/// Files that are not as they should be, disks that do not do as they should.
@Suite struct FileTests {
  private static func store(_ path: String, fleetID: UInt64 = 7) throws(StoreFailure) -> SQLiteStore {
    try SQLiteStore(
      path: path, bootID: "boot-1", daemonUID: daemonUID, times: FleetTimes(), fleetID: fleetID)
  }

  fileprivate static func failure(_ body: () throws -> Void) -> StoreFailure? {
    do {
      try body()
      return nil
    } catch {
      return error as? StoreFailure
    }
  }

  private static func sql(_ path: String, _ statements: String) throws {
    try Database(path: path, role: .writer).execute(statements)
  }

  // MARK: Whose file it is

  @Test(arguments: [
    ("CREATE TABLE other (x); PRAGMA user_version = 1", "another program"),
    ("PRAGMA application_id = 12345", "another program"),
    ("PRAGMA user_version = 3", "another program"),
    (
      "PRAGMA application_id = \(Migrations.applicationID); PRAGMA user_version = \(latest + 1)",
      "newer release"
    ),
  ]) func foreignOrNewerFileIsRefusedUntouched(statements: String, words: String) throws {
    let directory = TemporaryDirectory()
    try Self.sql(directory.database, statements)
    let before = try Data(contentsOf: URL(fileURLWithPath: directory.database))
    guard case .fatal(let text)? = Self.failure({ _ = try Self.store(directory.database) }) else {
      Issue.record("opened")
      return
    }
    #expect(text.contains(words))
    #expect(text.contains(directory.database))
    #expect(try Data(contentsOf: URL(fileURLWithPath: directory.database)) == before)
    #expect(!FileManager.default.fileExists(atPath: directory.database + "-wal"))
  }

  @Test func fileThatIsNoDatabaseIsRefusedUntouched() throws {
    let directory = TemporaryDirectory()
    let text = String(repeating: "these are somebody's notes, and no database at all\n", count: 100)
    try text.write(toFile: directory.database, atomically: true, encoding: .utf8)
    guard case .fatal(let message)? = Self.failure({ _ = try Self.store(directory.database) }) else {
      Issue.record("opened")
      return
    }
    #expect(message.contains("is not a database"))
    #expect(try String(contentsOfFile: directory.database, encoding: .utf8) == text)
  }

  @Test func directoryThatIsNotThere() {
    let failure = Self.failure { _ = try Self.store("/nonexistent/baton.db") }
    guard case .unavailable(let text)? = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(text.contains("/nonexistent/baton.db"))
  }

  @Test func emptyFileIsANewOne() throws {
    let directory = TemporaryDirectory()
    #expect(FileManager.default.createFile(atPath: directory.database, contents: Data()))
    #expect(throws: Never.self) { _ = try Self.store(directory.database) }
  }

  @Test func nobodyElseMayReadIt() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    for file in [fleet.path, fleet.path + "-wal", fleet.path + "-shm"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: file)
      #expect(attributes[.posixPermissions] as? Int == 0o600, "\(file)")
    }
  }

  // MARK: Migrations

  private static let latest = Schema.migrations.last!.version
  /// The version of the file before each statement of all migrations.
  private static let versions = Schema.migrations.flatMap { migration in
    Array(repeating: migration.version - 1, count: migration.statements.count + 3)
  }

  /// The daemon is killed before each statement of the migrations: what lies on the disk then is copied,
  /// and a new daemon started on the copy. It must find a file that has all of the migration or nothing.
  @Test func killedMigrationIsAllOrNothing() throws {
    let directory = TemporaryDirectory()
    let database = try Database(path: directory.database, role: .writer)
    try database.useWriteAheadLog()
    var images: [String] = []
    try Migrations.migrate(database) { number throws(DatabaseError) in
      images.append(Self.copy(of: directory.database, to: directory.path + "/image-\(number)"))
    }
    images.append(Self.copy(of: directory.database, to: directory.path + "/image-last"))
    #expect(images.count == Self.versions.count + 1)
    for (image, expected) in zip(images, Self.versions + [Self.latest]) {
      let found = try Database(path: image, role: .writer)
      let objects = try found.integer("SELECT count(*) FROM sqlite_schema")
      let version = try found.integer("PRAGMA user_version")
      let application = try found.integer("PRAGMA application_id")
      #expect(version == expected, "\(image)")
      if expected == 0 {
        #expect(application == 0 && objects == 0, "\(image)")
      } else {
        #expect(application == Migrations.applicationID && objects > 10, "\(image)")
      }
      let store = try Self.store(image)
      #expect(throws: Never.self) {
        try store.start(at: Moment(nanoseconds: 1, wallMilliseconds: 1))
      }
    }
  }

  private static func copy(of path: String, to copy: String) -> String {
    for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
      try! FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
    }
    return copy
  }

  /// The disk fails at each statement in turn; the next attempt succeeds on what is left.
  @Test func failedMigrationIsTakenBack() throws {
    let directory = TemporaryDirectory()
    let database = try Database(path: directory.database, role: .writer)
    for (failing, version) in Self.versions.enumerated() {
      let first = Self.versions[..<failing].count { $0 < version }
      #expect(throws: DatabaseError.self) {
        try Migrations.migrate(database) { number throws(DatabaseError) in
          // Those that the file has already are not run again.
          if number == failing - first { throw DatabaseError(code: .inputOutput, message: "planted") }
        }
      }
      #expect(!database.isInTransaction)
      #expect(try database.integer("PRAGMA user_version") == version)
      if version == 0 { #expect(try database.integer("SELECT count(*) FROM sqlite_schema") == 0) }
      if failing + 1 < Self.versions.count, Self.versions[failing + 1] > version {
        try Migrations.migrate(database, through: Schema.migrations.filter { $0.version <= version + 1 })
      }
    }
    try Migrations.migrate(database)
    #expect(try database.integer("PRAGMA user_version") == Self.latest)
  }

  @Test func laterMigrationsFollowWhereTheFileIs() throws {
    let directory = TemporaryDirectory()
    let database = try Database(path: directory.database, role: .writer)
    let next = Migration(
      version: Self.latest + 1, statements: ["ALTER TABLE runners ADD COLUMN later INTEGER"])
    try Migrations.migrate(database)
    var statements = 0
    try Migrations.migrate(database, through: Schema.migrations + [next]) { _ in statements += 1 }
    #expect(statements == 4)
    #expect(try database.integer("PRAGMA user_version") == Self.latest + 1)
    try Migrations.migrate(database, through: Schema.migrations + [next])
    #expect(throws: StoreFailure.self) { try Migrations.identify(database) }
  }

  // MARK: Damage

  /// Overwrites the root page of a table or index, as a failing disk would.
  private static func damage(_ path: String, _ table: String) throws {
    let page: Int64
    do {
      let database = try Database(path: path, role: .writer)
      page = try database.integer("SELECT rootpage FROM sqlite_schema WHERE name = '\(table)'")
    }
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64((page - 1) * 4096))
    try file.write(contentsOf: Data(repeating: 0xAA, count: 4096))
    try file.close()
  }

  @Test(arguments: ["pools", "runners", "events", "runners_ready"])
  func damagedPageIsRefusedAtStart(table: String) throws {
    let directory = TemporaryDirectory()
    do { _ = try Self.store(directory.database) }
    try Self.damage(directory.database, table)
    guard case .fatal(let text)? = Self.failure({ _ = try Self.store(directory.database) }) else {
      Issue.record("opened")
      return
    }
    #expect(text.contains("restore a backup"))
    #expect(text.contains("\(directory.database)-wal"))
  }

  /// Of a large file only what every decision reads is checked before the start, and all of it afterwards by
  /// a reader.
  @Test func largeFileIsCheckedInTwoSteps() throws {
    let directory = TemporaryDirectory()
    do { _ = try Self.store(directory.database) }
    #expect(try SQLiteReader(path: directory.database).findDamage() == [])
    try Self.damage(directory.database, "events")
    do {
      let database = try Database(path: directory.database, role: .writer)
      #expect(throws: Never.self) { try Migrations.check(database, wholeCheckBytes: 0) }
      #expect(throws: StoreFailure.self) { try Migrations.check(database) }
      #expect(try SQLiteReader(path: directory.database).findDamage() != [])
    }
    try Self.damage(directory.database, "pool_versions")
    let database = try Database(path: directory.database, role: .writer)
    #expect(throws: StoreFailure.self) { try Migrations.check(database, wholeCheckBytes: 0) }
  }

  @Test(arguments: ["", "-wal", "-shm"], [false, true])
  func fileThatWasRemovedOrReplacedIsNoticed(suffix: String, replaced: Bool) throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    try FileManager.default.moveItem(atPath: fleet.path + suffix, toPath: fleet.path + ".away")
    if replaced {
      try FileManager.default.copyItem(atPath: fleet.path + ".away", toPath: fleet.path + suffix)
    }
    let registration = fleet.registration(1)
    for batch in [[Mutation.register(registration)], [], [.register(registration)]] {
      guard case .fatal(let text)? = Self.failure({ _ = try fleet.store.apply(batch, at: fleet.now) }) else {
        Issue.record("\(batch.count) mutations were acknowledged")
        continue
      }
      #expect(text.contains(fleet.path + suffix + " was removed or replaced"))
    }
    #expect(Self.failure { _ = try fleet.store.start(at: fleet.now) } != nil)
  }

  @Test func idleStoreNoticesTooWhenAsked() throws {
    let fleet = try Fleet()
    #expect(throws: Never.self) { try fleet.store.apply([], at: fleet.now) }
    try FileManager.default.removeItem(atPath: fleet.path)
    #expect(throws: StoreFailure.self) { try fleet.store.apply([], at: fleet.now) }
  }

  // MARK: The disk

  @Test func fullDiskRefusesTheBatchAndRecovers() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.admit(1)
    let database = fleet.store.database
    let before = try fleet.runners()
    let revision = try fleet.latest()
    try database.execute("PRAGMA max_page_count = \(try database.integer("PRAGMA page_count"))")
    let batch = (0..<500).map { _ in Mutation.register(fleet.registration(2)) }
    guard case .unavailable(let text)? = Self.failure({ _ = try fleet.store.apply(batch, at: fleet.now) })
    else {
      Issue.record("not refused")
      return
    }
    #expect(text.contains("full"))
    #expect(!database.isInTransaction)
    #expect(try fleet.runners() == before)
    #expect(try fleet.latest() == revision)
    #expect(try fleet.store.verifyCounters() == [])
    #expect(try fleet.counts().ready == 1)

    try database.execute("PRAGMA max_page_count = 100000")
    let committed = try fleet.apply(batch)
    #expect(committed.results.allSatisfy { if case .success = $0 { true } else { false } })
    #expect(try fleet.runners().map(\.id.rawValue) == Array(1...501))
    #expect(try fleet.drains().map(\.id.rawValue) == [1])
  }

  /// A write that the kernel refuses, in a process of its own: no file may grow past a limit that is lifted again.
  @Test func failedWriteRefusesTheBatchAndRecovers() async {
    await #expect(processExitsWith: .success) {
      signal(SIGXFSZ, SIG_IGN)
      let fleet = try Fleet()
      try fleet.admit(1)
      var limit = rlimit()
      precondition(getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      limit.rlim_cur = 256 << 10
      precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      let batch = (0..<3000).map { _ in Mutation.register(fleet.registration(2)) }
      let failure = FileTests.failure { _ = try fleet.store.apply(batch, at: fleet.now) }
      guard case .unavailable? = failure else { preconditionFailure("\(String(describing: failure))") }
      let kept = try fleet.runners().map(\.id.rawValue)
      precondition(kept == [1], "\(kept)")
      limit.rlim_cur = limit.rlim_max
      precondition(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
      try fleet.apply(batch)
      let counts = try fleet.counts()
      precondition(counts.ready == 3001, "\(counts)")
      try fleet.reopen()
      precondition(fleet.snapshot.runners.count == 3001)
    }
  }

  /// Somebody looks into the file with another program and forgets a transaction.
  @Test func lockedFileIsUnavailableForNow() throws {
    let fleet = try Fleet()
    sqlite3_busy_timeout(fleet.store.database.handle, 0)
    let other = try Database(path: fleet.path, role: .writer)
    try other.execute("BEGIN IMMEDIATE")
    let registration = fleet.registration(1)
    guard
      case .unavailable? = Self.failure({
        _ = try fleet.store.apply([.register(registration)], at: fleet.now)
      })
    else {
      Issue.record("not refused")
      return
    }
    try other.execute("ROLLBACK")
    #expect(try fleet.apply(one: .register(registration)).admission?.runner == RunnerID(1))
  }

  @Test(arguments: [
    (ResultCode(SQLITE_FULL), false), (ResultCode(SQLITE_IOERR), false),
    (ResultCode(SQLITE_IOERR | 3 << 8), false),  // a write
    (ResultCode(SQLITE_BUSY), false), (ResultCode(SQLITE_NOMEM), false),
    (ResultCode(SQLITE_BUSY | 2 << 8), false),  // a snapshot that has gone stale
    (.inputOutputSync, true), (.inputOutputDirectorySync, true), (.inputOutputData, true),
    (ResultCode(SQLITE_CORRUPT), true), (ResultCode(SQLITE_CORRUPT | 3 << 8), true),  // of an index
    (ResultCode(SQLITE_NOTADB), true), (.readOnlyDatabaseMoved, true),
    (ResultCode(SQLITE_CONSTRAINT | 8 << 8), true),  // unique: a defect of ours
  ]) func whatIsForGood(code: ResultCode, isFatal: Bool) {
    switch DatabaseError(code: code, message: "planted").storeFailure {
    case .fatal: #expect(isFatal, "\(code)")
    case .unavailable: #expect(!isFatal, "\(code)")
    }
  }

  /// Somebody reads for long, in the sqlite3 shell perhaps: the log grows until they end, and every commit tells.
  @Test func readerHoldsTheLogBackAndItIsSeen() throws {
    let fleet = try Fleet()
    fleet.store.checkpointPages = 20
    let other = try Database(path: fleet.path, role: .reader)
    func change() throws -> Int64 {
      let batch = (0..<20).map { _ in Mutation.register(fleet.registration(1, key: nil)) }
      return try fleet.store.apply(batch, at: fleet.now).logBytes
    }
    try other.execute("BEGIN")
    _ = try other.integer("SELECT count(*) FROM runners")
    while try change() < 8 << 20 {}
    try other.execute("COMMIT")
    // Now the checkpoint empties it.
    _ = try change()
    #expect(try change() < 1 << 20)
  }

  @Test func logIsMovedIntoTheFileAsItGrows() throws {
    let fleet = try Fleet()
    var most = 0
    for _ in 0..<30 {
      let batch = (0..<500).map { _ in Mutation.register(fleet.registration(1, key: nil)) }
      _ = try fleet.store.apply(batch, at: fleet.now)
      most = max(most, fleet.store.database.logPages)
    }
    #expect(fleet.store.database.logPages < 4000 + 1000, "the log has \(most) pages")
    #expect(try fleet.counts().walBytes < 32 << 20)
  }

  // MARK: Backup

  @Test func backupIsWholeWhileTheFleetGoesOn() throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try fleet.apply((0..<50).map { _ in .register(fleet.registration(1)) })
    let expected = try fleet.runners()
    let copy = fleet.directory.path + "/copy.db"
    try Backup.copy(from: fleet.path, to: copy)
    try fleet.admit(2)
    guard case .unavailable? = Self.failure({ try Backup.copy(from: fleet.path, to: copy) }) else {
      Issue.record("overwritten")
      return
    }
    let restored = try Self.store(copy, fleetID: 8)
    let snapshot = try restored.start(at: fleet.now)
    #expect(snapshot.fleetID == 7)
    #expect(snapshot.runners.map(\.id) == expected.map(\.id))
    #expect(try restored.verifyCounters() == [])
    let attributes = try FileManager.default.attributesOfItem(atPath: copy)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
  }

  // MARK: Plans

  /// A statement that misses its partial index still answers, a thousand times slower once there is a
  /// history.
  @Test func noChangeReadsThroughAHistory() throws {
    let fleet = try Fleet()
    var statement = sqlite3_next_stmt(fleet.store.database.handle, nil)
    var checked = 0
    while let current = statement {
      let sql = String(cString: sqlite3_sql(current))
      for step in fleet.queryPlan(sql) {
        let scans = step.hasPrefix("SCAN") && !step.contains("USING")
        let isLarge = ["runners", "drain_orders", "events", " r", " o", " e"].contains { step.hasSuffix($0) }
        #expect(!(scans && isLarge), "\(step) in: \(sql)")
      }
      checked += 1
      statement = sqlite3_next_stmt(fleet.store.database.handle, current)
    }
    #expect(checked > 30)
  }
}

extension Fleet {
  /// How SQLite goes about a statement, step by step.
  func queryPlan(_ sql: String) -> [String] {
    var plan: OpaquePointer?
    let code = sqlite3_prepare_v2(store.database.handle, "EXPLAIN QUERY PLAN \(sql)", -1, &plan, nil)
    #expect(code == SQLITE_OK)
    defer { sqlite3_finalize(plan) }
    var steps: [String] = []
    while sqlite3_step(plan) == SQLITE_ROW { steps.append(String(cString: sqlite3_column_text(plan, 3))) }
    return steps
  }
}
