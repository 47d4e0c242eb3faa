import CBatonProto
import Handover
import Protobuf
import Testing

@testable import BatonAPI

/// One request with one thing wrong, and what its sender is told. `requirement` is what the field must be.
struct WrongField: Sendable, CustomTestStringConvertible {
  var field: String
  var json: String
  var says: String

  init(_ field: String, _ json: String, _ says: String) {
    (self.field, self.json, self.says) = (field, json, says)
  }
  var testDescription: String { "\(field): \(json.prefix(60))" }
}

private let long = String(repeating: "n", count: 129)
private let token = #""token":"AAECAwQFBgcICQoLDA0ODw==""#
private let nameForm = "must be 1 to 128 bytes of letters"
private let graceForm = "must be 0 (the default) or 1000 to 604800000 ms"

/// Decoded from JSON, so that a row reads as what a person would type.
func decoded<Message: CMessage, Result>(
  _ json: String, as type: Message.Type, _ body: (UnsafeMutablePointer<Message>) throws -> Result
) throws -> Result {
  let arena = Arena()
  let bytes = try JSONDecode.bytes(json, as: Message.descriptor, in: Arena())
  return try withExtendedLifetime(arena) {
    try bytes.withUnsafeBytes { try body(Codec.decode(Message.self, $0, in: arena)) }
  }
}

func violation(_ body: () throws -> some Any) -> FieldViolation? {
  do {
    _ = try body()
    return nil
  } catch { return error as? FieldViolation }
}

@Suite struct RequestTests {
  static let who = Peer(uid: 1, gid: 2, pid: 3, program: "p")

  static func registration(_ json: String) throws -> Registration {
    try decoded(json, as: Baton__V1__Register.self) {
      try Requests.registration($0, peer: who, attachment: AttachmentID(9))
    }
  }

  @Test(arguments: [
    WrongField("register.name", "{\"version\":1,\"totalSlots\":1,\(token)}", nameForm),
    WrongField("register.name", "{\"name\":\"-a\",\"version\":1,\"totalSlots\":1,\(token)}", nameForm),
    WrongField("register.name", "{\"name\":\"a b\",\"version\":1,\"totalSlots\":1,\(token)}", nameForm),
    WrongField("register.name", "{\"name\":\"\(long)\",\"version\":1,\"totalSlots\":1,\(token)}", nameForm),
    WrongField(
      "register.namespace", "{\"namespace\":\"é\",\"name\":\"a\",\"version\":1,\"totalSlots\":1,\(token)}",
      nameForm),
    WrongField(
      "register.key", "{\"name\":\"a\",\"key\":\"\\u0007\",\"version\":1,\"totalSlots\":1,\(token)}",
      nameForm),
    WrongField(
      "register.version", "{\"name\":\"a\",\"totalSlots\":1,\(token)}", "must be 1 to 4294967294, is 0"),
    WrongField(
      "register.version", "{\"name\":\"a\",\"version\":4294967295,\"totalSlots\":1,\(token)}",
      "must be 1 to 4294967294, is 4294967295"),
    WrongField(
      "register.total_slots", "{\"name\":\"a\",\"version\":1,\(token)}", "must be 1 to 1000000, is 0"),
    WrongField(
      "register.total_slots", "{\"name\":\"a\",\"version\":1,\"totalSlots\":1000001,\(token)}",
      "must be 1 to 1000000, is 1000001"),
    WrongField(
      "register.token", "{\"name\":\"a\",\"version\":1,\"totalSlots\":1}",
      "must be 16 random bytes, not all zero; has 0"),
    WrongField(
      "register.token",
      "{\"name\":\"a\",\"version\":1,\"totalSlots\":1,\"token\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}",
      "must be 16 random bytes, not all zero"),
    WrongField(
      "register.metadata",
      "{\"name\":\"a\",\"version\":1,\"totalSlots\":1,\(token),\"metadata\":{\"\":\"x\"}}",
      "must have keys of 1 to 64 bytes"),
  ])
  func registrationsWrongFieldIsNamed(_ row: WrongField) {
    let found = violation { try Self.registration(row.json) }
    #expect(found?.field == row.field)
    #expect(found?.requirement.hasPrefix(row.says) == true, "\(found?.requirement ?? "nothing")")
  }

