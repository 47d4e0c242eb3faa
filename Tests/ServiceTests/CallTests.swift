import BatonAPI
import CBatonProto
import HandWire
import Handover
import Testing
import Ttrpc

@testable import Service

@Suite struct CallTests {
  // MARK: - What each wrong input gets

  private static let ping = "baton.v1.ConnectionService"

  /// The row is answered as the protocol says, and the next call on the connection is served, where it lives.
  @Test(arguments: WrongInput.all, [Int.max, 1])
  func wrongInput(_ input: WrongInput, _ pieceBytes: Int) throws {
    // Five million bytes one at a time prove nothing that a thousand at a time do not.
    let piece = input.bytes.count > 100_000 && pieceBytes == 1 ? 1000 : pieceBytes
    let harness = try ServiceHarness()
    let (peer, beside) = (harness.connect(), harness.connect())
    try harness.send(peer, input.bytes, pieceBytes: piece)
    #expect(peer.answers().map { "\($0.stream): \($0.code)" } == input.answers)
    #expect(peer.isOpen == !input.closes)
    if peer.isOpen, !input.isCutOff {
      try harness.send(peer, HandFrame.call(101, Self.ping, "Ping"))
      #expect(peer.answers().map(\.code) == [0])
    }
    try harness.endInput(peer)
    #expect(!peer.isOpen)
    try harness.send(beside, HandFrame.call(1, Self.ping, "Ping"))
    #expect(beside.answers().map(\.code) == [0])
  }

  /// A client that shuts down its side gets every answer it asked for before the end.
  @Test func everythingAskedBeforeTheEndIsAnswered() throws {
    let harness = try ServiceHarness()
    harness.holdsCommits = true
    let peer = harness.connect()
    try harness.send(
      peer,
      HandFrame.call(1, "baton.v1.FleetService", "CreateNamespace", Wire.text(1, "a"))
        + HandFrame.call(3, Self.ping, "Ping"))
    try harness.endInput(peer)
    #expect(peer.isOpen)
    harness.holdsCommits = false
    try harness.settle()
    #expect(peer.answers().map { "\($0.stream): \($0.code)" } == ["3: 0", "1: 0"])
    #expect(!peer.isOpen)
  }

  @Test func oneCallTooManyIsRefusedAlone() throws {
    let harness = try ServiceHarness { $0.maxStreams = 2 }
    let peer = harness.connect()
    for stream: UInt32 in [1, 3, 5] {
      try harness.send(peer, HandFrame.call(stream, "grpc.health.v1.Health", "Watch"))
    }
    let answers = peer.answers()
    #expect(answers.filter { $0.type == HandFrame.response }.map { "\($0.stream): \($0.code)" } == ["5: 8"])
    #expect(answers.filter { $0.type == HandFrame.data }.map(\.stream) == [1, 3])
  }

  // MARK: - Time

  @Test func aCallEndsWhenItsTimeoutPasses() throws {
    let harness = try ServiceHarness()
    harness.holdsCommits = true
    let peer = harness.connect()
    let answers = try harness.call(
      peer, .createNamespace, #"{"name":"a"}"#, timeoutNanoseconds: 50_000_000)
    #expect(answers.isEmpty)
    try harness.advance(milliseconds: 49)
    #expect(peer.answers().isEmpty)
    try harness.advance(milliseconds: 2)
    #expect(peer.answers().map(\.code) == [StatusCode.deadlineExceeded.rawValue])
    // The commit comes too late for the answer, but the change is made.
    harness.holdsCommits = false
    try harness.settle()
    #expect(peer.answers().isEmpty)
    #expect(try harness.answer(peer, .createNamespace, #"{"name":"a"}"#).hasPrefix("ALREADY_EXISTS: "))
  }

  struct Slow: Sendable, CustomTestStringConvertible {
    var what: String
    var bytes: [UInt8]
    var after: Int64
    var isOpen: Bool
    var testDescription: String { what }
  }

  @Test(arguments: [
    Slow(what: "silent from the start: it costs nothing", bytes: [], after: 3_600_000, isOpen: true),
    Slow(what: "one byte and no more", bytes: [0], after: 7000, isOpen: false),
    Slow(what: "a first letter and no line", bytes: [0x70], after: 7000, isOpen: false),
    Slow(
      what: "half a second frame",
      bytes: HandFrame.call(1, ping, "Ping") + [0, 0, 0, 9, 0], after: 7000, isOpen: false),
    Slow(
      what: "a call, then nothing", bytes: HandFrame.call(1, ping, "Ping"), after: 3_600_000, isOpen: true),
    Slow(what: "a line, then nothing", bytes: Array("ping\n".utf8), after: 3_600_000, isOpen: true),
  ])
  func whoIsSlow(_ row: Slow) throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    try harness.send(peer, row.bytes)
    try harness.advance(milliseconds: row.after)
    #expect(peer.isOpen == row.isOpen)
  }

