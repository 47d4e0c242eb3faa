import Handover
import Seeded
import Testing

@testable import Registry

/// Random changes. After each of them the books add up, who was given a slot is who `Allocator` would have chosen, nobody was
/// passed over, and no generation goes back.
@Suite struct ActorRandomTests {
  /// What there is of a runner and of an actor, read back past the queries.
  private struct RunnerRow {
    var pool: Int64
    var candidate: Allocator.Candidate
    var mayTake: Bool
  }

  private struct ActorRow {
    var id: ActorID
    var pool: Int64
    var runner: RunnerID?
    var generation: Int64
    var isQueued: Bool
    var place: Int64
    var command: Int64
  }

  private struct Picture {
    var runners: [RunnerID: RunnerRow] = [:]
    var actors: [ActorID: ActorRow] = [:]

    init(_ fleet: Fleet) throws {
      let database = fleet.store.database
      try Statement(
        database,
        """
        SELECT id, pool_id, version, free_slots, last_work_ns, phase = 1 AND link = 1 AND silent = 0
          AND authorized = 1 AND takes_actors = 1 FROM runners
        """
      ).forEach { row in
        let id = RunnerID(row.int64(0))
        runners[id] = RunnerRow(
          pool: row.int64(1),
          candidate: Allocator.Candidate(
            runner: id, version: row.version(2), freeSlots: row.int64(3), lastWorkNanoseconds: row.int64(4)),
          mayTake: row.bool(5))
      }
      try Statement(
        database,
        "SELECT id, pool_id, runner_id, generation, state = 1 AND due_ns IS NULL, place, command_seq FROM actors"
      ).forEach { row in
        let id = ActorID(row.int64(0))
        actors[id] = ActorRow(
          id: id, pool: row.int64(1), runner: row.optionalInt64(2).map { RunnerID($0) },
          generation: row.int64(3), isQueued: row.bool(4), place: row.int64(5), command: row.int64(6))
      }
    }
  }

  private final class Run {
    let actors: ActorFleet
    var fleet: Fleet { actors.fleet }
    var random: SeededRandom
    var sent: [Registration] = []
    var attachments: [RunnerID: Handover.Attachment] = [:]
    var picture: Picture
    var boots = 1
    let names = [web, PoolName(namespace: "default", name: "api")]

    init(seed: UInt64) throws {
      random = SeededRandom(seed: seed)
      actors = try ActorFleet()
      picture = try Picture(actors.fleet)
    }

    func pick<Element>(_ elements: [Element]) -> Element { elements.randomElement(using: &random)! }
    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    func uid() -> UInt32 { pick([ownerUID, ownerUID, ownerUID, ownerUID, otherUID, 0]) }

    func registration() -> Registration {
      if !sent.isEmpty, chance(40) {
        var again = pick(sent)
        again.attachment = fleet.nextAttachment()
        if chance(30) { again.totalSlots = pick([1, 2, 3, 6]) }
        if chance(10) { again.takesActors.toggle() }
        return again
      }
      var made = fleet.registration(
        pick([1, 1, 1, 2, 2, 3]), key: chance(30) ? pick(["a", "b"]) : nil, in: pick(names), uid: uid(),
        slots: pick([1, 2, 2, 2, 3]))
      made.takesActors = chance(90)
      sent.append(made)
      return made
    }

    func attachment() -> Handover.Attachment? {
      attachments.isEmpty ? nil : attachments[pick(attachments.keys.sorted())]
    }

    func actor() -> ActorID {
      ActorID(Int64.random(in: 1...Int64(max(1, picture.actors.count)), using: &random))
    }

    /// What a runner says of one of its own, mostly.
    func reports(_ from: Handover.Attachment) -> [ActorReport] {
      let held = picture.actors.values.filter { $0.runner == from.runner }.map(\.id).sorted()
      return (0..<Int.random(in: 1...3, using: &random)).map { _ in
        let id = held.isEmpty || chance(10) ? actor() : pick(held)
        let generation = (picture.actors[id]?.generation ?? 1) - (chance(10) ? 1 : 0)
        let kind: ActorReport.Kind = pick([
          .running, .running, .running, ActorFleet.ok, ActorFleet.error, ActorFleet.error, .startRefused,
          .sleepIntent, .sleepIntent, .stopIntent, .setAlarm(afterMilliseconds: 20_000),
          .setAlarm(afterMilliseconds: nil), .held,
        ])
        let checkpoint = ActorCheckpoint(
          actor: id, generation: generation, index: Int64.random(in: 1...40, using: &random))
        return ActorReport(checkpoint: checkpoint, kind: kind)
      }
    }

    func config() -> RunnerConfig {
      guard !chance(10) else { return RunnerConfig(kind: .serverless) }
      var settings = ActorSettings()
      settings.fallsBackToOtherVersions = chance(50)
      settings.startThresholdMilliseconds = pick([0, 5000])
      settings.stopThresholdMilliseconds = pick([0, 8000])
      settings.retryBackoffMilliseconds = pick([0, 100])
      return RunnerConfig(
        kind: .normal(
          .init(drainOnVersionUpgrade: chance(70), drainGracePeriodMilliseconds: 20_000, actors: settings)))
    }

