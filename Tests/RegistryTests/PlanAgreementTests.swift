import Handover
import Seeded
import Testing

@testable import Registry

/// The plan that is shown is the one that is carried out: on thousands of pools that random changes brought about, what
/// `Query.plan` says of a registration, a config, a pin and of what is due is compared with what the store then does.
@Suite struct PlanAgreementTests {
  private static let seeds = Array(UInt64(1)...24)
  private static let steps = 120

  @Test(arguments: seeds) func whatIsPlannedIsWhatHappens(seed: UInt64) throws {
    let run = try Run(seed: seed)
    for step in 1...Self.steps {
      try run.compare("seed \(seed), step \(step)")
      try run.disturb()
    }
  }

  /// A new runner of an outgoing version is among those that leave, after the others of its version that hold nothing.
  @Test func aNewcomerThatMayNotStayIsOneOfThem() throws {
    let fleet = try Fleet()
    try fleet.admit(1)
    try fleet.admit(2)
    try fleet.admit(1)
    _ = try fleet.configure(draining(false))
    let supposed = RunnerConfig(
      kind: .normal(
        .init(drainOnVersionUpgrade: true, upgrade: UpgradeSettings(maxDraining: .count(10)))))
    #expect(try fleet.plan(.config(supposed)).plan.retirement == .all(.olderThan(version(2))))
    _ = try fleet.configure(
      RunnerConfig(
        kind: .normal(.init(drainOnVersionUpgrade: true, upgrade: UpgradeSettings(maxDraining: .count(1))))))
    let view = try fleet.plan(.registers(version(1), slots: 4))
    #expect(view.plan.retirement == nil)
    #expect(
      view.runners.elements.map { "\($0.runner) \($0.fate)" }
        == ["3 held(Handover.Gate.maxDraining)", "0 held(Handover.Gate.maxDraining)", "2 stays"])
  }

  @Test func runnersAreListedInPagesOldestFirst() throws {
    let fleet = try Fleet()
    for number: UInt32 in [3, 1, 2, 1, 3, 1] { try fleet.admit(number) }
    let all = try fleet.plan(.registers(version(1), slots: 1)).runners
    #expect(all.elements.map(\.runner.rawValue) == [2, 4, 6, 0, 3, 1, 5])
    for size in 1...7 {
      var token = ""
      var seen: [PlanView.RunnerFate] = []
      repeat {
        let page = try fleet.plan(.registers(version(1), slots: 1), Page(size: size, token: token)).runners
        #expect(page.elements.count <= size)
        seen += page.elements
        token = page.next
      } while !token.isEmpty
      #expect(seen == all.elements)
    }
    let other = try fleet.plan(.registers(version(1), slots: 1), Page(size: 2)).runners.next
    let content = try fleet.read(.plan(web, nil, Page(size: 2, token: other), at: fleet.now)).content
    guard case .refused(let refusal) = content else { throw Fleet.Unexpected(content: content) }
    #expect(refusal.code == .invalidArgument)
  }

  /// However many have the same version and as many actors: else a plan that lets go of n runners would cost n squared.
  @Test func theNextCandidateIsOneStepAway() throws {
    let steps = try Fleet().queryPlan(PoolSQL.candidates)
    #expect(steps.contains("MERGE (UNION ALL)"), "\(steps)")
    let place = "(pool_id=? AND version=? AND used_slots=? AND rowid>?)"
    #expect(steps.contains("SEARCH runners USING INDEX runners_ready \(place)"), "\(steps)")
    #expect(!steps.contains { $0.contains("TEMP B-TREE") }, "\(steps)")
  }

  @Test func whatHasNoPlan() throws {
    let fleet = try Fleet()
    func code(_ supposition: Supposition?) throws -> Refusal.Code? {
      let content = try fleet.read(.plan(web, supposition, Page(size: 1), at: fleet.now)).content
      if case .refused(let refusal) = content { return refusal.code }
      return nil
    }
    #expect(try code(nil) == .notFound)
    _ = try fleet.configure(RunnerConfig(kind: .serverless))
    #expect(try code(nil) == nil)
    #expect(try code(.pin(version(1))) == .failedPrecondition)
    try fleet.apply([.deleteConfig(web, who: peer())])
    #expect(try code(.registers(version(1), slots: 1)) == .notFound)
  }
}

extension Fleet {
  func plan(_ supposition: Supposition?, _ page: Page = Page(size: 1000)) throws -> PlanView {
    let content = try read(.plan(web, supposition, page, at: now)).content
    guard case .plan(let view) = content else { throw Unexpected(content: content) }
    return view
  }
}

