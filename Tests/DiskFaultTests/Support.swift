import BatonAPI
import BatonClient
import Linux
import PowerLoss
import Synchronization

@testable import Reactor

/// A real daemon on a real socket, in this process, whose state lies in `directory`.
final class FaultyDaemon {
  /// How `run` ended.
  private final class End: Sendable {
    let error = Mutex<DaemonError?>(nil)
  }

  let socket: String
  private let stopper: @Sendable () -> Void
  private let thread: WorkerThread
  private let end = End()

  init(in directory: String) throws {
    socket = directory + "/s"
    var configuration = DaemonConfiguration(socketPath: socket, stateDirectory: directory + "/state")
    configuration.service.times.heartbeatIntervalMilliseconds = 100
    configuration.service.times.silentThresholdMilliseconds = 20_000
    configuration.service.times.lostThresholdMilliseconds = 40_000
    let daemon = try Daemon(configuration, logSink: { _ in })
    stopper = daemon.stopper
    nonisolated(unsafe) let handed = daemon
    let end = end
    thread = try WorkerThread(name: "faulty-daemon") {
      do throws(DaemonError) {
        try handed.run()
      } catch {
        end.error.withLock { $0 = error }
      }
    }
  }

  /// Waits until it has ended by itself. The answer is why.
  func waitForEnd() -> DaemonError? {
    thread.join()
    return end.error.withLock { $0 }
  }

  deinit {
    stopper()
    thread.join()
  }
}

/// What the daemon says of its health, from now on.
struct Health {
  private var messages: AsyncThrowingStream<[UInt8], any Error>.AsyncIterator

  init(_ fleet: FleetClient) throws {
    messages = try fleet.stream(.healthWatch, json: "{}").makeAsyncIterator()
  }

  /// The next word of it; nil when it says no more.
  mutating func next() async throws -> String? {
    guard let bytes = try await messages.next() else { return nil }
    return try FleetClient.text(.healthWatch, bytes).contains("NOT_SERVING") ? "NOT_SERVING" : "SERVING"
  }
}

extension Runner.Options {
  static func test(_ socket: String, _ version: UInt32) -> Self {
    var options = Self(name: "w", version: version, slots: 2)
    options.socketPath = socket
    return options
  }
}
