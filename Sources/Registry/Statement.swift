import CSQLite

/// A value that a statement's parameter can take.
protocol Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32
}

extension Int64: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    sqlite3_bind_int64(statement, index, self)
  }
}

extension Int: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    sqlite3_bind_int64(statement, index, Int64(self))
  }
}

extension Int32: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    sqlite3_bind_int64(statement, index, Int64(self))
  }
}

extension UInt32: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    sqlite3_bind_int64(statement, index, Int64(self))
  }
}

extension Bool: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    sqlite3_bind_int64(statement, index, self ? 1 : 0)
  }
}

extension String: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    var text = self
    return text.withUTF8 { bytes in
      // A null pointer would bind NULL, which is not the empty string.
      guard let base = bytes.baseAddress else { return baton_sqlite3_bind_text_copy(statement, index, "", 0) }
      return base.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
        baton_sqlite3_bind_text_copy(statement, index, $0, Int32(bytes.count))
      }
    }
  }
}

extension [UInt8]: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress, !bytes.isEmpty else {
        return sqlite3_bind_zeroblob(statement, index, 0)
      }
      return baton_sqlite3_bind_blob_copy(statement, index, base, Int32(bytes.count))
    }
  }
}

extension Optional: Bindable where Wrapped: Bindable {
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    switch self {
    case .none: sqlite3_bind_null(statement, index)
    case .some(let value): value.bind(to: statement, at: index)
    }
  }
}

/// The row that a statement stands on; valid only inside the closure that it is given to.
struct Row {
  let statement: OpaquePointer

  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
  func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
  func int(_ column: Int32) -> Int { Int(sqlite3_column_int64(statement, column)) }
  func bool(_ column: Int32) -> Bool { sqlite3_column_int64(statement, column) != 0 }

  /// A column that only we write within `UInt32`; anything else there is damage and reads as the nearest
  /// value.
  func uint32(_ column: Int32) -> UInt32 { UInt32(clamping: int64(column)) }
  func int32(_ column: Int32) -> Int32 { Int32(clamping: int64(column)) }

  func optionalInt64(_ column: Int32) -> Int64? { isNull(column) ? nil : int64(column) }

  func text(_ column: Int32) -> String {
    guard let bytes = sqlite3_column_text(statement, column) else { return "" }
    let count = Int(sqlite3_column_bytes(statement, column))
    return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

  func blob(_ column: Int32) -> [UInt8] {
    guard let bytes = sqlite3_column_blob(statement, column) else { return [] }
    let count = Int(sqlite3_column_bytes(statement, column))
    return [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
  }
}

/// One statement, compiled once and run many times. It is always reset before a call returns, so that it
/// holds no lock and no snapshot.
final class Statement {
  private let handle: OpaquePointer

  init(_ database: Database, _ sql: String) throws(DatabaseError) {
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(
      database.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement else { throw database.error(code, sql: sql) }
    handle = statement
  }

  deinit { sqlite3_finalize(handle) }

  /// Runs it to the end, whatever rows it gives. The answer is how many rows it changed.
  @discardableResult
  func run<each Value: Bindable>(_ values: repeat each Value) throws(DatabaseError) -> Int {
    try bind(repeat each values)
    defer { sqlite3_reset(handle) }
    while try step() {}
    return Int(sqlite3_changes(sqlite3_db_handle(handle)))
  }

  /// Reads the first row, if there is one.
  func first<each Value: Bindable, Result>(
    _ values: repeat each Value, read: (Row) -> Result
  ) throws(DatabaseError) -> Result? {
    try bind(repeat each values)
    let result: Result?
    do throws(DatabaseError) {
      result = try step() ? read(Row(statement: handle)) : nil
    } catch {
      sqlite3_reset(handle)
      throw error
    }
    // What is a transaction of its own commits only now.
    let code = sqlite3_reset(handle)
    guard code == SQLITE_OK else { throw self.error(code) }
    return result
  }

  /// Reads every row in order.
  func forEach<each Value: Bindable>(
    _ values: repeat each Value, read: (Row) -> Void
  ) throws(DatabaseError) {
    try bind(repeat each values)
    defer { sqlite3_reset(handle) }
    while try step() { read(Row(statement: handle)) }
  }

  /// Reads rows in order for as long as `read` wants more.
  func read<each Value: Bindable>(
    _ values: repeat each Value, whileWanted read: (Row) -> Bool
  ) throws(DatabaseError) {
    try bind(repeat each values)
    defer { sqlite3_reset(handle) }
    while try step(), read(Row(statement: handle)) {}
  }

  /// Collects every row in order.
  func all<each Value: Bindable, Element>(
    _ values: repeat each Value, read: (Row) -> Element
  ) throws(DatabaseError) -> [Element] {
    var elements: [Element] = []
    try forEach(repeat each values) { elements.append(read($0)) }
    return elements
  }

  private func bind<each Value: Bindable>(_ values: repeat each Value) throws(DatabaseError) {
    var index: Int32 = 0
    var failed: Int32 = SQLITE_OK
    for value in repeat each values {
      index += 1
      let code = value.bind(to: handle, at: index)
      if code != SQLITE_OK { failed = code }
    }
    precondition(
      index == sqlite3_bind_parameter_count(handle),
      "\(index) values for the \(sqlite3_bind_parameter_count(handle)) parameters of: \(sql)")
    guard failed == SQLITE_OK else { throw error(failed) }
  }

  private func step() throws(DatabaseError) -> Bool {
    let code = sqlite3_step(handle)
    switch code {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw error(code)
    }
  }

  private var sql: String { sqlite3_sql(handle).map { String(cString: $0) } ?? "" }

  private func error(_ code: Int32) -> DatabaseError {
    DatabaseError(
      code: ResultCode(code), message: String(cString: sqlite3_errmsg(sqlite3_db_handle(handle))), sql: sql)
  }
}
