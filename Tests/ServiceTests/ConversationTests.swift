import HandWire
import Handover
import Testing

@testable import Service

/// A runner's conversation, message by message, as the daemon's side of `proto/PROTOCOL.md`.
@Suite struct ConversationTests {
  private let harness: ServiceHarness
  private let people: TestPeer

  init() throws {
    harness = try ServiceHarness()
    people = harness.connect(uid: 900)
  }

  private func drainOn(_ name: String = "mail") throws {
    let answer = try harness.answer(
      people, .putRunnerConfig,
      #"{"name":"\#(name)","config":{"normal":{"drainOnVersionUpgrade":true,"drainGracePeriodMs":"30000"}}}"#)
    #expect(answer.contains("CONFIG_CREATED"))
  }

  @Test func aRunnerIsRegisteredHeardAndLetGo() throws {
    let (peer, stream) = try harness.runner()
    let registered = try harness.heard(peer)
    #expect(registered.count == 1)
    #expect(registered[0].contains(#""runnerId":"1""#) && registered[0].contains("UPGRADE_DISABLED"))
    try harness.say(peer, stream, #"{"heartbeat":{"sequence":"1"}}"#)
    #expect(try harness.heard(peer) == [#"{"heartbeatAck":{"sequence":"1","openOrderId":"0"}}"#])
    try harness.say(peer, stream, #"{"detach":{"exitCode":0,"reason":"done"}}"#)
    let goodbye = try harness.heard(peer)
    #expect(goodbye.first == #"{"close":{"cause":"CAUSE_DETACHED","message":"goodbye"}}"#)
    #expect(goodbye.last == "end" && goodbye.count == 2)
    let runner = try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#)
    #expect(runner.contains("RUNNER_PHASE_STOPPED") && runner.contains(#""exitCode":0"#))
  }

  struct Wrong: Sendable, CustomTestStringConvertible {
    var what: String
    var said: [String]
    var ends: String
    var testDescription: String { what }
  }

  private static let register =
    #"{"register":{"name":"mail","version":1,"totalSlots":4,"token":"AQEBAQEBAQEBAQEBAQEBAQ=="}}"#

  @Test(arguments: [
    Wrong(what: "a heartbeat first", said: [#"{"heartbeat":{"sequence":"1"}}"#], ends: "INVALID_ARGUMENT: "),
    Wrong(
      what: "an acknowledgement first", said: [#"{"stopAck":{"orderId":"1"}}"#], ends: "INVALID_ARGUMENT: "),
    Wrong(what: "a stopping first", said: [#"{"stopping":{}}"#], ends: "INVALID_ARGUMENT: "),
    Wrong(what: "a detach first", said: [#"{"detach":{}}"#], ends: "INVALID_ARGUMENT: "),
    Wrong(what: "two registers", said: [register, register], ends: "INVALID_ARGUMENT: "),
    Wrong(
      what: "a register without a name", said: [#"{"register":{"version":1}}"#],
      ends: "INVALID_ARGUMENT: register.name must be"),
    Wrong(
      what: "a reason with control characters", said: [register, #"{"stopping":{"reason":"\u001b"}}"#],
      ends: "INVALID_ARGUMENT: stopping.reason must be"),
    Wrong(
      what: "a grace of a millisecond", said: [register, #"{"stopping":{"graceMs":"1"}}"#],
      ends: "INVALID_ARGUMENT: stopping.grace_ms must be"),
  ])
  func aWrongWordEndsTheConversationAndNothingElse(_ row: Wrong) throws {
    let peer = harness.connect()
    let stream = try harness.attach(peer)
    for json in row.said { try harness.say(peer, stream, json) }
    let last = try #require(try harness.heard(peer).last)
    #expect(last.hasPrefix(row.ends), "\(last)")
    #expect(try harness.answer(peer, .ping) == #"{"payload":""}"#)
  }

  @Test func aMessageOfTomorrowIsPassedOver() throws {
    let (peer, stream) = try harness.runner()
    _ = try harness.heard(peer)
    // A field of the oneof that this release does not know.
    try harness.send(peer, HandFrame.bytes(stream, HandFrame.data, 0, Wire.bytes(12, [1, 2])))
    try harness.say(peer, stream, #"{"heartbeat":{"sequence":"1"}}"#)
    #expect(try harness.heard(peer).count == 1)
  }

  /// It was settled while the acknowledgement was on its way.
  @Test func anAcknowledgementOfAnOrderThatIsNotOpenIsPassedOver() throws {
    let (peer, stream) = try harness.runner()
    _ = try harness.heard(peer)
    try harness.say(peer, stream, #"{"stopAck":{"orderId":"99"}}"#)
    try harness.say(peer, stream, #"{"stopAck":{"orderId":"18446744073709551615"}}"#)
    try harness.say(peer, stream, #"{"heartbeat":{"sequence":"1"}}"#)
    #expect(try harness.heard(peer).count == 1)
  }

  @Test func noRegisterWithinFiveSecondsIsTooLate() throws {
    let peer = harness.connect()
    _ = try harness.attach(peer)
    try harness.advance(milliseconds: 4990)
    #expect(try harness.heard(peer) == [])
    try harness.advance(milliseconds: 20)
    #expect(try harness.heard(peer) == ["DEADLINE_EXCEEDED: no Register within 5000 ms"])
  }

  @Test func heartbeatsPastTheRateEndIt() throws {
    let (peer, stream) = try harness.runner()
    // What is too much is passed over, and forgiven once; a second later it no longer is.
    func beat(_ sequences: ClosedRange<Int>) throws -> [String] {
      for sequence in sequences {
        try harness.say(peer, stream, #"{"heartbeat":{"sequence":"\#(sequence)"}}"#)
      }
      return try harness.heard(peer)
    }
    #expect(try beat(1...400).last == #"{"heartbeatAck":{"sequence":"201","openOrderId":"0"}}"#)
    try harness.advance(milliseconds: 1000)
    #expect(try beat(401...600).contains("RESOURCE_EXHAUSTED: more than 100 heartbeats a second, twice"))
  }

  // MARK: - Stops

  @Test func anUpgradeStopsTheOlderOneAndTheAcknowledgementIsKept() throws {
    try drainOn()
    let (old, stream) = try harness.runner(version: 1)
    _ = try harness.heard(old)
    let (new, _) = try harness.runner(version: 2, token: 2)
    #expect(try harness.heard(new).first?.contains(#""upgrade":"UPGRADE_APPLIED","ordered":1"#) == true)
    let stop = try #require(try harness.heard(old).first)
    #expect(stop.hasPrefix(#"{"stop":{"orderId":"1","cause":"DRAIN_CAUSE_VERSION_UPGRADE""#))
    #expect(
      stop.contains(#""targetVersion":2,"remainingMs":"27000""#), "nine tenths: the runner is done first")
    // Delivered is known when the kernel took the bytes; until it is acknowledged every answer names it.
    try harness.say(old, stream, #"{"heartbeat":{"sequence":"1"}}"#)
    #expect(try harness.heard(old) == [#"{"heartbeatAck":{"sequence":"1","openOrderId":"1"}}"#])
    #expect(try harness.answer(people, .getDrain, #"{"orderId":"1"}"#).contains("DRAIN_STATE_DELIVERED"))
    try harness.say(old, stream, #"{"stopAck":{"orderId":"1"}}"#)
    try harness.say(old, stream, #"{"stopAck":{"orderId":"1"}}"#)
    try harness.say(old, stream, #"{"heartbeat":{"sequence":"2"}}"#)
    #expect(try harness.heard(old) == [#"{"heartbeatAck":{"sequence":"2","openOrderId":"0"}}"#])
    try harness.say(old, stream, #"{"detach":{"exitCode":0}}"#)
    #expect(try harness.answer(people, .getDrain, #"{"orderId":"1"}"#).contains("DRAIN_STATE_COMPLETED"))
  }

  /// The reviews' "a Stop that cannot be delivered": nothing is lost by it, it comes with the next connection.
  @Test func aStopThatNobodyTookIsSentAgainWhenTheRunnerComesBack() throws {
    try drainOn()
    let (old, _) = try harness.runner(version: 1)
    _ = try harness.heard(old)
    old.room = 0
    _ = try harness.runner(version: 2, token: 2)
    #expect(try harness.answer(people, .getDrain, #"{"orderId":"1"}"#).contains("DRAIN_STATE_ORDERED"))
    try harness.vanish(old)
    let (back, _) = try harness.runner(version: 1)
    let heard = try harness.heard(back)
    #expect(heard.count == 2 && heard[0].contains(#""resumed":true"#))
    #expect(heard[1].hasPrefix(#"{"stop":{"orderId":"1""#))
    #expect(try harness.answer(people, .getDrain, #"{"orderId":"1"}"#).contains("DRAIN_STATE_DELIVERED"))
  }

  @Test func theDeadlineForces() throws {
    try drainOn()
    let (old, stream) = try harness.runner(version: 1)
    _ = try harness.runner(version: 2, token: 2)
    var sequence = 0
    for _ in 0..<31 {
      sequence += 1
      if old.isOpen { try harness.say(old, stream, #"{"heartbeat":{"sequence":"\#(sequence)"}}"#) }
      try harness.advance(milliseconds: 1000)
    }
    let heard = try harness.heard(old)
    #expect(heard.contains { $0.contains("CAUSE_FORCED") && $0.contains("deadline") })
    #expect(try harness.answer(people, .getDrain, #"{"orderId":"1"}"#).contains("DRAIN_STATE_FORCED"))
  }

  @Test func aRunnerMayDrainItself() throws {
    let (peer, stream) = try harness.runner()
    _ = try harness.heard(peer)
    try harness.say(peer, stream, #"{"stopping":{"reason":"the host goes down","graceMs":"5000"}}"#)
    let stop = try #require(try harness.heard(peer).first)
    #expect(stop.contains("DRAIN_CAUSE_SELF") && stop.contains("the host goes down"))
  }

  // MARK: - Stops that are taken back

  private func cancelDrain(reason: String) throws {
    let who = Peer(uid: 900, gid: 900, pid: 1, program: "baton")
    harness.service.submitBackground(.cancelDrain(.order(DrainOrderID(1)), reason: reason, who: who))
    try harness.settle()
  }

  /// A runner whose Stop has come, and was taken back.
  private func askedRunner() throws -> (peer: TestPeer, stream: UInt32) {
    let (peer, stream) = try harness.runner()
    _ = try harness.answer(people, .drain, #"{"runnerId":"1","reason":"reboot"}"#)
    #expect(try harness.heard(peer).last?.hasPrefix(#"{"stop":{"orderId":"1""#) == true)
    try cancelDrain(reason: "the wrong host")
    #expect(try harness.heard(peer) == [Self.question])
    return (peer, stream)
  }

  private static let question = #"{"stopCancelled":{"orderId":"1","reason":"the wrong host"}}"#

  private func say(_ answer: String, _ peer: TestPeer, _ stream: UInt32) throws {
    try harness.say(
      peer, stream, #"{"stopCancelledAnswer":{"orderId":"1","answer":"ANSWER_\#(answer)"}}"#)
  }

  private func order() throws -> String { try harness.answer(people, .getDrain, #"{"orderId":"1"}"#) }

  @Test func onlyTheRunnersWordCancelsAStopThatItHas() throws {
    let (peer, stream) = try askedRunner()
    // The Stop that is in question waits for no acknowledgement.
    try harness.say(peer, stream, #"{"heartbeat":{"sequence":"1"}}"#)
    #expect(try harness.heard(peer) == [#"{"heartbeatAck":{"sequence":"1","openOrderId":"0"}}"#])
    #expect(try order().contains("DRAIN_STATE_DELIVERED"))
    try say("RESUMED", peer, stream)
    #expect(try order().contains("DRAIN_STATE_CANCELLED"))
    #expect(try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_PHASE_READY"))
  }

  @Test func theQuestionComesInThePlaceOfTheStopUntilItIsAnswered() throws {
    _ = try askedRunner()
    let (again, _) = try harness.runner()
    let heard = try harness.heard(again)
    #expect(heard.count == 2 && heard[0].contains("STANDING_DRAINING") && heard[1] == Self.question)
    #expect(try order().contains("DRAIN_STATE_DELIVERED"))
    _ = try harness.answer(people, .changeDeadline, #"{"runnerId":"1","extendMs":"60000"}"#)
    let (later, stream) = try harness.runner()
    #expect(try harness.heard(later).last == Self.question)
    try say("TOO_LATE", later, stream)
    #expect(try remaining(later) > 1_800_000, "it was away, or asked, while its deadline moved")
    let (last, _) = try harness.runner()
    #expect(try harness.heard(last).last?.hasPrefix(#"{"stop":{"orderId":"1""#) == true)
  }

  /// Who is given more time while it is asked, or after it said that it leaves, would else end by the deadline that it knows.
  @Test func whoeverLeavesAllTheSameHearsOfEveryNewDeadline() throws {
    let (peer, stream) = try askedRunner()
    _ = try harness.answer(people, .changeDeadline, #"{"runnerId":"1","extendMs":"60000"}"#)
    #expect(try harness.heard(peer) == [], "a Stop now would be a new one for a runner that stays")
    try say("TOO_LATE", peer, stream)
    #expect(try remaining(peer) > 1_800_000)
    _ = try harness.answer(people, .changeDeadline, #"{"runnerId":"1","extendMs":"60000"}"#)
    #expect(try remaining(peer) > 1_860_000)
  }

  /// What its only news, a Stop, says.
  private func remaining(_ peer: TestPeer) throws -> Int {
    let heard = try harness.heard(peer)
    let stop = try #require(heard.count == 1 ? heard.first : nil, "\(heard)")
    return try #require(stop.firstMatch(of: /"stop":.*"remainingMs":"(\d+)"/).flatMap { Int($0.output.1) })
  }

  @Test func aStopThatNobodyTookIsCancelledAtOnceAndTheStandingSaysSo() throws {
    let (peer, _) = try harness.runner()
    _ = try harness.heard(peer)
    peer.room = 0
    _ = try harness.answer(people, .drain, #"{"runnerId":"1"}"#)
    try cancelDrain(reason: "the wrong host")
    #expect(try order().contains("DRAIN_STATE_CANCELLED"))
    try harness.vanish(peer)
    let (back, stream) = try harness.runner()
    let heard = try harness.heard(back)
    #expect(heard.count == 1 && heard[0].contains("STANDING_READY"))
    // It had got the Stop all the same, and has begun to end.
    try harness.say(back, stream, #"{"stopping":{"reason":"too late"}}"#)
    #expect(try harness.heard(back).first?.contains("DRAIN_CAUSE_SELF") == true)
  }

  @Test func tooLateForAnOrderThatIsCancelledBeginsTheRunnersOwnDrain() throws {
    let (peer, stream) = try harness.runner()
    _ = try harness.heard(peer)
    peer.room = 0
    _ = try harness.answer(people, .drain, #"{"runnerId":"1"}"#)
    try cancelDrain(reason: "the wrong host")
    // Its Stop was on its way, and came with the question.
    try harness.read(peer)
    let heard = try harness.heard(peer)
    #expect(heard.count == 2 && heard[0].hasPrefix(#"{"stop""#) && heard[1] == Self.question)
    try say("TOO_LATE", peer, stream)
    let stop = try #require(try harness.heard(peer).first)
    #expect(stop.hasPrefix(#"{"stop":{"orderId":"2""#) && stop.contains("DRAIN_CAUSE_SELF"))
  }

  // MARK: - Loss

  @Test func aCutIsADetachmentAndTheThresholdALoss() throws {
    let (peer, _) = try harness.runner()
    try harness.vanish(peer)
    #expect(try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_LINK_DETACHED"))
    try harness.advance(milliseconds: 16_000)
    let runner = try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#)
    #expect(runner.contains("RUNNER_PHASE_LOST") && runner.contains("RUNNER_END_THRESHOLD"))
  }

  @Test func aDeadProcessIsLostAtOnce() throws {
    let (peer, _) = try harness.runner(endsWithProcess: true)
    #expect(harness.watchedProcesses == [RunnerID(1)])
    try harness.vanish(peer)
    try harness.processDied(RunnerID(1))
    #expect(try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_END_PROCESS_DIED"))
    #expect(harness.watchedProcesses == [])
  }

  /// A parent may die while its children work on: who has not declared otherwise is not watched, and has the threshold.
  @Test func aProcessIsWatchedOnlyWhereItWasDeclared() throws {
    let (peer, _) = try harness.runner()
    #expect(harness.watchedProcesses == [])
    try harness.vanish(peer)
    #expect(try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_PHASE_READY"))
  }

  @Test func whoAttachesAgainTakesTheConversationOver() throws {
    let (first, _) = try harness.runner()
    _ = try harness.heard(first)
    let (second, _) = try harness.runner()
    #expect(try harness.heard(second).first?.contains(#""resumed":true"#) == true)
    #expect(try harness.heard(first).first?.contains("CAUSE_RESUMED_ELSEWHERE") == true)
    // The late end of the first says nothing of the second.
    try harness.vanish(first)
    #expect(try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_LINK_ATTACHED"))
  }

  /// The commit is under way when its connection dies.
  @Test func aRegistrationWhosePeerIsGoneIsDetached() throws {
    harness.holdsCommits = true
    let (peer, _) = try harness.runner()
    try harness.vanish(peer)
    harness.holdsCommits = false
    try harness.settle()
    #expect(try harness.answer(people, .getRunner, #"{"runnerId":"1"}"#).contains("RUNNER_LINK_DETACHED"))
  }

  // MARK: - Authority

  /// A pool belongs to who registered first; another user's newer version drains nobody there, and is told so.
  @Test func aStrangersUpgradeIsNotAuthorized() throws {
    try drainOn()
    let (old, _) = try harness.runner(version: 1, uid: 1000)
    _ = try harness.heard(old)
    let (stranger, _) = try harness.runner(version: 2, token: 2, uid: 2000)
    #expect(try harness.heard(stranger).first?.contains("UPGRADE_NOT_AUTHORIZED") == true)
    #expect(try harness.heard(old) == [])
    let refused = try harness.answer(
      harness.connect(uid: 2000), .drain, #"{"wholePool":{"name":"mail"}}"#)
    #expect(refused.hasPrefix("PERMISSION_DENIED: "))
  }

  // MARK: - The end of the daemon, and its log

  @Test func attachedRunnersAreToldThatTheDaemonStops() throws {
    let (peer, _) = try harness.runner()
    _ = try harness.heard(peer)
    try harness.shutDown()
    #expect(try harness.heard(peer).first?.contains("CAUSE_DAEMON_STOPPING") == true)
  }

  /// What the operator reads at night: one line a decision, none for what does not matter.
  @Test func theLogTellsTheStory() throws {
    try drainOn()
    let (old, stream) = try harness.runner(version: 1)
    harness.clearLog()
    _ = try harness.runner(version: 2, token: 2)
    try harness.say(old, stream, #"{"stopAck":{"orderId":"1"}}"#)
    try harness.say(old, stream, #"{"heartbeat":{"sequence":"1"}}"#)
    try harness.say(old, stream, #"{"detach":{"exitCode":0}}"#)
    let lines = harness.lines()
    let decision = try #require(lines.first)
    for part in ["name=", "version=", "ordered=", "upgrade="] {
      #expect(decision.contains(part), "\(decision)")
    }
    #expect(lines.contains { $0.contains("drain") && $0.contains("completed") }, "\(lines)")
    #expect(lines.count <= 6, "\(lines)")
    #expect(!lines.contains { $0.contains("heartbeat") })
  }
}
