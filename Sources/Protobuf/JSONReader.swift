/// Why a text is not the JSON that it should be.
package struct JSONError: Error, Hashable, CustomStringConvertible {
  package var path: String
  package var problem: String
  package init(path: String, problem: String) {
    self.path = path
    self.problem = problem
  }
  package var description: String { path.isEmpty ? problem : "\(path) \(problem)" }
}

/// Cuts JSON (RFC 8259) into what a schema-driven decoder asks for. Made for untrusted bytes: no tree is built, and
/// what is skipped is bounded in depth.
struct JSONReader {
  static let maxDepth = 32

  private let bytes: [UInt8]
  private(set) var position = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  private func failure(_ problem: String) -> JSONError {
    JSONError(path: "", problem: "\(problem) at byte \(position)")
  }

  mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  /// The next significant byte, left where it is; nil at the end.
  mutating func peek() -> UInt8? {
    skipSpace()
    return position < bytes.count ? bytes[position] : nil
  }

  mutating func accept(_ character: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws(JSONError) {
    guard accept(character) else { throw failure("expected '\(character)'") }
  }

  mutating func expectEnd() throws(JSONError) {
    guard peek() == nil else { throw failure("unexpected text after the value") }
  }

  mutating func acceptWord(_ word: StaticString) -> Bool {
    skipSpace()
    let wanted = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    guard bytes[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  /// A number's text, as it stands.
  mutating func number() throws(JSONError) -> String {
    skipSpace()
    let start = position
    while position < bytes.count, "+-.0123456789eE".utf8.contains(bytes[position]) { position += 1 }
    guard position > start else { throw failure("expected a value") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  mutating func string() throws(JSONError) -> String {
    try expect("\"")
    var result: [UInt8] = []
    while true {
      guard position < bytes.count else { throw failure("a string without its end") }
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: result, as: UTF8.self)
      case UInt8(ascii: "\\"): result += String(try escape()).utf8
      case 0..<0x20: throw failure("a control character in a string")
      default: result.append(byte)
      }
    }
  }

  private mutating func escape() throws(JSONError) -> Unicode.Scalar {
    guard position < bytes.count else { throw failure("a string without its end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try hex()
      if let scalar = Unicode.Scalar(unit) { return scalar }
      // Half of a surrogate pair: the other half must follow.
      guard (0xD800..<0xDC00).contains(unit), bytes[position...].starts(with: "\\u".utf8) else {
        throw failure("half of a surrogate pair")
      }
      position += 2
      let low = try hex()
      guard (0xDC00..<0xE000).contains(low),
        let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
      else { throw failure("half of a surrogate pair") }
      return scalar
    default: throw failure("an unknown escape")
    }
  }

  private mutating func hex() throws(JSONError) -> UInt32 {
    guard position + 4 <= bytes.count,
      let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16),
      bytes[position] != UInt8(ascii: "+"), bytes[position] != UInt8(ascii: "-")
    else { throw failure("an escape without four hex digits") }
    position += 4
    return value
  }
}
