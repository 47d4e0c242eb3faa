/// What keeps an outgoing runner where it is. The raw value is its name wherever people read it. "Capacity" is two of
/// them: `minAvailable` and `freeSlots`.
package enum Gate: String, Sendable, CaseIterable {
  /// The goal has not had an attached ready runner for long enough.
  case minHealthy = "min_healthy"
  /// The pool would be left with fewer ready slots than it must keep.
  case minAvailable = "min_available"
  /// The target has no free slots for the runner's actors.
  case freeSlots = "free_slots"
  /// Enough runners drain already.
  case maxDraining = "max_draining"
  /// The pinned version has no attached ready runner.
  case noRunner = "no_runner"
  /// The upgrade was held back for `hold_timeout`.
  case abandoned = "abandoned"
  /// Somebody cancelled the runner's order for this target.
  case exempt = "exempt"

  /// Whether an upgrade that it holds back is abandoned in the end. Not for pace, which is work in progress, and not
  /// for a pin that waits for its version to be started.
  var countsAsHeld: Bool {
    switch self {
    case .minHealthy, .minAvailable, .freeSlots: true
    case .maxDraining, .noRunner, .abandoned, .exempt: false
    }
  }
}

/// A gate that is closed.
package struct Hold: Hashable, Sendable {
  package var gate: Gate
  /// The version that the held runners would leave for.
  package var goal: Version
  /// How many runners it holds.
  package var count: Int
  /// When it opens by itself, as things stand; nil when no time says so.
  package var untilNanoseconds: Int64?
  /// How many slots are missing; 0 when it is not slots that it waits for.
  package var missingSlots: Int64
  /// False when it stays closed as things stand: somebody must do something. True is slow.
  package var isPossible: Bool

  init(
    _ gate: Gate, goal: Version, count: Int, untilNanoseconds: Int64? = nil, missingSlots: Int64 = 0,
    isPossible: Bool
  ) {
    self.gate = gate
    self.goal = goal
    self.count = count
    self.untilNanoseconds = untilNanoseconds
    self.missingSlots = missingSlots
    self.isPossible = isPossible
  }
}

/// Whether a version has been there for long enough.
enum Health: Hashable {
  case holds
  /// nil while the clock does not run: no runner of it is attached.
  case notYet(until: Int64?)
}

/// How far the pool's slots let runners go, one after the other.
struct CapacityGate {
  /// Slots that serve, of all versions, and how many must.
  var available: Int64
  var least: Int64
  /// Slots of detached and silent ready runners: they may come back.
  var absent: Int64
  /// Slots of the target that serve and are free, those that serve, and the actors that are to come to them.
  var free: Int64
  var targetSlots: Int64
  var reserved: Int64

  /// The gate that keeps this runner; nil when it may go.
  func hold(_ candidate: Candidate, goal: Version, count: Int) -> Hold? {
    let left = available - (candidate.isServing ? candidate.totalSlots : 0)
    if left < least {
      return Hold(
        .minAvailable, goal: goal, count: count, missingSlots: least - left,
        isPossible: absent >= least - left)
    }
    let needed = reserved + candidate.usedSlots
    if candidate.usedSlots > 0, needed > free {
      return Hold(
        .freeSlots, goal: goal, count: count, missingSlots: needed - free, isPossible: needed <= targetSlots)
    }
    return nil
  }

  mutating func letGo(_ candidate: Candidate) {
    if candidate.isServing { available -= candidate.totalSlots }
    reserved += candidate.usedSlots
  }
}
