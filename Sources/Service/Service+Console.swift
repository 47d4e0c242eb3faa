import BatonAPI
import Handover
import Protobuf
import Ttrpc

/// The line console for people with socat: one call a line, answered by the same handlers.
extension Service {
  /// Lines that may wait while a call is under way.
  private static let pendingLimitBytes = 256 << 10

  func receiveLines(_ connection: Connection, _ bytes: UnsafeRawBufferPointer, _ now: Moment) {
    connection.console.append(bytes)
    runConsole(connection, now)
    if !connection.isDropped, connection.console.pendingBytes > Self.pendingLimitBytes {
      printError(
        connection,
        Status(.resourceExhausted, "more than \(Self.pendingLimitBytes) bytes wait; read the answers first"),
        now)
      close(connection)
    }
  }

  /// Runs the lines that have come, one after the other: the next begins when the last is answered.
  func runConsole(_ connection: Connection, _ now: Moment) {
    // An answer given at once leads back here; the loop below already goes on.
    guard !connection.isConsoleRunning else { return }
    connection.isConsoleRunning = true
    defer { connection.isConsoleRunning = false }
    while connection.calls.isEmpty, !connection.isClosing, !connection.isDropped {
      switch connection.console.next() {
      case .needMore:
        closeIfDone(connection)
        return
      case .refuse(let why):
        printError(connection, Status(.invalidArgument, why), now)
        close(connection)
        return
      case .line(let line):
        run(line, connection, now)
      }
    }
  }

  private func run(_ line: String, _ connection: Connection, _ now: Moment) {
    let words = line.split(separator: " ", maxSplits: 1)
    guard let first = words.first else { return }
    connection.hasCalled = true
    let rest = words.count > 1 ? String(words[1]) : ""
    switch first {
    case "help": return print(connection, Self.help + "OK\n", now)
    case "quit", "exit":
      print(connection, "OK\n", now)
      return close(connection)
    default: break
    }
    guard let method = Method.find(typed: String(first)) else {
      return printError(
        connection, Status(.unimplemented, "no method \(Self.shown(first)); say help"), now)
    }
    guard method.description.shape != .bidirectional else {
      return printError(
        connection,
        Status(.unimplemented, "\(method.description.name) is a conversation: it needs a ttrpc client"), now)
    }
    do throws(JSONError) {
      let request = try JSONDecode.bytes(rest, as: method.description.request, in: requestArena)
      let stream = connection.nextConsoleStream
      connection.nextConsoleStream &+= 1
      request.withUnsafeBytes { begin(method, connection, stream, $0, nil, now) }
    } catch {
      printError(connection, Status(.invalidArgument, error.description), now)
    }
  }

  func print(_ connection: Connection, _ text: String, _ now: Moment) {
    guard !connection.isDropped else { return }
    switch connection.output.append(text: Array(text.utf8), now: now.nanoseconds) {
    case .queued: host.outputReady(connection.id)
    case .streamFull, .connectionFull: dropUnread(connection, now)
    }
  }

  /// One line, whatever the text holds.
  func printError(_ connection: Connection, _ status: Status, _ now: Moment) {
    print(connection, "ERR \(status.code.name) \(Self.shown(status.message))\n", now)
  }

  /// Text as one line that a terminal shows and does not obey.
  private static func shown(_ text: some StringProtocol) -> String {
    var line = ""
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
      line += isControl ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
    return line
  }

  private static let help: String = {
    var text = "One call a line: METHOD {\"field\": value, ...}; the answer is JSON, then OK or ERR.\n"
    for method in Method.allCases where method.description.shape != .bidirectional {
      text += "  \(method.description.fullName)\(method.description.shape == .unary ? "" : " (stream)")\n"
    }
    text += "A bare name will do: ListRunners {\"namespace\":\"default\"}. Also: help, quit.\n"
    return text
  }()
}
