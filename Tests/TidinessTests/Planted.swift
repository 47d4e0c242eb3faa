import Testing

/// A text that breaks one rule, or a near miss that must not, so that no rule can be one that never fails.
struct Planted: Sendable, CustomTestStringConvertible {
  var rule: Rule
  var path: String
  var text: String
  /// The lines that break the rule; none for a near miss.
  var lines: [Int]

  init(_ rule: Rule, in path: String, _ text: String, at lines: Int...) {
    self.rule = rule
    self.path = path
    self.text = text
    self.lines = lines
  }

  var testDescription: String { "\(rule.name), in \(path): \(text.prefix(40).debugDescription)" }

  static let samples: [Planted] = lengths + words + places

  private static let lengths = [
    Planted(.fileLength, in: "Sources/A/A.swift", blank(601), at: 601),
    Planted(.fileLength, in: "Sources/A/A.swift", blank(600)),
    Planted(.fileLength, in: "proto/NOTES.md", blank(700), at: 601),
    Planted(.fileLength, in: "LICENSE", blank(700)),
    Planted(.fileLength, in: "proto/released/v1.txt", blank(700)),
    Planted(.functionLength, in: "Sources/A/A.swift", "func f() {\n" + blank(79) + "}\n", at: 1),
    Planted(.functionLength, in: "Sources/A/A.swift", "func f() {\n" + blank(78) + "}\n"),
    Planted(
      .functionLength, in: "Sources/A/A.swift",
      "struct S {\n  package init(\n    a: Int\n  ) {\n" + blank(90) + "  }\n}\n", at: 2),
    Planted(
      .functionLength, in: "Sources/A/A.swift",
      "protocol P {\n  func f()\n  var v: Int { get }\n" + blank(90) + "}"),
    Planted(.functionLength, in: "Sources/A/A.swift", "func f() { g() }\n" + blank(90) + "struct S {\n}\n"),
    Planted(
      .functionLength, in: "Sources/C/c.c",
      "static int f(int a,\n             int b)\n{\n" + blank(90) + "}\n", at: 1),
    Planted(.functionLength, in: "Sources/C/c.c", "int f(int a);\n" + blank(90) + "struct s {\n};\n"),
  ]

  private static let words = [
    Planted(.markers, in: "Sources/A/A.swift", "let a = 1\n// TODO: more\n", at: 2),
    Planted(.markers, in: "proto/a.proto", "// FIXME\n// XXX\n", at: 1, 2),
    Planted(.markers, in: "Makefile", "# HACK(me)\n", at: 1),
    Planted(.markers, in: "README.md", "mktemp -d /tmp/demo.XXXXXX and the TODOs of others\n"),
    Planted(.sleepingTests, in: "Tests/ATests/A.swift", "try await Task.sleep(for: .seconds(1))\n", at: 1),
    Planted(.sleepingTests, in: "Tests/ATests/A.swift", "\n  usleep(5)\n", at: 2),
    Planted(.sleepingTests, in: "Tests/a/a.sh", "true\nsleep 1\n", at: 2),
    Planted(.sleepingTests, in: "Tests/a/a.sh", "# No sleep here.\n"),
    Planted(.sleepingTests, in: "Sources/A/A.swift", "usleep(5)\n"),
    Planted(.machinePaths, in: "Sources/A/A.swift", "open(\"/home/me/x\")\n", at: 1),
    Planted(.machinePaths, in: "README.md", "cd /work/baton\nexport PATH=/opt/swift/usr/bin\n", at: 1, 2),
    Planted(.machinePaths, in: "README.md", "clients/work/a and $HOME/work/a, also ~root/\n"),
  ]

  private static let places = [
    Planted(.sqlite, in: "Sources/Service/A.swift", "\nsqlite3_open(path, &db)\n", at: 2),
    Planted(.sqlite, in: "Sources/Service/A.swift", "// sqlite3_open is Registry's.\n"),
    Planted(.sqlite, in: "Sources/Registry/A.swift", "sqlite3_open(path, &db)\n"),
    Planted(.protobufC, in: "clients/swift/Sources/A/A.swift", "protobuf_c_message_unpack()\n", at: 1),
    Planted(.protobufC, in: "Sources/Protobuf/A.swift", "protobuf_c_message_unpack()\n"),
    Planted(.epoll, in: "Sources/Reactor/A.swift", "let fd = epoll_create1(0)\n", at: 1),
    Planted(.epoll, in: "Sources/CLinux/c.c", "int fd = epoll_create1(0);\n"),
    Planted(.pureCore, in: "Sources/Handover/A.swift", "\nimport Foundation\n", at: 2),
    Planted(.pureCore, in: "Sources/Handover/A.swift", "@testable import Linux\n", at: 1),
    Planted(.pureCore, in: "Sources/Handover/A.swift", "// What we import is nothing.\nlet important = 1\n"),
    Planted(.pureCore, in: "Sources/Service/A.swift", "import Handover\n"),
  ]

  private static func blank(_ lines: Int) -> String { String(repeating: "\n", count: lines) }
}
