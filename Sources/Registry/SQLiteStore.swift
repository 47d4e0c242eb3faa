import CSQLite
import Handover

/// The fleet on disk, and its only writer. Every batch is one transaction, whose commit has been synced
/// before `apply` returns.
///
/// Inside it each mutation first checks, and may be refused as long as it has written nothing; from its first
/// write on only the database can fail, and with it the whole batch. So a refused mutation needs no savepoint
/// to leave nothing.
package final class SQLiteStore: Store {
  let database: Database
  let statements: Statements
  let actors: ActorStatements
  let pruning: PruneStatements
  let bootID: String
  let daemonUID: UInt32
  let times: FleetTimes
  private let newFleetID: UInt64
  private let files: FileIdentities

  /// As of the last commit.
  private(set) var ledger: Ledger
  /// The transaction under way; between batches, an empty one.
  var work: Work
  /// The last transaction had more slots to give out than it may: the next `.timePassed` goes on.
  var hasMoreToAllocate = false
  /// Once it has failed for good it stays so.
  private var fatal: StoreFailure?
  /// The last transaction failed: the next one writes something in any case, so that its success says that the disk takes
  /// changes again.
  private var isUnproven = false

  /// SQLite's own, which a new file has.
  private static let pageBytes = 4096

  /// How far the log may grow before a commit is followed by a checkpoint; past eight times that, readers are
  /// waited for.
  var checkpointPages = 4000

  /// Opens or makes the database at `path`. `bootID` names this run of the machine, for the clock of
  /// `Moment.nanoseconds` starts anew with it. `fleetID` is used when the file is new. Throws `.fatal` when
  /// the file is not ours, newer, or damaged, `.unavailable` when the disk or another process stands in the
  /// way.
  package init(
    path: String, bootID: String, daemonUID: UInt32, times: FleetTimes,
    fleetID: UInt64 = .random(in: 1 ... .max)
  ) throws(StoreFailure) {
    precondition(!bootID.isEmpty, "an empty boot id stands for a fleet that has never been started")
    self.bootID = bootID
    self.daemonUID = daemonUID
    self.times = times
    newFleetID = fleetID
    database = try Self.open(path)
    do throws(DatabaseError) {
      statements = try Statements(database)
      actors = try ActorStatements(database)
      pruning = try PruneStatements(database)
      ledger = try Ledger(statements)
    } catch {
      throw error.storeFailure
    }
    work = Work(now: Moment(nanoseconds: 0, wallMilliseconds: 0), ledger: ledger)
    files = try FileIdentities(path: path)
  }

  private static func open(_ path: String) throws(StoreFailure) -> Database {
    do {
      let database = try Database(path: path, role: .writer)
      try Migrations.identify(database)
      try Migrations.check(database)
      try database.useWriteAheadLog()
      try database.rewriteLog()
      try Migrations.migrate(database)
      return database
    } catch let failure as StoreFailure {
      throw failure
    } catch let error as DatabaseError {
      throw Migrations.startFailure(path, error)
    } catch {
      preconditionFailure("an error of no kind that is thrown here: \(error)")
    }
  }

  package func start(at now: Moment) throws(StoreFailure) -> FleetSnapshot {
    try transact(at: now) { () throws(DatabaseError) in
      try nameFleet(newFleetID)
      try startLiving()
      try settle()
      try writePools()
      return try snapshot()
    }
  }

  /// As `Store` says. An empty batch only looks whether the files are still in their place and, after a batch that
  /// failed, whether the disk takes changes again.
  package func apply(_ batch: [Mutation], at now: Moment) throws(StoreFailure) -> CommittedBatch {
    guard !batch.isEmpty else {
      try checkFiles()
      if isUnproven { try transact(at: now) { () throws(DatabaseError) in } }
      return CommittedBatch(results: [], consequences: [], revision: Revision(ledger.lastRevision))
    }
    var committed = try transact(at: now) { () throws(DatabaseError) in
      var results: [Result<MutationOutcome, Refusal>] = []
      results.reserveCapacity(batch.count)
      for mutation in batch {
        results.append(try perform(mutation))
        try settle()
      }
      // What is due next is read from the rows.
      try writePools()
      if !work.commanded.isEmpty { work.consequences.append(.commandsIssued(work.commanded.sorted())) }
      return CommittedBatch(
        results: results, consequences: work.consequences, revision: Revision(work.ledger.lastRevision),
        changedActors: work.changedActors.sorted(), nextDue: try nextDue())
    }
    committed.logBytes = Int64(database.logPages) * Int64(Self.pageBytes)
    return committed
  }

  private func perform(_ mutation: Mutation) throws(DatabaseError) -> Outcome {
    switch mutation {
    case .register(let registration): try register(registration)
    case .detached(let attachments): try detach(attachments)
    case .silent(let attachments): try setSilent(true, attachments)
    case .heard(let attachments): try setSilent(false, attachments)
    case .stopDelivered(let orders): try stopDelivered(orders)
    case .stopAcked(let acknowledgements): try stopAcked(acknowledgements)
    case .stopping(let attachment, let reason, let grace):
      try beginOwnDrain(attachment, reason: reason, graceMilliseconds: grace)
    case .leave(let attachment, let exitCode, let reason):
      try leave(attachment, exitCode: exitCode, reason: reason)
    case .lose(let attachments, let end): try lose(attachments, end)
    case .force(let orders): try force(orders)
    case .createNamespace(let name, let who): try createNamespace(name, who: who)
    case .putConfig(let pool, let config, let who, let reason):
      try putConfig(pool, config, who: who, reason: reason)
    case .deleteConfig(let pool, let who, let reason): try deleteConfig(pool, who: who, reason: reason)
    case .drain(let command): try drain(command)
    case .createActor(let creation):
      switch try create(creation) {
      case .failure(let refusal): .failure(refusal)
      case .success((let actor, let isCreated)): try shown(actor, isCreated: isCreated)
      }
    case .changeActor(let id, let wish, let who):
      switch try change(id, wish, who: who) {
      case .failure(let refusal): .failure(refusal)
      case .success(let actor): try shown(actor, isCreated: false)
      }
    case .actorReports(let attachment, let reports): try report(attachment, reports)
    case .commandsAcked(let runner, let commands): try acknowledge(runner, commands)
    case .timePassed: try timePassed()
    case .prune(let limits): try prune(limits)
    case .setTarget(let pool, let wish, let reason, let who):
      try setTarget(pool, wish, reason: reason, who: who)
    case .cordon(let runner, let isCordoned, let reason, let who):
      try cordon(runner, isCordoned, reason: reason, who: who)
    case .cancelDrain(let which, let reason, let who): try cancelDrain(which, reason: reason, who: who)
    case .changeDeadline(let which, let change, let reason, let who):
      try changeDeadline(which, change, reason: reason, who: who)
    case .stopCancelledAnswered(let attachment, let order, let answer):
      try stopCancelledAnswered(attachment, order, answer)
    }
  }

  /// As it is once slots have been given out.
  private func shown(_ actor: ActorRecord, isCreated: Bool) throws(DatabaseError) -> Outcome {
    try settle()
    return .success(
      .actor(try view(actor), isCreated: isCreated, Revision(work.ledger.lastRevision)))
  }

  func nextDue() throws(DatabaseError) -> Int64? {
    if hasMoreToAllocate { return work.now.nanoseconds }
    let actor = try actors.nextDue.first { $0.optionalInt64(0) }.flatMap { $0 }
    let pool = try statements.nextPoolDue.first { $0.optionalInt64(0) }.flatMap { $0 }
    return [actor, pool].compactMap { $0 }.min()
  }

  // MARK: - The transaction

  private func transact<Answer>(
    at now: Moment, _ body: () throws(DatabaseError) -> Answer
  ) throws(StoreFailure) -> Answer {
    if let fatal { throw fatal }
    let answer: Answer
    let hadMoreToAllocate = hasMoreToAllocate
    do throws(DatabaseError) {
      try statements.begin.run()
      work = Work(now: now, ledger: ledger)
      answer = try body()
      try writeWork()
      try statements.commit.run()
    } catch {
      database.rollBack()
      work = Work(now: now, ledger: ledger)
      hasMoreToAllocate = hadMoreToAllocate
      isUnproven = true
      throw remembering(error.storeFailure)
    }
    isUnproven = false
    ledger = work.ledger
    work = Work(now: now, ledger: ledger)
    // What went into a file that nobody will find again must not be acknowledged.
    try checkFiles()
    do throws(DatabaseError) {
      try checkpointIfDue()
    } catch {
      // The commit stands, in the log; a disk that is full only now is asked again after the next one.
      let failure = error.storeFailure
      if case .fatal = failure { throw remembering(failure) }
    }
    return answer
  }

  private func checkFiles() throws(StoreFailure) {
    if let fatal { throw fatal }
    if let moved = files.moved() { throw remembering(.fatal(moved)) }
  }

  /// A store that has failed for good does nothing more, not even the checkpoint that closing would make.
  private func remembering(_ failure: StoreFailure) -> StoreFailure {
    if case .fatal = failure {
      fatal = failure
      database.abandon()
    }
    return failure
  }

  private func checkpointIfDue() throws(DatabaseError) {
    guard database.logPages >= checkpointPages else { return }
    try database.checkpoint(database.logPages < 8 * checkpointPages ? .passive : .truncate)
  }

  private func writeWork() throws(DatabaseError) {
    try writePools()
    guard work.ledger != ledger || isUnproven else { return }
    if isUnproven {
      // SQLite leaves a page alone that would be written as it is.
      var other = work.ledger
      other.lastRevision += 1
      try write(other)
    }
    try write(work.ledger)
  }

  /// By id: the same changes write the same pages in the same order, whatever the seed of the process's hashes.
  private func writePools() throws(DatabaseError) {
    for (_, pool) in work.pools.sorted(by: { $0.key < $1.key }) {
      try write(pool)
      pool.written()
    }
  }

  private func write(_ ledger: Ledger) throws(DatabaseError) {
    try statements.writeFleet.run(
      ledger.lastRevision, ledger.lastRunner, ledger.lastOrder, ledger.lastAttachment, ledger.endedRunners,
      ledger.lastActor, ledger.lastPlace, ledger.lastCommand, ledger.endedOrders, ledger.destroyedActors,
      ledger.unloggedOrder)
  }
}

