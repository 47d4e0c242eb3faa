import BatonAPI
import BatonClient
import Glibc
import Linux
import Testing

/// Every typed call against a real daemon.
@Suite(.timeLimit(.minutes(2))) struct FleetTests {
  @Test func theDaemonIntroducesItself() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let hello = try await fleet.hello("FleetTests")
    let status = try await fleet.status()
    #expect(hello.protocolVersion == 1)
    #expect(hello.fleet == status.fleet)
    #expect(hello.daemonVersion == status.daemonVersion)
    #expect(hello.maxStreams > 0 && hello.maxFrameBytes > 0 && hello.maxStreamQueueBytes > 0)
    #expect(status.socketPath == daemon.socket)
    #expect(status.storeError == nil)
    #expect(status.heartbeatIntervalMilliseconds == 200)
    #expect(status.lostThresholdMilliseconds == 3000)
    #expect(try await fleet.isServing())
    #expect(try await fleet.ping() > 0)
    #expect(try await fleet.metrics().contains("# TYPE "))
  }

  @Test func everyMethodIsOneThatTheClientKnows() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let known = BatonAPI.Method.allCases.map(\.description.fullName)
    #expect(try await Set(fleet.methods()) == Set(known))
  }

  @Test func namespacesAndConfigsComeBackAsTheyWereStored() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    try await fleet.createNamespace("team")
    let twice = await #expect(throws: BatonError.self) { try await fleet.createNamespace("team") }
    #expect(twice?.code == .alreadyExists)
    #expect(try await fleet.namespaces() == ["default", "team"])

    let normal = PoolConfig(
      .normal(drainOnVersionUpgrade: true, graceMilliseconds: 60_000), metadata: ["owner": "me"])
    try await fleet.putConfig(normal, name: "a", namespace: "team")
    try await fleet.putConfig(PoolConfig(.serverless), name: "b")
    #expect(try await fleet.config(name: "a", namespace: "team") == normal)
    let all = try await fleet.configs()
    #expect(all.map { "\($0.namespace)/\($0.name)" } == ["default/b", "team/a"])
    #expect(all.map(\.config) == [PoolConfig(.serverless), normal])
    #expect(try await fleet.configs(namespace: "team").map(\.name) == ["a"])
    try await fleet.deleteConfig(name: "b")
    let gone = await #expect(throws: BatonError.self) { try await fleet.config(name: "b") }
    #expect(gone?.code == .notFound)
  }

  @Test func aPoolTellsItsTargetsAndWhoSetThem() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let old = try await Runner.start(.test(daemon, 1))
    let new = try await Runner.start(.test(daemon, 2))
    let (pool, history) = try await fleet.pool(name: "w")
    #expect(pool.targetVersion == 2)
    #expect(pool.versions.map(\.version) == [2, 1])
    #expect(pool == (try await fleet.pools()[0]))
    #expect(history.map(\.cause) == ["promoted", "first"])
    #expect(history.map(\.previousVersion) == [1, nil])
    #expect(history.map(\.runner) == [new.id, old.id])
    _ = await (old.finish(), new.finish())
  }

  @Test func anOperatorDrainsOneRunnerOrAPoolAndIsNamed() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let first = try await Runner.start(.test(daemon, 1))
    let second = try await Runner.start(.test(daemon, 1))
    let one = try await fleet.drain(.runner(first.id), graceMilliseconds: 60_000, reason: "maintenance")
    let rest = try await fleet.drain(.pool(name: "w"))
    #expect(one.existing == [])
    #expect(rest.ordered.count == 1)
    #expect(rest.existing == one.ordered)
    var stops = first.stops.makeAsyncIterator()
    let stop = try #require(await stops.next())
    #expect(stop.order == one.ordered[0])
    #expect(stop.reason == "maintenance")
    let order = try await fleet.drain(order: stop.order)
    #expect(order.cause == "operator")
    #expect(order.graceMilliseconds == 60_000)
    #expect(order.who.pid == Int32(getpid()))
    _ = await (first.finish(), second.finish())
  }

  @Test func followingGoesOnWhereItWasWhenTheDaemonComesBack() async throws {
    let daemon = try TestDaemon()
    let follower = try await FleetClient.connect(path: daemon.socket)
    var events = follower.follow(from: 0).makeAsyncIterator()
    try await FleetClient.connect(path: daemon.socket).createNamespace("before")
    var seen: [FleetEvent] = []
    while !seen.contains(where: { $0.namespace == "before" }) {
      seen += try #require(await events.next()).events
    }
    daemon.stop()
    try daemon.start()
    try await FleetClient.connect(path: daemon.socket).createNamespace("after")
    while !seen.contains(where: { $0.namespace == "after" }) {
      seen += try #require(await events.next()).events
    }
    #expect(seen.filter { $0.kind == "namespace_created" }.map(\.namespace).suffix(2) == ["before", "after"])
    #expect(seen.map(\.revision) == Array(1...Int64(seen.count)))
  }

  @Test func watchingEndsWithTheDaemon() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var events = fleet.watch().makeAsyncIterator()
    #expect(try await events.next()?.events == [])
    daemon.stop()
    let error = await #expect(throws: BatonError.self) { while try await events.next() != nil {} }
    #expect(error?.code == .unavailable)
  }

  @Test func whatIsNotKeptAnyMoreIsSaid() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    var events = fleet.follow(from: 1 << 40).makeAsyncIterator()
    let error = await #expect(throws: BatonError.self) { try await events.next() }
    #expect(error?.code == .outOfRange)
  }
}
