import Handover

/// The history ends in small steps, and between two of them the store is everybody else's for ten times as long.
extension Service {
  /// Between two looks for what is to go.
  static let prunePauseNanoseconds: Int64 = 60_000_000_000
  /// While there is more, between two steps: so many times what the last one took, at least so long.
  private static let pauseFactor: Int64 = 10
  private static let leastPauseNanoseconds: Int64 = 20_000_000

  func prune(_ now: Moment) {
    guard storeError == nil, !isShuttingDown else {
      pruneAt = now.nanoseconds + Self.prunePauseNanoseconds
      return
    }
    pruneAt = nil
    submit(.prune(settings.history), .prune)
  }

  func pruned(_ counts: PrunedCounts, hasMore: Bool, took nanoseconds: Int64, _ now: Moment) {
    pruned += counts
    for (kind, count) in counts.byKind { metrics.historyPruned.add(kind, count) }
    guard !hasMore else {
      let pause = max(Self.leastPauseNanoseconds, Self.pauseFactor * nanoseconds)
      pruneAt = now.nanoseconds + min(pause, Self.prunePauseNanoseconds)
      return
    }
    pruneAt = now.nanoseconds + Self.prunePauseNanoseconds
    guard !pruned.isEmpty else { return }
    host.log(
      LogRecord(
        .info, "history pruned",
        [
          ("events", .number(Int64(pruned.events))), ("orders", .number(Int64(pruned.orders))),
          ("runners", .number(Int64(pruned.runners))), ("actors", .number(Int64(pruned.actors))),
        ]))
    pruned = PrunedCounts()
  }
}

extension PrunedCounts {
  fileprivate var byKind: [(ServiceMetrics.HistoryKind, Int)] {
    [(.events, events), (.orders, orders), (.runners, runners), (.actors, actors)]
  }
}
