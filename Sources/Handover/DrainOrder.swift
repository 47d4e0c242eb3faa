/// Why a runner must leave.
package enum DrainCause: Int, Sendable, CaseIterable {
  case versionUpgrade = 1
  case superseded = 2
  case `operator` = 3
  case `self` = 4
}

/// `ordered -> delivered -> acked -> completed | forced | runnerLost | cancelled`; the last four may follow
/// any of the first three.
package enum DrainState: Int, Sendable, CaseIterable {
  case ordered = 1
  case delivered = 2
  case acked = 3
  case completed = 4
  case forced = 5
  case runnerLost = 6
  case cancelled = 7

  package var isOpen: Bool {
    switch self {
    case .ordered, .delivered, .acked: true
    case .completed, .forced, .runnerLost, .cancelled: false
    }
  }
}

/// The durable decision that one runner must leave, as the registry knows it.
package struct DrainOrder: Hashable, Sendable {
  package var id: DrainOrderID
  package var runner: RunnerID
  package var pool: PoolName
  package var runnerVersion: Version
  package var cause: DrainCause
  package var reason: String
  package var targetVersion: Version?
  package var who: Peer
  package var state: DrainState
  package var orderedAtMilliseconds: Int64
  package var deliveredAtMilliseconds: Int64?
  package var ackedAtMilliseconds: Int64?
  package var endedAtMilliseconds: Int64?
  package var graceMilliseconds: Int64
  /// On the clock of `Moment.nanoseconds`.
  package var deadlineNanoseconds: Int64
  package var deliveries: UInt32
  package var wayBack: WayBack?
  /// Who took it back, or wanted to.
  package var cancelledBy: Peer?
  package var cancelReason: String

  package init(
    id: DrainOrderID, runner: RunnerID, pool: PoolName, runnerVersion: Version, cause: DrainCause,
    reason: String, targetVersion: Version?, who: Peer, state: DrainState, orderedAtMilliseconds: Int64,
    deliveredAtMilliseconds: Int64?, ackedAtMilliseconds: Int64?, endedAtMilliseconds: Int64?,
    graceMilliseconds: Int64, deadlineNanoseconds: Int64, deliveries: UInt32, wayBack: WayBack? = nil,
    cancelledBy: Peer? = nil, cancelReason: String = ""
  ) {
    self.id = id
    self.runner = runner
    self.pool = pool
    self.runnerVersion = runnerVersion
    self.cause = cause
    self.reason = reason
    self.targetVersion = targetVersion
    self.who = who
    self.state = state
    self.orderedAtMilliseconds = orderedAtMilliseconds
    self.deliveredAtMilliseconds = deliveredAtMilliseconds
    self.ackedAtMilliseconds = ackedAtMilliseconds
    self.endedAtMilliseconds = endedAtMilliseconds
    self.graceMilliseconds = graceMilliseconds
    self.deadlineNanoseconds = deadlineNanoseconds
    self.deliveries = deliveries
    self.wayBack = wayBack
    self.cancelledBy = cancelledBy
    self.cancelReason = cancelReason
  }

  /// What is left of the grace at `now`; 0 when it has ended or passed.
  package func remainingMilliseconds(at now: Moment) -> Int64 {
    guard state.isOpen else { return 0 }
    return max(0, (deadlineNanoseconds - now.nanoseconds) / 1_000_000)
  }
}
