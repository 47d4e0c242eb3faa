import Handover
import PowerLoss
import Registry

/// The real store on a disk that fails: chance decides before a batch whether one of its statements, writes or syncs fails,
/// or is the last thing that the daemon does. What must hold afterwards is looked at before anyone hears of the batch.
final class FaultyStore: Store {
  private unowned let world: World
  private let store: SQLiteStore
  private var revision = Revision(0)

  init(_ store: SQLiteStore, _ world: World) {
    self.store = store
    self.world = world
  }

  func start(at now: Moment) throws(StoreFailure) -> FleetSnapshot {
    let snapshot = try store.start(at: now)
    revision = snapshot.revision
    return snapshot
  }

  func apply(_ batch: [Mutation], at now: Moment) throws(StoreFailure) -> CommittedBatch {
    let failures = failureCount
    let expected = try ReferenceAllocation(of: batch, in: store, world.daemon?.reader, at: now)
    arm()
    defer { world.healDisk() }
    do throws(StoreFailure) {
      let committed = try store.apply(batch, at: now)
      revision = committed.revision
      for case .actorDropped(_, let checkpoint) in committed.consequences {
        world.dropped.insert(ActorGeneration(checkpoint.actor, checkpoint.generation))
      }
      if !world.disk.hasCrashed, let daemon = world.daemon {
        world.check(
          daemon, excused: Self.unlinked(batch), isOnlyArrivals: batch.allSatisfy { Self.isArrival($0) })
        for finding in expected?.differences(from: committed) ?? [] { world.violate(finding) }
      }
      return committed
    } catch {
      world.trouble(at: world.now)
      guard !world.disk.hasCrashed else { throw error }
      world.note("a batch of \(batch.count) fails")
      if failureCount == failures { world.violate("a batch failed on a sound disk: \(error)") }
      if case .unavailable = error, let daemon = world.daemon {
        world.check(daemon)
        world.checkNothingHappened(daemon, since: revision)
      }
      throw error
    }
  }

  /// Whose link, silence, life or right to new actors these changes end.
  private static func unlinked(_ batch: [Mutation]) -> Set<RunnerID> {
    var runners: Set<RunnerID> = []
    for mutation in batch {
      switch mutation {
      case .detached(let attachments), .silent(let attachments), .lose(let attachments, _):
        runners.formUnion(attachments.map(\.runner))
      case .cordon(let runner, _, _, _): runners.insert(runner)
      case .leave(let attachment, _, _), .stopping(let attachment, _, _): runners.insert(attachment.runner)
      default: break
      }
    }
    return runners
  }

  /// Whatever takes nobody away by itself.
  private static func isArrival(_ mutation: Mutation) -> Bool {
    switch mutation {
    case .register, .timePassed, .createActor, .changeActor, .actorReports, .commandsAcked, .stopDelivered,
      .stopAcked, .heard:
      true
    default: false
    }
  }

  private var failureCount: Int {
    [Disk.Operation.statements, .writes, .syncs].reduce(0) { $0 + world.disk.failures($1) }
  }

  /// At most one of them.
  private func arm() {
    let faults = world.faults
    guard world.isFaulty else { return }
    if faults.statementsFail, world.random.oneIn(80) {
      world.disk.fail(.interrupt, nth: draw(upTo: 40), times: 1)
    } else if faults.writesFail, !world.isDiskFull, world.random.oneIn(80) {
      world.disk.fail(world.random.oneIn(2) ? .writeError : .full, nth: draw(upTo: 12), times: draw(upTo: 4))
    } else if faults.syncsFail, world.random.oneIn(400) {
      world.disk.fail(.syncError, nth: 1, times: 1)
    } else if faults.diesInBatches, world.random.oneIn(200) {
      switch Int.random(in: 0..<5, using: &world.random) {
      case 0: world.disk.crash(at: .syncs, nth: 1)
      case 1 where !world.isDiskFull, 2 where !world.isDiskFull:
        world.disk.crash(at: .writes, nth: draw(upTo: 12))
      default: world.disk.crash(at: .statements, nth: draw(upTo: 40))
      }
    }
  }

  private func draw(upTo most: Int) -> Int { Int.random(in: 1...most, using: &world.random) }
}