    func drain() -> Mutation {
      let target: DrainCommand.Target =
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .wholePool(pick(names))
        case 1: .olderVersions(pick(names), belowVersion: chance(50) ? nil : version(3))
        default: .runner(attachment()?.runner ?? RunnerID(1))
        }
      return .drain(DrainCommand(target: target, graceMilliseconds: 0, reason: "", who: peer(uid())))
    }

    func mutation() throws -> Mutation {
      let one = attachment()
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<22:
        return .createActor(
          actors.creation(
            key: chance(20) ? pick(["a", "b", "c"]) : nil, policy: pick(CrashPolicy.allCases),
            input: chance(30) ? [1, 2, 3] : [], request: chance(10) ? pick(["r", "s"]) : "",
            mayExist: chance(50), in: pick(names), uid: uid()))
      case 22..<32: return .changeActor(actor(), pick(ActorWish.allCases), who: peer(uid()))
      case 32..<58:
        guard let one else { return .timePassed }
        return .actorReports(one, reports(one))
      case 58..<62:
        let id = actor()
        let index = Int64.random(in: 0...3, using: &random)
        let generation = picture.actors[id]?.generation ?? 0
        return .commandsAcked(
          picture.actors[id]?.runner ?? RunnerID(1),
          [ActorCheckpoint(actor: id, generation: generation, index: index)])
      case 62..<76: return .register(registration())
      case 80..<84:
        let orders = try fleet.drains(includeEnded: false).map(\.id)
        return .force(orders)
      case 84..<87: return .putConfig(pick(names), config(), who: peer(uid()))
      case 87..<89: return drain()
      case 76..<80, 89..<97:
        guard let one else { return .timePassed }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .detached([one])
        case 1: return .silent([one])
        case 2: return .heard([one])
        case 3: return .stopping(one, reason: "", graceMilliseconds: 0)
        case 4: return .leave(one, exitCode: 0, reason: "")
        default: return .lose([one, attachment() ?? one], pick([.threshold, .processDied]))
        }
      default: return .timePassed
      }
    }

    func step() throws {
      if chance(25) { fleet.advance(milliseconds: pick([10, 1000, 5000, 9000, 31_000])) }
      let mutation = try mutation()
      let result = try actors.apply(mutation)
      if case .register(let registration) = mutation, case .success(.registered(let admission)) = result {
        attachments[admission.runner] = Attachment(runner: admission.runner, id: registration.attachment)
      }
      try compare("\(mutation)")
      if chance(3) { try restart() }
    }

    func restart() throws {
      if chance(30) {
        boots += 1
        fleet.bootID = "boot-\(boots)"
        fleet.now.nanoseconds = Int64.random(in: 1...2000, using: &random) * 1_000_000_000
        fleet.now.wallMilliseconds += 30_000
      }
      try fleet.reopen()
      #expect(try fleet.store.verifyCounters() == [])
      try compare("a restart")
    }

    /// The slots given out since the last picture, one by one, beside what the reference says.
    func compare(_ story: String) throws {
      let after = try Picture(fleet)
      let given = after.actors.values.filter { $0.generation != picture.actors[$0.id]?.generation ?? 0 }
        .sorted { $0.command < $1.command }
      for actor in given {
        let before = picture.actors[actor.id]?.generation ?? 0
        try #require(actor.generation == before + 1, "\(story): \(actor) had generation \(before)")
      }
      for (pool, name, target, config) in try pools() {
        // As it was before any was given: what each was given comes back.
        var candidates = after.runners.filter { $0.value.pool == pool && $0.value.mayTake }.mapValues(
          \.candidate)
        let mine = given.filter { $0.pool == pool }
        for actor in mine {
          let runner = try #require(actor.runner)
          try #require(candidates[runner] != nil, "\(story): \(actor) was given to one that may take none")
          candidates[runner]!.freeSlots += 1
          candidates[runner]!.lastWorkNanoseconds =
            picture.runners[runner]?.candidate.lastWorkNanoseconds ?? 0
        }
        func choice() -> RunnerID? {
          Allocator.choose(
            candidates.values, target: target, fallsBack: config.actorSettings.fallsBackToOtherVersions)
        }
        for actor in mine {
          let chosen = choice()
          try #require(chosen == actor.runner, "\(story): \(actor) in \(name)")
          candidates[actor.runner!]!.freeSlots -= 1
          candidates[actor.runner!]!.lastWorkNanoseconds = fleet.now.nanoseconds
        }
        let queue = after.actors.values.filter { $0.pool == pool && $0.isQueued }
        try #require(
          queue.isEmpty || choice() == nil, "\(story): \(queue) wait in \(name) though there is room")
        let last = mine.map(\.place).max() ?? 0
        try #require(!queue.contains { $0.place < last }, "\(story): somebody was passed over in \(name)")
      }
      picture = after
    }

    private func pools() throws -> [(Int64, PoolName, Version?, RunnerConfig)] {
      var ids: [String: Int64] = [:]
      try Statement(fleet.store.database, "SELECT id, name FROM pools").forEach {
        ids[$0.text(1)] = $0.int64(0)
      }
      return try fleet.pools().map { (ids[$0.name.name]!, $0.name, $0.target?.version, $0.config) }
    }
  }

  @Test(arguments: 1...200) func everySlotIsGivenAsTheReferenceWould(seed: Int) throws {
    let run = try Run(seed: UInt64(seed))
    for _ in 0..<50 { try run.step() }
  }
}
