import Glibc

/// Where the socket and the state are when nobody says otherwise; the same for the service, the CLI and the clients.
///
/// | | socket | state |
/// |---|---|---|
/// | set | `BATON_SOCKET` | `BATON_STATE_DIR` |
/// | root | `/run/baton/baton.sock` | `/var/lib/baton` |
/// | a user | `$XDG_RUNTIME_DIR/baton/baton.sock` | `$XDG_STATE_HOME/baton` |
/// | else | `/run/user/UID/baton/baton.sock` where `/run/user/UID` exists | |
/// | else | `$HOME/.local/state/baton/baton.sock` | `$HOME/.local/state/baton` |
///
/// An empty variable counts as unset, and so does an XDG one that is not absolute.
package struct DefaultPaths: Sendable {
  private let environment: [String: String]
  private let userID: uid_t
  private let exists: @Sendable (String) -> Bool

  /// The rules for a user with an environment; `exists` says whether there is a directory.
  package init(
    environment: [String: String], userID: uid_t = geteuid(),
    exists: @escaping @Sendable (String) -> Bool = { access($0, F_OK) == 0 }
  ) {
    self.environment = environment
    self.userID = userID
    self.exists = exists
  }

  /// The socket's path. ENOENT: nothing says where, and the text tells what to set.
  package func socket() throws(Errno) -> String {
    if let path = variable("BATON_SOCKET") { return path }
    if userID == 0 { return "/run/baton/baton.sock" }
    if let runtime = absolute("XDG_RUNTIME_DIR") { return runtime + "/baton/baton.sock" }
    let runtime = "/run/user/\(userID)"
    if exists(runtime) { return runtime + "/baton/baton.sock" }
    return try home(orSet: "BATON_SOCKET") + "/.local/state/baton/baton.sock"
  }

  /// The state directory's path. ENOENT: nothing says where, and the text tells what to set.
  package func stateDirectory() throws(Errno) -> String {
    if let path = variable("BATON_STATE_DIR") { return path }
    if userID == 0 { return "/var/lib/baton" }
    if let state = absolute("XDG_STATE_HOME") { return state + "/baton" }
    return try home(orSet: "BATON_STATE_DIR") + "/.local/state/baton"
  }

  private func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

  private func absolute(_ name: String) -> String? { variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil } }

  private func home(orSet name: String) throws(Errno) -> String {
    guard let home = absolute("HOME") else {
      throw Errno(
        code: ENOENT, operation: "default path", explanation: "HOME is not set; set it, or \(name)")
    }
    return home
  }
}
