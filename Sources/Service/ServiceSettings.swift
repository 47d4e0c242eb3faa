import Handover

/// What the service keeps to: times, limits, and who it is.
package struct ServiceSettings: Sendable {
  package var times = FleetTimes()
  package var history = HistoryLimits()

  /// After a connection's first byte its first call is due within this, and each frame once it has begun.
  package var firstCallMilliseconds: Int64 = 5000
  /// How long a connection may take none of the bytes that wait for it before it is closed.
  package var writeStallMilliseconds: Int64 = 10_000
  /// Calls that may be open on one connection.
  package var maxStreams = 128
  /// Bytes that may wait for the reader of one call, and of one connection.
  package var maxStreamQueueBytes = 1 << 20
  package var maxConnectionQueueBytes = 8 << 20
  /// Room in a connection's queue that only Stop, Close and final statuses may use.
  package var reservedQueueBytes = 64 << 10
  /// A console line, without its end.
  package var maxConsoleLineBytes = 64 << 10
  /// Heartbeats that one runner may send a second, and at once.
  package var heartbeatsPerSecond = 100
  package var heartbeatBurst = 200
  /// Changes and reads that clients may have under way in all; more are told RESOURCE_EXHAUSTED.
  package var maxPendingMutations = 65_536
  package var maxPendingQueries = 4096
  /// Events read for a watcher at a time.
  package var watchPageEvents = 256

  /// A write-ahead log beyond this is said once: some reader has held it back for long, and it takes room.
  package var logAlarmBytes: Int64 = 192 << 20

  package var daemonVersion = "0.1.0"
  package var pid: Int32 = 0
  package var daemonUID: UInt32 = 0
  package var socketPath = ""
  package var stateDirectory = ""

  package init() {}
}
