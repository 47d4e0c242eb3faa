import Testing

/// Where a rule is broken.
struct Violation: Hashable, Sendable, CustomStringConvertible {
  var path: String
  var line: Int
  var what: String

  var description: String { "\(path):\(line): \(what)" }
}

/// Something that holds for every file of the project, checked line by line without a compiler: simple enough to be
/// trusted, strict enough to be useful.
struct Rule: Sendable, CustomTestStringConvertible {
  var name: String
  var check: @Sendable (SourceFile) -> [Violation]

  var testDescription: String { name }

  /// This folder: the only one that may hold the words that the rules forbid.
  private static let checkers = "Tests/TidinessTests"

  static let maximumFileLines = 600
  static let maximumFunctionLines = 80

  static let all: [Rule] = [
    fileLength, functionLength, markers, sleepingTests, sqlite, protobufC, epoll, pureCore, machinePaths,
  ]

  static let fileLength = Rule(name: "a file has at most \(maximumFileLines) lines") { file in
    // What nobody wrote and nobody edits.
    let isRecord = file.path == "LICENSE" || file.path.hasPrefix("proto/released/")
    guard file.lines.count > maximumFileLines, !isRecord else { return [] }
    return [
      Violation(
        path: file.path, line: maximumFileLines + 1,
        what: "the file has \(file.lines.count) lines, at most \(maximumFileLines) are allowed")
    ]
  }

  static let functionLength = Rule(name: "a function has at most \(maximumFunctionLines) lines") { file in
    functions(of: file).filter { $0.lines > maximumFunctionLines }.map {
      Violation(
        path: file.path, line: $0.line,
        what: "the function has \($0.lines) lines, at most \(maximumFunctionLines) are allowed")
    }
  }

  static let markers = Rule(name: "no marker of unfinished work is left") { file in
    guard !file.isUnder(checkers) else { return [] }
    return file.numbered.flatMap { line in
      ["TODO", "FIXME", "XXX", "HACK"].filter { words(of: line.text).contains($0) }.map {
        Violation(path: file.path, line: line.number, what: "\($0) is left")
      }
    }
  }

  static let sleepingTests = Rule(name: "no test sleeps: it waits for a fact") { file in
    guard file.isUnder("Tests"), !file.isUnder(checkers) else { return [] }
    let swift = ["sleep(", "Task.sleep", "Thread.sleep", "asyncAfter"]
    return file.code.flatMap { line in
      let calls = file.isSwift || file.isC ? swift.filter { line.text.contains($0) } : []
      let commands = file.isShell && words(of: line.text).contains("sleep") ? ["sleep"] : []
      return (calls + commands).prefix(1).map {
        Violation(path: file.path, line: line.number, what: "\($0) waits for time to pass")
      }
    }
  }

  static let sqlite = confined("sqlite3_", to: ["Sources/Registry", "Sources/CSQLite"])
  static let protobufC = confined("protobuf_c_", to: ["Sources/Protobuf", "Sources/CProtobufC"])
  static let epoll = confined("epoll_", to: ["Sources/Linux", "Sources/CLinux"])

  static let pureCore = Rule(name: "Handover imports nothing") { file in
    guard file.isUnder("Sources/Handover") else { return [] }
    return file.code.filter { words(of: $0.text).contains("import") }.map {
      Violation(path: file.path, line: $0.number, what: "the core has the standard library only")
    }
  }

  static let machinePaths = Rule(name: "no path of one machine is named") { file in
    guard !file.isUnder(checkers) else { return [] }
    return file.numbered.flatMap { line in
      ["/home/", "/root/", "/work/", "/opt/swift", "/Users/"].filter { namesPath($0, in: line.text) }.map {
        Violation(path: file.path, line: line.number, what: "\($0) is a path of one machine")
      }
    }
  }

  /// A C library's functions are called by its one Swift owner only. Tests may reach around it.
  private static func confined(_ prefix: String, to owners: [String]) -> Rule {
    Rule(name: "\(prefix) stays in \(owners.joined(separator: " and "))") { file in
      guard file.isUnder("Sources") || file.isUnder("clients"), file.isSwift || file.isC,
        !owners.contains(where: file.isUnder)
      else { return [] }
      return file.code.filter { $0.text.contains(prefix) }.map {
        Violation(
          path: file.path, line: $0.number, what: "\(prefix) outside \(owners.joined(separator: " and "))")
      }
    }
  }
}

/// The words of a line: what lies between characters that no identifier has.
private func words(of text: String) -> Set<Substring> {
  Set(text.split { !($0.isLetter || $0.isNumber || $0 == "_") })
}

/// Whether `text` has `path` from the root on, and not as the tail of a longer one.
private func namesPath(_ path: String, in text: String) -> Bool {
  text.ranges(of: path).contains { range in
    guard range.lowerBound > text.startIndex else { return true }
    let before = text[text.index(before: range.lowerBound)]
    return !(before.isLetter || before.isNumber || "._-}*".contains(before))
  }
}
