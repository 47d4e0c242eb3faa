import Handover
import Service

/// Mistakes that somebody could have made, put around the product's interfaces from outside: the simulator is only worth
/// something if it finds them. `SimulatorTests` says which check finds which.
package enum PlantedBug: String, CaseIterable, Sendable {
  case none
  /// The answer leaves before the commit, which a crash then loses.
  case acknowledgedBeforeCommit
  /// A resumed runner is not told again of the order that is open for it.
  case stopNotResent
  /// An order's Stop is sent at once only; a runner that was detached then never hears of it.
  case stopForgotten
  /// News of a dead connection is taken for news of the one that replaced it.
  case connectionGenerationIgnored
  /// After a restart of the daemon, or of a runner's connection, nobody knows the deadline of its order.
  case deadlineLostAtRestart
  /// A deadline that passes is not acted on.
  case deadlineIgnored
  /// A runner that is gone is never given up.
  case lossIgnored
  /// A detached runner stays attached in the books.
  case detachIgnored
  /// A runner that went silent is never said to be.
  case silenceIgnored
  /// A runner that hears nothing from the daemon works on.
  case fenceIgnored
  /// A runner is registered in one transaction, and those who must leave for it are drained in the next.
  case drainedApart
  /// A batch that failed is taken for one that went well.
  case failureSwallowed
  /// The planner runs when a runner registers, not when a config changes.
  case edgeTriggeredPlanner
  /// The log loses an event at a page's end.
  case eventSkipped
  /// The log repeats an event.
  case eventRepeated
  /// Nothing happens to an actor because its time has come.
  case actorTimesIgnored
  /// A runner that is attached is not told of new commands.
  case commandsForgotten
  /// A report is acknowledged and not kept.
  case reportForgotten
  /// A runner that did not answer in time is not told that its actor was taken.
  case dropForgotten
  /// A token is not known again after a restart: the same process becomes another runner.
  case tokenForgotten
  /// A runner whose order is taken back is not told.
  case offerForgotten
  /// What a runner says to that is not kept.
  case answerForgotten
  /// A version is taken to have been healthy for longer than it was.
  case healthTakenForGranted
  /// Of the history less is kept than was asked for.
  case historyCutShort
}

extension PlantedBug {
  func decorate(_ store: any Store) -> any Store {
    switch self {
    case .acknowledgedBeforeCommit, .stopNotResent, .stopForgotten, .connectionGenerationIgnored,
      .deadlineLostAtRestart, .edgeTriggeredPlanner, .tokenForgotten, .drainedApart,
      .failureSwallowed, .actorTimesIgnored, .commandsForgotten, .reportForgotten, .dropForgotten,
      .offerForgotten, .healthTakenForGranted:
      BuggyStore(self, store)
    case .none, .deadlineIgnored, .lossIgnored, .detachIgnored, .silenceIgnored, .eventSkipped,
      .eventRepeated, .fenceIgnored, .historyCutShort, .answerForgotten:
      store
    }
  }

  func decorate(_ reader: any StoreReader) -> any StoreReader {
    switch self {
    case .eventSkipped, .eventRepeated: BuggyReader(self, reader)
    default: reader
    }
  }

  /// The mutation as it reaches the store. One that is ignored is answered like any other: it says nothing.
  func submitted(_ mutation: Mutation) -> Mutation {
    switch (self, mutation) {
    case (.deadlineIgnored, .force): .force([])
    case (.answerForgotten, .stopCancelledAnswered(let attachment, _, let answer)):
      .stopCancelledAnswered(attachment, DrainOrderID(0), answer)
    case (.lossIgnored, .lose(_, let cause)): .lose([], cause)
    case (.detachIgnored, .detached): .detached([])
    case (.silenceIgnored, .silent): .silent([])
    case (.historyCutShort, .prune(let limits)): .prune(limits.halved)
    default: mutation
    }
  }
}

private final class BuggyStore: Store {
  private let bug: PlantedBug
  private let store: any Store
  /// Acknowledged, not yet applied.
  private var owed: [Mutation] = []
  private var attachments: [RunnerID: AttachmentID] = [:]
  private var hasRegistered = 0
  private var reportsSeen = 0
  private var configs: [PoolName: RunnerConfig] = [:]
  private var revision = Revision(0)

  init(_ bug: PlantedBug, _ store: any Store) {
    self.bug = bug
    self.store = store
  }

