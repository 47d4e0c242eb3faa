import CBatonProto
import Handover
import Protobuf
import Testing

@testable import BatonAPI

/// Actors, commands and reports over the wire are what they were; a request's wrong field is named.
@Suite struct ActorMessageTests {
  private static let now = Moment(nanoseconds: 5_000_000_000, wallMilliseconds: 1_790_000_000_000)
  private static let checkpoint = ActorCheckpoint(actor: ActorID(.max), generation: 7, index: 3)

  private static func actor(_ state: ActorState, isFull: Bool) -> Actor {
    var times = ActorTimes(createdAt: 1)
    if isFull {
      for (at, state) in ActorState.allCases.enumerated() { times.entered(state, at: Int64(at) + 2) }
    }
    return Actor(
      id: ActorID(5),
      identity: ActorIdentity(
        pool: PoolName(namespace: "staging", name: "mail"), name: "box", key: isFull ? "k" : nil,
        crashPolicy: .sleep),
      state: state, generation: isFull ? 9 : 0, runner: isFull ? RunnerID(2) : nil,
      runnerVersion: isFull ? Version(3) : nil, stopReason: nil, failure: nil,
      failedAtMilliseconds: isFull ? 8 : nil, retries: isFull ? 4 : 0, stopMessage: isFull ? "über" : "",
      wait: nil, queuedBefore: isFull ? 1000 : 0,
      dueNanoseconds: isFull ? now.nanoseconds + 2_000_000_000 : nil, isCommandAcked: isFull,
      isWakeWanted: isFull, who: Peer(uid: 1, gid: 2, pid: 3, program: "p"), times: times)
  }

