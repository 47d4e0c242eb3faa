import CSQLite
import Glibc

/// One connection to the database file, and the only owner of its handle. Not thread-safe: one thread uses
/// it.
final class Database {
  enum Role {
    /// The one connection that writes and checkpoints. (SQLite before 3.51.3 can corrupt a file that two
    /// connections of a process write and checkpoint.)
    case writer
    /// Reads only, and leaves the write-ahead log alone.
    case reader
  }

  let handle: OpaquePointer
  let path: String
  private let role: Role

  /// Pages in the write-ahead log after the last commit.
  private(set) var logPages = 0

  /// At most, and only as far as pages have been touched. The writer's holds the indexes of a long history.
  private static let writerCacheKibibytes = 65_536
  private static let readerCacheKibibytes = 16_384
  /// How long another process (a person with the sqlite3 shell) is waited for.
  private static let busyTimeoutMilliseconds: Int32 = 2000
  /// How long a checkpoint that wants the log empty waits for readers, while every change waits for it.
  private static let truncateTimeoutMilliseconds: Int32 = 50
  /// Past this size the log's file is cut back when it starts anew.
  private static let logSizeLimitBytes = 67_108_864

  /// Opens without changing anything in the file: whether it is ours is for `Migrations` to say first.
  init(path: String, role: Role) throws(DatabaseError) {
    self.path = path
    self.role = role
    if role == .writer { try Self.createPrivately(path) }
    let access =
      switch role {
      case .writer: SQLITE_OPEN_READWRITE
      case .reader: SQLITE_OPEN_READONLY
      }
    var opened: OpaquePointer?
    let code = sqlite3_open_v2(path, &opened, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK, let opened else {
      let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(opened)
      throw DatabaseError(code: ResultCode(code), message: "cannot open \(path): \(message)")
    }
    handle = opened
    try configure()
  }

  deinit { sqlite3_close_v2(handle) }

  /// SQLite would create the file with whatever the umask leaves; its log files take the file's own mode.
  private static func createPrivately(_ path: String) throws(DatabaseError) {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if descriptor >= 0 {
      close(descriptor)
    } else if errno != EEXIST {
      throw DatabaseError(
        code: .cannotOpen, message: "cannot create \(path): \(String(cString: strerror(errno)))")
    }
  }

  private func configure() throws(DatabaseError) {
    sqlite3_busy_timeout(handle, Self.busyTimeoutMilliseconds)
    try option(SQLITE_DBCONFIG_DEFENSIVE, true)
    try option(SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
    try option(SQLITE_DBCONFIG_DQS_DML, false)
    try option(SQLITE_DBCONFIG_DQS_DDL, false)
    try option(SQLITE_DBCONFIG_ENABLE_FKEY, true)
    if role == .reader { try option(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) }
    try execute("PRAGMA mmap_size = 0")
    try execute("PRAGMA temp_store = MEMORY")
    try execute("PRAGMA cell_size_check = ON")
    try execute("PRAGMA secure_delete = OFF")
    switch role {
    case .writer:
      try execute("PRAGMA synchronous = FULL")
      try execute("PRAGMA cache_size = -\(Self.writerCacheKibibytes)")
      // Our own hook takes the place of SQLite's automatic checkpoint, which is itself such a hook.
      sqlite3_wal_hook(
        handle,
        { context, _, _, pages in
          Unmanaged<Database>.fromOpaque(context!).takeUnretainedValue().logPages = Int(pages)
          return SQLITE_OK
        }, Unmanaged.passUnretained(self).toOpaque())
    case .reader:
      try execute("PRAGMA query_only = ON")
      try execute("PRAGMA cache_size = -\(Self.readerCacheKibibytes)")
      sqlite3_wal_autocheckpoint(handle, 0)
    }
  }

  /// Turns the write-ahead log on; the first change to a new file.
  func useWriteAheadLog() throws(DatabaseError) {
    let mode = try text("PRAGMA journal_mode = WAL")
    guard mode == "wal" else {
      throw DatabaseError(
        code: .cannotOpen, message: "\(path) cannot have a write-ahead log here (journal mode \(mode))")
    }
    try execute("PRAGMA journal_size_limit = \(Self.logSizeLimitBytes)")
  }

  /// Writes the write-ahead log that was found once more, as it is, and syncs it.
  ///
  /// When a sync failed in an earlier process, the kernel calls clean what it could not write: the log reads well, no
  /// later sync writes those pages, and a power loss takes them, with all that was acknowledged behind them. Only
  /// writing them again brings them to the disk. After an orderly end there is no log, and nothing to do.
  func rewriteLog() throws(DatabaseError) {
    // With the right to write nobody else adds to the log or starts it anew meanwhile.
    try execute("BEGIN IMMEDIATE")
    defer { rollBack() }
    var log: UnsafeMutablePointer<sqlite3_file>?
    let code = sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log)
    guard code == SQLITE_OK, let log, let methods = log.pointee.pMethods?.pointee else {
      throw error(code, sql: "find the log")
    }
    var size: sqlite3_int64 = 0
    try checkLog(methods.xFileSize(log, &size))
    guard size > 0 else { return }
    // SQLite's own files take at most the largest page, 64 KiB, at a time.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    defer { buffer.deallocate() }
    var offset: sqlite3_int64 = 0
    while offset < size {
      let count = Int32(min(Int64(buffer.count), size - offset))
      try checkLog(methods.xRead(log, buffer.baseAddress, count, offset))
      try checkLog(methods.xWrite(log, buffer.baseAddress, count, offset))
      offset += Int64(count)
    }
    try checkLog(methods.xSync(log, SQLITE_SYNC_NORMAL))
  }

  private func checkLog(_ code: Int32) throws(DatabaseError) {
    guard code == SQLITE_OK else {
      let text = sqlite3_errstr(code).map { String(cString: $0) } ?? "unknown"
      throw DatabaseError(code: ResultCode(code), message: text, sql: "write \(path)-wal anew")
    }
  }

  /// Keeps even closing from touching the files again: after a failed sync, or when they are no longer ours.
  func abandon() {
    var result: Int32 = 0
    _ = baton_sqlite3_db_config_int(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &result)
  }

  private func option(_ option: Int32, _ isOn: Bool) throws(DatabaseError) {
    var result: Int32 = 0
    let code = baton_sqlite3_db_config_int(handle, option, isOn ? 1 : 0, &result)
    guard code == SQLITE_OK else { throw error(code, sql: "database option \(option)") }
  }

  /// Runs statements that give no rows.
  func execute(_ sql: String) throws(DatabaseError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, sql: sql) }
  }

  /// The first column of a statement's first row, as a number.
  func integer(_ sql: String) throws(DatabaseError) -> Int64 {
    try Statement(self, sql).first { $0.int64(0) } ?? 0
  }

  /// The first column of a statement's first row, as text.
  func text(_ sql: String) throws(DatabaseError) -> String {
    try Statement(self, sql).first { $0.text(0) } ?? ""
  }

  /// Whether a transaction is open.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// Ends an open transaction without its changes. Errors are of no use here: whatever failed before this has
  /// been told already, and SQLite ends a transaction by itself when it must.
  func rollBack() {
    if isInTransaction { _ = sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
  }

  enum Checkpoint {
    /// Copies what no reader still needs; waits for nobody.
    case passive
    /// Waits for readers, then starts the log anew with an empty file.
    case truncate
  }

  /// Moves the log into the database file. The answer is how many pages of the log are not yet there.
  @discardableResult
  func checkpoint(_ checkpoint: Checkpoint) throws(DatabaseError) -> Int {
    precondition(role == .writer, "a reader of \(path) would checkpoint")
    let mode =
      switch checkpoint {
      case .passive: SQLITE_CHECKPOINT_PASSIVE
      case .truncate: SQLITE_CHECKPOINT_TRUNCATE
      }
    if checkpoint == .truncate { sqlite3_busy_timeout(handle, Self.truncateTimeoutMilliseconds) }
    defer { sqlite3_busy_timeout(handle, Self.busyTimeoutMilliseconds) }
    var pages: Int32 = 0
    var moved: Int32 = 0
    let code = sqlite3_wal_checkpoint_v2(handle, "main", mode, &pages, &moved)
    guard code == SQLITE_OK else { throw error(code, sql: "checkpoint") }
    logPages = Int(max(0, pages))
    return Int(max(0, pages - moved))
  }

  func error(_ code: Int32, sql: String) -> DatabaseError {
    DatabaseError(
      code: ResultCode(code), message: String(cString: sqlite3_errmsg(handle)), sql: sql)
  }
}