  func start(at now: Moment) throws(StoreFailure) -> FleetSnapshot {
    var snapshot = try store.start(at: now)
    if bug == .stopNotResent { snapshot.openOrders = [] }
    if bug == .actorTimesIgnored { snapshot.nextDue = nil }
    if bug == .deadlineLostAtRestart {
      for index in snapshot.openOrders.indices { snapshot.openOrders[index].terms.deadlineNanoseconds = .max }
    }
    return snapshot
  }

  func apply(_ batch: [Mutation], at now: Moment) throws(StoreFailure) -> CommittedBatch {
    switch bug {
    case .acknowledgedBeforeCommit: return try applyLate(batch, now)
    case .connectionGenerationIgnored: return try applyToCurrent(batch, now)
    case .edgeTriggeredPlanner: return try applyWithoutPlanning(batch, now)
    case .tokenForgotten: return try store.apply(batch.map(forgetting), at: now)
    case .drainedApart: return try applyInTwo(batch, now)
    case .failureSwallowed: return try applyHoping(batch, now)
    case .reportForgotten: return try applyWithoutReports(batch, now)
    default: break
    }
    var committed = try store.apply(batch, at: isTimeOnly(batch) ? later(now) : now)
    if bug == .stopNotResent || bug == .deadlineLostAtRestart { forgetOpenOrders(&committed) }
    if bug == .actorTimesIgnored { committed.nextDue = nil }
    committed.consequences.removeAll { consequence in
      switch (bug, consequence) {
      case (.stopForgotten, .stopsOrdered), (.commandsForgotten, .commandsIssued),
        (.dropForgotten, .actorDropped), (.offerForgotten, .stopsCancelled):
        true
      default: false
      }
    }
    return committed
  }

  private func isTimeOnly(_ batch: [Mutation]) -> Bool {
    bug == .healthTakenForGranted && batch.allSatisfy { if case .timePassed = $0 { true } else { false } }
  }

  private func later(_ now: Moment) -> Moment {
    Moment(nanoseconds: now.nanoseconds + 20_000_000_000, wallMilliseconds: now.wallMilliseconds)
  }

  /// A runner that comes back is told less of its order than there is to tell.
  private func forgetOpenOrders(_ committed: inout CommittedBatch) {
    for index in committed.results.indices {
      guard case .success(.registered(var admission)) = committed.results[index], admission.isResumed else {
        continue
      }
      if bug == .stopNotResent {
        admission.openOrder = nil
      } else {
        admission.openOrder?.terms.deadlineNanoseconds = .max
      }
      committed.results[index] = .success(.registered(admission))
    }
  }

  /// Of the reports every seventh is acknowledged and nothing more.
  private func applyWithoutReports(_ batch: [Mutation], _ now: Moment) throws(StoreFailure) -> CommittedBatch
  {
    var forgotten: [Int: [ActorCheckpoint]] = [:]
    var rest = batch
    for (index, mutation) in batch.enumerated() {
      guard case .actorReports(let attachment, let reports) = mutation else { continue }
      reportsSeen += 1
      guard reportsSeen % 7 == 0 else { continue }
      forgotten[index] = reports.map(\.checkpoint)
      rest[index] = .actorReports(attachment, [])
    }
    var committed = try store.apply(rest, at: now)
    for (index, checkpoints) in forgotten {
      guard case .success = committed.results[index] else { continue }
      committed.results[index] = .success(.reported(acked: checkpoints, refused: []))
    }
    return committed
  }

  /// A drain or a config that no runner waits for is acknowledged out of thin air and written with the next batch.
  private func applyLate(_ batch: [Mutation], _ now: Moment) throws(StoreFailure) -> CommittedBatch {
    let late = batch.filter { if case .putConfig = $0 { true } else { false } }
    let rest = batch.filter { if case .putConfig = $0 { false } else { true } }
    let due = owed
    owed = late
    var committed = try store.apply(due + rest, at: now)
    var results = committed.results.dropFirst(due.count)
    committed.results = batch.map { mutation in
      if case .putConfig = mutation {
        .success(.configPut(Decision(config: .found, upgrade: .noneOlder), committed.revision))
      } else {
        results.removeFirst()
      }
    }
    return committed
  }

