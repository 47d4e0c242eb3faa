import Handover

/// An order with its terms.
struct OrderRecord {
  var id: DrainOrderID
  var runner: RunnerID
  var state: DrainState
  var terms: OrderTerms
  var orderedAtMilliseconds: Int64
  var orderedNanoseconds: Int64
  var wayBack: WayBack?
  var cancelReason: String

  static let columns = """
    o.id, o.runner_id, o.state, t.cause, t.reason, t.target_version, t.grace_ms,
    coalesce(o.deadline_ns, t.deadline_ns), t.ordered_at_ms, t.ordered_ns, o.way_back, o.cancel_reason
    """

  init(_ row: Row) {
    id = DrainOrderID(row.int64(0))
    runner = RunnerID(row.int64(1))
    state = DrainState(rawValue: row.int(2)) ?? .ordered
    terms = OrderTerms(
      cause: DrainCause(rawValue: row.int(3)) ?? .operator, reason: row.text(4),
      target: row.optionalVersion(5),
      graceMilliseconds: row.int64(6), deadlineNanoseconds: row.int64(7))
    orderedAtMilliseconds = row.int64(8)
    orderedNanoseconds = row.int64(9)
    wayBack = WayBack(rawValue: row.int(10))
    cancelReason = row.text(11)
  }

  var open: OpenOrder {
    OpenOrder(
      id: id, runner: runner, state: state, terms: terms, wayBack: wayBack, cancelReason: cancelReason)
  }
}
