/// What the service asks of whatever keeps the fleet: changes in batches, reads, and the state at start.
/// The words here know nothing of SQLite, so that a simulator can stand in between.

/// A store's only writer. Not thread-safe: one thread owns it.
package protocol Store: AnyObject {
  /// Makes the state that of a daemon that has just started: every living runner is detached from `now` on with
  /// the full threshold anew, or lost when the machine restarted since; open orders keep what they have left,
  /// at least `settings.lostThreshold`.
  func start(at now: Moment) throws(StoreFailure) -> FleetSnapshot

  /// Applies the mutations in order as one transaction, each of which succeeds or is refused alone, and returns
  /// only once all of it is durable. The results are in the order of the batch.
  func apply(_ batch: [Mutation], at now: Moment) throws(StoreFailure) -> CommittedBatch
}

/// Answers queries from a consistent snapshot each. Not thread-safe: one thread owns it.
package protocol StoreReader: AnyObject {
  func read(_ query: Query) throws(StoreFailure) -> QueryAnswer
}

/// Why a whole batch or query failed. Nothing of it has happened.
package enum StoreFailure: Error, Hashable, Sendable {
  /// For now: the disk is full, a write failed. The batch is rolled back; later ones may succeed.
  case unavailable(String)
  /// For good: an fsync failed, the file is corrupt, gone or somebody else's. The daemon must end.
  case fatal(String)
}

/// What one batch came to.
package struct CommittedBatch: Sendable {
  package var results: [Result<MutationOutcome, Refusal>]
  /// What follows for runners and peers, in the order of the events that caused it.
  package var consequences: [Consequence]
  /// The latest revision after it.
  package var revision: Revision
  /// What the write-ahead log holds after it.
  package var logBytes: Int64
  package init(
    results: [Result<MutationOutcome, Refusal>], consequences: [Consequence], revision: Revision,
    logBytes: Int64 = 0
  ) {
    self.results = results
    self.consequences = consequences
    self.revision = revision
    self.logBytes = logBytes
  }
}

/// Why one mutation or query did nothing: the caller's to mend.
package struct Refusal: Error, Hashable, Sendable {
  package enum Code: Int, Sendable, CaseIterable {
    case invalidArgument = 3
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
  }
  package var code: Code
  /// What is wrong and what to do.
  package var message: String
  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}

// MARK: - Changes

package enum Mutation: Hashable, Sendable {
  case register(Registration)
  /// The connections of these attachments are gone. An attachment that is no longer the runner's is ignored.
  case detached([Attachment])
  /// No heartbeat for longer than the silent threshold, or heard again.
  case silent([Attachment])
  case heard([Attachment])
  /// The kernel took the bytes of a Stop.
  case stopDelivered([DrainOrderID])
  /// The runner has its Stop. An order that is not this runner's open one is ignored.
  case stopAcked([StopAcknowledgement])
  /// The runner begins its own drain; nothing new when it is draining already.
  case stopping(Attachment, reason: String, graceMilliseconds: Int64)
  /// The runner has finished and leaves.
  case leave(Attachment, exitCode: Int32?, reason: String)
  /// These are given up. One that has ended, or that has attached again since (`attachment` differs), is left.
  case lose([Attachment], RunnerEnd)
  /// Orders whose deadline may have passed; those that are open and past it are forced.
  case force([DrainOrderID])
  case createNamespace(String, who: Peer)
  case putConfig(PoolName, RunnerConfig, who: Peer)
  case deleteConfig(PoolName, who: Peer)
  case drain(DrainCommand)
}

/// One runner on one connection.
package struct Attachment: Hashable, Sendable {
  package var runner: RunnerID
  package var id: AttachmentID
  package init(runner: RunnerID, id: AttachmentID) {
    self.runner = runner
    self.id = id
  }
}

package struct StopAcknowledgement: Hashable, Sendable {
  package var runner: RunnerID
  package var order: DrainOrderID
  package init(runner: RunnerID, order: DrainOrderID) {
    self.runner = runner
    self.order = order
  }
}

/// A Register whose fields have been checked.
package struct Registration: Hashable, Sendable {
  package var pool: PoolName
  /// nil when the runner gave none: its id becomes its key.
  package var key: String?
  package var version: Version
  package var totalSlots: UInt32
  package var token: RegistrationToken
  package var endsWithProcess: Bool
  package var metadata: [MetadataPair]
  package var peer: Peer
  /// The connection that it came on; greater than every earlier one.
  package var attachment: AttachmentID
  package init(
    pool: PoolName, key: String?, version: Version, totalSlots: UInt32, token: RegistrationToken,
    endsWithProcess: Bool, metadata: [MetadataPair], peer: Peer, attachment: AttachmentID
  ) {
    self.pool = pool
    self.key = key
    self.version = version
    self.totalSlots = totalSlots
    self.token = token
    self.endsWithProcess = endsWithProcess
    self.metadata = metadata
    self.peer = peer
    self.attachment = attachment
  }
}

