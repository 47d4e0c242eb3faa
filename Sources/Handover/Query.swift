// Reads: what the store is asked, and its answers.

package enum Query: Hashable, Sendable {
  case status
  case namespaces(Page)
  case config(PoolName)
  case configs(namespace: String?, Page)
  case runners(RunnerFilter, Page)
  case runner(RunnerID)
  case pools(namespace: String?, Page)
  case pool(PoolName)
  case drains(DrainFilter, Page)
  case drain(DrainOrderID)
  /// Events after a revision, oldest first, at most `limit`.
  case events(after: Revision, namespace: String?, name: String?, limit: Int)
  case actor(ActorID)
  case actors(ActorFilter, Page)
  /// The commands of a runner that it has not acknowledged, after a place in their order; about as many bytes as that.
  case commands(RunnerID, after: Int64, limitBytes: Int)
  /// What would happen to a pool; nil is as things stand.
  case plan(PoolName, Supposition?, Page, at: Moment)
  /// Why something is as it is.
  case explain(ExplainSubject, at: Moment)
  /// Who did what, latest first.
  case history(namespace: String?, name: String?, Page)
}

package enum ExplainSubject: Hashable, Sendable {
  case runner(RunnerID)
  case order(DrainOrderID)
  case actor(ActorID)
  case pool(PoolName)
}

/// A plan that is only shown, and a page of the pool's ready runners, in the order of `Candidate`. A runner that is only
/// supposed to register is among them with the id 0.
package struct PlanView: Hashable, Sendable {
  package struct RunnerFate: Hashable, Sendable {
    package var runner: RunnerID
    package var version: Version
    package var usedSlots: Int64
    package var fate: Plan.Fate
    package init(runner: RunnerID, version: Version, usedSlots: Int64, fate: Plan.Fate) {
      self.runner = runner
      self.version = version
      self.usedSlots = usedSlots
      self.fate = fate
    }
  }
  package var plan: Plan
  package var runners: PageOf<RunnerFate>
  package init(plan: Plan, runners: PageOf<RunnerFate>) {
    self.plan = plan
    self.runners = runners
  }
}

/// One decision of somebody.
package struct HistoryEntry: Hashable, Sendable {
  /// Of orders that were made together, the first one's.
  package var event: Event
  /// How many orders were made together; 0 when it is about none.
  package var orders: Int
  package init(event: Event, orders: Int) {
    self.event = event
    self.orders = orders
  }
}

/// Which part of a list. `token` is the last answer's `next`; empty for the first.
package struct Page: Hashable, Sendable {
  package var size: Int
  package var token: String
  package init(size: Int, token: String = "") {
    self.size = size
    self.token = token
  }
}

package struct RunnerFilter: Hashable, Sendable {
  package var namespace: String?
  package var name: String?
  package var phase: RunnerPhase?
  package var includeEnded: Bool
  package init(
    namespace: String? = nil, name: String? = nil, phase: RunnerPhase? = nil, includeEnded: Bool = false
  ) {
    self.namespace = namespace
    self.name = name
    self.phase = phase
    self.includeEnded = includeEnded
  }
}

package struct DrainFilter: Hashable, Sendable {
  package var namespace: String?
  package var name: String?
  package var state: DrainState?
  package var includeEnded: Bool
  package var runner: RunnerID?
  package init(
    namespace: String? = nil, name: String? = nil, state: DrainState? = nil, includeEnded: Bool = false,
    runner: RunnerID? = nil
  ) {
    self.namespace = namespace
    self.name = name
    self.state = state
    self.includeEnded = includeEnded
    self.runner = runner
  }
}

package struct ActorFilter: Hashable, Sendable {
  package var namespace: String?
  package var runnerName: String?
  package var name: String?
  package var key: String?
  package var state: ActorState?
  package var runner: RunnerID?
  package var includeDestroyed: Bool
  package init(
    namespace: String? = nil, runnerName: String? = nil, name: String? = nil, key: String? = nil,
    state: ActorState? = nil, runner: RunnerID? = nil, includeDestroyed: Bool = false
  ) {
    self.namespace = namespace
    self.runnerName = runnerName
    self.name = name
    self.key = key
    self.state = state
    self.runner = runner
    self.includeDestroyed = includeDestroyed
  }
}

/// One page and where the next begins (empty when there is none).
package struct PageOf<Element: Hashable & Sendable>: Hashable, Sendable {
  package var elements: [Element]
  package var next: String
  package init(elements: [Element], next: String) {
    self.elements = elements
    self.next = next
  }
}

package struct PoolConfig: Hashable, Sendable {
  package var pool: PoolName
  package var config: RunnerConfig
  package init(pool: PoolName, config: RunnerConfig) {
    self.pool = pool
    self.config = config
  }
}

package struct FleetCounts: Hashable, Sendable {
  package var namespaces: Int
  package var pools: Int
  package var ready: Int
  package var draining: Int
  package var detached: Int
  package var ended: Int
  package var openDrains: Int
  package var actors: ActorCounts
  package var walBytes: Int64
  package init(
    namespaces: Int, pools: Int, ready: Int, draining: Int, detached: Int, ended: Int, openDrains: Int,
    actors: ActorCounts = ActorCounts(), walBytes: Int64
  ) {
    self.namespaces = namespaces
    self.pools = pools
    self.ready = ready
    self.draining = draining
    self.detached = detached
    self.ended = ended
    self.openDrains = openDrains
    self.actors = actors
    self.walBytes = walBytes
  }
}

/// An answer and the revision of the snapshot that it was read from.
package struct QueryAnswer: Hashable, Sendable {
  package enum Content: Hashable, Sendable {
    case status(FleetCounts)
    case namespaces(PageOf<Namespace>)
    case config(RunnerConfig)
    case configs(PageOf<PoolConfig>)
    case runners(PageOf<Runner>)
    case runner(Runner)
    case pools(PageOf<Pool>)
    case pool(Pool, history: [TargetChange])
    case drains(PageOf<DrainOrder>)
    case drain(DrainOrder)
    /// Events that match, and the revision up to which the log has been read for them.
    case events([Event], upTo: Revision)
    case actor(Actor)
    case actors(PageOf<Actor>)
    /// Commands in their order, how far that is, and whether more follow.
    case commands([ActorCommand], upTo: Int64, hasMore: Bool)
    case plan(PlanView)
    case explanation(Explanation)
    case history(PageOf<HistoryEntry>)
    /// What was asked for is not there, or the page token or revision is none.
    case refused(Refusal)
  }
  package var content: Content
  package var revision: Revision
  package init(content: Content, revision: Revision) {
    self.content = content
    self.revision = revision
  }
}
