import CBatonProto
import HandWire
import Handover
import Testing

@testable import BatonAPI
@testable import Service

/// What clients ask of actors.
@Suite struct ActorCallTests {
  private let harness: ServiceHarness
  private let people: TestPeer

  init() throws {
    harness = try ServiceHarness()
    people = harness.connect()
  }

  private func create(_ more: String = "") throws -> String {
    try harness.answer(people, .createActor, #"{"runnerName":"mail","name":"box"\#(more)}"#)
  }

  @Test func everyMethodAnswers() throws {
    let created = try create(#","key":"k","crashPolicy":"CRASH_POLICY_SLEEP""#)
    #expect(
      created.hasPrefix(
        #"{"actor":{"id":"1","namespace":"default","runnerName":"mail","name":"box","key":"k","#
          + #""crashPolicy":"CRASH_POLICY_SLEEP","state":"ACTOR_STATE_PENDING","generation":"0""#))
    #expect(created.contains(#""wait":"ACTOR_WAIT_RUNNER""#) && created.contains(#""created":true"#))
    let found = try harness.answer(
      people, .getOrCreateActor, #"{"runnerName":"mail","name":"box","key":"k"}"#)
    #expect(found.contains(#""id":"1""#) && found.contains(#""created":false"#))
    #expect(try harness.answer(people, .getActor, #"{"actorId":"1"}"#).contains(#""key":"k""#))
    #expect(try harness.answer(people, .sleepActor, #"{"actorId":"1"}"#).contains("ACTOR_STATE_SLEEPING"))
    #expect(try harness.answer(people, .wakeActor, #"{"actorId":"1"}"#).contains("ACTOR_STATE_PENDING"))
    #expect(try harness.answer(people, .destroyActor, #"{"actorId":"1"}"#).contains("ACTOR_STATE_DESTROYED"))
    #expect(try harness.answer(people, .destroyActor, #"{"actorId":"1"}"#).contains("ACTOR_STATE_DESTROYED"))
    #expect(
      try harness.answer(people, .getPool, #"{"name":"mail"}"#).contains(#""actors":{"pending":"0""#))
  }

  /// A second request of the same id is the same actor, whoever lost the first answer.
  @Test func aRequestMayBeRepeated() throws {
    let first = try create(#","requestId":"r1""#)
    #expect(try create(#","requestId":"r1""#) == first)
    #expect(try create(#","requestId":"r2""#).contains(#""id":"2""#))
  }

  @Test func lists() throws {
    for key in ["a", "b", "c", "d", "e"] { _ = try create(#","key":"\#(key)""#) }
    _ = try harness.answer(people, .destroyActor, #"{"actorId":"2"}"#)
    _ = try harness.answer(people, .sleepActor, #"{"actorId":"3"}"#)
    func ids(_ json: String) throws -> [String] {
      let answer = try harness.answer(people, .listActors, json)
      return answer.matches(of: /"id":"(\d+)"/).map { String($0.output.1) }
    }
    #expect(try ids("{}") == ["1", "3", "4", "5"])
    #expect(try ids(#"{"includeDestroyed":true}"#) == ["1", "2", "3", "4", "5"])
    #expect(try ids(#"{"state":"ACTOR_STATE_DESTROYED"}"#) == ["2"])
    #expect(try ids(#"{"state":"ACTOR_STATE_SLEEPING"}"#) == ["3"])
    #expect(try ids(#"{"key":"d","name":"box","runnerName":"mail","namespace":"default"}"#) == ["4"])
    #expect(try ids(#"{"name":"crate"}"#) == [])
    #expect(try ids(#"{"runnerId":"7"}"#) == [])
    // Page by page, as many as there are.
    var (seen, token) = ([String](), "")
    repeat {
      let answer = try harness.answer(
        people, .listActors, #"{"pageSize":3,"includeDestroyed":true,"pageToken":"\#(token)"}"#)
      seen += answer.matches(of: /"id":"(\d+)"/).map { String($0.output.1) }
      token = String(try #require(answer.firstMatch(of: /"nextPageToken":"([^"]*)"/)).output.1)
    } while !token.isEmpty
    #expect(seen == ["1", "2", "3", "4", "5"])
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var method: BatonAPI.Method
    var json: String
    var says: String
    var uid: UInt32 = 1000
    var testDescription: String { "\(method) \(json.prefix(60))" }
  }

  @Test(arguments: [
    Row(method: .createActor, json: "{}", says: "INVALID_ARGUMENT: runner_name must be"),
    Row(method: .createActor, json: #"{"runnerName":"mail"}"#, says: "INVALID_ARGUMENT: name must be"),
    Row(
      method: .createActor, json: #"{"runnerName":"mail","name":"a","key":"!"}"#,
      says: "INVALID_ARGUMENT: key must be"),
    Row(
      method: .createActor, json: #"{"runnerName":"mail","name":"a","crashPolicy":7}"#,
      says: "INVALID_ARGUMENT: crash_policy has no value 7"),
    Row(
      method: .createActor, json: #"{"namespace":"nowhere","runnerName":"mail","name":"a"}"#,
      says: "NOT_FOUND: namespace nowhere does not exist"),
    Row(
      method: .createActor, json: #"{"runnerName":"mail","name":"box","key":"k"}"#,
      says: "ALREADY_EXISTS: actor 1 of pool default/mail has the key k already (pending)"),
    Row(
      method: .createActor, json: #"{"runnerName":"mail","name":"box"}"#,
      says: "PERMISSION_DENIED: uid 2000 may not change pool default/mail", uid: 2000),
    Row(
      method: .getOrCreateActor, json: #"{"runnerName":"mail","name":"a"}"#,
      says: "INVALID_ARGUMENT: key must be given"),
    Row(method: .getActor, json: "{}", says: "INVALID_ARGUMENT: actor_id must be 1 to"),
    Row(method: .getActor, json: #"{"actorId":"9"}"#, says: "NOT_FOUND: actor 9 does not exist"),
    Row(method: .wakeActor, json: "{}", says: "INVALID_ARGUMENT: actor_id must be 1 to"),
    Row(method: .wakeActor, json: #"{"actorId":"9"}"#, says: "NOT_FOUND: actor 9 does not exist"),
    Row(
      method: .wakeActor, json: #"{"actorId":"2"}"#,
      says: "FAILED_PRECONDITION: actor 2 is destroyed: create another one"),
    Row(method: .wakeActor, json: #"{"actorId":"1"}"#, says: "PERMISSION_DENIED: ", uid: 2000),
    Row(method: .sleepActor, json: "{}", says: "INVALID_ARGUMENT: actor_id must be 1 to"),
    Row(method: .sleepActor, json: #"{"actorId":"2"}"#, says: "FAILED_PRECONDITION: actor 2 is destroyed"),
    Row(method: .destroyActor, json: "{}", says: "INVALID_ARGUMENT: actor_id must be 1 to"),
    Row(method: .destroyActor, json: #"{"actorId":"9"}"#, says: "NOT_FOUND: actor 9 does not exist"),
    Row(method: .destroyActor, json: #"{"actorId":"1"}"#, says: "PERMISSION_DENIED: ", uid: 2000),
    Row(method: .watchActor, json: "{}", says: "INVALID_ARGUMENT: actor_id must be 1 to"),
    Row(method: .watchActor, json: #"{"actorId":"9"}"#, says: "NOT_FOUND: actor 9 does not exist"),
    Row(method: .listActors, json: #"{"pageSize":1001}"#, says: "INVALID_ARGUMENT: page_size must be"),
    Row(method: .listActors, json: #"{"pageToken":"made up"}"#, says: "INVALID_ARGUMENT: "),
    Row(method: .listActors, json: #"{"state":9}"#, says: "INVALID_ARGUMENT: state has no value 9"),
  ])
  func whatIsRefusedSaysWhy(_ row: Row) throws {
    _ = try create(#","key":"k""#)
    _ = try create()
    _ = try harness.answer(people, .destroyActor, #"{"actorId":"2"}"#)
    let answer = try harness.answer(harness.connect(uid: row.uid), row.method, row.json)
    #expect(answer.hasPrefix(row.says), "\(answer)")
  }

  // MARK: - Watching

  private func states(_ peer: TestPeer) throws -> [String] {
    try peer.answers().map { answer in
      guard answer.type == HandFrame.data else { return "code \(answer.code)" }
      guard !answer.payload.isEmpty else { return "end" }
      let json = try ServiceHarness.json(answer.payload, Baton__V1__WatchActorResponse.descriptor)
      return String(json.firstMatch(of: /ACTOR_STATE_([A-Z]+)/)?.output.1 ?? "\(json)")
    }
  }

  @Test func aWatchFollowsAnActorToItsEnd() throws {
    _ = try create()
    let watcher = harness.connect()
    try harness.send(
      watcher,
      HandFrame.call(watcher.nextStream(), "baton.v1.ActorService", "WatchActor", Wire.number(1, 1)))
    #expect(try states(watcher) == ["PENDING"], "first what it is")
    _ = try create()
    #expect(try states(watcher) == [], "another actor's changes are not told")
    _ = try harness.answer(people, .sleepActor, #"{"actorId":"1"}"#)
    #expect(try states(watcher) == ["SLEEPING"])
    _ = try harness.answer(people, .wakeActor, #"{"actorId":"1"}"#)
    #expect(try states(watcher) == ["PENDING"])
    _ = try harness.answer(people, .destroyActor, #"{"actorId":"1"}"#)
    #expect(try states(watcher) == ["DESTROYED", "end"])
    // Of one that is destroyed already there is one picture.
    try harness.send(
      watcher,
      HandFrame.call(watcher.nextStream(), "baton.v1.ActorService", "WatchActor", Wire.number(1, 1)))
    #expect(try states(watcher) == ["DESTROYED", "end"])
  }

  /// Whoever does not read is told less often, and of the last state in any case.
  @Test func aWatcherThatDoesNotReadIsToldTheLastState() throws {
    let harness = try ServiceHarness { $0.maxStreamQueueBytes = 8192 }
    let people = harness.connect()
    _ = try harness.answer(people, .createActor, #"{"runnerName":"mail","name":"box"}"#)
    let watcher = harness.connect()
    watcher.room = 0
    try harness.send(
      watcher,
      HandFrame.call(watcher.nextStream(), "baton.v1.ActorService", "WatchActor", Wire.number(1, 1)))
    for _ in 0..<100 {
      _ = try harness.answer(people, .sleepActor, #"{"actorId":"1"}"#)
      _ = try harness.answer(people, .wakeActor, #"{"actorId":"1"}"#)
    }
    _ = try harness.answer(people, .sleepActor, #"{"actorId":"1"}"#)
    #expect(harness.service.queuedBytes(watcher.id) < 8192)
    try harness.read(watcher)
    let seen = try states(watcher)
    #expect(seen.count < 100 && seen.last == "SLEEPING")
    #expect(watcher.isOpen)
  }

  @Test func aWatcherThatLeavesIsForgotten() throws {
    _ = try create()
    let watcher = harness.connect()
    try harness.send(
      watcher,
      HandFrame.call(watcher.nextStream(), "baton.v1.ActorService", "WatchActor", Wire.number(1, 1)))
    try harness.vanish(watcher)
    _ = try harness.answer(people, .destroyActor, #"{"actorId":"1"}"#)
    #expect(harness.service.actorWatchers.isEmpty)
  }

  @Test func aConsoleMayCallThem() throws {
    let peer = harness.connect()
    try harness.send(peer, Array("CreateActor {\"runnerName\":\"mail\",\"name\":\"box\"}\n".utf8))
    let created = peer.text()
    #expect(created.hasPrefix(#"{"actor":{"id":"1""#) && created.hasSuffix("\nOK\n"))
    try harness.send(peer, Array("getactor {\"actorId\":\"1\"}\nDestroyActor {\"actorId\":\"1\"}\n".utf8))
    #expect(peer.text().split(separator: "\n").filter { $0 == "OK" }.count == 2)
    try harness.send(peer, Array("watchActor {\"actorId\":\"1\"}\ncreateActor {}\n".utf8))
    let rest = peer.text()
    #expect(rest.contains("ACTOR_STATE_DESTROYED"))
    #expect(
      rest.hasSuffix("OK\nERR INVALID_ARGUMENT " + rest.split(separator: "ERR INVALID_ARGUMENT ").last!))
    #expect(peer.isOpen)
  }
}
