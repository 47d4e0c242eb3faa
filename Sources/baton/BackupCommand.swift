import BatonClient
import Glibc
import Handover
import Linux
import Options
import Registry

/// The one command that needs no daemon: it reads the database as a process of its own, beside whoever writes to it, and
/// what it makes belongs to who called it. The daemon would write as another user, wherever a client says.
extension BatonCommand {
  static let backupCommands: [Command] = [
    Command(
      name: "backup", usage: "backup FILE [--state-dir DIR] [--json]",
      summary: "Copy the database, whole, while the daemon works on.",
      options: [
        Option(
          "state-dir", .value(placeholder: "DIR"), environment: "BATON_STATE_DIR",
          help: "Directory of the daemon's database.", fallback: "where batond keeps it by default")
      ],
      run: backup)
  ]

  private static func backup(_ context: Context) async throws -> Int32 {
    let destination = try context.one("the file to make")
    let source = try context.options["state-dir"] ?? defaultStateDirectory()
    do throws(StoreFailure) {
      try Backup.copy(from: source + "/baton.db", to: destination)
    } catch {
      switch error {
      case .unavailable(let text), .fatal(let text): complain(text)
      }
      return ExitCode.refused
    }
    say(context.isJSON ? "{\"path\":\(FlatJSON.quoted(destination))}" : "copied to \(destination)")
    return ExitCode.ok
  }

  private static func defaultStateDirectory() throws(Errno) -> String {
    var environment: [String: String] = [:]
    for name in ["XDG_STATE_HOME", "HOME"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    return try DefaultPaths(environment: environment).stateDirectory()
  }
}
