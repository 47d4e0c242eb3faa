import Handover
import Testing

@testable import Registry

/// A fleet with the words to speak of actors.
final class ActorFleet {
  let fleet = try! Fleet()
  private var lastIndex: Int64 = 0
  private var attachments: [RunnerID: Handover.Attachment] = [:]

  /// What the last change meant for those who are connected.
  private(set) var consequences: [Consequence] = []

  init(_ adjust: (inout RunnerConfig.Normal) -> Void = { _ in }) throws { try configure(adjust) }

  func configure(_ adjust: (inout RunnerConfig.Normal) -> Void) throws {
    var normal = RunnerConfig.Normal(
      drainOnVersionUpgrade: true, drainGracePeriodMilliseconds: 60_000, actors: ActorSettings())
    adjust(&normal)
    _ = try apply(.putConfig(web, RunnerConfig(kind: .normal(normal)), who: peer()))
  }

  /// One change, which may be refused.
  @discardableResult
  func apply(
    _ mutation: Mutation, _ location: SourceLocation = #_sourceLocation
  ) throws -> Result<MutationOutcome, Refusal> {
    let batch = try fleet.apply([mutation], location)
    consequences = batch.consequences
    return batch.results[0]
  }

  func refusal(_ mutation: Mutation) throws -> Refusal.Code? {
    if case .failure(let refusal) = try apply(mutation) { refusal.code } else { nil }
  }

  func advance(seconds: Int64) { fleet.advance(milliseconds: seconds * 1000) }

  /// Time passes, and whatever was due in it happens.
  func wait(seconds: Int64) throws {
    advance(seconds: seconds)
    try apply(.timePassed)
  }

  // MARK: - Runners

  func registration(
    _ number: UInt32, slots: UInt32 = 4, uid: UInt32 = ownerUID, takesActors: Bool = true
  ) -> Registration {
    var registration = fleet.registration(number, uid: uid, slots: slots)
    registration.takesActors = takesActors
    return registration
  }

  /// A registration that must succeed.
  @discardableResult
  func admit(
    _ registration: Registration, _ location: SourceLocation = #_sourceLocation
  ) throws -> Handover.Attachment {
    guard case .success(.registered(let admission)) = try apply(.register(registration), location) else {
      throw Fleet.Unexpected(content: .refused(Refusal(.aborted, "\(registration)")))
    }
    let attachment = Attachment(runner: admission.runner, id: registration.attachment)
    attachments[admission.runner] = attachment
    return attachment
  }

  @discardableResult
  func runner(_ number: UInt32, slots: UInt32 = 4, takesActors: Bool = true) throws -> Handover.Attachment {
    try admit(registration(number, slots: slots, takesActors: takesActors))
  }

  // MARK: - Actors

  func creation(
    _ name: String = "box", key: String? = nil, policy: CrashPolicy = .restart, input: [UInt8] = [],
    request: String = "", mayExist: Bool = false, in pool: PoolName = web, uid: UInt32 = ownerUID
  ) -> ActorCreation {
    ActorCreation(
      identity: ActorIdentity(pool: pool, name: name, key: key, crashPolicy: policy), input: input,
      requestID: request, mayExist: mayExist, who: peer(uid))
  }

  func create(_ creation: ActorCreation) throws -> (id: ActorID, isCreated: Bool) {
    let result = try apply(.createActor(creation))
    guard case .success(.actor(let actor, let isCreated, _)) = result else {
      throw Fleet.Unexpected(content: .refused(Refusal(.aborted, "\(result)")))
    }
    // What is answered is what a query finds after the commit.
    #expect(try self[actor.id] == actor)
    return (actor.id, isCreated)
  }

  func create(
    _ name: String = "box", key: String? = nil, policy: CrashPolicy = .restart, input: [UInt8] = []
  ) throws -> ActorID {
    try create(creation(name, key: key, policy: policy, input: input)).id
  }

  func create(_ count: Int) throws -> [ActorID] { try (0..<count).map { _ in try create() } }

  subscript(_ id: ActorID) -> Actor {
    get throws {
      let content = try fleet.read(.actor(id)).content
      guard case .actor(let actor) = content else { throw Fleet.Unexpected(content: content) }
      return actor
    }
  }