  /// A peer that asks and never reads: its queue is bounded, and it is closed when it takes nothing for ten seconds.
  @Test func whoTakesNothingIsClosed() throws {
    let harness = try ServiceHarness()
    let (peer, beside) = (harness.connect(), harness.connect())
    peer.room = 0
    try harness.send(peer, HandFrame.call(1, Self.ping, "Ping"))
    try harness.advance(milliseconds: 9000)
    #expect(peer.isOpen)
    try harness.advance(milliseconds: 3000)
    #expect(!peer.isOpen)
    #expect(harness.lines().contains { $0.hasPrefix("closed: slow") && $0.contains("10000 ms") })
    #expect(try harness.answer(beside, .ping) == #"{"payload":""}"#)
  }

  @Test func aFloodOfCallsThatNobodyReadsIsBounded() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    peer.room = 0
    let payload = Wire.bytes(1, [UInt8](repeating: 7, count: 60_000))
    var sent = 0
    while peer.isOpen, sent < 1000 {
      sent += 1
      try harness.send(peer, HandFrame.call(peer.nextStream(), Self.ping, "Ping", payload))
      #expect(harness.service.queuedBytes(peer.id) <= (8 << 20) + (64 << 10))
    }
    #expect(!peer.isOpen && sent > 100)
  }

  // MARK: - ConnectionService and health

  @Test func helloSaysWhoIsThereAndWhatIsAllowed() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    let answer = try harness.answer(peer, .hello, #"{"client":"test","protocolVersion":1}"#)
    #expect(
      answer
        == #"{"daemonVersion":"0.1.0","protocolVersion":1,"maxFrameBytes":4194304,"maxStreams":128,"#
        + #""fleetId":"7","maxStreamQueueBytes":1048576}"#)
    // A client of tomorrow is told what is spoken here.
    #expect(try harness.answer(peer, .hello, #"{"protocolVersion":9}"#).contains(#""protocolVersion":1,"#))
  }

  @Test func aCallIsCancelledByItsStream() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    #expect(try harness.call(peer, .healthWatch).map(\.type) == [HandFrame.data])
    let answers = try harness.call(peer, .cancel, #"{"streamId":1}"#)
    #expect(answers.map { "\($0.stream): \($0.code)" } == ["1: 1", "3: 0"])
    #expect(answers.last?.payload == Wire.number(1, 1))
    #expect(try harness.answer(peer, .cancel, #"{"streamId":77}"#) == #"{"cancelled":false}"#)
  }

  @Test func theServicesAreListedWithTheirSchema() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    let answer = HandMessage(try #require(harness.call(peer, .listServices).first).payload)
    let methods = answer.messages(1).flatMap { service in
      service.messages(2).map { "\(service.text(1))/\($0.text(1))" }
    }
    #expect(methods.sorted() == Method.allCases.map(\.description.fullName).sorted())
    #expect(answer.payload(2)?.count == baton_descriptor_set_length())
  }

  /// A log that no checkpoint moves is said once, not with every commit.
  @Test func aLogThatGrowsIsSaidOnce() throws {
    let harness = try ServiceHarness { $0.logAlarmBytes = 4096 }
    let peer = harness.connect()
    for name in ["a", "b", "c"] { _ = try harness.answer(peer, .createNamespace, #"{"name":"\#(name)"}"#) }
    #expect(harness.logged.count { "\($0.message)".hasPrefix("the write-ahead log grows") } == 1)
  }

  @Test func healthFollowsTheStore() throws {
    let harness = try ServiceHarness()
    let (watcher, peer) = (harness.connect(), harness.connect())
    #expect(try harness.answer(peer, .healthCheck) == #"{"status":"SERVING"}"#)
    #expect(
      try harness.answer(peer, .healthCheck, #"{"service":"baton.v1.FleetService"}"#)
        == #"{"status":"SERVING"}"#)
    #expect(try harness.answer(peer, .healthCheck, #"{"service":"x"}"#).hasPrefix("NOT_FOUND: "))
    #expect(try harness.call(watcher, .healthWatch).map(\.payload) == [Wire.number(1, 1)])
    harness.storeFailure = .unavailable("the disk is full")
    #expect(try harness.answer(peer, .createNamespace, #"{"name":"a"}"#).contains("the disk is full"))
    #expect(try harness.answer(peer, .healthCheck) == #"{"status":"NOT_SERVING"}"#)
    #expect(watcher.answers().map(\.payload) == [Wire.number(1, 2)])
    harness.storeFailure = nil
    _ = try harness.answer(peer, .createNamespace, #"{"name":"b"}"#)
    #expect(watcher.answers().map(\.payload) == [Wire.number(1, 1)])
  }

  @Test func whatIsRefusedSaysWhy() throws {
    let harness = try ServiceHarness()
    let peer = harness.connect()
    let rows: [(BatonAPI.Method, String, String)] = [
      (.createNamespace, "{}", "INVALID_ARGUMENT: name must be"),
      (.getRunner, #"{"runnerId":"5"}"#, "NOT_FOUND: runner 5 does not exist"),
      (.getDrain, #"{"orderId":"5"}"#, "NOT_FOUND: drain order 5 does not exist"),
      (.getPool, #"{"name":"mail"}"#, "NOT_FOUND: pool default/mail does not exist"),
      (.getRunnerConfig, #"{"name":"mail"}"#, "NOT_FOUND: "),
      (.deleteRunnerConfig, #"{"name":"mail"}"#, "NOT_FOUND: "),
      (.putRunnerConfig, #"{"name":"mail"}"#, "INVALID_ARGUMENT: config"),
      (.drain, #"{"wholePool":{"name":"mail"}}"#, "NOT_FOUND: "),
      (.drain, "{}", "INVALID_ARGUMENT: target must be"),
      (.listRunners, #"{"pageSize":1001}"#, "INVALID_ARGUMENT: page_size"),
      (.listRunners, #"{"pageToken":"made up"}"#, "INVALID_ARGUMENT: "),
    ]
    for (method, json, says) in rows {
      let answer = try harness.answer(peer, method, json)
      #expect(answer.hasPrefix(says), "\(method) \(json): \(answer)")
    }
  }

  @Test func metricsAreText() throws {
    let harness = try ServiceHarness()
    _ = try harness.runner()
    let peer = harness.connect()
    let payload = try #require(harness.call(peer, .getMetrics).first).payload
    let lines = HandMessage(payload).text(1).split(separator: "\n")
    #expect(lines.contains("baton_runners_ready 1"))
    #expect(lines.contains(#"baton_registrations_total{outcome="new"} 1"#))
    #expect(lines.contains("# TYPE baton_commit_seconds histogram"))
    // Prometheus text: a comment, or a name, labels and a number.
    for line in lines {
      #expect(
        line.hasPrefix("# ") || line.wholeMatch(of: /[a-z_]+(\{[^}]*\})? [-+0-9.eInf]+/) != nil, "\(line)")
    }
  }

  @Test func whileItShutsDownNothingNewBegins() throws {
    let harness = try ServiceHarness()
    let (peer, watcher) = (harness.connect(), harness.connect())
    _ = try harness.call(watcher, .watch)
    try harness.shutDown()
    #expect(watcher.answers().map(\.code) == [StatusCode.unavailable.rawValue])
    #expect(try harness.answer(peer, .ping).hasPrefix("UNAVAILABLE: the daemon is shutting down"))
    #expect(harness.service.isSettled)
  }
}