/// What a mutation came to: a refusal is an answer; an error would be the whole batch's.
typealias Outcome = Result<MutationOutcome, Refusal>

extension Result where Failure == Refusal {
  static func refused(_ code: Refusal.Code, _ message: String) -> Self { .failure(Refusal(code, message)) }
}

/// How far the fleet's numbers have come.
struct Ledger: Hashable {
  var lastRevision: Int64
  var lastRunner: Int64
  var lastOrder: Int64
  var lastAttachment: Int64
  var endedRunners: Int64
  var lastActor: Int64
  var lastPlace: Int64
  var lastCommand: Int64
  var endedOrders: Int64
  var destroyedActors: Int64
  /// Orders up to this one have no event any more that says that they were made.
  var unloggedOrder: Int64

  init(_ statements: Statements) throws(DatabaseError) {
    let read = try statements.readFleet.first { row in
      (
        row.int64(2), row.int64(3), row.int64(4), row.int64(5), row.int64(6), row.int64(7), row.int64(8),
        row.int64(9), row.int64(10), row.int64(11), row.int64(12)
      )
    }
    guard let read else { throw DatabaseError(code: .corrupt, message: "the fleet has no row") }
    (
      lastRevision, lastRunner, lastOrder, lastAttachment, endedRunners, lastActor, lastPlace, lastCommand,
      endedOrders, destroyedActors, unloggedOrder
    ) = read
  }
}

/// What one transaction has gathered so far.
struct Work {
  var now: Moment
  var ledger: Ledger
  var pools: [Int64: PoolRecord] = [:]
  var poolIDs: [PoolName: Int64] = [:]
  var consequences: [Consequence] = []
  var actors: [ActorID: ActorRecord] = [:]
  var changedActors: Set<ActorID> = []
  /// Runners that have new commands.
  var commanded: Set<RunnerID> = []
  /// How many slots were given out.
  var allocations = 0
  /// Of the mutation under way: the pools that it looked at, the actors that want a slot, those that are not yet written.
  var touched: Set<Int64> = []
  var wanting: [Int64: [ActorRecord]] = [:]
  var unwritten: [ActorRecord] = []

  init(now: Moment, ledger: Ledger) {
    self.now = now
    self.ledger = ledger
  }
}
