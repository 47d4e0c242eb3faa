import Protobuf

/// The little that the command line needs of the daemon's own JSON, which is always well formed: the members of an object
/// and the elements of an array, as text.
enum FlatJSON {
  /// Members by name; a string is without its quotes, everything else as it stands.
  static func fields(_ json: String) -> [String: String] {
    var fields: [String: String] = [:]
    for part in parts(json) {
      guard let colon = endOfString(part, from: part.startIndex), part[colon...].hasPrefix(":") else {
        continue
      }
      let name = part[part.index(after: part.startIndex)..<part.index(before: colon)]
      let value = part[part.index(after: colon)...]
      fields[String(name)] = value.hasPrefix("\"") ? unescaped(value.dropFirst().dropLast()) : String(value)
    }
    return fields
  }

  static func elements(_ json: String) -> [String] { parts(json).map(String.init) }

  /// An object of members whose values are JSON already.
  static func object(_ members: [(name: String, value: String)]) -> String {
    "{" + members.map { "\(quoted($0.name)):\($0.value)" }.joined(separator: ",") + "}"
  }

  static func quoted(_ text: String) -> String {
    var result = ""
    JSONEncode.string(text, to: &result)
    return result
  }

  /// What stands between the commas of the outermost brackets.
  private static func parts(_ json: String) -> [Substring] {
    let inner = json.dropFirst().dropLast()
    var parts: [Substring] = []
    var depth = 0
    var start = inner.startIndex
    var position = inner.startIndex
    while position < inner.endIndex {
      switch inner[position] {
      case "\"":
        guard let end = endOfString(inner, from: position) else { return parts }
        position = end
        continue
      case "{", "[": depth += 1
      case "}", "]": depth -= 1
      case "," where depth == 0:
        parts.append(inner[start..<position])
        start = inner.index(after: position)
      default: break
      }
      position = inner.index(after: position)
    }
    if start < inner.endIndex { parts.append(inner[start...]) }
    return parts
  }

  /// The place behind the string that begins at `start`.
  private static func endOfString(_ text: Substring, from start: Substring.Index) -> Substring.Index? {
    var position = text.index(after: start)
    while position < text.endIndex {
      switch text[position] {
      case "\\": position = text.index(position, offsetBy: 2, limitedBy: text.endIndex) ?? text.endIndex
      case "\"": return text.index(after: position)
      default: position = text.index(after: position)
      }
    }
    return nil
  }

  private static func unescaped(_ text: Substring) -> String {
    guard text.contains("\\") else { return String(text) }
    var result = ""
    var letters = text.makeIterator()
    while let letter = letters.next() {
      guard letter == "\\", let escape = letters.next() else {
        result.append(letter)
        continue
      }
      switch escape {
      case "n": result += "\n"
      case "r": result += "\r"
      case "t": result += "\t"
      case "u":
        let digits = String((0..<4).compactMap { _ in letters.next() })
        if let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) {
          result.unicodeScalars.append(scalar)
        }
      default: result.append(escape)
      }
    }
    return result
  }
}