  @Test func theWholeOfARegistrationIsTaken() throws {
    let read = try Self.registration(
      #"{"name":"mail","key":"k:1","version":4294967294,"totalSlots":1000000,"endsWithProcess":true,"#
        + "\(token),\"metadata\":{\"commit\":\"3f2a\"}}")
    #expect(
      read
        == Registration(
          pool: PoolName(namespace: "default", name: "mail"), key: "k:1", version: Version(4_294_967_294)!,
          totalSlots: 1_000_000,
          token: RegistrationToken(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F),
          endsWithProcess: true, metadata: [MetadataPair(key: "commit", value: "3f2a")], peer: Self.who,
          attachment: AttachmentID(9)))
  }

  static func drain(_ json: String) throws -> DrainCommand {
    try decoded(json, as: Baton__V1__DrainRequest.self) { try Requests.drain($0, who: who) }
  }

  @Test(arguments: [
    WrongField("target", "{}", "must be runner_id, older_versions or whole_pool"),
    WrongField("runner_id", #"{"runnerId":"0"}"#, "must be 1 to 9223372036854775807, is 0"),
    WrongField(
      "runner_id", #"{"runnerId":"9223372036854775808"}"#, "must be 1 to 9223372036854775807"),
    WrongField("older_versions.name", #"{"olderVersions":{}}"#, nameForm),
    WrongField(
      "older_versions.below_version", #"{"olderVersions":{"name":"a","belowVersion":4294967295}}"#,
      "must be 1 to 4294967294"),
    WrongField("whole_pool.name", #"{"wholePool":{"name":"/"}}"#, nameForm),
    WrongField("grace_ms", #"{"wholePool":{"name":"a"},"graceMs":"999"}"#, graceForm),
    WrongField("grace_ms", #"{"wholePool":{"name":"a"},"graceMs":"604800001"}"#, graceForm),
    WrongField("grace_ms", #"{"wholePool":{"name":"a"},"graceMs":"18446744073709551615"}"#, graceForm),
    WrongField("reason", #"{"wholePool":{"name":"a"},"reason":"\u001b[2J"}"#, "must be at most 1024 bytes"),
  ])
  func drainsWrongFieldIsNamed(_ row: WrongField) {
    let found = violation { try Self.drain(row.json) }
    #expect(found?.field == row.field)
    #expect(found?.requirement.hasPrefix(row.says) == true, "\(found?.requirement ?? "nothing")")
  }

  @Test func everyTargetOfADrainIsTaken() throws {
    #expect(try Self.drain(#"{"runnerId":"7"}"#).target == .runner(RunnerID(7)))
    let pool = PoolName(namespace: "default", name: "a")
    #expect(
      try Self.drain(#"{"olderVersions":{"name":"a"}}"#).target == .olderVersions(pool, belowVersion: nil))
    #expect(
      try Self.drain(#"{"olderVersions":{"name":"a","belowVersion":3}}"#).target
        == .olderVersions(pool, belowVersion: Version(3)))
    let whole = try Self.drain(#"{"wholePool":{"name":"a"},"graceMs":"1000","reason":"move\tit"}"#)
    #expect(whole.target == .wholePool(pool))
    #expect(whole.graceMilliseconds == 1000 && whole.reason == "move\tit" && whole.who == Self.who)
  }

  @Test(arguments: [
    WrongField("config.kind", "{}", "must be normal or serverless"),
    WrongField("config.normal.drain_grace_period_ms", #"{"normal":{"drainGracePeriodMs":"1"}}"#, graceForm),
    WrongField(
      "config.metadata", #"{"serverless":{},"metadata":{"":""}}"#, "must have keys of 1 to 64 bytes"),
  ])
  func configsWrongFieldIsNamed(_ row: WrongField) throws {
    let found = violation {
      try decoded(row.json, as: Baton__V1__RunnerConfig.self) { try Requests.config($0) }
    }
    #expect(found?.field == row.field)
    #expect(found?.requirement.hasPrefix(row.says) == true, "\(found?.requirement ?? "nothing")")
  }

  @Test(arguments: [
    WrongField("page_size", #"{"pageSize":1001}"#, "must be 0 (which is 100) to 1000, is 1001"),
    WrongField(
      "page_token", "{\"pageToken\":\"\(String(repeating: "x", count: 513))\"}",
      "must be the last answer's next_page_token"),
    WrongField("phase", #"{"phase":5}"#, "has no value 5"),
    WrongField("name", #"{"name":"!"}"#, nameForm),
  ])
  func listsWrongFieldIsNamed(_ row: WrongField) throws {
    let found = violation {
      try decoded(row.json, as: Baton__V1__ListRunnersRequest.self) { try Requests.runners($0) }
    }
    #expect(found?.field == row.field)
    #expect(found?.requirement.hasPrefix(row.says) == true, "\(found?.requirement ?? "nothing")")
  }

  /// To ask for stopped runners is to ask for ended ones; nobody has to say it twice.
  @Test func anEndedPhaseAsksForEndedRunners() throws {
    let query = try decoded(#"{"phase":"RUNNER_PHASE_LOST"}"#, as: Baton__V1__ListRunnersRequest.self) {
      try Requests.runners($0)
    }
    #expect(
      query
        == .runners(
          RunnerFilter(namespace: nil, name: nil, phase: .lost, includeEnded: true), Page(size: 100)))
    let drains = try decoded(#"{"state":"DRAIN_STATE_ACKED"}"#, as: Baton__V1__ListDrainsRequest.self) {
      try Requests.drains($0)
    }
    #expect(
      drains
        == .drains(
          DrainFilter(namespace: nil, name: nil, state: .acked, includeEnded: false, runner: nil),
          Page(size: 100)))
  }
}
