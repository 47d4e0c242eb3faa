/// Rows under headings, aligned, cut to the terminal's width: the widest flexible column gives way first.
struct Table {
  enum Alignment {
    case left
    case right
  }

  struct Column {
    var heading: String
    var alignment: Alignment = .left
    /// Whether it may be cut when the terminal is narrow.
    var isFlexible = false
  }

  private let columns: [Column]
  private var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// A row has as many cells as there are columns. Control characters are shown, not obeyed.
  mutating func add(_ cells: [String]) {
    precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
    rows.append(cells.map(Self.printable))
  }

  func text(width: Int?) -> String {
    var widths = columns.indices.map { index in
      max(columns[index].heading.count, rows.map { $0[index].count }.max() ?? 0)
    }
    if let width { fit(&widths, into: width) }
    var lines = [line(columns.map(\.heading), widths)]
    for row in rows { lines.append(line(row, widths)) }
    return lines.joined(separator: "\n")
  }

  private func fit(_ widths: inout [Int], into width: Int) {
    let gaps = 2 * (columns.count - 1)
    var excess = widths.reduce(0, +) + gaps - width
    while excess > 0 {
      let candidates = columns.indices.filter { columns[$0].isFlexible && widths[$0] > 8 }
      guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { return }
      let cut = min(excess, widths[widest] - 8)
      let second = candidates.filter { $0 != widest }.map { widths[$0] }.max() ?? 8
      let step = max(1, min(cut, widths[widest] - second))
      widths[widest] -= step
      excess -= step
    }
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      let shown = cell.count > widths[index] ? String(cell.prefix(widths[index] - 1)) + "…" : cell
      let padding = String(repeating: " ", count: widths[index] - shown.count)
      if index > 0 { line += "  " }
      switch columns[index].alignment {
      case .left: line += index == cells.count - 1 ? shown : shown + padding
      case .right: line += padding + shown
      }
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  /// Text from a peer must not move the cursor: control characters become visible escapes.
  static func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if isControl(scalar) {
        result += scalar == "\n" ? "\\n" : "\\x" + String(scalar.value, radix: 16)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
  }
}
