import HandWire
import Handover
import Testing

@testable import BatonAPI
@testable import Service

/// What operators ask of upgrades.
@Suite struct ControlCallTests {
  private let harness: ServiceHarness
  private let people: TestPeer

  init() throws {
    harness = try ServiceHarness()
    people = harness.connect(uid: 900)
  }

  /// Two of version 1 and one of version 2, none of which has to leave.
  private func fleet() throws -> [(peer: TestPeer, stream: UInt32)] {
    let fleet = try [(1, 1), (1, 2), (2, 3)].map { version, token in
      try harness.runner(version: UInt32(version), token: UInt8(token))
    }
    for runner in fleet { _ = try harness.heard(runner.peer) }
    return fleet
  }

  private func ask(_ method: BatonAPI.Method, _ json: String) throws -> String {
    try harness.answer(people, method, json)
  }

  // MARK: - Targets

  @Test func aTargetIsSetGoesBackAndIsLetGo() throws {
    let fleet = try fleet()
    let pinned = try ask(.setTargetVersion, #"{"pool":{"name":"mail"},"version":1,"reason":"2 is slow"}"#)
    #expect(pinned.contains(#""ordered":1"#) && pinned.contains(#""pinnedVersion":1"#), "\(pinned)")
    // The newer one leaves, and is told why.
    #expect(try harness.heard(fleet[2].peer).first?.contains(#""stop":{"orderId":"1""#) == true)
    let pool = try ask(.getPool, #"{"name":"mail"}"#)
    #expect(pool.contains(#""pin":{"version":1,"who":{"uid":900,"#), "\(pool)")
    #expect(pool.contains(#""reason":"2 is slow""#) && pool.contains("TARGET_CAUSE_PINNED"))
    let back = try ask(.setTargetVersion, #"{"pool":{"name":"mail"},"previous":true}"#)
    #expect(back.contains(#""pinnedVersion":2"#), "\(back)")
    let automatic = try ask(.setTargetVersion, #"{"pool":{"name":"mail"},"automatic":true}"#)
    #expect(automatic.contains(#""pinnedVersion":0"#), "\(automatic)")
    #expect(try !ask(.getPool, #"{"name":"mail"}"#).contains(#""pin""#))
  }

  // MARK: - Cordons

  @Test func aRunnerIsCordonedAndTakenBack() throws {
    _ = try fleet()
    let cordoned = try ask(.cordon, #"{"runnerId":"2","cordoned":true,"reason":"disk"}"#)
    #expect(
      cordoned.hasPrefix(#"{"runner":{"id":"2""#) && cordoned.contains(#""cordoned":true"#), "\(cordoned)")
    #expect(try ask(.getRunner, #"{"runnerId":"2"}"#).contains(#""cordoned":true"#))
    // As often as it is said.
    #expect(try ask(.cordon, #"{"runnerId":"2","cordoned":true}"#).contains(#""cordoned":true"#))
    #expect(try ask(.cordon, #"{"runnerId":"2"}"#).contains(#""cordoned":false"#))
  }

  // MARK: - Orders

  @Test func anOrderWhoseStopHasArrivedIsOfferedBack() throws {
    let fleet = try fleet()
    _ = try ask(.drain, #"{"runnerId":"1","graceMs":"60000"}"#)
    _ = try harness.heard(fleet[0].peer)
    let offered = try ask(.cancelDrain, #"{"runnerId":"1","reason":"a mistake"}"#)
    #expect(offered.contains(#""wayBack":"WAY_BACK_OFFERED","cancelledBy":{"uid":900"#), "\(offered)")
    #expect(offered.contains(#""cancelReason":"a mistake""#))
    #expect(
      try harness.heard(fleet[0].peer).contains { $0.hasPrefix(#"{"stopCancelled":{"orderId":"1""#) })
    try harness.say(
      fleet[0].peer, fleet[0].stream, #"{"stopCancelledAnswer":{"orderId":"1","answer":"ANSWER_RESUMED"}}"#)
    #expect(try ask(.getDrain, #"{"orderId":"1"}"#).contains("DRAIN_STATE_CANCELLED"))
    #expect(try ask(.getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_PHASE_READY"))
  }

  @Test func anOrderWhoseStopNeverLeftIsCancelledAtOnce() throws {
    let fleet = try fleet()
    try harness.vanish(fleet[0].peer)
    _ = try ask(.drain, #"{"runnerId":"1"}"#)
    let cancelled = try ask(.cancelDrain, #"{"orderId":"1"}"#)
    #expect(
      cancelled.contains("DRAIN_STATE_CANCELLED") && cancelled.contains("WAY_BACK_UNSPECIFIED"),
      "\(cancelled)")
  }

  @Test func aDeadlineIsMovedAndForced() throws {
    _ = try fleet()
    _ = try ask(.drain, #"{"runnerId":"1","graceMs":"60000"}"#)
    let extended = try ask(.changeDeadline, #"{"runnerId":"1","extendMs":"540000","reason":"it is close"}"#)
    #expect(extended.contains(#""remainingMs":"600000""#), "\(extended)")
    let forced = try ask(.changeDeadline, #"{"orderId":"1","forceNow":true}"#)
    #expect(forced.contains("DRAIN_STATE_FORCED") && forced.contains(#""remainingMs":"0""#), "\(forced)")
    #expect(try ask(.getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_END_FORCED"))
  }

  // MARK: - Questions

  /// The plan is a page of what would happen, the change then does it.
  @Test func aPlanIsWhatTheChangeDoes() throws {
    _ = try fleet()
    let supposed = try ask(.planUpgrade, #"{"pool":{"name":"mail"},"targetVersion":1,"pageSize":2}"#)
    #expect(supposed.contains(#""ordered":1"#) && supposed.contains(#""targetBecomes":1"#), "\(supposed)")
    #expect(supposed.contains("TARGET_CAUSE_PINNED"))
    let token = try #require(supposed.firstMatch(of: /"nextPageToken":"([^"]+)"/)).output.1
    let rest = try ask(
      .planUpgrade, #"{"pool":{"name":"mail"},"targetVersion":1,"pageSize":2,"pageToken":"\#(token)"}"#)
    let runners = (supposed + rest).matches(
      of: /"runnerId":"(\d+)","version":(\d),"usedSlots":0,"fate":"(\w+)"/)
    #expect(
      runners.map { "\($0.output.1) v\($0.output.2) \($0.output.3)" }
        == ["1 v1 FATE_STAYS", "2 v1 FATE_STAYS", "3 v2 FATE_ORDERED"])
    #expect(try ask(.listDrains, "{}").contains(#""drains":[]"#), "nothing has happened")
    let done = try ask(.setTargetVersion, #"{"pool":{"name":"mail"},"version":1}"#)
    func decision(_ json: String) -> Substring? { json.firstMatch(of: /"decision":\{.*?\]/)?.output }
    let planned = try #require(decision(supposed))
    #expect(decision(done) == planned)
  }

  /// What a gate waits for counts down from answer to answer.
  @Test func aPlanSaysWhenItChangesByItself() throws {
    _ = try ask(
      .putRunnerConfig,
      #"{"name":"mail","config":{"normal":{"drainOnVersionUpgrade":true,"minHealthyMs":"8000"}}}"#)
    _ = try fleet()
    let held = #""gate":"min_healthy","goalVersion":2,"count":2,"opensInMs":"#
    #expect(try ask(.planUpgrade, #"{"pool":{"name":"mail"}}"#).contains(held + #""8000""#))
    try harness.advance(milliseconds: 2500)
    let later = try ask(.planUpgrade, #"{"pool":{"name":"mail"}}"#)
    #expect(later.contains(held + #""5500""#) && later.contains(#""nextChangeInMs":"5500""#), "\(later)")
    #expect(
      try ask(.getPool, #"{"name":"mail"}"#).contains(#""heldUpgrade":{"goalVersion":2,"heldMs":"2500""#))
  }

  @Test func everySubjectIsExplained() throws {
    _ = try fleet()
    _ = try ask(.drain, #"{"runnerId":"1","graceMs":"60000","reason":"disk"}"#)
    _ = try ask(.createActor, #"{"runnerName":"mail","name":"box"}"#)
    for (subject, part) in [
      (#"{"runnerId":"1"}"#, #""reason":"disk""#), (#"{"orderId":"1"}"#, #""endsInMs":"60000""#),
      (#"{"actorId":"1"}"#, #""outlook":"OUTLOOK_"#), (#"{"pool":{"name":"mail"}}"#, "default/mail"),
    ] {
      let answer = try ask(.explain, subject)
      #expect(answer.hasPrefix(#"{"state":""#) && answer.contains(part), "\(subject): \(answer)")
      #expect(!answer.contains(#""sentences":[]"#))
    }
  }

  @Test func historyComesInPages() throws {
    _ = try fleet()
    _ = try ask(.cordon, #"{"runnerId":"1","cordoned":true,"reason":"disk"}"#)
    _ = try ask(.drain, #"{"wholePool":{"name":"mail"},"reason":"night"}"#)
    var (kinds, token) = ([String](), "")
    repeat {
      let page = try ask(.listHistory, #"{"name":"mail","pageSize":2,"pageToken":"\#(token)"}"#)
      kinds += page.matches(of: /"kind":"EVENT_KIND_(\w+)".*?"orders":(\d+)/).map {
        "\($0.output.1) \($0.output.2)"
      }
      token = String(try #require(page.firstMatch(of: /"nextPageToken":"([^"]*)"/)).output.1)
    } while !token.isEmpty
    #expect(kinds.prefix(2) == ["DRAIN_ORDERED 3", "RUNNER_CORDONED 0"], "\(kinds)")
    #expect(kinds.dropFirst(2).allSatisfy { $0.hasPrefix("TARGET_CHANGED") || $0.hasPrefix("CONFIG_PUT") })
  }

  // MARK: - Refusals

  struct Row: Sendable, CustomTestStringConvertible {
    var method: BatonAPI.Method
    var json: String
    var says: String
    var uid: UInt32 = 900
    var testDescription: String { "\(method) \(json.prefix(60))" }
  }

  private static let denied = "PERMISSION_DENIED: uid 2000 may not change pool default/mail"

  @Test(arguments: [
    Row(
      method: .setTargetVersion, json: "{}", says: "INVALID_ARGUMENT: target must be version, automatic or"),
    Row(
      method: .setTargetVersion, json: #"{"pool":{"name":"none"},"automatic":true}"#,
      says: "NOT_FOUND: pool default/none does not exist"),
    Row(
      method: .setTargetVersion, json: #"{"pool":{"name":"fresh"},"previous":true}"#,
      says: "FAILED_PRECONDITION: pool default/fresh has had no other target version"),
    Row(
      method: .setTargetVersion, json: #"{"pool":{"name":"cold"},"version":2}"#,
      says: "FAILED_PRECONDITION: pool default/cold is serverless"),
    Row(method: .setTargetVersion, json: #"{"pool":{"name":"mail"},"version":2}"#, says: denied, uid: 2000),
    Row(method: .cordon, json: "{}", says: "INVALID_ARGUMENT: runner_id must be"),
    Row(method: .cordon, json: #"{"runnerId":"9"}"#, says: "NOT_FOUND: runner 9 does not exist"),
    Row(method: .cordon, json: #"{"runnerId":"1","cordoned":true}"#, says: denied, uid: 2000),
    Row(method: .cancelDrain, json: "{}", says: "INVALID_ARGUMENT: which must be order_id or runner_id"),
    Row(method: .cancelDrain, json: #"{"orderId":"9"}"#, says: "NOT_FOUND: drain order 9 does not exist"),
    Row(method: .cancelDrain, json: #"{"runnerId":"9"}"#, says: "NOT_FOUND: runner 9 does not exist"),
    Row(
      method: .cancelDrain, json: #"{"runnerId":"2"}"#,
      says: "FAILED_PRECONDITION: runner 2 is ready: it has no open drain order"),
    Row(method: .cancelDrain, json: #"{"runnerId":"1"}"#, says: denied, uid: 2000),
    Row(
      method: .changeDeadline, json: #"{"orderId":"1"}"#,
      says: "INVALID_ARGUMENT: change must be extend_ms or"),
    Row(
      method: .changeDeadline, json: #"{"orderId":"1","extendMs":"1"}"#,
      says: "INVALID_ARGUMENT: extend_ms must be 1000 to 604800000 ms, is 1"),
    Row(
      method: .changeDeadline, json: #"{"orderId":"9","forceNow":true}"#,
      says: "NOT_FOUND: drain order 9 does not exist"),
    Row(
      method: .changeDeadline, json: #"{"runnerId":"2","forceNow":true}"#,
      says: "FAILED_PRECONDITION: runner 2 is ready"),
    Row(method: .changeDeadline, json: #"{"runnerId":"1","forceNow":true}"#, says: denied, uid: 2000),
    Row(
      method: .planUpgrade, json: #"{"pool":{"name":"none"}}"#,
      says: "NOT_FOUND: pool default/none does not exist"),
    Row(
      method: .planUpgrade, json: #"{"pool":{"name":"mail"},"pageToken":"made up"}"#,
      says: "INVALID_ARGUMENT: "),
    Row(method: .listHistory, json: #"{"pageToken":"made up"}"#, says: "INVALID_ARGUMENT: "),
    Row(method: .planUpgrade, json: "{}", says: "INVALID_ARGUMENT: pool.name must be"),
    Row(
      method: .planUpgrade, json: #"{"pool":{"name":"mail"},"registers":{"version":2}}"#,
      says: "INVALID_ARGUMENT: registers.total_slots must be"),
    Row(method: .explain, json: #"{"runnerId":"9"}"#, says: "NOT_FOUND: runner 9 does not exist"),
    Row(method: .explain, json: #"{"orderId":"9"}"#, says: "NOT_FOUND: drain order 9 does not exist"),
    Row(method: .explain, json: #"{"actorId":"9"}"#, says: "NOT_FOUND: actor 9 does not exist"),
    Row(
      method: .explain, json: #"{"pool":{"name":"none"}}"#,
      says: "NOT_FOUND: pool default/none does not exist"),
    Row(method: .explain, json: "{}", says: "INVALID_ARGUMENT: subject must be"),
    Row(method: .listHistory, json: #"{"pageSize":1001}"#, says: "INVALID_ARGUMENT: page_size must be"),
  ])
  func whatIsRefusedSaysWhy(_ row: Row) throws {
    _ = try fleet()
    _ = try ask(.putRunnerConfig, #"{"name":"fresh","config":{"normal":{}}}"#)
    _ = try ask(.putRunnerConfig, #"{"name":"cold","config":{"serverless":{}}}"#)
    _ = try ask(.drain, #"{"runnerId":"1","graceMs":"60000"}"#)
    let answer = try harness.answer(harness.connect(uid: row.uid), row.method, row.json)
    #expect(answer.hasPrefix(row.says), "\(answer)")
  }

  /// What has ended is no order to change, and says how it ended.
  @Test func whatHasEndedIsLeft() throws {
    _ = try fleet()
    _ = try ask(.drain, #"{"runnerId":"1"}"#)
    _ = try ask(.changeDeadline, #"{"orderId":"1","forceNow":true}"#)
    let says = "FAILED_PRECONDITION: drain order 1 has ended already (forced)"
    #expect(try ask(.cancelDrain, #"{"orderId":"1"}"#).hasPrefix(says))
    #expect(try ask(.changeDeadline, #"{"orderId":"1","extendMs":"1000"}"#).hasPrefix(says))
    #expect(try ask(.cordon, #"{"runnerId":"1","cordoned":true}"#).hasPrefix("FAILED_PRECONDITION: runner 1"))
  }

  @Test func aConsoleMayCallThem() throws {
    _ = try fleet()
    let console = harness.connect(uid: 900)
    try harness.send(console, Array("cordon {\"runnerId\":\"1\",\"cordoned\":true}\n".utf8))
    let cordoned = console.text()
    #expect(cordoned.contains(#""cordoned":true"#) && cordoned.hasSuffix("\nOK\n"), "\(cordoned)")
    try harness.send(console, Array("SetTargetVersion {\"pool\":{\"name\":\"mail\"},\"version\":1}\n".utf8))
    #expect(console.text().contains(#""pinnedVersion":1"#))
    try harness.send(console, Array("CancelDrain {}\nhelp\n".utf8))
    let text = console.text()
    #expect(text.hasPrefix("ERR INVALID_ARGUMENT which must be"))
    for name in [
      "SetTargetVersion", "Cordon", "CancelDrain", "ChangeDeadline", "PlanUpgrade", "Explain", "ListHistory",
    ] { #expect(text.contains("  baton.v1.FleetService/\(name)\n")) }
  }
}
