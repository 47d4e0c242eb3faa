import Testing

@testable import Service

/// What a person types into socat, and what they see.
@Suite struct ConsoleTests {
  struct Line: Sendable, CustomTestStringConvertible {
    var typed: String
    var says: String
    var ends = false
    var testDescription: String { String(typed.prefix(40)) }
  }

  private static let created =
    #"{"namespace":{"name":"a","createdAtMs":"1790000000000"},"revision":"1"}"# + "\nOK\n"

  static let lines: [Line] = [
    Line(typed: "CreateNamespace {\"name\":\"a\"}\n", says: created),
    Line(
      typed: "baton.v1.ConnectionService/Ping {\"payload\":\"AQI=\"}\n", says: "{\"payload\":\"AQI=\"}\nOK\n"),
    Line(typed: "ping\r\n", says: "{\"payload\":\"\"}\nOK\n"),
    Line(typed: "PING {}\n", says: "{\"payload\":\"\"}\nOK\n"),
    Line(typed: "\n\n \n", says: ""),
    Line(typed: "nonsense\n", says: "ERR UNIMPLEMENTED no method nonsense; say help\n"),
    Line(
      typed: "attach {}\n", says: "ERR UNIMPLEMENTED Attach is a conversation: it needs a ttrpc client\n"),
    Line(typed: "ping {\n", says: "ERR INVALID_ARGUMENT "),
    Line(typed: "ping {\"payloud\":1}\n", says: "ERR INVALID_ARGUMENT payloud"),
    Line(typed: "ping {} {}\n", says: "ERR INVALID_ARGUMENT "),
    Line(typed: "getRunner {\"runnerId\":\"9\"}\n", says: "ERR NOT_FOUND runner 9 does not exist"),
    Line(typed: "a\u{1B}[2J\n", says: "ERR UNIMPLEMENTED no method a\\u{1b}[2J; say help\n"),
    Line(typed: "quit\n", says: "OK\n", ends: true),
    Line(typed: "exit\nping\n", says: "OK\n", ends: true),
    Line(
      typed: "GET / HTTP/1.1\n",
      says: "ERR INVALID_ARGUMENT this is Baton's socket, not an HTTP server; say help\n", ends: true),
    Line(
      typed: "Ping {}\nHost: localhost\n",
      says:
        "{\"payload\":\"\"}\nOK\nERR INVALID_ARGUMENT this is Baton's socket, not an HTTP server; say help\n",
      ends: true),
    Line(
      typed: String(repeating: "x", count: 65_537),
      says: "ERR INVALID_ARGUMENT a line is at most 65536 bytes\n", ends: true),
  ]

  @Test(arguments: lines, [Int.max, 1])
  func line(_ line: Line, _ pieceBytes: Int) throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    try harness.send(peer, Array(line.typed.utf8), pieceBytes: pieceBytes)
    let said = peer.text()
    let isAsExpected =
      line.says.hasSuffix("\n") || line.says.isEmpty ? said == line.says : said.hasPrefix(line.says)
    #expect(isAsExpected, "\(said)")
    #expect(peer.isOpen == !line.ends)
    #expect(said.isEmpty || said.hasSuffix("\n"))
    if peer.isOpen {
      try harness.send(peer, Array("ping\n".utf8))
      #expect(peer.text() == "{\"payload\":\"\"}\nOK\n")
    }
  }

  @Test func bytesThatAreNoTextEndIt() throws {
    for bytes: [UInt8] in [[0x41, 0, 0x0A], [0x41, 0xFF, 0x0A]] {
      let harness = try ServiceHarness()
      let peer = harness.connect()
      try harness.send(peer, bytes)
      #expect(peer.text() == "ERR INVALID_ARGUMENT a line is UTF-8 without NUL\n")
      #expect(!peer.isOpen)
    }
  }

  @Test func helpNamesEveryMethodThatAConsoleCanCall() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    try harness.send(peer, Array("help\n".utf8))
    let text = peer.text()
    for name in [
      "FleetService/ListRunners", "FleetService/Watch (stream)", "grpc.health.v1.Health/Check", "quit",
    ] {
      #expect(text.contains(name))
    }
    #expect(!text.contains("Attach") && text.hasSuffix("OK\n"))
  }

  /// `echo ListRunners | socat - UNIX:baton.sock`: the input ends before the answer is there.
  @Test func theLastLineNeedsNoLineFeedWhenTheInputEnds() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    try harness.send(peer, Array("createNamespace {\"name\":\"a\"}\nping".utf8))
    try harness.endInput(peer)
    #expect(peer.text() == "\(Self.created){\"payload\":\"\"}\nOK\n")
    #expect(!peer.isOpen)
  }

  /// The next line begins when the last is answered: the answers are in the order of the questions.
  @Test func aLineWaitsForTheOneBeforeIt() throws {
    let harness = try ServiceHarness()
    harness.holdsCommits = true
    let peer = harness.connect()
    try harness.send(peer, Array("createNamespace {\"name\":\"a\"}\nping\n".utf8))
    #expect(peer.text() == "")
    harness.holdsCommits = false
    try harness.settle()
    #expect(peer.text() == "\(Self.created){\"payload\":\"\"}\nOK\n")
  }

  @Test func aWatchGoesOnLineByLine() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    try harness.send(peer, Array("watch\n".utf8))
    let (runner, _) = try harness.runner()
    #expect(try harness.heard(runner).count == 1)
    let lines = peer.text().split(separator: "\n")
    #expect(lines.contains { $0.contains("RUNNER_REGISTERED") })
    #expect(!lines.contains("OK"))
  }

  /// Somebody who pipes a file of calls in and reads nothing.
  @Test func linesThatWaitAreBounded() throws {
    let harness = try ServiceHarness()
    harness.holdsCommits = true
    let peer = harness.connect()
    try harness.send(peer, Array("createNamespace {\"name\":\"a\"}\n".utf8))
    let many = Array(String(repeating: "ping\n", count: 1000).utf8)
    for _ in 0..<60 where peer.isOpen { try harness.send(peer, many) }
    #expect(peer.text().hasPrefix("ERR RESOURCE_EXHAUSTED more than 262144 bytes wait"))
    #expect(!peer.isOpen)
  }
}