package struct DrainCommand: Hashable, Sendable {
  package enum Target: Hashable, Sendable {
    case runner(RunnerID)
    /// Ready runners below `belowVersion`, or below the pool's target when nil.
    case olderVersions(PoolName, belowVersion: Version?)
    case wholePool(PoolName)
  }
  package var target: Target
  /// 0 is the pool's grace period.
  package var graceMilliseconds: Int64
  package var reason: String
  package var who: Peer
  package init(target: Target, graceMilliseconds: Int64, reason: String, who: Peer) {
    self.target = target
    self.graceMilliseconds = graceMilliseconds
    self.reason = reason
    self.who = who
  }
}

/// What a mutation that was not refused came to.
package enum MutationOutcome: Hashable, Sendable {
  case registered(Admission)
  /// Links, silence, deliveries, acknowledgements, losses, forces: how many of those named it applied to.
  case applied(Int)
  /// Order id when the runner's drain is (now or already) under way.
  case stopping(DrainOrderID)
  case left
  case namespaceCreated(Namespace, Revision)
  case configPut(Decision, Revision)
  case configDeleted(Revision)
  case drained(orders: [DrainOrderID], existing: [DrainOrderID], Revision)
}

/// The answer to a registration.
package struct Admission: Hashable, Sendable {
  package var runner: RunnerID
  package var key: String
  package var isResumed: Bool
  package var decision: Decision
  /// The order that is open for it: its Stop follows Registered.
  package var openOrder: OpenOrder?
  package init(
    runner: RunnerID, key: String, isResumed: Bool, decision: Decision, openOrder: OpenOrder?
  ) {
    self.runner = runner
    self.key = key
    self.isResumed = isResumed
    self.decision = decision
    self.openOrder = openOrder
  }
}

/// What orders that were made together have in common.
package struct OrderTerms: Hashable, Sendable {
  package var cause: DrainCause
  package var reason: String
  package var target: Version?
  package var graceMilliseconds: Int64
  /// On the clock of `Moment.nanoseconds`.
  package var deadlineNanoseconds: Int64
  package init(
    cause: DrainCause, reason: String, target: Version?, graceMilliseconds: Int64,
    deadlineNanoseconds: Int64
  ) {
    self.cause = cause
    self.reason = reason
    self.target = target
    self.graceMilliseconds = graceMilliseconds
    self.deadlineNanoseconds = deadlineNanoseconds
  }
}

/// An open order: what a Stop is made from.
package struct OpenOrder: Hashable, Sendable {
  package var id: DrainOrderID
  package var runner: RunnerID
  package var state: DrainState
  package var terms: OrderTerms
  package init(id: DrainOrderID, runner: RunnerID, state: DrainState, terms: OrderTerms) {
    self.id = id
    self.runner = runner
    self.state = state
    self.terms = terms
  }
}

/// What a commit means for those who are connected.
package enum Consequence: Hashable, Sendable {
  /// These runners must leave: send each its Stop, watch the deadline. Not said of an order in an `Admission`.
  case stopsOrdered(pool: PoolName, OrderTerms, [StopAcknowledgement])
  /// This runner has ended: close what is attached to it.
  case runnerEnded(RunnerID, RunnerEnd)
  /// This order has ended, and how long it took from its order to its end.
  case orderEnded(DrainOrderID, RunnerID, DrainState, tookMilliseconds: Int64)
  /// A decision, for the log: one line each.
  case decided(PoolName, version: Version?, runner: RunnerID?, Decision)
  /// The pool's target moved.
  case targetChanged(PoolName, TargetChange)
}

// MARK: - State at start

/// What a daemon must know of living runners before it takes the first connection.
package struct FleetSnapshot: Hashable, Sendable {
  /// Random, made with the database.
  package var fleetID: UInt64
  package var revision: Revision
  /// Greater than every attachment used before.
  package var nextAttachment: AttachmentID
  package var runners: [LiveRunner]
  package var openOrders: [OpenOrder]
  package init(
    fleetID: UInt64, revision: Revision, nextAttachment: AttachmentID, runners: [LiveRunner],
    openOrders: [OpenOrder]
  ) {
    self.fleetID = fleetID
    self.revision = revision
    self.nextAttachment = nextAttachment
    self.runners = runners
    self.openOrders = openOrders
  }
}

/// A runner that has not ended, as far as its liveness goes.
package struct LiveRunner: Hashable, Sendable {
  package var id: RunnerID
  package var attachment: AttachmentID
  package var endsWithProcess: Bool
  package var pid: Int32
  package init(id: RunnerID, attachment: AttachmentID, endsWithProcess: Bool, pid: Int32) {
    self.id = id
    self.attachment = attachment
    self.endsWithProcess = endsWithProcess
    self.pid = pid
  }
}

// MARK: - Reads

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
  package var walBytes: Int64
  package init(
    namespaces: Int, pools: Int, ready: Int, draining: Int, detached: Int, ended: Int, openDrains: Int,
    walBytes: Int64
  ) {
    self.namespaces = namespaces
    self.pools = pools
    self.ready = ready
    self.draining = draining
    self.detached = detached
    self.ended = ended
    self.openDrains = openDrains
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
