import BatonClient
import Glibc
import Linux
import Options
import Synchronization

/// `baton run`: makes any program a runner. RUN.md beside this file is its description.
enum RunCommand {
  static let name = "run"

  enum Exit {
    static let noDaemon: Int32 = 69
    static let refused: Int32 = 78
    static let drained: Int32 = 85
    static let killed: Int32 = 86
    static let givenUp: Int32 = 87
    static let notFound: Int32 = 127
    static let notExecutable: Int32 = 126
  }

  static let options: [Option] = [
    Option("name", .value(placeholder: "N"), environment: "BATON_NAME", help: "The runner name: its pool."),
    Option(
      "version", .value(placeholder: "V"), environment: "BATON_VERSION",
      help: "What it runs, 1 to 4294967294."),
    Option(
      "slots", .value(placeholder: "S"), environment: "BATON_SLOTS", help: "Work it holds at once.",
      fallback: "1"),
    Option("key", .value(placeholder: "K"), environment: "BATON_KEY", help: "A stable place in the pool."),
    Option(
      "namespace", short: "n", .value(placeholder: "NS"), environment: "BATON_NAMESPACE",
      help: "Its namespace.",
      fallback: "default"),
    Option(
      "connect-timeout", .value(placeholder: "TIME"), environment: "BATON_CONNECT_TIMEOUT",
      help: "How long to wait for a daemon at the start.", fallback: "5s"),
    Option(
      "socket", .value(placeholder: "PATH"), environment: "BATON_SOCKET", help: "The daemon's socket.",
      fallback: "where batond listens by default"),
    Option(
      "per-actor", .flag, help: "One program for each actor that the daemon gives to this runner; see RUN.md."
    ),
    Option("quiet", short: "q", .flag, help: "Say nothing but errors."),
    Option("help", short: "h", .flag, help: "Print this text."),
  ]

  /// For the list of commands; `main` is what runs.
  static let command = Command(
    name: name,
    usage: "run --name N --version V [--slots S] [--key K] [--per-actor] -- COMMAND [ARGUMENT ...]",
    summary: "Make any program a runner: SIGTERM at its Stop, SIGKILL before the deadline.", options: options,
    stopsAtPositional: true, run: { _ in main(Array(CommandLine.arguments.dropFirst(2))) })

  static func main(_ arguments: [String]) -> Int32 {
    do {
      let environment = currentEnvironment()
      let parsed = try ParsedOptions(
        arguments, options: options, environment: environment, stopAtPositional: true)
      if parsed.isOn("help") {
        print(
          "usage: baton \(command.usage)\n\n\(command.summary)\n\n\(Help.options(options))", terminator: "")
        return ExitCode.ok
      }
      let program = parsed.rest ?? parsed.positional
      guard !program.isEmpty else { throw UsageError("nothing to run: baton \(command.usage)") }
      let runner = try runnerOptions(parsed)
      if parsed.isOn("per-actor") {
        return try ActorSupervisor(runner, program, environment, isQuiet: parsed.isOn("quiet")).run()
      }
      return try RunSupervisor(runner, program, environment, isQuiet: parsed.isOn("quiet")).run()
    } catch let error as UsageError {
      BatonCommand.complain("run: \(error)")
      return ExitCode.usage
    } catch {
      BatonCommand.complain("run: \(error)")
      return ExitCode.refused
    }
  }

  /// Says why it was not let in; the exit code.
  static func refused(_ error: BatonError) -> Int32 {
    BatonCommand.complain("run: \(error.isConnectionFailure ? error.message : error.description)")
    return error.isConnectionFailure ? Exit.noDaemon : Exit.refused
  }

  /// When SIGKILL comes, on the clock of `Clock.boottimeNanoseconds`: a tenth before the time is over, at most two seconds.
  static func killTime(within milliseconds: Int64) -> Int64 {
    let share = max(0, milliseconds - min(2000, milliseconds / 10))
    return Int64(Clock.boottimeNanoseconds()) + share * 1_000_000
  }

  private static func runnerOptions(_ parsed: ParsedOptions) throws -> Runner.Options {
    guard let name = parsed["name"] else { throw UsageError("--name is missing") }
    guard let version = try parsed.integer("version", in: 1...UInt32.max - 1) else {
      throw UsageError("--version is missing; BATON_VERSION will do too")
    }
    var options = Runner.Options(name: name, version: version)
    options.slots = try parsed.integer("slots", in: 1...UInt32(1_000_000)) ?? 1
    options.key = parsed["key"]
    options.namespace = parsed["namespace"] ?? "default"
    options.socketPath = parsed["socket"]
    options.connectTimeoutMilliseconds =
      try parsed.milliseconds("connect-timeout", in: 0...86_400_000) ?? 5000
    // The program has its death signal from this process, so with it all work ends.
    options.endsWithProcess = true
    return options
  }

  private static func currentEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
      entry += 1
    }
    return variables
  }
}
