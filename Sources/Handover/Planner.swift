/// Compares what a pool is with what it should be. Level-triggered: whatever woke it, the same state at the same time
/// gives the same plan, and a pool that already is as it should be gets an empty one.
///
/// 1. *Target.* Of the versions that may become it (the pinned one; else each greater one with an attached ready runner
///    whose word counts), the greatest that is healthy does. A target without a ready runner gives way to another
///    version that has one, and is struck: it must then be healthy for twice as long.
/// 2. *Outgoing.* Whoever is ready and not of the target must leave: all at once, or as far as gates and pace let go.
/// 3. *Undo.* Orders that an earlier target gave and this one does not ask for are taken back.
/// 4. *Memory.* What is held back, since when, and whether that has been for too long.
package enum Planner {
  /// `next` gives the first candidate after the given one among those outgoing, in the order of `Candidate`. It is asked
  /// only where one that is not exempt is left by the state's counts, and only where a gate or the pace counts
  /// single runners: as often as runners must leave now, and once more.
  package static func plan<Failure: Error>(
    _ state: PoolState, now: Int64, next: (Outgoing, Candidate?) throws(Failure) -> Candidate
  ) throws(Failure) -> Plan {
    var planning = Planning(state, now)
    let move = planning.moveTarget()
    let target = move?.version ?? state.target
    var plan = Plan(
      targetMove: move, target: target, retirement: nil, retired: 0, recalled: [],
      upgrade: planning.withoutDrain ?? .noneOlder, holds: [],
      fates: planning.versions.filter { $0.ready > 0 }.map { .init(version: $0.version, ready: $0.ready) },
      memory: planning.memory, wakeAtNanoseconds: nil)
    if let target {
      let pending = planning.pendingGoal(target)
      if planning.withoutDrain == nil {
        if let outgoing = planning.outgoing(target) {
          try planning.retire(outgoing, for: target, into: &plan, next)
        }
        if let pending { planning.hold(pending, target, into: &plan) }
        plan.upgrade = planning.upgrade(plan, target)
      }
      plan.recalled = planning.recalled(target)
      planning.remember(&plan, pending: pending)
      plan.wakeAtNanoseconds = planning.wakeAt(plan, target)
    }
    return plan
  }

  /// The same where all the candidates are at hand.
  package static func plan(_ state: PoolState, now: Int64, candidates: [Candidate] = []) -> Plan {
    let ordered = candidates.sorted()
    return plan(state, now: now) { outgoing, last in
      let isNext = { (candidate: Candidate) in
        outgoing.contains(candidate.version) && last.map { $0 < candidate } ?? true
      }
      guard let next = ordered.first(where: isNext) else {
        preconditionFailure("the pool counts more outgoing runners than these: \(candidates)")
      }
      return next
    }
  }
}
