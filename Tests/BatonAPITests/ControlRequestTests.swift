import CBatonProto
import Handover
import Protobuf
import Testing

@testable import BatonAPI

/// What operators ask of upgrades: every form is taken, a wrong field is named.
@Suite struct ControlRequestTests {
  private static let who = RequestTests.who
  private static let now = Moment(nanoseconds: 1, wallMilliseconds: 2)
  private static let mail = PoolName(namespace: "default", name: "mail")

  enum Call: String {
    case target, cordon, cancel, deadline, plan, explain, history
  }

  /// What the store is asked.
  enum Asked: Hashable, Sendable {
    case change(Mutation)
    case read(Query)
  }

  private static func read(_ call: Call, _ json: String) throws -> Asked {
    switch call {
    case .target, .cordon, .cancel, .deadline: .change(try mutation(call, json))
    case .plan, .explain, .history: .read(try query(call, json))
    }
  }

  private static func mutation(_ call: Call, _ json: String) throws -> Mutation {
    switch call {
    case .target:
      try decoded(json, as: Baton__V1__SetTargetVersionRequest.self) { try Requests.target($0, who: who) }
    case .cordon:
      try decoded(json, as: Baton__V1__CordonRequest.self) { try Requests.cordon($0, who: who) }
    case .cancel:
      try decoded(json, as: Baton__V1__CancelDrainRequest.self) { try Requests.cancelDrain($0, who: who) }
    case .deadline:
      try decoded(json, as: Baton__V1__ChangeDeadlineRequest.self) {
        try Requests.changeDeadline($0, who: who)
      }
    default: preconditionFailure("\(call) reads")
    }
  }

  private static func query(_ call: Call, _ json: String) throws -> Query {
    switch call {
    case .plan: try decoded(json, as: Baton__V1__PlanUpgradeRequest.self) { try Requests.plan($0, now: now) }
    case .explain:
      try decoded(json, as: Baton__V1__ExplainRequest.self) { try Requests.explanation($0, now: now) }
    case .history: try decoded(json, as: Baton__V1__ListHistoryRequest.self) { try Requests.history($0) }
    default: preconditionFailure("\(call) changes something")
    }
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var call: Call
    var json: String
    var asked: Asked
    var testDescription: String { "\(call) \(json)" }

    init(_ call: Call, _ json: String, _ mutation: Mutation) {
      (self.call, self.json, asked) = (call, json, .change(mutation))
    }
    init(_ call: Call, _ json: String, _ query: Query) {
      (self.call, self.json, asked) = (call, json, .read(query))
    }
  }

