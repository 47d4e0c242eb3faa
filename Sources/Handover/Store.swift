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
  /// Actors that are not as they were, each once.
  package var changedActors: [ActorID]
  /// When `.timePassed` is next due, on the clock of `Moment.nanoseconds`; nil when nothing waits for time.
  package var nextDue: Int64?
  /// What the write-ahead log holds after it.
  package var logBytes: Int64
  package init(
    results: [Result<MutationOutcome, Refusal>], consequences: [Consequence], revision: Revision,
    changedActors: [ActorID] = [], nextDue: Int64? = nil, logBytes: Int64 = 0
  ) {
    self.results = results
    self.consequences = consequences
    self.revision = revision
    self.changedActors = changedActors
    self.nextDue = nextDue
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
  /// When `.timePassed` is first due; nil when nothing waits for time.
  package var nextDue: Int64?
  package init(
    fleetID: UInt64, revision: Revision, nextAttachment: AttachmentID, runners: [LiveRunner],
    openOrders: [OpenOrder], nextDue: Int64? = nil
  ) {
    self.fleetID = fleetID
    self.revision = revision
    self.nextAttachment = nextAttachment
    self.runners = runners
    self.openOrders = openOrders
    self.nextDue = nextDue
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
