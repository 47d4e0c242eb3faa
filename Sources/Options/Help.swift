/// Help texts from the options themselves, so that none can be forgotten.
package enum Help {
  /// A block of option lines, wrapped at `width` columns.
  package static func options(_ options: [Option], width: Int = 80) -> String {
    let heads = options.map(head)
    let indent = min(30, (heads.map(\.count).max() ?? 0) + 4)
    var text = ""
    for (option, head) in zip(options, heads) {
      var notes = option.help
      var aside: [String] = []
      if let variable = option.environment { aside.append("env \(variable)") }
      if let fallback = option.fallback { aside.append("default \(fallback)") }
      if !aside.isEmpty { notes += " (\(aside.joined(separator: "; ")))" }
      let lines = wrap(notes, width: max(20, width - indent))
      let first = "  " + head
      if first.count + 2 > indent {
        text += first + "\n"
      } else {
        text += first + String(repeating: " ", count: indent - first.count) + (lines.first ?? "") + "\n"
      }
      for line in lines.dropFirst(first.count + 2 > indent ? 0 : 1) {
        text += String(repeating: " ", count: indent) + line + "\n"
      }
    }
    return text
  }

  private static func head(_ option: Option) -> String {
    let short = option.short.map { "-\($0), " } ?? ""
    switch option.kind {
    case .flag: return "\(short)--\(option.name)"
    case .value(let placeholder): return "\(short)--\(option.name) \(placeholder)"
    case .list(let placeholder): return "\(short)--\(option.name) \(placeholder) ..."
    }
  }

  /// Breaks a text at spaces into lines of at most `width` characters; a longer word stands alone.
  package static func wrap(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if line.isEmpty {
        line = String(word)
      } else if line.count + 1 + word.count <= width {
        line += " " + word
      } else {
        lines.append(line)
        line = String(word)
      }
    }
    if !line.isEmpty { lines.append(line) }
    return lines
  }
}
