import Handover
import Service

/// Everything that one daemon is told when it starts.
package struct DaemonConfiguration: Sendable {
  package var service = ServiceSettings()
  package var socketPath: String
  package var stateDirectory: String
  /// Mode of the socket once it listens; 0600 until then.
  package var socketMode: UInt32 = 0o600
  /// Group that the socket's file is given, when others of that group may connect.
  package var socketGroup: UInt32?
  /// Users and groups that are served beside the daemon's own user and root.
  package var allowedUIDs: Set<UInt32> = []
  package var allowedGIDs: Set<UInt32> = []
  /// Connections in all, and of one user. Beyond the first, the daemon's own user and root still get in, up to
  /// `reservedConnections` more.
  package var maxConnections = 20_000
  package var maxConnectionsPerUID = 16_384
  package var reservedConnections = 64
  package var logLevel = LogRecord.Level.info
  package var logFormat = LogRecord.Format.logfmt

  package init(socketPath: String, stateDirectory: String) {
    self.socketPath = socketPath
    self.stateDirectory = stateDirectory
    service.socketPath = socketPath
    service.stateDirectory = stateDirectory
  }

  package var databasePath: String { stateDirectory + "/baton.db" }
}
