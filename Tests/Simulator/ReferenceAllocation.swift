import Handover
import Registry

/// Invariant 9 of allocation: whom `Allocator` would give each actor that a batch creates. Only of batches that do nothing
/// else to slots, since others change what there is to give between one creation and the next.
struct ReferenceAllocation {
  private struct Before {
    var candidates: [Allocator.Candidate]
    var target: Version?
    var fallsBack: Bool
    /// Whoever comes while others wait, waits behind them.
    var hasQueue: Bool
  }

  private let batch: [Mutation]
  private let now: Moment
  private var pools: [PoolName: Before] = [:]

  /// nil where the batch creates nothing, or does more than that.
  init?(
    of batch: [Mutation], in store: SQLiteStore, _ reader: (any StoreReader)?, at now: Moment
  ) throws(StoreFailure) {
    guard let reader else { return nil }
    self.batch = batch
    self.now = now
    for mutation in batch {
      switch mutation {
      case .commandsAcked, .stopDelivered, .stopAcked: continue
      case .createActor(let creation):
        let name = creation.identity.pool
        guard pools[name] == nil else { continue }
        guard case .pool(let pool, _) = try reader.read(.pool(name)).content else { return nil }
        pools[name] = Before(
          candidates: try store.allocationCandidates(of: name), target: pool.target?.version,
          fallsBack: pool.config.actorsFallBack, hasQueue: pool.actors.queued > 0)
      default: return nil
      }
    }
    guard !pools.isEmpty else { return nil }
  }

  /// What was decided otherwise. A creation that was refused takes nothing.
  func differences(from committed: CommittedBatch) -> [String] {
    var pools = pools
    return zip(batch, committed.results).compactMap { mutation, result in
      guard case .createActor(let creation) = mutation, case .success(.actor(let actor, true, _)) = result
      else { return nil }
      let expected = give(&pools[creation.identity.pool]!)
      guard actor.runner != expected else { return nil }
      let (given, due) = (actor.runner?.description ?? "nobody", expected?.description ?? "nobody")
      return "invariant 9: actor \(actor.id) was given to \(given), and its turn was \(due)'s"
    }
  }

  private func give(_ pool: inout Before) -> RunnerID? {
    guard !pool.hasQueue,
      let chosen = Allocator.choose(pool.candidates, target: pool.target, fallsBack: pool.fallsBack),
      let index = pool.candidates.firstIndex(where: { $0.runner == chosen })
    else { return nil }
    pool.candidates[index].freeSlots -= 1
    pool.candidates[index].lastWorkNanoseconds = now.nanoseconds
    return chosen
  }
}
