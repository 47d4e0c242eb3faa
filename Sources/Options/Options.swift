/// One flag of a program: its names, what it takes, and what its help says.
package struct Option: Sendable {
  package enum Kind: Sendable {
    /// Present or not.
    case flag
    /// Takes a value; the last one given counts. The placeholder is what the help shows.
    case value(placeholder: String)
    /// Takes a value each time it is given.
    case list(placeholder: String)
  }

  package let name: String
  package let short: Character?
  package let kind: Kind
  /// Read when the flag is not given. A list is split at commas; a flag is on for 1, true and yes.
  package let environment: String?
  package let help: String
  /// Shown in the help as what holds without it.
  package let fallback: String?

  package init(
    _ name: String, short: Character? = nil, _ kind: Kind, environment: String? = nil, help: String,
    fallback: String? = nil
  ) {
    self.name = name
    self.short = short
    self.kind = kind
    self.environment = environment
    self.help = help
    self.fallback = fallback
  }
}

/// A command line that is not as its program takes it. The text says what is wrong and how it should be.
package struct UsageError: Error, Hashable, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// What a command line and an environment came to.
package struct ParsedOptions: Sendable {
  package private(set) var values: [String: [String]] = [:]
  package private(set) var positional: [String] = []
  /// What follows `--`; nil when there was none.
  package private(set) var rest: [String]?

  /// Reads arguments in the usual forms: `--name value`, `--name=value`, `-n value`, `--` ends the options. With
  /// `stopAtPositional` the first word that is no option ends them too, and it and all after it are positional.
  package init(
    _ arguments: some Sequence<String>, options: [Option], environment: [String: String] = [:],
    stopAtPositional: Bool = false
  ) throws(UsageError) {
    var iterator = arguments.makeIterator()
    while let word = iterator.next() {
      if word == "--" {
        rest = Array(IteratorSequence(iterator))
        break
      }
      guard word.hasPrefix("-"), word != "-" else {
        positional.append(word)
        if stopAtPositional {
          positional += Array(IteratorSequence(iterator))
          break
        }
        continue
      }
      let (option, inline) = try Self.option(of: word, among: options)
      switch option.kind {
      case .flag:
        guard inline == nil else { throw UsageError("--\(option.name) takes no value") }
        values[option.name] = ["true"]
      case .value(let placeholder), .list(let placeholder):
        guard let value = inline ?? iterator.next() else {
          throw UsageError("--\(option.name) needs a value: --\(option.name) \(placeholder)")
        }
        if case .list = option.kind {
          values[option.name, default: []].append(value)
        } else {
          values[option.name] = [value]
        }
      }
    }
    try readEnvironment(environment, options)
  }

  private mutating func readEnvironment(
    _ environment: [String: String], _ options: [Option]
  ) throws(UsageError) {
    for option in options where values[option.name] == nil {
      guard let variable = option.environment, let text = environment[variable], !text.isEmpty else {
        continue
      }
      switch option.kind {
      case .flag:
        switch text {
        case "1", "true", "yes": values[option.name] = ["true"]
        case "0", "false", "no": break
        default: throw UsageError("\(variable) must be 1 or 0, is \"\(text)\"")
        }
      case .value: values[option.name] = [text]
      case .list: values[option.name] = text.split(separator: ",").map(String.init)
      }
    }
  }

  private static func option(
    of word: String, among options: [Option]
  ) throws(UsageError) -> (Option, inline: String?) {
    let named = word.hasPrefix("--")
    let body = word.dropFirst(named ? 2 : 1)
    let equals = named ? body.firstIndex(of: "=") : nil
    let name = String(equals.map { body[..<$0] } ?? body)
    let inline = equals.map { String(body[body.index(after: $0)...]) }
    let found = options.first { named ? $0.name == name : $0.short.map(String.init) == name }
    guard let found else {
      let near = options.map(\.name).filter { Self.distance($0, name) <= 2 }.min {
        Self.distance($0, name) < Self.distance($1, name)
      }
      let hint = near.map { "; did you mean --\($0)?" } ?? "; see --help"
      throw UsageError("unknown option \(word)\(hint)")
    }
    return (found, inline)
  }

  package func isOn(_ name: String) -> Bool { values[name] != nil }
  package subscript(name: String) -> String? { values[name]?.last }
  package func list(_ name: String) -> [String] { values[name] ?? [] }

  /// A whole number within bounds; nil when the option was not given.
  package func integer<I: FixedWidthInteger>(
    _ name: String, in bounds: ClosedRange<I>
  ) throws(UsageError) -> I? {
    guard let text = self[name] else { return nil }
    guard let value = I(text), bounds.contains(value) else {
      throw UsageError(
        "--\(name) must be a whole number from \(bounds.lowerBound) to \(bounds.upperBound), is \"\(text)\"")
    }
    return value
  }

  /// A time span in milliseconds: a number with `ms`, `s`, `m`, `h` or `d`; a bare number is seconds.
  package func milliseconds(_ name: String, in bounds: ClosedRange<Int64>) throws(UsageError) -> Int64? {
    guard let text = self[name] else { return nil }
    guard let value = Duration.milliseconds(text), bounds.contains(value) else {
      throw UsageError(
        "--\(name) must be a time from \(Duration.text(milliseconds: bounds.lowerBound)) to "
          + "\(Duration.text(milliseconds: bounds.upperBound)), such as 500ms, 30s, 10m or 2h; is \"\(text)\""
      )
    }
    return value
  }

  /// The number of single-letter edits between two words.
  package static func distance(_ a: String, _ b: String) -> Int {
    let target = Array(b.utf8)
    var row = Array(0...target.count)
    for (i, letter) in a.utf8.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in target.enumerated() {
        let substituted = diagonal + (letter == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, diagonal + 1, row[j] + 1)
      }
    }
    return row[target.count]
  }
}

/// Time spans as people write and read them.
package enum Duration {
  package static func milliseconds(_ text: String) -> Int64? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int64(digits) else { return nil }
    let unit: Int64
    switch text.dropFirst(digits.count) {
    case "ms": unit = 1
    case "", "s": unit = 1000
    case "m", "min": unit = 60_000
    case "h": unit = 3_600_000
    case "d": unit = 86_400_000
    default: return nil
    }
    let (value, overflow) = number.multipliedReportingOverflow(by: unit)
    return overflow ? nil : value
  }

  /// At most two units, the greatest first: `850ms`, `12.3s`, `4m05s`, `2h10m`, `3d04h`.
  package static func text(milliseconds: Int64) -> String {
    guard milliseconds >= 0 else {
      return "-" + text(milliseconds: milliseconds == .min ? .max : -milliseconds)
    }
    let seconds = milliseconds / 1000
    switch milliseconds {
    case ..<1000: return "\(milliseconds)ms"
    case ..<60_000:
      let tenths = milliseconds % 1000 / 100
      return tenths == 0 ? "\(seconds)s" : "\(seconds).\(tenths)s"
    case ..<3_600_000: return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds / 60)m\(two(seconds % 60))s"
    case ..<86_400_000:
      return seconds / 60 % 60 == 0 ? "\(seconds / 3600)h" : "\(seconds / 3600)h\(two(seconds / 60 % 60))m"
    default:
      return seconds / 3600 % 24 == 0
        ? "\(seconds / 86_400)d" : "\(seconds / 86_400)d\(two(seconds / 3600 % 24))h"
    }
  }

  private static func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : String(number) }
}
