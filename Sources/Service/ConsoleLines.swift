/// Cuts a console's input into lines. Decides nothing about what a line means, except that some lines show that
/// the peer is no person but a browser or an HTTP client that was talked into connecting.
struct ConsoleLines {
  enum Next: Equatable {
    case line(String)
    /// Nothing whole is here yet.
    case needMore
    /// The connection ends with this text after `ERR INVALID_ARGUMENT `.
    case refuse(String)
  }

  private let maxLineBytes: Int
  private var pending: [UInt8] = []
  private var start = 0
  /// Up to here there is no line feed: a line that comes byte by byte is looked through once, not once a byte.
  private var searched = 0
  private var hasEnded = false

  init(maxLineBytes: Int) { self.maxLineBytes = maxLineBytes }

  /// Bytes that wait, whole lines or not.
  var pendingBytes: Int { pending.count - start }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if start > 0 {
      pending.removeSubrange(0..<start)
      searched = max(0, searched - start)
      start = 0
    }
    pending.append(contentsOf: bytes)
  }

  /// No more input comes: what is left counts as a line.
  mutating func end() { hasEnded = true }

  mutating func next() -> Next {
    guard !hasRefused else { return .needMore }
    guard let newline = pending[max(start, searched)...].firstIndex(of: UInt8(ascii: "\n")) else {
      searched = pending.count
      if pendingBytes > maxLineBytes { return refuse("a line is at most \(maxLineBytes) bytes") }
      guard hasEnded, pendingBytes > 0 else { return .needMore }
      let rest = pending[start...]
      start = pending.count
      return check(rest)
    }
    let line = pending[start..<newline]
    start = newline + 1
    if start == pending.count {
      // The common case, and the one in which an idle console should hold no memory.
      defer {
        pending = []
        start = 0
        searched = 0
      }
      return check(line)
    }
    return check(line)
  }

  private var hasRefused = false

  private mutating func refuse(_ text: String) -> Next {
    hasRefused = true
    pending = []
    start = 0
    searched = 0
    return .refuse(text)
  }

  private mutating func check(_ bytes: ArraySlice<UInt8>) -> Next {
    let line = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
    guard line.count <= maxLineBytes else { return refuse("a line is at most \(maxLineBytes) bytes") }
    guard !line.contains(0), let text = String(validating: line, as: UTF8.self) else {
      return refuse("a line is UTF-8 without NUL")
    }
    for prefix in Self.foreignPrefixes where text.hasPrefix(prefix) {
      return refuse("this is Baton's socket, not an HTTP server; say help")
    }
    return .line(text)
  }

  /// What HTTP clients begin with; Redis closes on the like to keep a web page from talking to it.
  private static let foreignPrefixes = ["GET ", "POST ", "PUT ", "Host:", "PRI "]
}
