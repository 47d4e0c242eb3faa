import Testing

/// Whoever writes a client from PROTOCOL.md compares bytes with it, so its dumps must be frames.
@Suite struct ProtocolDocumentTests {
  @Test func everyDumpIsAFrame() throws {
    let document = try #require(SourceTree.project.files.first { $0.path == "proto/PROTOCOL.md" })
    let frames = DumpedFrame.all(of: document)
    #expect(frames.count > 10)
    for frame in frames {
      if let fault = frame.fault { Issue.record("proto/PROTOCOL.md:\(frame.line): \(fault)") }
    }
  }

  @Test(arguments: [
    ("00 00 00 01  00 00 00 01  02  00\n41  |A|", nil),
    ("00 00 00 00  00 00 00 01  03  05", nil),
    ("00 00 00 02  00 00 00 01  02  00\n41  |A|", "the header says 2 bytes of data, there are 1"),
    ("00 00 00 01  00 00 00 02  02  00\n41  |A|", "stream id 2 is even"),
    ("00 00 00 01  00 00 00 01  04  00\n41  |A|", "type 4 is none"),
    ("00 00 00 01  00 00 00 01  02  00\n41  |B|", "41 reads |A|, not |B|"),
    ("00 00 00 01  00 00 00 01", "a header has 10 bytes, here are 8"),
  ])
  func aDumpThatIsNoFrameIsFound(_ dump: String, _ fault: String?) {
    let file = SourceFile(path: "a.md", text: "```hex\n# daemon: it\n\(dump)\n```\n")
    #expect(DumpedFrame.all(of: file).map(\.fault) == [fault])
  }
}

/// One frame of a ```hex block: a line of words, a line of header bytes, lines of data with their letters beside.
private struct DumpedFrame {
  /// Of the line of words.
  var line: Int
  var rows: [String] = []

  static func all(of file: SourceFile) -> [DumpedFrame] {
    var frames: [DumpedFrame] = []
    var isInside = false
    for (number, text) in file.numbered {
      if text.hasPrefix("```") {
        isInside = text == "```hex"
      } else if isInside, text.hasPrefix("#") {
        frames.append(DumpedFrame(line: number))
      } else if isInside, !frames.isEmpty {
        frames[frames.count - 1].rows.append(text)
      }
    }
    return frames
  }

  /// What is wrong with it; nil when nothing is.
  var fault: String? {
    let header = Self.bytes(rows.first ?? "")
    guard header.count == 10 else { return "a header has 10 bytes, here are \(header.count)" }
    let length = header[0..<4].reduce(0) { $0 << 8 | Int($1) }
    let stream = header[4..<8].reduce(0) { $0 << 8 | Int($1) }
    var data = 0
    for row in rows.dropFirst() {
      let parts = row.split(separator: "|", maxSplits: 1)
      let bytes = Self.bytes(String(parts.first ?? ""))
      data += bytes.count
      let letters = String(bytes.map { (0x20..<0x7F).contains($0) ? Character(UnicodeScalar($0)) : "." })
      guard parts.count == 2, parts[1] == letters + "|" else {
        return "\(parts.first.map(Self.trimmed) ?? "") reads |\(letters)|, not |\(parts.last ?? "")"
      }
    }
    if data != length { return "the header says \(length) bytes of data, there are \(data)" }
    if stream % 2 == 0 { return "stream id \(stream) is even" }
    if !(1...3).contains(header[8]) { return "type \(header[8]) is none" }
    return nil
  }

  private static func bytes(_ text: String) -> [UInt8] {
    text.split(separator: " ").compactMap { UInt8($0, radix: 16) }
  }

  private static func trimmed(_ text: Substring) -> String {
    text.split(separator: " ").joined(separator: " ")
  }
}
