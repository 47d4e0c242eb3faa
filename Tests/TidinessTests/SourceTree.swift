import Foundation

/// One text file of the project.
struct SourceFile: Sendable {
  /// Relative to the project's root, with `/`.
  var path: String
  var lines: [String]

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    // The end of the last line is not the beginning of another.
    if lines.last == "" { lines.removeLast() }
  }

  var isSwift: Bool { path.hasSuffix(".swift") }
  var isC: Bool { path.hasSuffix(".c") || path.hasSuffix(".h") }
  var isShell: Bool { path.hasSuffix(".sh") || path == ".ci/run" }

  /// Made by a tool from something else that is checked: no rule holds for it.
  var isGenerated: Bool {
    isUnder("Sources/CBatonProto") || path == "Sources/Protobuf/GeneratedMessages.swift"
  }

  func isUnder(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }

  /// The lines with their numbers, without those that are nothing but a comment.
  var code: [(number: Int, text: String)] {
    numbered.filter { line in
      let trimmed = line.text.drop { $0 == " " || $0 == "\t" }
      return !trimmed.hasPrefix("//") && !(isShell && trimmed.hasPrefix("#"))
    }
  }

  var numbered: [(number: Int, text: String)] {
    lines.enumerated().map { ($0.offset + 1, $0.element) }
  }
}

/// The project as it lies on disk, found from where this file was compiled.
struct SourceTree: Sendable {
  var root: URL
  var topLevel: [String]
  var files: [SourceFile]

  static let project = SourceTree(
    root: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent())

  init(root: URL) {
    self.root = root
    let manager = FileManager.default
    topLevel = ((try? manager.contentsOfDirectory(atPath: root.path)) ?? []).sorted()
    let kept = topLevel.filter { $0 == ".ci" || !$0.hasPrefix(".") }
    var files: [SourceFile] = []
    for entry in kept {
      for path in Self.paths(entry, below: root) {
        // Fixtures that are not text are no one's prose.
        guard let text = try? String(contentsOf: root.appending(path: path), encoding: .utf8) else {
          continue
        }
        files.append(SourceFile(path: path, text: text))
      }
    }
    self.files = files.filter { !$0.isGenerated }.sorted { $0.path < $1.path }
  }

  private static func paths(_ path: String, below root: URL) -> [String] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: root.appending(path: path).path, isDirectory: &isDirectory)
    else { return [] }
    guard isDirectory.boolValue else { return [path] }
    let below = (try? FileManager.default.subpathsOfDirectory(atPath: root.appending(path: path).path)) ?? []
    return below.map { "\(path)/\($0)" }.filter { candidate in
      // What tools leave behind is hidden or named after them.
      !candidate.split(separator: "/").dropFirst().contains { $0.hasPrefix(".") || $0 == "__pycache__" }
    }
  }
}