  /// Where it stands, in words: `pending`, `starting on 1 generation 2`, `stopping sleep on 1 generation 1 woken`; when
  /// something happens by itself; what went wrong.
  func story(_ id: ActorID) throws -> String {
    let actor = try self[id]
    var words = ["\(actor.state)"]
    if let reason = actor.stopReason { words.append("\(reason)") }
    if let runner = actor.runner { words.append("on \(runner) generation \(actor.generation)") }
    if actor.isWakeWanted { words.append("woken") }
    if let failure = actor.failure { words.append("(\(failure))") }
    return words.joined(separator: " ")
  }

  func stories(_ ids: [ActorID]) throws -> [String] { try ids.map { try story($0) } }

  func wish(_ wish: ActorWish, _ id: ActorID) throws {
    let result = try apply(.changeActor(id, wish, who: peer()))
    guard case .success = result else {
      throw Fleet.Unexpected(content: .refused(.init(.aborted, "\(result)")))
    }
  }

  /// What its runner says of it, in the generation that it is in; true when that counted.
  @discardableResult
  func report(
    _ runner: Handover.Attachment, _ id: ActorID, _ kind: ActorReport.Kind, generation: Int64? = nil,
    index: Int64? = nil
  ) throws -> Bool {
    lastIndex += 1
    let checkpoint = ActorCheckpoint(
      actor: id, generation: try generation ?? self[id].generation, index: index ?? lastIndex)
    let result = try apply(.actorReports(runner, [ActorReport(checkpoint: checkpoint, kind: kind)]))
    guard case .success(.reported(let acked, let refused)) = result else {
      throw Fleet.Unexpected(content: .refused(.init(.aborted, "\(result)")))
    }
    #expect(Set(acked).isDisjoint(with: refused))
    return refused.isEmpty
  }

  /// An actor that runs on that runner.
  func running(
    on runner: Handover.Attachment, policy: CrashPolicy = .restart
  ) throws -> ActorID {
    let id = try create(policy: policy)
    try report(runner, id, .running)
    let actor = try self[id]
    #expect(actor.state == .running && actor.runner == runner.runner)
    return id
  }

  /// The runner that it was given to says that it runs.
  func run(_ id: ActorID, _ location: SourceLocation = #_sourceLocation) throws {
    try report(#require(try holder(of: id), sourceLocation: location), id, .running)
  }

  /// The runner that holds it says that it has stopped.
  func stop(_ id: ActorID, _ location: SourceLocation = #_sourceLocation) throws {
    try report(#require(try holder(of: id), sourceLocation: location), id, Self.ok)
  }

  private func holder(of id: ActorID) throws -> Handover.Attachment? {
    try self[id].runner.flatMap { attachments[$0] }
  }

  static let ok = ActorReport.Kind.stopped(isOK: true, message: "")
  static let error = ActorReport.Kind.stopped(isOK: false, message: "out of memory")

  /// What the runner is to be told, as `start 1/1`: actor and index.
  func commands(_ runner: Handover.Attachment, after: Int64 = 0) throws -> [String] {
    let content = try fleet.read(.commands(runner.runner, after: after, limitBytes: 1 << 20)).content
    guard case .commands(let commands, _, _) = content else { throw Fleet.Unexpected(content: content) }
    return commands.map { command in
      let word =
        switch command.kind {
        case .start: "start"
        case .stop(let reason): "stop \(reason)"
        case .drop: "drop"
        }
      return "\(word) \(command.checkpoint.actor)/\(command.checkpoint.index)"
    }
  }

  /// The actors that were taken from runners which may still run them.
  var drops: [String] {
    consequences.compactMap { consequence in
      guard case .actorDropped(let runner, let checkpoint) = consequence else { return nil }
      return "\(checkpoint.actor) generation \(checkpoint.generation) from \(runner)"
    }
  }

  /// How often it was said of it that it entered this state.
  func count(_ kind: EventKind, _ id: ActorID) throws -> Int {
    try fleet.events().count { $0.kind == kind && $0.actor == id }
  }

  func used(_ runner: Handover.Attachment) throws -> Int64 {
    let runner = try fleet.runner(runner.runner)
    return Int64(runner.totalSlots) - Int64(runner.remainingSlots)
  }
}
