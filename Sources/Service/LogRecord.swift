/// One line of the log: what happened, and its fields in a fixed order.
package struct LogRecord: Sendable, Equatable {
  package enum Level: Int, Sendable, CaseIterable, Comparable {
    case debug = 0
    case info = 1
    case warning = 2
    case error = 3

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package var word: String {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .warning: "warning"
      case .error: "error"
      }
    }

    package init?(word: some StringProtocol) {
      guard let level = Self.allCases.first(where: { $0.word == word }) else { return nil }
      self = level
    }
  }

  package enum Format: Sendable, Equatable {
    case logfmt
    case json
  }

  package enum Value: Sendable, Equatable {
    case text(String)
    case number(Int64)
    case truth(Bool)
  }

  package var level: Level
  package var message: String
  package var fields: [(name: StaticString, value: Value)]

  package init(_ level: Level, _ message: String, _ fields: [(name: StaticString, value: Value)] = []) {
    self.level = level
    self.message = message
    self.fields = fields
  }

  package static func == (a: Self, b: Self) -> Bool {
    a.level == b.level && a.message == b.message
      && a.fields.elementsEqual(b.fields) { "\($0.name)" == "\($1.name)" && $0.value == $1.value }
  }

  /// The line without its end. `time` is the wall clock in milliseconds.
  package func line(_ format: Format, time: Int64) -> String {
    switch format {
    case .logfmt: logfmt(time)
    case .json: json(time)
    }
  }

  private func logfmt(_ time: Int64) -> String {
    var line =
      "time=\(Timestamp.text(milliseconds: time)) level=\(level.word) msg=\(Self.quotedIfNeeded(message))"
    for field in fields {
      line += " \(field.name)="
      switch field.value {
      case .text(let text): line += Self.quotedIfNeeded(text)
      case .number(let number): line += String(number)
      case .truth(let truth): line += truth ? "true" : "false"
      }
    }
    return line
  }

  private func json(_ time: Int64) -> String {
    var line = "{\"time\":\"\(Timestamp.text(milliseconds: time))\",\"level\":\"\(level.word)\",\"msg\":"
    line += Self.quoted(message)
    for field in fields {
      line += ",\"\(field.name)\":"
      switch field.value {
      case .text(let text): line += Self.quoted(text)
      case .number(let number): line += String(number)
      case .truth(let truth): line += truth ? "true" : "false"
      }
    }
    return line + "}"
  }

  private static func quotedIfNeeded(_ text: String) -> String {
    let plain =
      !text.isEmpty
      && text.utf8.allSatisfy {
        $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
      }
    return plain ? text : quoted(text)
  }

  /// A JSON string, which is also what logfmt readers take as a quoted value. Control characters never reach a
  /// terminal as they are.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      default:
        if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
          let hex = String(scalar.value, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }
}

/// RFC 3339 in UTC with milliseconds, without a calendar library: the daemon's log is its only use.
package enum Timestamp {
  package static func text(milliseconds: Int64) -> String {
    let (days, inDay) = floorDivide(milliseconds, 86_400_000)
    let (year, month, day) = civil(fromDays: days)
    let hour = inDay / 3_600_000
    let minute = inDay / 60_000 % 60
    let second = inDay / 1000 % 60
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T"
      + "\(pad(hour, 2)):\(pad(minute, 2)):\(pad(second, 2)).\(pad(inDay % 1000, 3))Z"
  }

  private static func floorDivide(_ a: Int64, _ b: Int64) -> (Int64, Int64) {
    let remainder = ((a % b) + b) % b
    return ((a - remainder) / b, remainder)
  }

  /// Days since 1970 to a date of the proleptic Gregorian calendar: 400-year eras of 146 097 days, years that
  /// begin in March so that the leap day comes last.
  private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
    let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  private static func pad(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
