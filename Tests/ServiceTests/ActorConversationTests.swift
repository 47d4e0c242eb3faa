import Foundation
import HandWire
import Handover
import Testing

@testable import Service

/// What is said about actors on Attach, message by message, and who watches one.
@Suite struct ActorConversationTests {
  private let harness: ServiceHarness
  private let people: TestPeer

  init() throws {
    harness = try ServiceHarness()
    people = harness.connect()
  }

  /// A runner that takes actors, after it has heard that it is registered.
  private func runner(
    version: UInt32 = 1, slots: Int = 4, token: UInt8 = 1
  ) throws -> (peer: TestPeer, stream: UInt32) {
    let peer = harness.connect()
    let stream = try register(peer, version: version, slots: slots, token: token)
    #expect(try harness.heard(peer).first?.contains("registered") == true)
    return (peer, stream)
  }

  private func register(
    _ peer: TestPeer, version: UInt32 = 1, slots: Int = 4, token: UInt8 = 1
  ) throws -> UInt32 {
    let stream = try harness.attach(peer)
    let encoded = Data([UInt8](repeating: token, count: 16)).base64EncodedString()
    try harness.say(
      peer, stream,
      """
      {"register":{"name":"mail","version":\(version),"totalSlots":\(slots),"token":"\(encoded)",\
      "takesActors":true}}
      """)
    return stream
  }

