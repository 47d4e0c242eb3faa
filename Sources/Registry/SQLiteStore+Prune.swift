import Handover

/// The end of the history. What lives is never looked at: what ends is entered into an index of its own, and leaves the
/// log from the front.
///
/// The event that ordered a drain reads who and why from the order's terms, so an order stays for as long as that event
/// does. A runner goes without regard to its order, which knows its version. An actor takes its request id along: the
/// same request makes another actor then, as a fenced token whose runner is gone makes another runner.
extension SQLiteStore {
  /// Rows that one step removes of the log, and of each other kind (terms go with their orders): 500 in all.
  static let prunedEvents: Int64 = 250
  static let prunedOthers: Int64 = 60

  func prune(_ limits: HistoryLimits) throws(DatabaseError) -> Outcome {
    // An age of for ever: nothing is that old.
    let cutoff = limits.keepMilliseconds == 0 ? .min : work.now.wallMilliseconds - limits.keepMilliseconds
    var removed = PrunedCounts()
    let events = try pruneEvents(limits.events, cutoff)
    removed.events = events.removed
    removed.orders = try pruneEach(beyond: work.ledger.endedOrders - limits.endedOrders, cutoff, removeOrders)
    removed.runners = try pruneEach(beyond: work.ledger.endedRunners - limits.endedRunners, cutoff) {
      (before, limit) throws(DatabaseError) in try pruning.deleteRunners.run(before, limit)
    }
    removed.actors = try pruneEach(
      beyond: work.ledger.destroyedActors - limits.destroyedActors, cutoff, removeActors)
    work.ledger.endedOrders -= Int64(removed.orders)
    work.ledger.endedRunners -= Int64(removed.runners)
    work.ledger.destroyedActors -= Int64(removed.actors)
    let most = max(removed.orders, removed.runners, removed.actors)
    return .success(.pruned(removed, hasMore: events.hasMore || most == Self.prunedOthers))
  }

  /// Those beyond the count, then those that are too old, as many as one step may.
  private func pruneEach(
    beyond: Int64, _ cutoff: Int64,
    _ remove: (_ endedBefore: Int64, _ limit: Int64) throws(DatabaseError) -> Int
  ) throws(DatabaseError) -> Int {
    let surplus = beyond > 0 ? try remove(.max, min(beyond, Self.prunedOthers)) : 0
    let room = Self.prunedOthers - Int64(surplus)
    return room > 0 ? surplus + (try remove(cutoff, room)) : surplus
  }

  /// Strictly from the front, so that what is kept has no gap.
  private func pruneEvents(
    _ limit: Int64, _ cutoff: Int64
  ) throws(DatabaseError) -> (removed: Int, hasMore: Bool) {
    guard let oldest = try pruning.oldestEvent.first(read: { $0.optionalInt64(0) }).flatMap({ $0 }) else {
      return (0, false)
    }
    let next = work.ledger.lastRevision + 1
    let end = min(oldest + Self.prunedEvents, next)
    let young = try pruning.firstYoungEvent.first(oldest, end, cutoff) { $0.optionalInt64(0) }.flatMap { $0 }
    let kept = min(end, max(young ?? end, next - limit))
    guard kept > oldest else { return (0, false) }
    let order = try pruning.lastOrderBefore.first(kept) { $0.optionalInt64(0) }.flatMap { $0 }
    work.ledger.unloggedOrder = max(work.ledger.unloggedOrder, order ?? 0)
    return (try pruning.deleteEvents.run(kept), kept == end && end < next)
  }

  private func removeOrders(endedBefore: Int64, limit: Int64) throws(DatabaseError) -> Int {
    let orders = try pruning.oldOrders.all(endedBefore, limit, work.ledger.unloggedOrder) {
      (id: $0.int64(0), terms: $0.int64(1))
    }
    for order in orders { try pruning.deleteOrder.run(order.id) }
    for order in orders { try pruning.deleteTerms.run(order.terms, order.id) }
    return orders.count
  }

  private func removeActors(destroyedBefore: Int64, limit: Int64) throws(DatabaseError) -> Int {
    let gone = try pruning.deleteActors.all(destroyedBefore, limit) { ActorID($0.int64(0)) }
    // This transaction may have read them.
    for id in gone { work.actors[id] = nil }
    return gone.count
  }
}
