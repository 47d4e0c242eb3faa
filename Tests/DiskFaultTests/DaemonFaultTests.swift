import BatonClient
import Glibc
import PowerLoss
import Testing

@testable import Reactor

/// What a daemon does when its disk does not do as it should.
@Suite(.timeLimit(.minutes(2))) struct DaemonFaultTests {
  private static let config = PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: 60_000))

  /// Changes are refused, everything else goes on, on the same connections; with the disk healed the daemon finds that out
  /// by itself, without a change that somebody must try.
  @Test(arguments: [Disk.Fault.full, .writeError]) func refusingDisk(fault: Disk.Fault) async throws {
    let disk = Disk()
    let daemon = try FaultyDaemon(in: disk.directory)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let old = try await Runner.start(.test(daemon.socket, 1))
    var health = try Health(fleet)
    #expect(try await health.next() == "SERVING")

    disk.fail(fault)
    let refused = await #expect(throws: BatonError.self) { try await fleet.putConfig(Self.config, name: "w") }
    #expect(refused?.code == .unavailable)
    #expect(refused?.isConnectionFailure == false)
    #expect(refused?.message.contains("the store takes no changes now") == true)
    #expect(try await health.next() == "NOT_SERVING")
    #expect(try await fleet.isServing() == false)
    // Reads go on, and nothing of the change is there.
    #expect(try await fleet.runners().map(\.id) == [old.id])
    #expect(try await fleet.config(name: "w") != Self.config)
    let status = try await fleet.status()
    #expect(status.storeError?.isEmpty == false)

    disk.heal()
    #expect(try await health.next() == "SERVING")
    #expect(try await fleet.status().storeError == nil)
    try await fleet.putConfig(Self.config, name: "w")
    let new = try await Runner.start(.test(daemon.socket, 2))
    var stops = old.stops.makeAsyncIterator()
    #expect(await stops.next()?.targetVersion == 2)
    #expect(await old.finish() == .finished)
    #expect(await new.finish() == .finished)
    // It was attached all the time.
    var events = old.events.makeAsyncIterator()
    guard case .attached(old.id, isResumed: false, _)? = await events.next() else {
      Issue.record("the runner was not attached first")
      return
    }
    while let event = await events.next() { #expect(event != .cutOff) }
  }

  /// A runner that comes while the disk is full is told so, tries again, and is in once there is room.
  @Test func runnerThatComesWhileTheDiskIsFull() async throws {
    let disk = Disk()
    let daemon = try FaultyDaemon(in: disk.directory)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var health = try Health(fleet)
    #expect(try await health.next() == "SERVING")
    disk.fail(.full)
    let socket = daemon.socket
    var options = Runner.Options.test(socket, 1)
    options.connectTimeoutMilliseconds = 60_000
    async let runner = Runner.start(options)
    #expect(try await health.next() == "NOT_SERVING")
    disk.heal()
    let id = try await runner.id
    #expect(try await fleet.runners().map(\.id) == [id])
    #expect(await (try runner).finish() == .finished)
  }

  /// After a failed sync nobody knows what is on the disk: nothing of that transaction is acknowledged, and the daemon ends.
  @Test func failedSyncEndsTheDaemon() async throws {
    let disk = Disk()
    do {
      let daemon = try FaultyDaemon(in: disk.directory)
      let fleet = try await FleetClient.connect(path: daemon.socket)
      try await fleet.createNamespace("kept")
      disk.fail(.syncError, times: 1)
      let refused = await #expect(throws: BatonError.self) { try await fleet.createNamespace("other") }
      #expect(refused?.code == .unavailable)
      #expect(daemon.waitForEnd()?.description.contains("the disk did not take what was written") == true)
    }
    let daemon = try FaultyDaemon(in: disk.directory)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    #expect(try await fleet.namespaces().contains("kept"))
    #expect(try await fleet.isServing())
  }

  /// Whatever is written from then on would be lost with the last descriptor: an idle daemon notices too.
  @Test(arguments: ["", "-wal"]) func removedDatabaseEndsTheDaemon(suffix: String) throws {
    let disk = Disk()
    let daemon = try FaultyDaemon(in: disk.directory)
    let file = disk.directory + "/state/baton.db" + suffix
    #expect(unlink(file) == 0)
    #expect(daemon.waitForEnd()?.description.contains("\(file) was removed or replaced") == true)
  }
}
