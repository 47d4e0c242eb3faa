/// A function with a body, by where it begins and how many lines it has from its first to its closing brace.
struct FunctionExtent: Hashable, Sendable {
  var line: Int
  var lines: Int
}

/// The functions of a file, found by their indentation: the formatter puts a body's closing brace below the first
/// letter of its declaration, so no parser is needed.
func functions(of file: SourceFile) -> [FunctionExtent] {
  guard file.isSwift || file.path.hasSuffix(".c") else { return [] }
  return file.lines.indices.compactMap { start in
    guard file.isSwift ? declaresFunction(file.lines[start]) : definesCFunction(file.lines, at: start),
      let end = endOfBody(file.lines, from: start)
    else { return nil }
    return FunctionExtent(line: start + 1, lines: end - start + 1)
  }
}

private func declaresFunction(_ line: String) -> Bool {
  // What may stand before `func` and `init`, attributes aside.
  let modifiers: Set<Substring> = [
    "public", "package", "internal", "fileprivate", "private", "static", "class", "final", "override",
    "mutating",
    "nonmutating", "borrowing", "consuming", "convenience", "required", "nonisolated", "isolated", "indirect",
    "unsafe", "async",
  ]
  for word in line.split(separator: " ") {
    if word == "func" || word == "deinit" || word.hasPrefix("init(") || word.hasPrefix("init?(")
      || word.hasPrefix("init<") || word.hasPrefix("subscript(")
    {
      return true
    }
    guard word.hasPrefix("@") || modifiers.contains(word) else { return false }
  }
  return false
}

private func definesCFunction(_ lines: [String], at start: Int) -> Bool {
  guard let first = lines[start].first, first.isLetter || first == "_" else { return false }
  return lines[start].contains("(") && !lines[start].contains(";") && !lines[start].hasPrefix("typedef")
}

/// The line of the brace that closes what begins at `start`; nil where there is no body, or it is on one line.
private func endOfBody(_ lines: [String], from start: Int) -> Int? {
  let indent = indentation(lines[start])
  for index in lines.indices[start...] {
    let line = lines[index]
    if index > start, indentation(line) <= indent, !line.allSatisfy({ $0 == " " }) {
      let text = line.drop { $0 == " " }
      if text.hasPrefix("}") { return index }
      // A signature or a condition that goes on below its first line, or the brace that opens.
      guard text.hasPrefix(")") || text.hasPrefix("{") || text.hasPrefix("where") || text.hasPrefix("#")
      else { return nil }
    }
    let opens = line.count { $0 == "{" }
    if opens > 0, opens == line.count(where: { $0 == "}" }), index == start { return nil }
  }
  return nil
}

private func indentation(_ line: String) -> Int { line.prefix { $0 == " " }.count }
