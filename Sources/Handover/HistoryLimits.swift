/// How much of what has ended is kept. Whatever exceeds one of them goes, the oldest first.
package struct HistoryLimits: Hashable, Sendable {
  /// For how long, on the wall clock; 0 is for ever.
  package var keepMilliseconds: Int64 = 2_592_000_000
  package var endedRunners: Int64 = 100_000
  package var endedOrders: Int64 = 200_000
  package var destroyedActors: Int64 = 100_000
  package var events: Int64 = 1_000_000

  /// A fence that is forgotten sooner than a cut-off runner comes back would fence nobody.
  package static let keepBounds: ClosedRange<Int64> = 3_600_000...315_360_000_000
  package static let countBounds: ClosedRange<Int64> = 1...1_000_000_000

  package init() {}

  package func validate() throws(FieldViolation) {
    guard keepMilliseconds == 0 || Self.keepBounds.contains(keepMilliseconds) else {
      throw FieldViolation(field: "keep-history", requirement: "must be 0 (for ever) or 1 hour to 3650 days")
    }
    for (field, count) in [
      ("keep-runners", endedRunners), ("keep-orders", endedOrders), ("keep-actors", destroyedActors),
      ("keep-events", events),
    ] {
      guard Self.countBounds.contains(count) else {
        throw FieldViolation(
          field: field,
          requirement: "must be \(Self.countBounds.lowerBound) to \(Self.countBounds.upperBound)")
      }
    }
  }
}

/// What a step of pruning removed.
package struct PrunedCounts: Hashable, Sendable {
  package var events = 0
  package var orders = 0
  package var runners = 0
  package var actors = 0

  package init(events: Int = 0, orders: Int = 0, runners: Int = 0, actors: Int = 0) {
    self.events = events
    self.orders = orders
    self.runners = runners
    self.actors = actors
  }

  package var isEmpty: Bool { self == PrunedCounts() }

  package static func += (sum: inout PrunedCounts, more: PrunedCounts) {
    sum.events += more.events
    sum.orders += more.orders
    sum.runners += more.runners
    sum.actors += more.actors
  }
}
