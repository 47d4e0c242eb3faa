import Handover

/// When each open order must have ended, worked out from when it was ordered and when the daemon was started since: a
/// restart neither loses nor doubles what was left, and leaves at least the lost threshold.
struct Deadlines {
  /// How late the daemon may be when nothing keeps it from acting.
  private static let slackNanoseconds: Int64 = 5_000_000_000

  private struct Known {
    var deadline: Int64
    var grace: Int64
  }
  /// Those that somebody may have given more time.
  private var extended: Set<DrainOrderID> = []
  private var known: [DrainOrderID: Known] = [:]
  /// Set by a start: an order whose commit the daemon did not live to see is first seen after it.
  private var leastAfterStart: Int64?

  mutating func mayBeExtended(_ order: DrainOrderID) { extended.insert(order) }

  mutating func restarted(at now: Int64, lostNanoseconds: Int64) {
    leastAfterStart = now + lostNanoseconds
    for (id, order) in known {
      known[id]!.deadline = now + max(lostNanoseconds, min(order.grace, max(0, order.deadline - now)))
    }
  }

  /// What is wrong with the orders that are open at `now`.
  mutating func findings(in open: [DrainOrder], at now: Int64, troubleAt: Int64) -> [String] {
    var findings: [String] = []
    var still: [DrainOrderID: Known] = [:]
    for order in open {
      let grace = order.graceMilliseconds * 1_000_000
      var expected = known[order.id] ?? Known(deadline: now + grace, grace: grace)
      if known[order.id] == nil, let least = leastAfterStart {
        expected.deadline = max(least, min(expected.deadline, order.deadlineNanoseconds))
      }
      if extended.contains(order.id), order.deadlineNanoseconds > expected.deadline {
        expected = Known(deadline: order.deadlineNanoseconds, grace: .max / 2)
      }
      still[order.id] = expected
      if order.deadlineNanoseconds != expected.deadline {
        let difference = (order.deadlineNanoseconds - expected.deadline) / 1_000_000
        findings.append("invariant 4: the deadline of order \(order.id) is off by \(difference) ms")
      }
      if now > max(expected.deadline, troubleAt) + Self.slackNanoseconds {
        findings.append("invariant 4: the deadline of order \(order.id) has passed and it is \(order.state)")
      }
    }
    known = still
    leastAfterStart = nil
    return findings
  }
}
