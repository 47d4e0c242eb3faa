/// What is known of whoever is asked about: read from one state of the fleet.
package enum ExplainFacts: Hashable, Sendable {
  case runner(RunnerFacts)
  /// The order that is asked about is the runner's open one, or one that has ended.
  case order(DrainOrder, RunnerFacts)
  case actor(ActorFacts)
  case pool(PoolFacts)
}

package struct PoolFacts: Hashable, Sendable {
  package var name: PoolName
  package var state: PoolState
  /// Of this state, now.
  package var plan: Plan
  package var target: CausedChange?
  package var pin: Pin?
  package init(name: PoolName, state: PoolState, plan: Plan, target: CausedChange?, pin: Pin?) {
    self.name = name
    self.state = state
    self.plan = plan
    self.target = target
    self.pin = pin
  }
}

/// A change of the target, and the runner whose registration made it.
package struct CausedChange: Hashable, Sendable {
  package var change: TargetChange
  package var runner: Runner?
  package init(change: TargetChange, runner: Runner?) {
    self.change = change
    self.runner = runner
  }
}

package struct RunnerFacts: Hashable, Sendable {
  package var runner: Runner
  /// Its user's word counts in the pool.
  package var isAuthorized: Bool
  package var pool: PoolFacts
  /// Its open order, or else its last one.
  package var order: DrainOrder?
  /// The change of the target that the order is for.
  package var orderedFor: CausedChange?
  /// What was last done to it or to its orders, each kind once.
  package var deeds: [Event]
  /// How many actors it holds, and those that have been at it for the longest: the stopping ones first.
  package var actorCount: Int
  package var actors: [HeldActor]
  /// After how long away it is lost.
  package var lostThresholdMilliseconds: Int64
  package init(
    runner: Runner, isAuthorized: Bool, pool: PoolFacts, order: DrainOrder?, orderedFor: CausedChange?,
    deeds: [Event] = [], actorCount: Int = 0, actors: [HeldActor] = [],
    lostThresholdMilliseconds: Int64 = FleetTimes().lostThresholdMilliseconds
  ) {
    self.runner = runner
    self.isAuthorized = isAuthorized
    self.pool = pool
    self.order = order
    self.orderedFor = orderedFor
    self.deeds = deeds
    self.actorCount = actorCount
    self.actors = actors
    self.lostThresholdMilliseconds = lostThresholdMilliseconds
  }
}

extension RunnerFacts {
  /// It was ended before its time was over.
  var isForcedByHand: Bool { deeds.contains { $0.kind == .drainForced } }
}

package struct HeldActor: Hashable, Sendable {
  package var id: ActorID
  package var state: ActorState
  package var sinceMilliseconds: Int64
  package init(id: ActorID, state: ActorState, sinceMilliseconds: Int64) {
    self.id = id
    self.state = state
    self.sinceMilliseconds = sinceMilliseconds
  }
}

package struct ActorFacts: Hashable, Sendable {
  package var actor: Actor
  package var pool: PoolFacts
  /// The one that it is on.
  package var runner: RunnerFacts?
  package init(actor: Actor, pool: PoolFacts, runner: RunnerFacts?) {
    self.actor = actor
    self.pool = pool
    self.runner = runner
  }
}
