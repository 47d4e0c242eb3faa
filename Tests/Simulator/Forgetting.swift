import Handover
import Seeded

extension HistoryLimits {
  /// By number only, and by other dice than the rest of the run, so that what is kept is a thing of its own.
  static func drawn(seed: UInt64) -> HistoryLimits {
    var random = SeededRandom(seed: ~seed)
    var limits = HistoryLimits()
    limits.keepMilliseconds = 0
    guard random.oneIn(3) else { return limits }
    limits.endedRunners = Int64.random(in: 1...12, using: &random)
    limits.endedOrders = Int64.random(in: 1...12, using: &random)
    limits.destroyedActors = Int64.random(in: 1...12, using: &random)
    limits.events = Int64.random(in: 20...400, using: &random)
    return limits
  }

  var halved: HistoryLimits {
    var limits = self
    limits.endedRunners /= 2
    limits.endedOrders /= 2
    limits.destroyedActors /= 2
    limits.events /= 2
    return limits
  }
}

/// What may be gone: only what has ended, and only while as many that ended are there as are kept.
extension World {
  func forgetsRunners(_ reader: any StoreReader) throws -> Bool {
    guard case .status(let counts) = try reader.read(.status).content else { return false }
    return counts.ended >= limits.endedRunners
  }

  func forgetsOrders(_ reader: any StoreReader) throws -> Bool {
    let orders = try all(reader) {
      Query.drains(DrainFilter(includeEnded: true), $0)
    } pick: {
      if case .drains(let page) = $0 { page } else { nil }
    }
    return orders.count { !$0.state.isOpen } >= limits.endedOrders
  }

  func forgetsActors(_ reader: any StoreReader) throws -> Bool {
    try allActors(reader, ActorFilter(state: .destroyed)).count >= limits.destroyedActors
  }

  /// Its row is gone, and with it the fence.
  func isForgotten(_ runner: RunnerID) -> Bool {
    // What arrives may be the last word of a daemon that has just died.
    guard let daemon else { return limits.endedRunners < HistoryLimits().endedRunners }
    guard let reader = daemon.reader, case .refused? = try? reader.read(.runner(runner)).content else {
      return false
    }
    return (try? forgetsRunners(reader)) ?? false
  }

  /// The latest revision, if what comes after this one is not kept any more.
  func latestRevision(ifForgotten revision: Int64) -> Int64? {
    guard let reader = daemon?.reader,
      let answer = try? reader.read(.events(after: Revision(revision), namespace: nil, name: nil, limit: 1)),
      case .refused = answer.content
    else { return nil }
    return answer.revision.rawValue
  }
}
