import BatonClient
import Glibc
import Linux
import Options

/// What `baton` was asked, in one place for every command.
struct Context: Sendable {
  var options: ParsedOptions
  var arguments: [String]

  var isJSON: Bool { options.isOn("json") }
  var namespace: String? { options["namespace"] }
  /// Tables are cut to the terminal; what goes to a file or a pipe is whole.
  var width: Int? { Terminal.columns(of: 1) }

  func connect() async throws -> FleetClient { try await FleetClient.connect(path: options["socket"]) }

  /// The only argument of a command that takes one.
  func one(_ what: String) throws -> String {
    guard arguments.count == 1 else {
      throw UsageError("this takes one argument: \(what)")
    }
    return arguments[0]
  }

  func none() throws {
    guard arguments.isEmpty else { throw UsageError("unexpected argument \(arguments[0])") }
  }
}

/// Exit codes of every command but `run`, which RUN.md describes.
enum ExitCode {
  static let ok: Int32 = 0
  /// The daemon answered with an error.
  static let refused: Int32 = 1
  static let usage: Int32 = 2
  /// No daemon, or the connection to it broke.
  static let noDaemon: Int32 = 3
  /// `--wait` saw a drain end otherwise than completed, or `--until-done` an upgrade that was abandoned.
  static let notCompleted: Int32 = 4
}

struct Command: Sendable {
  let name: String
  let usage: String
  let summary: String
  let options: [Option]
  /// Everything after the first word that is no option belongs to somebody else.
  var stopsAtPositional = false
  let run: @Sendable (Context) async throws -> Int32
}

enum BatonCommand {
  static let common: [Option] = [
    Option(
      "socket", .value(placeholder: "PATH"), environment: "BATON_SOCKET", help: "The daemon's socket.",
      fallback: "where batond listens by default"),
    Option("json", .flag, help: "Print JSON, one object a line."),
    Option("help", short: "h", .flag, help: "Print this text."),
  ]
  static let namespace = Option(
    "namespace", short: "n", .value(placeholder: "NAME"), environment: "BATON_NAMESPACE",
    help: "Only this namespace.",
    fallback: "default where one thing is named, else all")

  static let commands: [Command] =
    statusCommands + runnerCommands + actorCommands + configCommands + drainCommands + planCommands
    + targetCommands + explainCommands + backupCommands + rawCommands
    + [RunCommand.command]

  static func main(_ arguments: [String]) async -> Int32 {
    guard let name = arguments.first, name != "help", name != "--help", name != "-h" else {
      print(help, terminator: "")
      return arguments.isEmpty ? ExitCode.usage : ExitCode.ok
    }
    if name == "--version" {
      print("baton \(Version.text)")
      return ExitCode.ok
    }
    guard let command = commands.first(where: { $0.name == name }) else {
      let near = commands.map(\.name).min {
        ParsedOptions.distance($0, name) < ParsedOptions.distance($1, name)
      }
      complain("no command \(Table.printable(name)); did you mean \(near ?? "help")? baton help lists them")
      return ExitCode.usage
    }
    do {
      let parsed = try ParsedOptions(
        arguments.dropFirst(), options: command.options + common, environment: environment(command),
        stopAtPositional: command.stopsAtPositional)
      if parsed.isOn("help") {
        print(
          "usage: baton \(command.usage)\n\n\(command.summary)\n\n\(Help.options(command.options + common))",
          terminator: "")
        return ExitCode.ok
      }
      return try await command.run(
        Context(options: parsed, arguments: parsed.positional + (parsed.rest ?? [])))
    } catch let error as UsageError {
      complain("\(error)\nusage: baton \(command.usage)")
      return ExitCode.usage
    } catch let error as BatonError {
      complain(error.isConnectionFailure ? error.message : error.description)
      return error.isConnectionFailure ? ExitCode.noDaemon : ExitCode.refused
    } catch {
      complain("\(error)")
      return ExitCode.refused
    }
  }

  static func complain(_ text: String) { writeAll(2, "baton: \(Table.printable(text).unescapedNewlines)\n") }

  /// Prints a line now, whoever reads it: what watches must not wait in a buffer.
  static func say(_ text: String) { writeAll(1, text + "\n") }

  private static func writeAll(_ fd: Int32, _ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR {
        // Nobody reads any more, as after `| head`.
        exit(ExitCode.ok)
      }
    }
  }

  private static func environment(_ command: Command) -> [String: String] {
    var variables: [String: String] = [:]
    for option in command.options + common {
      if let name = option.environment, let value = getenv(name) { variables[name] = String(cString: value) }
    }
    return variables
  }

  private static var help: String {
    let width = commands.map(\.name.count).max() ?? 0
    let lines = commands.map { command in
      "  \(command.name)\(String(repeating: " ", count: width - command.name.count))  \(command.summary)"
    }
    return """
      baton: asks batond what runs here, and tells it what should.

      usage: baton COMMAND [OPTION ...]

      \(lines.joined(separator: "\n"))

      Every command takes --socket PATH, --json and --help.
      Exit codes: 0 done, 1 refused by the daemon, 2 wrong command line, 3 no daemon, 4 a drain did not complete or
      an upgrade was abandoned.

      """
  }
}

extension String {
  /// `Table.printable` shows line ends; a complaint may have them.
  fileprivate var unescapedNewlines: String {
    var result = ""
    var rest = self[...]
    while let range = rest.firstRange(of: "\\n") {
      result += rest[..<range.lowerBound] + "\n"
      rest = rest[range.upperBound...]
    }
    return result + rest
  }
}