  /// A detach is taken to be of whatever connection the runner has now.
  private func applyToCurrent(_ batch: [Mutation], _ now: Moment) throws(StoreFailure) -> CommittedBatch {
    let meant = batch.map { mutation in
      guard case .detached(let gone) = mutation else { return mutation }
      return .detached(gone.map { Attachment(runner: $0.runner, id: attachments[$0.runner] ?? $0.id) })
    }
    let committed = try store.apply(meant, at: now)
    for (mutation, result) in zip(batch, committed.results) {
      if case .register(let registration) = mutation, case .success(.registered(let admission)) = result {
        attachments[admission.runner] = registration.attachment
      }
    }
    return committed
  }

  /// A config that turns draining on takes effect at the next registration only.
  private func applyWithoutPlanning(_ batch: [Mutation], _ now: Moment) throws(StoreFailure) -> CommittedBatch
  {
    let hasRegistration = batch.contains { if case .register = $0 { true } else { false } }
    let late = hasRegistration ? [] : batch.filter { if case .putConfig = $0 { true } else { false } }
    let due = hasRegistration ? owed : []
    if hasRegistration { owed = [] }
    owed += late
    let rest = hasRegistration ? batch : batch.filter { if case .putConfig = $0 { false } else { true } }
    var committed = try store.apply(due + rest, at: now)
    var results = committed.results.dropFirst(due.count)
    committed.results = batch.map { mutation in
      if case .putConfig = mutation, !hasRegistration {
        .success(.configPut(Decision(config: .found, upgrade: .noneOlder), committed.revision))
      } else {
        results.removeFirst()
      }
    }
    return committed
  }

  /// With draining off for as long as the first of the two takes.
  private func applyInTwo(_ batch: [Mutation], _ now: Moment) throws(StoreFailure) -> CommittedBatch {
    for case .putConfig(let pool, let config, _, _) in batch { configs[pool] = config }
    let pools = Set(batch.compactMap { if case .register(let new) = $0 { new.pool } else { nil } })
    let draining = configs.keys.sorted().filter { pools.contains($0) }
    let who = Peer(uid: World.daemonUID, gid: 0, pid: 1, program: "bug")
    let off = RunnerConfig(kind: .normal(.init(drainOnVersionUpgrade: false)))
    let before = draining.map { Mutation.putConfig($0, off, who: who) }
    let after = draining.map { Mutation.putConfig($0, configs[$0]!, who: who) }
    var first = try store.apply(before + batch, at: now)
    first.results.removeFirst(before.count)
    guard !after.isEmpty else { return first }
    let second = try store.apply(after, at: now)
    return CommittedBatch(
      results: first.results, consequences: first.consequences + second.consequences,
      revision: second.revision)
  }

  private func applyHoping(_ batch: [Mutation], _ now: Moment) throws(StoreFailure) -> CommittedBatch {
    do throws(StoreFailure) {
      let committed = try store.apply(batch, at: now)
      revision = committed.revision
      return committed
    } catch {
      let results = batch.map { mutation -> Result<MutationOutcome, Refusal>? in
        switch mutation {
        case .putConfig: .success(.configPut(Decision(config: .found, upgrade: .noneOlder), revision))
        case .detached, .silent, .heard, .stopDelivered, .stopAcked, .lose, .force: .success(.applied(0))
        default: nil
        }
      }
      guard !results.contains(where: { $0 == nil }) else { throw error }
      return CommittedBatch(results: results.compactMap { $0 }, consequences: [], revision: revision)
    }
  }

  private func forgetting(_ mutation: Mutation) -> Mutation {
    guard case .register(var registration) = mutation else { return mutation }
    hasRegistered += 1
    if hasRegistered % 7 == 0 { registration.token.high ^= UInt64(hasRegistered) }
    return .register(registration)
  }
}

private final class BuggyReader: StoreReader {
  private let bug: PlantedBug
  private let reader: any StoreReader
  init(_ bug: PlantedBug, _ reader: any StoreReader) {
    self.bug = bug
    self.reader = reader
  }

  func read(_ query: Query) throws(StoreFailure) -> QueryAnswer {
    var answer = try reader.read(query)
    // Only what a watcher reads; the checks at the end ask for longer pages.
    guard case .events(_, _, _, let limit) = query, limit < 1000,
      case .events(var events, let upTo) = answer.content, events.count > 3
    else { return answer }
    if bug == .eventSkipped { events.removeLast() } else { events.append(events[events.count - 1]) }
    answer.content = .events(events, upTo: upTo)
    return answer
  }
}