  private func create(_ more: String = "") throws {
    let answer = try harness.answer(people, .createActor, #"{"runnerName":"mail","name":"box"\#(more)}"#)
    try #require(answer.contains(#""created":true"#), "\(answer)")
  }

  private static func checkpoint(_ id: Int, _ generation: Int, _ index: Int) -> String {
    #"{"actorId":"\#(id)","generation":"\#(generation)","index":"\#(index)"}"#
  }

  private func event(
    _ peer: TestPeer, _ stream: UInt32, _ id: Int, _ generation: Int, _ index: Int, _ kind: String
  ) throws -> [String] {
    let checkpoint = Self.checkpoint(id, generation, index)
    try harness.say(
      peer, stream, #"{"actorEvents":{"events":[{"checkpoint":\#(checkpoint),\#(kind)}]}}"#)
    return try harness.heard(peer)
  }

  private func ack(_ peer: TestPeer, _ stream: UInt32, _ id: Int, _ generation: Int, _ index: Int) throws {
    let checkpoint = Self.checkpoint(id, generation, index)
    try harness.say(peer, stream, #"{"ackCommands":{"commands":[\#(checkpoint)]}}"#)
  }

  private func state(_ id: Int = 1) throws -> String {
    let answer = try harness.answer(people, .getActor, #"{"actorId":"\#(id)"}"#)
    return String(answer.firstMatch(of: /ACTOR_STATE_([A-Z]+)/)?.output.1 ?? "\(answer)")
  }

  private static func acked(_ id: Int, _ generation: Int, _ index: Int) -> String {
    #"{"ackEvents":{"acked":[\#(checkpoint(id, generation, index))],"refused":[]}}"#
  }

  private static func refused(_ id: Int, _ generation: Int, _ index: Int) -> String {
    #"{"ackEvents":{"acked":[],"refused":[\#(checkpoint(id, generation, index))]}}"#
  }

  private static let running = #""running":{}"#
  private static let ok = #""stopped":{"code":"CODE_OK","message":"done"}"#
  private static let error = #""stopped":{"code":"CODE_ERROR","message":"no memory"}"#

  // MARK: - Commands and events

  @Test func anActorsLifeOnTheWire() throws {
    let (peer, stream) = try runner()
    try create(#","key":"k1","input":"AQID""#)
    let start = try harness.heard(peer)
    #expect(
      start == [
        #"{"actorCommands":{"commands":[{"checkpoint":\#(Self.checkpoint(1, 1, 1)),"#
          + #""start":{"namespace":"default","name":"box","key":"k1","input":"AQID","startWithinMs":"27000"}}]}}"#
      ], "nine tenths of the time: the runner is done first")
    #expect(try event(peer, stream, 1, 1, 1, Self.running) == [Self.acked(1, 1, 1)])
    #expect(try state() == "RUNNING")
    #expect(
      try event(peer, stream, 1, 1, 2, #""setAlarm":{"afterMs":"60000"}"#) == [Self.acked(1, 1, 2)])
    let intent = try event(peer, stream, 1, 1, 3, #""intent":{"intent":"INTENT_SLEEP"}"#)
    #expect(intent.count == 2 && intent.contains(Self.acked(1, 1, 3)))
    #expect(intent.contains { $0.contains(#""stop":{"reason":"ACTOR_STOP_REASON_SLEEP""#) })
    #expect(try event(peer, stream, 1, 1, 4, Self.ok) == [Self.acked(1, 1, 4)])
    #expect(try state() == "SLEEPING")
    // The alarm rings by itself.
    for second in 0..<61 {
      try harness.say(peer, stream, #"{"heartbeat":{"sequence":"\#(second)"}}"#)
      try harness.advance(milliseconds: 1000)
    }
    #expect(
      try harness.heard(peer).contains { $0.contains(Self.checkpoint(1, 2, 1)) && $0.contains("start") })
    #expect(try event(peer, stream, 1, 2, 1, Self.error).contains(Self.acked(1, 2, 1)))
    #expect(try event(peer, stream, 1, 3, 1, Self.ok) == [Self.acked(1, 3, 1)])
    #expect(try state() == "DESTROYED")
    let actor = try harness.answer(people, .getActor, #"{"actorId":"1"}"#)
    #expect(actor.contains(#""stopMessage":"done""#) && actor.contains("ACTOR_FAILURE_CRASHED"))
  }

  @Test func whatDoesNotCountIsRefusedAndSaidSo() throws {
    let (peer, stream) = try runner()
    try create()
    _ = try harness.heard(peer)
    #expect(try event(peer, stream, 1, 2, 1, Self.running) == [Self.refused(1, 2, 1)])
    #expect(try event(peer, stream, 9, 1, 1, Self.running) == [Self.refused(9, 1, 1)])
    #expect(try event(peer, stream, 1, 2, 0, #""held":{}"#) == [Self.refused(1, 2, 0)])
    #expect(try event(peer, stream, 1, 1, 0, #""held":{}"#) == [], "it is held: there is nothing to say")
    #expect(try state() == "STARTING")
    // The same once more.
    for _ in 0..<2 { #expect(try event(peer, stream, 1, 1, 1, Self.running) == [Self.acked(1, 1, 1)]) }
    // What a newer runner says besides.
    try harness.send(
      peer,
      HandFrame.bytes(stream, HandFrame.data, 0, Wire.bytes(6, Wire.bytes(1, Wire.bytes(15, [])))))
    try harness.say(peer, stream, #"{"actorEvents":{}}"#)
    #expect(try harness.heard(peer) == [])
    #expect(try state() == "RUNNING")
  }

  @Test func commandsAreSentAgainUntilTheyAreAcknowledged() throws {
    let (first, _) = try runner()
    try create()
    #expect(try harness.heard(first).count == 1)
    try harness.vanish(first)
    let (second, stream) = try resumed()
    let again = try harness.heard(second)
    #expect(again.count == 2 && again[1].contains(Self.checkpoint(1, 1, 1)) && again[1].contains("start"))
    try ack(second, stream, 1, 1, 1)
    #expect(
      try harness.answer(people, .getActor, #"{"actorId":"1"}"#).contains(#""commandAcked":true"#))
    try harness.vanish(second)
    let (third, _) = try resumed()
    #expect(try harness.heard(third).count == 1, "only Registered")
  }

  private func resumed() throws -> (peer: TestPeer, stream: UInt32) {
    let peer = harness.connect()
    return (peer, try register(peer))
  }

  /// What was told while nobody was there.
  @Test func commandsOfTheTimeBetween() throws {
    let (first, stream) = try runner()
    try create()
    _ = try event(first, stream, 1, 1, 1, Self.running)
    try harness.vanish(first)
    #expect(try harness.answer(people, .destroyActor, #"{"actorId":"1"}"#).contains("STOPPING"))
    let (second, _) = try resumed()
    let heard = try harness.heard(second)
    #expect(heard.count == 2 && heard[1].contains(#""stop":{"reason":"ACTOR_STOP_REASON_DESTROY""#))
  }

  @Test func aStartTimeoutDrops() throws {
    let (peer, stream) = try runner()
    try create()
    _ = try harness.heard(peer)
    for second in 1...30 {
      try harness.say(peer, stream, #"{"heartbeat":{"sequence":"\#(second)"}}"#)
      try harness.advance(milliseconds: 1000)
    }
    let heard = try harness.heard(peer).filter { $0.contains("actorCommands") }
    #expect(heard.count == 2)
    #expect(
      heard.contains(
        #"{"actorCommands":{"commands":[{"checkpoint":\#(Self.checkpoint(1, 1, 0)),"drop":{}}]}}"#))
    #expect(heard.contains { $0.contains(Self.checkpoint(1, 2, 1)) && $0.contains(#""start":"#) })
    #expect(try harness.answer(people, .getActor, #"{"actorId":"1"}"#).contains("RUNNER_NO_RESPONSE"))
    #expect(harness.lines(.warning).contains { $0.contains("actor taken from its runner") })
  }

  /// Commands are read for a runner as it takes them: what waits for it is bounded, and nothing is lost.
  @Test func aSlowRunnerGetsThemAtItsPace() throws {
    let (peer, _) = try runner(slots: 1000)
    let input = Data([UInt8](repeating: 7, count: 60_000)).base64EncodedString()
    peer.room = 0
    for _ in 0..<60 { try create(#","input":"\#(input)""#) }
    #expect(harness.service.queuedBytes(peer.id) < 600_000)
    var seen: [Int] = []
    while seen.count < 60 {
      try harness.read(peer, room: 50_000)
      #expect(harness.service.queuedBytes(peer.id) < 600_000)
      let commands = try harness.heard(peer).flatMap { $0.matches(of: /"actorId":"(\d+)"/) }
      seen += commands.map { Int($0.output.1)! }
      try #require(peer.isOpen)
    }
    #expect(seen == Array(1...60))
  }

  @Test func anUpgradeMovesThem() throws {
    let answer = try harness.answer(
      people, .putRunnerConfig, #"{"name":"mail","config":{"normal":{"drainOnVersionUpgrade":true}}}"#)
    #expect(answer.contains("CONFIG_CREATED"))
    let (old, oldStream) = try runner()
    try create()
    _ = try event(old, oldStream, 1, 1, 1, Self.running)
    let (new, newStream) = try runner(version: 2, token: 2)
    let told = try harness.heard(old)
    #expect(told.contains { $0.contains(#""stop":{"orderId":"1""#) })
    #expect(told.contains { $0.contains(#""stop":{"reason":"ACTOR_STOP_REASON_GOING_AWAY""#) })
    #expect(try event(old, oldStream, 1, 1, 2, Self.error) == [Self.acked(1, 1, 2)])
    #expect(try harness.heard(new).contains { $0.contains(Self.checkpoint(1, 2, 1)) })
    #expect(try event(old, oldStream, 1, 1, 3, Self.running) == [Self.refused(1, 1, 3)])
    #expect(try event(new, newStream, 1, 2, 1, Self.running) == [Self.acked(1, 2, 1)])
    let actor = try harness.answer(people, .getActor, #"{"actorId":"1"}"#)
    #expect(actor.contains(#""runnerVersion":2"#) && actor.contains(#""retries":0"#))
  }

  // MARK: - Wrong words

  struct Wrong: Sendable, CustomTestStringConvertible {
    var said: String
    var ends: String
    var testDescription: String { said }
  }

  @Test(arguments: [
    Wrong(
      said: #"{"checkpoint":{"actorId":"1","generation":"1","index":"1"},"intent":{}}"#,
      ends: "INVALID_ARGUMENT: intent.intent must be INTENT_SLEEP or INTENT_STOP"),
    Wrong(
      said:
        #"{"checkpoint":{"actorId":"1","generation":"1","index":"1"},"setAlarm":{"afterMs":"31536000001"}}"#,
      ends: "INVALID_ARGUMENT: set_alarm.after_ms must be"),
    Wrong(
      said:
        #"{"checkpoint":{"actorId":"1","generation":"1","index":"1"},"stopped":{"message":"\u001b[2J"}}"#,
      ends: "INVALID_ARGUMENT: stopped.message must be"),
    Wrong(
      said: #"{"checkpoint":{"actorId":"1","generation":"1","index":"0"},"running":{}}"#,
      ends: "INVALID_ARGUMENT: checkpoint.index must be"),
    Wrong(said: #"{"running":{}}"#, ends: "INVALID_ARGUMENT: checkpoint.index must be"),
  ])
  func aWrongEventEndsTheConversation(_ row: Wrong) throws {
    let (peer, stream) = try runner()
    try create()
    _ = try harness.heard(peer)
    try harness.say(peer, stream, #"{"actorEvents":{"events":[\#(row.said)]}}"#)
    #expect(try harness.heard(peer).last?.hasPrefix(row.ends) == true)
    #expect(try state() == "STARTING", "nothing of it has happened")
    #expect(try harness.answer(peer, .ping) == #"{"payload":""}"#)
  }

  @Test(arguments: [#"{"actorEvents":{}}"#, #"{"ackCommands":{}}"#], [true, false])
  func notBeforeRegistered(_ said: String, _ isRegistering: Bool) throws {
    let peer = harness.connect()
    harness.holdsCommits = isRegistering
    let stream = isRegistering ? try register(peer) : try harness.attach(peer)
    try harness.say(peer, stream, said)
    #expect(try harness.heard(peer).last?.hasPrefix("INVALID_ARGUMENT: Registered comes before A") == true)
  }

  /// A checkpoint at the end of the numbers is one like another.
  @Test func theGreatestNumbers() throws {
    let (peer, stream) = try runner()
    let greatest = UInt64.max
    try harness.say(
      peer, stream,
      #"{"actorEvents":{"events":[{"checkpoint":{"actorId":"\#(greatest)","generation":"\#(greatest)","#
        + #""index":"\#(greatest)"},"running":{}}]}}"#)
    #expect(try harness.heard(peer).first?.contains(#""refused":[{"actorId":"9223372036854775807""#) == true)
    try harness.say(
      peer, stream,
      #"{"ackCommands":{"commands":[{"actorId":"\#(greatest)","generation":"\#(greatest)","index":"0"}]}}"#)
    #expect(try harness.heard(peer) == [])
  }
}
