import HandWire
import Handover
import Testing
import Ttrpc

@testable import Service

/// When the history is pruned: seldom, in small steps with long pauses, never while the store is in trouble.
@Suite struct HistoryTests {
  private static func harness(_ events: Int64) throws -> ServiceHarness {
    try ServiceHarness {
      $0.history.events = events
      // Nothing else happens by itself.
      $0.times.silentThresholdMilliseconds = 600_000
      $0.times.lostThresholdMilliseconds = 3_600_000
    }
  }

  /// So many events: a console line makes a namespace.
  private static func write(_ count: Int, _ harness: ServiceHarness, _ prefix: String = "n") throws {
    let peer = harness.connect()
    for index in 0..<count {
      _ = try harness.answer(peer, .createNamespace, #"{"name":"\#(prefix)\#(index)"}"#)
    }
  }

  private func said(_ events: Int) -> String {
    "history pruned events=number(\(events)) orders=number(0) runners=number(0) actors=number(0)"
  }

  private func pruned(_ harness: ServiceHarness) -> UInt64 { harness.service.metrics.historyPruned[.events] }

  @Test func onceAMinuteAndSaidOnce() throws {
    let harness = try Self.harness(5)
    try Self.write(12, harness)
    harness.clearLog()
    let commits = harness.service.metrics.commits
    try harness.advance(milliseconds: 59_999)
    #expect(harness.service.metrics.commits == commits)
    try harness.advance(milliseconds: 1)
    #expect(pruned(harness) == 7)
    #expect(harness.lines() == [said(7)])
    // With nothing to do it says nothing, once a minute.
    try harness.advance(milliseconds: 600_000)
    #expect(pruned(harness) == 7)
    #expect(harness.service.metrics.commits == commits + 11)
    #expect(harness.lines().count == 1)
    let peer = harness.connect()
    let text = HandMessage(try #require(harness.call(peer, .getMetrics).first).payload).text(1)
    #expect(text.contains("baton_history_pruned_total{kind=\"events\"} 7\n"))
    #expect(text.contains("baton_history_pruned_total{kind=\"actors\"} 0\n"))
  }

  /// Two steps and a rest; each pause is ten times what the commit before it took, at least 20 ms.
  @Test(arguments: [(Int64(1_000_000), Int64(20)), (3_000_000, 30), (60_000_000_000, 60_000)])
  func moreIsLeftForLater(took: Int64, pauseMilliseconds: Int64) throws {
    let harness = try Self.harness(5)
    try Self.write(600, harness)
    harness.clearLog()
    harness.commitNanoseconds = took
    try harness.advance(milliseconds: 60_000)
    #expect(pruned(harness) == 250)
    try harness.advance(milliseconds: pauseMilliseconds - 1)
    #expect(pruned(harness) == 250)
    try harness.advance(milliseconds: 1)
    #expect(pruned(harness) == 500)
    #expect(harness.lines() == [])
    try harness.advance(milliseconds: pauseMilliseconds)
    #expect(pruned(harness) == 595)
    #expect(harness.lines() == [said(595)])
  }

  @Test func neverWhileTheStoreIsInTrouble() throws {
    let harness = try Self.harness(5)
    try Self.write(12, harness)
    harness.storeFailure = .unavailable("the disk is full")
    let peer = harness.connect()
    #expect(try harness.answer(peer, .createNamespace, #"{"name":"x"}"#).hasPrefix("UNAVAILABLE"))
    let failures = harness.service.metrics.commitFailures
    try harness.advance(milliseconds: 180_000)
    #expect(harness.service.metrics.commitFailures == failures)
    // A step that fails is not repeated at once, and whatever it wanted is done by a later one.
    harness.storeFailure = nil
    #expect(try harness.answer(peer, .createNamespace, #"{"name":"x"}"#).contains("revision"))
    harness.storeFailure = .unavailable("the disk is full")
    try harness.advance(milliseconds: 60_000)
    #expect(harness.service.metrics.commitFailures == failures + 1)
    try harness.advance(milliseconds: 1000)
    #expect(harness.service.metrics.commitFailures == failures + 1)
    harness.storeFailure = nil
    #expect(try harness.answer(peer, .createNamespace, #"{"name":"y"}"#).contains("revision"))
    #expect(pruned(harness) == 0)
    try harness.advance(milliseconds: 60_000)
    #expect(pruned(harness) == 9)
  }

  /// Who follows and has read everything sees no gap; who has not read is told, with the oldest that is kept.
  @Test func whoReadsTooSlowlyIsTold() throws {
    let harness = try ServiceHarness {
      $0.history.events = 5
      $0.watchPageEvents = 1
      $0.maxStreamQueueBytes = 400
      $0.writeStallMilliseconds = 600_000
    }
    let (live, slow) = (harness.connect(), harness.connect())
    let first = harness.service.currentRevision
    for peer in [live, slow] { _ = try harness.call(peer, .watch, #"{"fromRevision":"\#(first)"}"#) }
    try harness.read(slow, room: 0)
    try Self.write(30, harness)
    _ = live.answers()
    try harness.advance(milliseconds: 60_000)
    try Self.write(1, harness, "later")
    #expect(live.answers().map(\.type) == [HandFrame.data])
    try harness.read(slow)
    let last = try #require(slow.answers().last)
    #expect(last.code == StatusCode.outOfRange.rawValue)
    #expect(last.message.contains("the oldest event kept is \(first + 26)"), "\(last.message)")
    #expect(slow.isOpen)
  }
}
