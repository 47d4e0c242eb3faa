import Glibc
import Handover
import Linux
import Options
import Reactor
import Service

/// The program: arguments to a configuration, a configuration to a daemon, a daemon to an exit code.
enum BatonDaemon {
  /// 0 after SIGTERM or SIGINT; 1 when it could not start or its store failed; 2 for a wrong command line.
  static func main(_ arguments: [String]) -> Int32 {
    let environment = environmentVariables()
    let configuration: DaemonConfiguration
    do {
      let parsed = try ParsedOptions(arguments, options: Settings.options, environment: environment)
      if parsed.isOn("help") {
        print(Settings.help, terminator: "")
        return 0
      }
      if parsed.isOn("version") {
        print("batond \(ServiceSettings().daemonVersion)")
        return 0
      }
      configuration = try Settings.configuration(parsed, environment)
    } catch {
      complain("\(error)\nTry batond --help.")
      return 2
    }
    do {
      // Before any thread: each inherits the signals that are blocked.
      let signals = try SignalSource([SIGTERM, SIGINT, SIGHUP])
      let daemon = try Daemon(configuration, signals: signals)
      try daemon.run()
      return 0
    } catch {
      complain("\(error)")
      return 1
    }
  }

  private static func complain(_ text: String) {
    LogWriter.standardError("batond: \(text)\n")
  }

  private static func environmentVariables() -> [String: String] {
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