  private func expectCarried(_ actor: Actor) throws {
    let read = try #require(
      try carried({ Encode.actor(actor, now: Self.now, $0) }, { Decode.actor($0) }))
    // A client has another clock: the time that is due arrives as what remains.
    var expected = actor
    expected.dueNanoseconds = actor.dueNanoseconds.map { $0 - Self.now.nanoseconds }
    #expect(read == expected)
  }

  @Test(arguments: ActorState.allCases, [true, false])
  func actors(_ state: ActorState, _ isFull: Bool) throws {
    var actor = Self.actor(state, isFull: isFull)
    try expectCarried(actor)
    for policy in CrashPolicy.allCases {
      actor.identity.crashPolicy = policy
      try expectCarried(actor)
    }
    for reason in ActorStopReason.allCases {
      actor.stopReason = reason
      try expectCarried(actor)
    }
    for failure in ActorFailure.allCases {
      actor.failure = failure
      try expectCarried(actor)
    }
    for wait in ActorWait.allCases {
      actor.wait = wait
      try expectCarried(actor)
    }
  }

  /// What is overdue is due now, and not in ages.
  @Test func overdueIsNothingLeft() throws {
    var actor = Self.actor(.sleeping, isFull: true)
    actor.dueNanoseconds = Self.now.nanoseconds - 1
    let left = try carried({ Encode.actor(actor, now: Self.now, $0) }, { $0.pointee.due_in_ms })
    #expect(left == 0)
  }

  @Test func anActorInAStateOfTomorrowIsNone() throws {
    let read = try decoded(#"{"id":"1","state":77}"#, as: Baton__V1__Actor.self) { Decode.actor($0) }
    #expect(read == nil)
  }

  @Test func counts() throws {
    var counts = ActorCounts()
    for state in ActorState.allCases where state != .destroyed { counts[state] = state.rawValue * 11 }
    #expect(try carried({ Encode.actorCounts(counts, $0) }, { Decode.actorCounts($0) }) == counts)
    #expect(counts.total == 11 * 15 && counts[.destroyed] == 0)
  }

  @Test func eventsOfActors() throws {
    let event = Event(
      revision: Revision(1), atMilliseconds: 2, kind: .actorStarting, namespace: "default", name: "mail",
      runner: RunnerID(3), drainOrder: nil, version: Version(5), who: nil, detail: "generation 4",
      actor: ActorID(6), generation: 4)
    #expect(try carried({ Encode.event(event, $0) }, { Decode.event($0) }) == event)
  }

  // MARK: - Settings

  @Test func settings() throws {
    var settings = ActorSettings()
    settings.fallsBackToOtherVersions = true
    settings.startThresholdMilliseconds = 1000
    settings.stopThresholdMilliseconds = 2000
    settings.retryBackoffMilliseconds = 3000
    settings.retryResetMilliseconds = 4000
    for settings in [settings, ActorSettings()] {
      let config = RunnerConfig(kind: .normal(.init(actors: settings)))
      let read = try #require(try carried({ Encode.config(config, $0) }, { Decode.config($0) }))
      #expect(read.actorSettings == settings)
    }
    let effective = ActorSettings().effective
    #expect(
      effective.startThresholdMilliseconds == 30_000 && effective.stopThresholdMilliseconds == 1_800_000)
    #expect(effective.retryBackoffMilliseconds == 2000 && effective.retryResetMilliseconds == 600_000)
    #expect(settings.effective == settings)
  }

  @Test(
    arguments: [
      ("actor_start_threshold_ms", "actorStartThresholdMs", 100, 86_400_000),
      ("actor_stop_threshold_ms", "actorStopThresholdMs", 100, 604_800_000),
      ("actor_retry_backoff_ms", "actorRetryBackoffMs", 10, 3_600_000),
      ("actor_retry_reset_ms", "actorRetryResetMs", 100, 86_400_000),
    ] as [(String, String, UInt64, UInt64)])
  func settingsOutOfBounds(_ field: String, _ json: String, _ least: UInt64, _ most: UInt64) throws {
    func config(_ value: UInt64) throws -> RunnerConfig {
      try decoded("{\"normal\":{\"\(json)\":\"\(value)\"}}", as: Baton__V1__RunnerConfig.self) {
        try Requests.config($0)
      }
    }
    for value in [0, least, most] { _ = try config(value) }
    for value in [least - 1, most + 1, .max] {
      expect(WrongField("config.normal.\(field)", "", "must be 0 (the default) or \(least) to \(most)")) {
        try config(value)
      }
    }
  }

  // MARK: - Commands

  private static let kinds: [ActorCommand.Kind] =
    [
      .start(namespace: "default", name: "box", key: "k", input: [0, 1, 255]),
      .start(namespace: "default", name: "box", key: "", input: []), .drop,
    ] + ActorStopReason.allCases.map { .stop($0) }

  @Test func commands() throws {
    let commands = Self.kinds.map {
      ActorCommand(
        checkpoint: Self.checkpoint, kind: $0, deadlineNanoseconds: Self.now.nanoseconds + 10_000_000_000)
    }
    let read = try carried({ AttachResponses.actorCommands(commands, now: Self.now, $0) }) { message in
      let entries = message.pointee.actor_commands.pointee
      return Read.messages(entries.n_commands, entries.commands).map { DaemonMessage.Command($0) }
    }
    #expect(read.map(\.kind) == Self.kinds)
    #expect(read.allSatisfy { $0.checkpoint == Self.checkpoint })
    // Nine tenths of what there is; nothing limits a drop.
    #expect(read.map(\.remainingMilliseconds) == Self.kinds.map { $0 == .drop ? 0 : 9000 })
  }

  @Test(arguments: [nil, -1, 0] as [Int64?])
  func aCommandWithoutTime(_ left: Int64?) throws {
    let command = ActorCommand(
      checkpoint: Self.checkpoint, kind: .stop(.goingAway),
      deadlineNanoseconds: left.map { Self.now.nanoseconds + $0 })
    let read = try carried({ AttachResponses.actorCommands([command], now: Self.now, $0) }) { message in
      DaemonMessage.Command(message.pointee.actor_commands.pointee.commands[0]!)
    }
    #expect(read.remainingMilliseconds == 0)
  }

  @Test func aCommandOfTomorrowHasNoKind() throws {
    let read = try decoded(#"{"checkpoint":{"actorId":"1"}}"#, as: Baton__V1__ActorCommand.self) {
      DaemonMessage.Command($0)
    }
    #expect(read.kind == nil && read.checkpoint.actor == ActorID(1))
  }

  // MARK: - Reports

  @Test func reports() throws {
    let kinds: [ActorReport.Kind] = [
      .running, .stopped(isOK: true, message: ""), .stopped(isOK: false, message: "no memory"),
      .startRefused, .sleepIntent, .stopIntent, .setAlarm(afterMilliseconds: 1),
      .setAlarm(afterMilliseconds: 31_536_000_000), .setAlarm(afterMilliseconds: nil), .held,
    ]
    let reports = kinds.map { ActorReport(checkpoint: Self.checkpoint, kind: $0) }
    let read = try carried({ AttachRequests.actorEvents(reports, $0) }) {
      try Requests.reports($0.pointee.actor_events)
    }
    #expect(read == reports)
  }

  @Test func acknowledgements() throws {
    let (acked, refused) = (
      [Self.checkpoint], [Self.checkpoint, ActorCheckpoint(actor: ActorID(1), generation: 0, index: 0)]
    )
    let read = try carried({ AttachResponses.ackEvents(acked: acked, refused: refused, $0) }) { message in
      let events = message.pointee.ack_events.pointee
      return (
        Read.messages(events.n_acked, events.acked).map { Decode.checkpoint($0) },
        Read.messages(events.n_refused, events.refused).map { Decode.checkpoint($0) }
      )
    }
    #expect(read.0 == acked && read.1 == refused)
    let commands = try carried({ AttachRequests.ackCommands(refused, $0) }) { message in
      let list = message.pointee.ack_commands.pointee
      return Read.messages(list.n_commands, list.commands).map { Decode.checkpoint($0) }
    }
    #expect(commands == refused)
  }

  // MARK: - Requests

  private static let who = Peer(uid: 1, gid: 2, pid: 3, program: "p")

  private static func creation(_ json: String, mayExist: Bool = false) throws -> ActorCreation {
    try decoded(json, as: Baton__V1__CreateActorRequest.self) {
      try Requests.creation($0, mayExist: mayExist, who: who)
    }
  }

  private static func base64(_ bytes: Int) -> String {
    // Three zero bytes a group.
    String(repeating: "AAAA", count: bytes / 3) + ["", "AA==", "AAA="][bytes % 3]
  }

  @Test func theWholeOfACreationIsTaken() throws {
    let read = try Self.creation(
      #"{"namespace":"n","runnerName":"mail","name":"box","key":"k:1/2","input":"AAEC","#
        + #""crashPolicy":"CRASH_POLICY_DESTROY","requestId":"any text"}"#, mayExist: true)
    #expect(
      read
        == ActorCreation(
          identity: ActorIdentity(
            pool: PoolName(namespace: "n", name: "mail"), name: "box", key: "k:1/2", crashPolicy: .destroy),
          input: [0, 1, 2], requestID: "any text", mayExist: true, who: Self.who))
    let least = try Self.creation(#"{"runnerName":"mail","name":"box"}"#)
    #expect(least.identity.pool.namespace == "default" && least.identity.key == nil)
    #expect(least.identity.crashPolicy == .restart && least.input == [] && least.requestID == "")
    let most = String(repeating: "n", count: 128)
    let full = try Self.creation(
      #"{"runnerName":"\#(most)","name":"\#(most)","key":"\#(most)","requestId":"\#(most)","input":"\#(Self.base64(65_536))"}"#
    )
    #expect(full.input.count == 65_536)
  }

  @Test(arguments: [
    WrongField("namespace", #"{"namespace":"!","runnerName":"m","name":"a"}"#, "must be 1 to 128 bytes"),
    WrongField("runner_name", #"{"name":"a"}"#, "must be 1 to 128 bytes"),
    WrongField("name", #"{"runnerName":"m","name":"a b"}"#, "must be 1 to 128 bytes"),
    WrongField("key", #"{"runnerName":"m","name":"a","key":"\u0007"}"#, "must be 1 to 128 bytes"),
    WrongField(
      "input", #"{"runnerName":"m","name":"a","input":"\#(base64(65_537))"}"#,
      "must be at most 65536 bytes, is 65537"),
    WrongField(
      "request_id", #"{"runnerName":"m","name":"a","requestId":"\#(String(repeating: "r", count: 129))"}"#,
      "must be at most 128 bytes"),
    WrongField("crash_policy", #"{"runnerName":"m","name":"a","crashPolicy":4}"#, "has no value 4"),
  ])
  func creationsWrongFieldIsNamed(_ row: WrongField) {
    expect(row) { try Self.creation(row.json) }
  }

  @Test func whatMayExistHasAKey() {
    expect(WrongField("key", "", "must be given")) {
      try Self.creation(#"{"runnerName":"m","name":"a"}"#, mayExist: true)
    }
  }

  private func expect(_ row: WrongField, _ body: () throws -> some Any) {
    do {
      _ = try body()
      Issue.record("nothing was thrown")
    } catch let error as FieldViolation {
      #expect(error.field == row.field && error.requirement.hasPrefix(row.says), "\(error)")
    } catch {
      Issue.record("\(error)")
    }
  }

  private static func reports(_ event: String, index: Int = 1) throws -> [ActorReport] {
    try decoded(
      #"{"events":[{"checkpoint":{"actorId":"1","generation":"1","index":"\#(index)"}\#(event)}]}"#,
      as: Baton__V1__ActorEvents.self
    ) { try Requests.reports($0) }
  }

  @Test(arguments: [
    WrongField("intent.intent", #","intent":{}"#, "must be INTENT_SLEEP or INTENT_STOP"),
    WrongField("intent.intent", #","intent":{"intent":3}"#, "must be INTENT_SLEEP or INTENT_STOP"),
    WrongField("set_alarm.after_ms", #","setAlarm":{"afterMs":"31536000001"}"#, "must be"),
    WrongField(
      "stopped.message", #","stopped":{"message":"\#(String(repeating: "m", count: 1025))"}"#,
      "must be at most 1024 bytes"),
  ])
  func reportsWrongFieldIsNamed(_ row: WrongField) {
    expect(row) { try Self.reports(row.json) }
  }

  @Test func aReportsStepIsCountedFromOne() throws {
    expect(WrongField("checkpoint.index", "", "must be 1 or more")) {
      try Self.reports(#","running":{}"#, index: 0)
    }
    #expect(try Self.reports(#","held":{}"#, index: 0).map(\.kind) == [.held])
    #expect(try Self.reports("", index: 0) == [], "a newer runner's is passed over")
  }

  @Test func oneMessageSaysSoMuchAndNoMore() throws {
    func reports(_ count: Int) throws -> [ActorReport] {
      let event = #"{"checkpoint":{"actorId":"1","generation":"1","index":"1"},"running":{}}"#
      let events = Array(repeating: event, count: count).joined(separator: ",")
      return try decoded("{\"events\":[\(events)]}", as: Baton__V1__ActorEvents.self) {
        try Requests.reports($0)
      }
    }
    #expect(try reports(Bounds.actorEvents).count == Bounds.actorEvents)
    expect(WrongField("actor_events.events", "", "must be at most 4096")) {
      try reports(Bounds.actorEvents + 1)
    }
  }

  @Test func listsOfActors() throws {
    func query(_ json: String) throws -> Query {
      try decoded(json, as: Baton__V1__ListActorsRequest.self) { try Requests.actors($0) }
    }
    #expect(try query("{}") == .actors(ActorFilter(), Page(size: 100)))
    #expect(
      try query(#"{"state":"ACTOR_STATE_DESTROYED"}"#)
        == .actors(ActorFilter(state: .destroyed, includeDestroyed: true), Page(size: 100)))
    #expect(
      try query(
        #"{"namespace":"n","runnerName":"m","name":"a","key":"k","state":2,"runnerId":"3","pageSize":7,"pageToken":"t"}"#
      )
        == .actors(
          ActorFilter(
            namespace: "n", runnerName: "m", name: "a", key: "k", state: .starting, runner: RunnerID(3)),
          Page(size: 7, token: "t")))
    for (field, json) in [
      ("state", #"{"state":7}"#), ("runner_id", #"{"runnerId":"9223372036854775808"}"#),
      ("page_size", #"{"pageSize":1001}"#), ("name", #"{"name":"!"}"#),
    ] {
      expect(WrongField(field, "", "")) { try query(json) }
    }
  }
}
