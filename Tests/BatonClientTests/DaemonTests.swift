import BatonClient
import Foundation
import Linux
import Testing

@testable import Reactor

/// A real daemon on a real socket and file, in this process; gone with its state when the test ends.
final class TestDaemon {
  let directory: String
  private var stopper: (@Sendable () -> Void)?
  private var thread: WorkerThread?
  var socket: String { directory + "/s" }

  /// A test of many runners on a busy machine needs more than the few seconds that others wait for a loss.
  private let lostThresholdMilliseconds: Int64

  init(lostThresholdMilliseconds: Int64 = 3000) throws {
    self.lostThresholdMilliseconds = lostThresholdMilliseconds
    directory = NSTemporaryDirectory() + "baton-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try start()
  }

  func start() throws {
    var configuration = DaemonConfiguration(socketPath: socket, stateDirectory: directory + "/state")
    configuration.service.times.heartbeatIntervalMilliseconds = 200
    configuration.service.times.silentThresholdMilliseconds = lostThresholdMilliseconds / 2
    configuration.service.times.lostThresholdMilliseconds = lostThresholdMilliseconds
    let daemon = try Daemon(configuration, logSink: { _ in })
    stopper = daemon.stopper
    nonisolated(unsafe) let handed = daemon
    thread = try WorkerThread(name: "test-daemon") { try? handed.run() }
  }

  func stop() {
    stopper?()
    thread?.join()
    thread = nil
  }

  deinit {
    stop()
    try? FileManager.default.removeItem(atPath: directory)
  }
}

extension Runner.Options {
  static func test(_ daemon: TestDaemon, _ version: UInt32, key: String? = nil) -> Self {
    var options = Self(name: "w", version: version, slots: 2)
    options.socketPath = daemon.socket
    options.key = key
    return options
  }
}

@Suite(.timeLimit(.minutes(2))) struct DaemonTests {
  @Test func anUpgradeRelievesTheOlderRunner() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: nil)), name: "w")
    let old = try await Runner.start(.test(daemon, 1))
    let new = try await Runner.start(.test(daemon, 2))
    var stops = old.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(stop.cause == "version_upgrade")
    #expect(stop.targetVersion == 2)
    #expect(await old.finish(exitCode: 0) == .finished)
    let order = try await fleet.drain(order: stop.order)
    #expect(order.state == "completed")
    #expect(order.runner == old.id)
    #expect(try await fleet.runner(new.id).phase == "ready")
    #expect(await new.finish() == .finished)
  }

  @Test func drainDisabledLeavesTheOlderRunnerAlone() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let old = try await Runner.start(.test(daemon, 1))
    let new = try await Runner.start(.test(daemon, 2))
    #expect(try await fleet.runner(old.id).phase == "ready")
    #expect(try await fleet.drains(includeEnded: true) == [])
    _ = await (old.finish(), new.finish())
  }

  @Test func aRunnerResumesAfterTheDaemonRestarts() async throws {
    let daemon = try TestDaemon()
    let runner = try await Runner.start(.test(daemon, 1))
    var events = runner.events.makeAsyncIterator()
    guard case .attached(runner.id, isResumed: false, _)? = await events.next() else {
      Issue.record("the runner was not attached first")
      return
    }
    daemon.stop()
    #expect(await events.next() == .cutOff)
    try daemon.start()
    guard case .attached(let id, let isResumed, _)? = await events.next() else {
      Issue.record("the runner did not come back")
      return
    }
    #expect(id == runner.id)
    #expect(isResumed)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    #expect(try await fleet.runners().map(\.id) == [runner.id])
    #expect(await runner.finish() == .finished)
  }

  @Test func aKeyIsHeldByOneAndTheRefusalNamesTheHolder() async throws {
    let daemon = try TestDaemon()
    let holder = try await Runner.start(.test(daemon, 2, key: "host-a/0"))
    let same = await #expect(throws: BatonError.self) {
      try await Runner.start(.test(daemon, 2, key: "host-a/0"))
    }
    #expect(same?.code == .alreadyExists)
    #expect(same?.message.contains("runner \(holder.id)") == true)
    let lower = await #expect(throws: BatonError.self) {
      try await Runner.start(.test(daemon, 1, key: "host-a/0"))
    }
    #expect(lower?.code == .failedPrecondition)
    let newer = try await Runner.start(.test(daemon, 3, key: "host-a/0"))
    var stops = holder.stops.makeAsyncIterator()
    #expect(await stops.next()?.cause == "superseded")
    _ = await (holder.finish(), newer.finish())
  }

  @Test(arguments: [UInt32(0), .max]) func aVersionOutOfBoundsNamesTheField(version: UInt32) async throws {
    let daemon = try TestDaemon()
    let error = await #expect(throws: BatonError.self) { try await Runner.start(.test(daemon, version)) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message == "register.version must be 1 to 4294967294, is \(version)")
  }

  @Test func aSecondDaemonOnTheSameStateIsToldWhoHoldsIt() throws {
    let daemon = try TestDaemon()
    let other = DaemonConfiguration(
      socketPath: daemon.directory + "/t", stateDirectory: daemon.directory + "/state")
    let error = #expect(throws: DaemonError.self) { try Daemon(other, logSink: { _ in }) }
    #expect(error?.description.contains("(pid \(getpid()))") == true)
  }

  @Test func nobodyThereSaysWhatToStart() async {
    let error = await #expect(throws: BatonError.self) {
      try await FleetClient.connect(path: "/nonexistent/s")
    }
    #expect(error?.isConnectionFailure == true)
    #expect(error?.message.contains("start batond --socket /nonexistent/s") == true)
  }

  @Test func hundredsOfOldRunnersAllGetTheirStop() async throws {
    let daemon = try TestDaemon(lostThresholdMilliseconds: 120_000)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: nil)), name: "w")
    var old: [Runner] = []
    for _ in 0..<200 { old.append(try await Runner.start(.test(daemon, 1))) }
    let new = try await Runner.start(.test(daemon, 2))
    for runner in old {
      var stops = runner.stops.makeAsyncIterator()
      #expect(await stops.next()?.targetVersion == 2)
      #expect(await runner.finish() == .finished)
    }
    let drains = try await fleet.drains(includeEnded: true)
    #expect(drains.count == 200)
    #expect(drains.allSatisfy { $0.state == "completed" })
    _ = await new.finish()
  }
}
