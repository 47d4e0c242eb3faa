import Handover
import Testing

private func session(_ state: String) -> AttachSession {
  var session = AttachSession(heartbeatsPerSecond: 10, burst: 20)
  if state == "awaiting" { return session }
  try! session.register(as: AttachmentID(7))
  if state == "registering" { return session }
  _ = session.admitted(RunnerID(1), now: 0)
  if state == "attached" { return session }
  _ = try! session.detach()
  if state == "leaving" { return session }
  _ = session.close()
  return session
}

@Test(arguments: [
  ("awaiting", true), ("registering", false), ("attached", false), ("leaving", true), ("closed", true),
])
func registerComesOnlyOnce(state: String, isTaken: Bool) {
  var session = session(state)
  #expect(((try? session.register(as: AttachmentID(8))) != nil) == isTaken)
}

@Test(arguments: ["awaiting", "registering"])
func stoppingAndDetachNeedARegistration(state: String) {
  var session = session(state)
  #expect(throws: AttachSession.Violation.self) { try session.stopping() }
  #expect(throws: AttachSession.Violation.self) { try session.detach() }
}

@Test func stoppingAndDetachAreOfTheAttachedRunner() throws {
  var session = session("attached")
  let attachment = Handover.Attachment(runner: RunnerID(1), id: AttachmentID(7))
  #expect(try session.stopping() == attachment)
  #expect(try session.detach() == attachment)
}

/// What comes after the end is late, not wrong, and nobody is told of it.
@Test(arguments: ["leaving", "closed"]) func whatIsLateIsDropped(state: String) throws {
  var session = session(state)
  #expect(try session.stopping() == nil)
  #expect(try session.detach() == nil)
}

@Test func anAckCountsForTheOrderThatWaitsForItOnly() throws {
  var session = session("attached")
  session.stopSent(DrainOrderID(5))
  #expect(try session.stopAck(DrainOrderID(4)) == nil)
  #expect(
    try session.stopAck(DrainOrderID(5)) == StopAcknowledgement(runner: RunnerID(1), order: DrainOrderID(5)))
  #expect(try session.stopAck(DrainOrderID(5)) == nil)
}

@Test func aConnectionThatDiesWhileItsRegistrationCommitsLeavesADetachedRunner() {
  var session = session("registering")
  #expect(session.close() == nil)
  let isHere = session.admitted(RunnerID(1), now: 0)
  #expect(!isHere)
}

@Test func aFloodIsDroppedFirstAndEndsTheCallWhenItGoesOn() throws {
  var session = session("attached")
  var verdicts: Set<AttachSession.HeartbeatVerdict> = []
  for sequence in 1...100 { verdicts.insert(try session.heartbeat(UInt64(sequence), now: 0)) }
  #expect(verdicts == [.counted, .dropped])
  // A second later the burst has been paid back in part; a flood of the same size goes on beyond it.
  for sequence in 101...200 { verdicts.insert(try session.heartbeat(UInt64(sequence), now: 1_000_000_000)) }
  #expect(verdicts.contains(.flood))
}
