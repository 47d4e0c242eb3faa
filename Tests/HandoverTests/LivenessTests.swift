import Handover
import Testing

private let second: Int64 = 1_000_000_000

private func attachment(_ id: Int64) -> Handover.Attachment {
  Handover.Attachment(runner: RunnerID(id), id: AttachmentID(id))
}

/// Sweeps as the daemon does, at each time that it asks for, and gathers what comes.
private func run(_ liveness: inout Liveness, from: Int64, to end: Int64, hearing: [Liveness.Slot] = [])
  -> [Liveness.Sweep]
{
  var found: [Liveness.Sweep] = []
  while let next = liveness.nextSweep, next <= end {
    for slot in hearing { _ = liveness.heard(slot, now: next) }
    let sweep = liveness.sweep(now: next)
    if sweep != Liveness.Sweep() { found.append(sweep) }
  }
  return found
}

@Test func oneThatIsNotHeardFallsSilentThenIsLost() {
  var liveness = Liveness(times: FleetTimes(), now: 0)
  _ = liveness.add(attachment(1), isAttached: true, now: 0)
  let heard = liveness.add(attachment(2), isAttached: true, now: 0)
  #expect(run(&liveness, from: 0, to: 10 * second, hearing: [heard]).isEmpty)
  let silent = run(&liveness, from: 10 * second, to: 15 * second, hearing: [heard])
  #expect(silent.map(\.silent) == [[attachment(1)]])
  let lost = run(&liveness, from: 15 * second, to: 17 * second, hearing: [heard])
  #expect(lost.map(\.lost) == [[attachment(1)]])
}

@Test func hearingASilentOneIsNewsOnce() {
  var liveness = Liveness(times: FleetTimes(), now: 0)
  let slot = liveness.add(attachment(1), isAttached: true, now: 0)
  _ = run(&liveness, from: 0, to: 12 * second)
  let isNews = liveness.heard(slot, now: 12 * second)
  #expect(isNews)
  let again = liveness.heard(slot, now: 12 * second)
  #expect(!again)
}

@Test func aStalledDaemonGivesEveryoneTheFullThresholdAnew() {
  var liveness = Liveness(times: FleetTimes(), now: 0)
  _ = liveness.add(attachment(1), isAttached: true, now: 0)
  let sweep = liveness.sweep(now: 60 * second)
  #expect(sweep.lost.isEmpty)
  #expect(sweep.grace == .stalled(nanoseconds: 60 * second - liveness.sweepIntervalNanoseconds))
  #expect(run(&liveness, from: 60 * second, to: 75 * second).flatMap(\.lost).isEmpty)
  #expect(run(&liveness, from: 75 * second, to: 77 * second).flatMap(\.lost) == [attachment(1)])
}

@Test func massSilenceIsForgivenOnceAnIncident() {
  var liveness = Liveness(times: FleetTimes(), now: 0)
  for id in 1...10 { _ = liveness.add(attachment(Int64(id)), isAttached: true, now: 0) }
  let first = run(&liveness, from: 0, to: 24 * second)
  #expect(first.compactMap(\.grace) == [.massSilence(quiet: 10, living: 10)])
  #expect(first.flatMap(\.lost).isEmpty)
  #expect(run(&liveness, from: 24 * second, to: 30 * second).flatMap(\.lost).count == 10)
}

@Test func nineAreTooFewForAMassSilence() {
  var liveness = Liveness(times: FleetTimes(), now: 0)
  for id in 1...9 { _ = liveness.add(attachment(Int64(id)), isAttached: true, now: 0) }
  let found = run(&liveness, from: 0, to: 17 * second)
  #expect(found.compactMap(\.grace).isEmpty)
  #expect(found.flatMap(\.lost).count == 9)
}

@Test func aDetachedOneIsLostButNeverSaidToBeSilent() {
  var liveness = Liveness(times: FleetTimes(), now: 0)
  let slot = liveness.add(attachment(1), isAttached: true, now: 0)
  liveness.detached(slot, now: 0)
  let found = run(&liveness, from: 0, to: 17 * second)
  #expect(found.flatMap(\.silent).isEmpty)
  #expect(found.flatMap(\.lost) == [attachment(1)])
}
