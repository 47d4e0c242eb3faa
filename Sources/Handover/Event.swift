/// What happened. The numbers are those of `baton.v1.EventKind` and of the stored log.
package enum EventKind: Int, Sendable, CaseIterable {
  case namespaceCreated = 1
  case configPut = 2
  case configDeleted = 3
  case targetChanged = 4
  case runnerRegistered = 5
  case runnerResumed = 6
  case runnerDetached = 7
  case runnerSilent = 8
  case runnerHeard = 9
  case runnerStopped = 10
  case runnerLost = 11
  case drainOrdered = 12
  case drainDelivered = 13
  case drainAcked = 14
  case drainCompleted = 15
  case drainForced = 16
  case drainRunnerLost = 17
  case drainCancelled = 18
  case actorCreated = 19
  case actorPending = 20
  case actorStarting = 21
  case actorRunning = 22
  case actorStopping = 23
  case actorSleeping = 24
  case actorDestroyed = 25
  case targetSet = 26
  case runnerCordoned = 27
  case runnerUncordoned = 28
  case drainWayBackOffered = 29
  case drainTooLate = 30
  case drainExtended = 31
  case upgradeHeld = 32
  case upgradeAbandoned = 33

  /// What is told when an actor has entered this state.
  package init(entered state: ActorState) {
    self =
      switch state {
      case .pending: .actorPending
      case .starting: .actorStarting
      case .running: .actorRunning
      case .stopping: .actorStopping
      case .sleeping: .actorSleeping
      case .destroyed: .actorDestroyed
      }
  }
}

/// One entry of the event log, written in the same commit as its change.
package struct Event: Hashable, Sendable {
  package var revision: Revision
  package var atMilliseconds: Int64
  package var kind: EventKind
  package var namespace: String
  /// Empty when the event is of no pool.
  package var name: String
  package var runner: RunnerID?
  package var drainOrder: DrainOrderID?
  package var version: Version?
  package var who: Peer?
  package var detail: String
  package var actor: ActorID?
  package var generation: Int64?
  package init(
    revision: Revision, atMilliseconds: Int64, kind: EventKind, namespace: String, name: String,
    runner: RunnerID?, drainOrder: DrainOrderID?, version: Version?, who: Peer?, detail: String,
    actor: ActorID? = nil, generation: Int64? = nil
  ) {
    self.revision = revision
    self.atMilliseconds = atMilliseconds
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.runner = runner
    self.drainOrder = drainOrder
    self.version = version
    self.who = who
    self.detail = detail
    self.actor = actor
    self.generation = generation
  }
}