  @Test(arguments: [
    Row(
      .target, #"{"pool":{"name":"mail"},"version":4294967294,"reason":"why"}"#,
      Mutation.setTarget(mail, .version(Version(4_294_967_294)!), reason: "why", who: who)),
    Row(
      .target, #"{"pool":{"namespace":"staging","name":"mail"},"automatic":true}"#,
      Mutation.setTarget(PoolName(namespace: "staging", name: "mail"), .automatic, reason: "", who: who)),
    Row(
      .target, #"{"pool":{"name":"mail"},"previous":true}"#,
      Mutation.setTarget(mail, .previous, reason: "", who: who)),
    Row(
      .cordon, #"{"runnerId":"7","cordoned":true,"reason":"disk"}"#,
      Mutation.cordon(RunnerID(7), true, reason: "disk", who: who)),
    Row(.cordon, #"{"runnerId":"7"}"#, Mutation.cordon(RunnerID(7), false, reason: "", who: who)),
    Row(
      .cancel, #"{"orderId":"7","reason":"no"}"#,
      Mutation.cancelDrain(.order(DrainOrderID(7)), reason: "no", who: who)),
    Row(.cancel, #"{"runnerId":"7"}"#, Mutation.cancelDrain(.runner(RunnerID(7)), reason: "", who: who)),
    Row(
      .deadline, #"{"orderId":"7","extendMs":"1000"}"#,
      Mutation.changeDeadline(.order(DrainOrderID(7)), .extend(milliseconds: 1000), reason: "", who: who)),
    Row(
      .deadline, #"{"runnerId":"7","extendMs":"604800000"}"#,
      Mutation.changeDeadline(.runner(RunnerID(7)), .extend(milliseconds: 604_800_000), reason: "", who: who)),
    Row(
      .deadline, #"{"runnerId":"7","forceNow":true,"reason":"now"}"#,
      Mutation.changeDeadline(.runner(RunnerID(7)), .forceNow, reason: "now", who: who)),
    Row(.plan, #"{"pool":{"name":"mail"}}"#, Query.plan(mail, nil, Page(size: 100), at: now)),
    Row(
      .plan, #"{"pool":{"name":"mail"},"registers":{"version":2,"totalSlots":8},"pageSize":3}"#,
      Query.plan(mail, .registers(Version(2)!, slots: 8), Page(size: 3), at: now)),
    Row(
      .plan, #"{"pool":{"name":"mail"},"targetVersion":2,"pageToken":"t"}"#,
      Query.plan(mail, .pin(Version(2)), Page(size: 100, token: "t"), at: now)),
    Row(
      .plan, #"{"pool":{"name":"mail"},"targetVersion":0}"#,
      Query.plan(mail, .pin(nil), Page(size: 100), at: now)),
    Row(.explain, #"{"runnerId":"7"}"#, Query.explain(.runner(RunnerID(7)), at: now)),
    Row(.explain, #"{"orderId":"7"}"#, Query.explain(.order(DrainOrderID(7)), at: now)),
    Row(.explain, #"{"actorId":"7"}"#, Query.explain(.actor(ActorID(7)), at: now)),
    Row(.explain, #"{"pool":{"name":"mail"}}"#, Query.explain(.pool(mail), at: now)),
    Row(.history, "{}", Query.history(namespace: nil, name: nil, Page(size: 100))),
    Row(
      .history, #"{"namespace":"default","name":"mail","pageSize":1000}"#,
      Query.history(namespace: "default", name: "mail", Page(size: 1000))),
  ])
  func everyFormIsTaken(_ row: Row) throws {
    #expect(try Self.read(row.call, row.json) == row.asked)
  }

  @Test func aSupposedConfigIsTaken() throws {
    let read = try Self.read(
      .plan, #"{"pool":{"name":"mail"},"config":{"normal":{"maxDraining":{"count":2}}}}"#)
    guard case .read(.plan(Self.mail, .config(let config), _, _)) = read else {
      Issue.record("\(read)")
      return
    }
    #expect(config.kind == .normal(.init(upgrade: UpgradeSettings(maxDraining: .count(2)))))
  }

  private static let long = String(repeating: "w", count: 1025)
  private static let week = "must be 1000 to 604800000 ms"
  private static let form = "must be 1 to 128 bytes of letters"

  @Test(arguments: [
    (Call.target, WrongField("target", #"{"pool":{"name":"a"}}"#, "must be version, automatic or previous")),
    (.target, WrongField("version", #"{"pool":{"name":"a"},"version":0}"#, "must be 1 to 4294967294, is 0")),
    (
      .target,
      WrongField("version", #"{"pool":{"name":"a"},"version":4294967295}"#, "must be 1 to 4294967294")
    ),
    (.target, WrongField("automatic", #"{"pool":{"name":"a"},"automatic":false}"#, "must be true")),
    (.target, WrongField("previous", #"{"pool":{"name":"a"},"previous":false}"#, "must be true")),
    (.target, WrongField("pool.name", #"{"automatic":true}"#, form)),
    (.target, WrongField("pool.namespace", #"{"pool":{"namespace":"!","name":"a"},"automatic":true}"#, form)),
    (
      .target,
      WrongField(
        "reason", "{\"pool\":{\"name\":\"a\"},\"automatic\":true,\"reason\":\"\(long)\"}",
        "must be at most 1024 bytes")
    ),
    (.cordon, WrongField("runner_id", "{}", "must be 1 to 9223372036854775807, is 0")),
    (.cordon, WrongField("reason", #"{"runnerId":"1","reason":"\u001b"}"#, "must be at most 1024 bytes")),
    (.cancel, WrongField("which", "{}", "must be order_id or runner_id")),
    (.cancel, WrongField("order_id", #"{"orderId":"0"}"#, "must be 1 to")),
    (.cancel, WrongField("runner_id", #"{"runnerId":"9223372036854775808"}"#, "must be 1 to")),
    (.cancel, WrongField("reason", "{\"orderId\":\"1\",\"reason\":\"\(long)\"}", "must be at most 1024")),
    (.deadline, WrongField("which", #"{"forceNow":true}"#, "must be order_id or runner_id")),
    (.deadline, WrongField("change", #"{"orderId":"1"}"#, "must be extend_ms or force_now")),
    (.deadline, WrongField("order_id", #"{"orderId":"0","forceNow":true}"#, "must be 1 to")),
    (.deadline, WrongField("runner_id", #"{"runnerId":"0","forceNow":true}"#, "must be 1 to")),
    (.deadline, WrongField("force_now", #"{"orderId":"1","forceNow":false}"#, "must be true")),
    (.deadline, WrongField("extend_ms", #"{"orderId":"1","extendMs":"0"}"#, week)),
    (.deadline, WrongField("extend_ms", #"{"orderId":"1","extendMs":"999"}"#, week)),
    (.deadline, WrongField("extend_ms", #"{"orderId":"1","extendMs":"604800001"}"#, week)),
    (.deadline, WrongField("extend_ms", #"{"orderId":"1","extendMs":"18446744073709551615"}"#, week)),
    (.plan, WrongField("pool.name", "{}", form)),
    (
      .plan,
      WrongField("registers.version", #"{"pool":{"name":"a"},"registers":{"totalSlots":1}}"#, "must be 1 to")
    ),
    (
      .plan,
      WrongField(
        "registers.total_slots", #"{"pool":{"name":"a"},"registers":{"version":1}}"#, "must be 1 to 1000000")
    ),
    (.plan, WrongField("config.kind", #"{"pool":{"name":"a"},"config":{}}"#, "must be normal or serverless")),
    (
      .plan,
      WrongField("target_version", #"{"pool":{"name":"a"},"targetVersion":4294967295}"#, "must be 1 to")
    ),
    (.plan, WrongField("page_size", #"{"pool":{"name":"a"},"pageSize":1001}"#, "must be 0 (which is 100)")),
    (.explain, WrongField("subject", "{}", "must be runner_id, order_id, actor_id or pool")),
    (.explain, WrongField("runner_id", #"{"runnerId":"0"}"#, "must be 1 to")),
    (.explain, WrongField("order_id", #"{"orderId":"0"}"#, "must be 1 to")),
    (.explain, WrongField("actor_id", #"{"actorId":"0"}"#, "must be 1 to")),
    (.explain, WrongField("pool.name", #"{"pool":{}}"#, form)),
    (.history, WrongField("name", #"{"name":"!"}"#, form)),
    (.history, WrongField("page_size", #"{"pageSize":1001}"#, "must be 0 (which is 100)")),
  ])
  func aWrongFieldIsNamed(_ call: Call, _ row: WrongField) {
    let found = violation { try Self.read(call, row.json) }
    #expect(found?.field == row.field)
    #expect(found?.requirement.hasPrefix(row.says) == true, "\(found?.requirement ?? "nothing")")
  }
}