/// One pool in the hands of chance.
private final class Run {
  let actors: ActorFleet
  var fleet: Fleet { actors.fleet }
  var random: SeededRandom
  /// Of those that live, as far as known.
  var attachments: [RunnerID: Handover.Attachment] = [:]

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    actors = try ActorFleet()
    _ = try apply(.putConfig(web, config(), who: peer()))
    _ = try apply(.register(registration()))
  }

  func pick<Element>(_ elements: [Element]) -> Element { elements.randomElement(using: &random)! }
  func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  private func apply(_ mutation: Mutation) throws -> CommittedBatch {
    let batch = try fleet.apply([mutation])
    if case .register(let registration) = mutation,
      case .success(.registered(let admission)) = batch.results[0]
    {
      attachments[admission.runner] = Attachment(runner: admission.runner, id: registration.attachment)
    }
    for case .runnerEnded(let id, _) in batch.consequences { attachments[id] = nil }
    return batch
  }

  // MARK: - What is compared

  /// What a plan says, and what a change came to, as far as both can be seen.
  private struct Deed: Equatable {
    var decision: Decision?
    var target: UInt32?
    /// In their order where they leave one by one, else by id.
    var ordered: [RunnerID] = []
  }

  func compare(_ place: String) throws {
    let (supposition, mutation) = supposed()
    let pool = try fleet.pool().pool
    let view = try fleet.plan(supposition)
    let planned = deed(view, supposition, pool)
    let batch = try apply(mutation)
    guard case .success = batch.results[0] else {
      Issue.record("\(place): \(mutation) was refused: \(batch.results[0])")
      return
    }
    let done = try deed(batch, view.plan)
    #expect(planned == done, "\(place): \(mutation) of \(pool)")
    let rest = try fleet.plan(nil).plan
    #expect(
      rest.targetMove == nil && rest.retirement == nil && rest.recalled.isEmpty,
      "\(place): \(mutation) left something to do: \(rest)")
  }

  private func supposed() -> (Supposition?, Mutation) {
    switch Int.random(in: 0..<12, using: &random) {
    case 0...4:
      let registration = registration()
      return (.registers(registration.version, slots: registration.totalSlots), .register(registration))
    case 5...6:
      let config = config()
      return (.config(config), .putConfig(web, config, who: peer()))
    case 7...8:
      if isServerless { fallthrough }
      let pin = chance(50) ? nil : version(pick([1, 2, 3, 4, 5]))
      return (
        .pin(pin), .setTarget(web, pin.map { .version($0) } ?? .automatic, reason: "", who: peer())
      )
    default:
      // Not when actors are due as well: what becomes of them comes first.
      if let at = poolDue, actorsDue.map({ at < $0 }) ?? true {
        fleet.advance(milliseconds: max(0, at - fleet.now.nanoseconds) / 1_000_000)
      }
      return (nil, .timePassed)
    }
  }

  private var isServerless: Bool {
    if case .serverless? = try? fleet.pool().pool.config.kind { true } else { false }
  }

  private var poolDue: Int64? { next(fleet.store.statements.nextPoolDue) }
  private var actorsDue: Int64? { next(fleet.store.actors.nextDue) }
  private func next(_ due: Statement) -> Int64? { (try? due.first { $0.optionalInt64(0) }).flatMap { $0 } }

  private func deed(_ view: PlanView, _ supposition: Supposition?, _ pool: Pool) -> Deed {
    let plan = view.plan
    let changes = plan.targetMove != nil || plan.retirement != nil || !plan.recalled.isEmpty
    var newcomer: Plan.Fate?
    if case .registers? = supposition {
      newcomer = view.runners.elements.first { $0.runner == RunnerID(0) }?.fate
    }
    var deed = Deed(target: plan.target?.number)
    if supposition != nil || changes {
      deed.decision = plan.decision(config: .found, fate: newcomer)
    }
    switch plan.retirement {
    case .runners(let runners): deed.ordered = runners
    case .all:
      deed.ordered = view.runners.elements.filter { $0.fate == .ordered }.map(\.runner).sorted()
    case nil: break
    }
    #expect(deed.ordered.count == plan.retired)
    #expect(view.runners.elements.count { $0.fate == .ordered } == plan.retired)
    return deed
  }

  /// Of what the change came to, what its own plan did: slots that were given out, and orders that were taken back, may
  /// have led to another.
  private func deed(_ batch: CommittedBatch, _ plan: Plan) throws -> Deed {
    var deed = Deed()
    deed.target = try fleet.pool().pool.target?.version.number
    var decisions = 0
    var targets: [Version] = []
    var before: Version?
    for consequence in batch.consequences {
      switch consequence {
      case .decided(_, _, _, let decision):
        decisions += 1
        if decisions == 1 { deed.decision = decision }
      case .targetChanged(_, let change):
        if targets.isEmpty { before = change.previousVersion }
        targets.append(change.version)
      case .stopsOrdered(_, let terms, let stops) where decisions == 1 && terms.cause == .versionUpgrade:
        deed.ordered += stops.map(\.runner)
      default: break
      }
    }
    // Of whole versions the order is by id.
    if case .all? = plan.retirement { deed.ordered.sort() }
    if decisions > 1, targets.count > 1 || plan.targetMove == nil {
      deed.target = (plan.targetMove == nil ? before : targets.first)?.number ?? deed.target
    }
    if case .success(.registered(let admission)) = batch.results[0], let order = admission.openOrder {
      #expect(order.runner == admission.runner)
      // Where all leave the order is by id, and the newcomer's is not known yet.
      if case .runners(let runners)? = plan.retirement, let index = runners.firstIndex(of: RunnerID(0)) {
        deed.ordered.insert(RunnerID(0), at: min(index, deed.ordered.count))
      } else {
        deed.ordered.insert(RunnerID(0), at: 0)
      }
    }
    return deed
  }

  // MARK: - Chance

  private func registration() -> Registration {
    var made = fleet.registration(pick([1, 1, 2, 2, 3, 4]), slots: pick([1, 2, 3, 6]))
    made.takesActors = true
    return made
  }

  private func config() -> RunnerConfig {
    if chance(6) { return RunnerConfig(kind: .serverless) }
    var normal = RunnerConfig.Normal(
      drainOnVersionUpgrade: chance(80), drainGracePeriodMilliseconds: 60_000, upgrade: settings())
    normal.actors.fallsBackToOtherVersions = chance(30)
    return RunnerConfig(kind: .normal(normal))
  }

  private func settings() -> UpgradeSettings {
    var settings = UpgradeSettings()
    if chance(20) { return settings }
    if chance(25) { settings.strategy = .careful }
    if chance(50) { settings.minHealthyMilliseconds = pick([0, 1000, 5000, 20_000]) }
    if chance(50) {
      settings.capacity = .wait
      if chance(60) { settings.minAvailable = pick([.percent(50), .percent(100), .count(3), .count(8)]) }
    }
    if chance(50) { settings.maxDraining = pick([.count(1), .count(2), .percent(25), .percent(60)]) }
    if chance(40) { settings.holdTimeoutMilliseconds = pick([21_000, 40_000]) }
    return settings
  }

  /// Something that makes the pool another one: one in several is refused, which is fine.
  func disturb() throws {
    for _ in 0..<Int.random(in: 0...3, using: &random) {
      guard let mutation = try disturbance() else { continue }
      _ = try apply(mutation)
    }
  }

  private func disturbance() throws -> Mutation? {
    guard !attachments.isEmpty else { return nil }
    let runner = attachments[pick(attachments.keys.sorted())]!
    switch Int.random(in: 0..<16, using: &random) {
    case 0: return .detached([runner])
    case 1: return .silent([runner])
    case 2: return .heard([runner])
    case 3: return .cordon(runner.runner, chance(60), reason: "", who: peer())
    case 4: return .lose([runner], .threshold)
    case 5: return .leave(runner, exitCode: 0, reason: "")
    case 6, 7: return .createActor(actors.creation())
    case 8: return try report(runner)
    case 9:
      let orders = try fleet.drains(includeEnded: false).map(\.id)
      return chance(50) ? .stopDelivered(orders.filter { _ in chance(50) }) : nil
    case 10, 11: return .cancelDrain(.runner(runner.runner), reason: "", who: peer())
    case 12:
      guard let order = try fleet.drains(includeEnded: false).first(where: { $0.wayBack == .offered }) else {
        return nil
      }
      return attachments[order.runner].map {
        .stopCancelledAnswered($0, order.id, chance(60) ? .resumed : .tooLate)
      }
    case 13:
      // One whose word does not count, or that takes no actors.
      let uid = pick([otherUID, ownerUID])
      return .register(fleet.registration(pick([1, 2, 3, 4, 5]), uid: uid, slots: 2))
    case 14:
      return .drain(
        DrainCommand(target: .runner(runner.runner), graceMilliseconds: 0, reason: "", who: peer()))
    default:
      fleet.advance(milliseconds: pick([100, 1000, 6000, 25_000]))
      return .timePassed
    }
  }

  private func report(_ runner: Handover.Attachment) throws -> Mutation? {
    let content = try fleet.read(.actors(ActorFilter(runner: runner.runner), Page(size: 10))).content
    guard case .actors(let page) = content, let actor = page.elements.first else { return nil }
    let checkpoint = ActorCheckpoint(actor: actor.id, generation: actor.generation, index: 1_000_000)
    return .actorReports(
      runner, [ActorReport(checkpoint: checkpoint, kind: chance(50) ? .running : ActorFleet.ok)])
  }
}
