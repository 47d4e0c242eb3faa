import CSQLite
import Handover

/// What SQLite answered: an extended result code, in SQLite's own words.
struct ResultCode: Hashable, Sendable, CustomStringConvertible {
  /// The extended code; its low byte is the primary code.
  var rawValue: Int32

  init(_ rawValue: Int32) { self.rawValue = rawValue }

  var primary: ResultCode { ResultCode(rawValue & 0xFF) }

  static let ok = ResultCode(SQLITE_OK)
  static let row = ResultCode(SQLITE_ROW)
  static let done = ResultCode(SQLITE_DONE)
  static let busy = ResultCode(SQLITE_BUSY)
  static let cannotOpen = ResultCode(SQLITE_CANTOPEN)
  static let constraint = ResultCode(SQLITE_CONSTRAINT)
  static let corrupt = ResultCode(SQLITE_CORRUPT)
  static let full = ResultCode(SQLITE_FULL)
  static let inputOutput = ResultCode(SQLITE_IOERR)
  static let internalError = ResultCode(SQLITE_INTERNAL)
  static let interrupted = ResultCode(SQLITE_INTERRUPT)
  static let misuse = ResultCode(SQLITE_MISUSE)
  static let noMemory = ResultCode(SQLITE_NOMEM)
  static let notADatabase = ResultCode(SQLITE_NOTADB)
  static let readOnly = ResultCode(SQLITE_READONLY)

  // Extended codes; SQLite defines them by macros that Swift does not import.
  static let inputOutputSync = ResultCode(SQLITE_IOERR | 4 << 8)
  static let inputOutputDirectorySync = ResultCode(SQLITE_IOERR | 5 << 8)
  static let inputOutputData = ResultCode(SQLITE_IOERR | 32 << 8)
  static let inputOutputCorruptFileSystem = ResultCode(SQLITE_IOERR | 33 << 8)
  static let readOnlyDatabaseMoved = ResultCode(SQLITE_READONLY | 4 << 8)

  /// A primary code as a pattern matches every extended code of it; an extended one only itself.
  static func ~= (pattern: ResultCode, code: ResultCode) -> Bool {
    pattern.rawValue == pattern.primary.rawValue ? pattern == code.primary : pattern == code
  }

  var description: String {
    let text = sqlite3_errstr(rawValue).map { String(cString: $0) } ?? "unknown"
    return "\(text) (\(rawValue))"
  }
}

/// One failed call to SQLite.
struct DatabaseError: Error, Hashable, Sendable, CustomStringConvertible {
  var code: ResultCode
  /// SQLite's message.
  var message: String
  /// The statement, without its values: those may be somebody's data.
  var sql: String

  init(code: ResultCode, message: String, sql: String = "") {
    self.code = code
    self.message = message
    self.sql = sql
  }

  var description: String {
    sql.isEmpty ? "\(message): \(code)" : "\(message): \(code), in: \(sql)"
  }

  /// What it means for whoever owns the store. A failed sync may have dropped pages that the kernel now calls
  /// clean, so it is never tried again; a full disk or a failed write left the file as it was.
  var storeFailure: StoreFailure {
    switch code {
    case .inputOutputSync, .inputOutputDirectorySync, .inputOutputData, .inputOutputCorruptFileSystem:
      .fatal("the disk did not take what was written (\(self)); start again once it is sound")
    case .corrupt, .notADatabase:
      .fatal("the database is damaged (\(self)); restore a backup")
    case .readOnlyDatabaseMoved:
      .fatal("the database file was removed or replaced (\(self)); put it back and start again")
    case .constraint, .misuse, .internalError:
      .fatal("a defect of this program (\(self)); please report it")
    case .full:
      .unavailable("the disk is full (\(self)); changes are taken again once there is room")
    default:
      .unavailable("the database cannot be written or read for now (\(self))")
    }
  }
}
