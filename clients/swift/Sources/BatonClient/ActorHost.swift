import BatonAPI
import Handover

/// An actor that this runner holds: what it is, and what its code may say of it.
public final class HeldActor: Sendable {
  /// It must stop.
  public struct Stop: Hashable, Sendable {
    /// sleep, stop, destroy or going_away.
    public var reason: String
    /// How long it has, from the moment it arrived.
    public var remainingMilliseconds: Int64
    /// When that time is up: then its task is cancelled.
    public var deadline: ContinuousClock.Instant
  }

  /// Its id.
  public let id: Int64
  /// Its namespace.
  public let namespace: String
  /// What kind of actor it is.
  public let name: String
  /// Its stable identity, where it has one.
  public let key: String?
  /// How often it was started, with this time.
  public let generation: Int64
  /// What it was created with.
  public let input: [UInt8]
  /// The runner that holds it.
  public var runner: Int64 { loop.runnerID }
  /// The stop, once it comes, and again when its deadline has moved: the code should return before that. It ends when the actor
  /// is taken away.
  public let stops: AsyncStream<Stop>

  private let stopContinuation: AsyncStream<Stop>.Continuation
  private let loop: RunnerLoop

  init(_ assignment: ActorRoster.Assignment, _ loop: RunnerLoop) {
    id = assignment.actor.rawValue
    namespace = assignment.namespace
    name = assignment.name
    key = assignment.key.isEmpty ? nil : assignment.key
    generation = assignment.generation
    input = assignment.input
    (stops, stopContinuation) = AsyncStream.makeStream(of: Stop.self, bufferingPolicy: .bufferingNewest(4))
    self.loop = loop
  }

  /// Wishes to sleep, until its alarm or a client wakes it: a stop with this reason follows.
  public func sleep() { wish(.sleepIntent) }

  /// Wishes to end for good: a stop of reason `stop` follows. To return does the same at once.
  public func finish() { wish(.stopIntent) }

  /// Wants to be woken then, should it sleep: 1 ms to a year from now, or the nearest of these; nil takes the alarm back.
  public func setAlarm(afterMilliseconds milliseconds: Int64?) {
    wish(.setAlarm(afterMilliseconds: milliseconds))
  }

  private func wish(_ kind: ActorReport.Kind) {
    let (actor, generation) = (ActorID(id), generation)
    loop.perform { host, now in
      host.on { roster in
        roster.wishes(actor, generation, kind, now: now)
        return []
      }
    }
  }

  func tell(_ reason: ActorStopReason, remainingMilliseconds: Int64) {
    stopContinuation.yield(
      Stop(
        reason: Words.word(reason), remainingMilliseconds: remainingMilliseconds,
        deadline: .now + .milliseconds(remainingMilliseconds)))
  }

  func takenAway() { stopContinuation.finish() }
}

/// The actors of a runner and the tasks that run their code. Only the runner's thread touches it.
final class ActorHost {
  /// What the code of an actor has the thread do.
  typealias Happening = @Sendable (ActorHost, _ now: Int64) -> Void

  private var roster: ActorRoster
  private var held: [ActorID: HeldActor] = [:]
  private var tasks: [ActorID: Task<Void, Never>] = [:]
  private let loop: RunnerLoop
  private let options: Runner.Options

  init(loop: RunnerLoop, options: Runner.Options) {
    self.loop = loop
    self.options = options
    roster = ActorRoster(prepares: options.prepareActor != nil)
  }

  var nextTick: Int64? { roster.nextTick }
  func attached() { roster.attached() }
  func cutOff() { roster.cutOff() }
  func closes() { roster.closes() }
  func opens() { roster.opens() }
  func nextAcks() -> [ActorCheckpoint]? { roster.nextAcks() }
  func nextReports(now: Int64) -> [ActorReport]? { roster.nextReports(now: now) }

  /// Takes everything away. What still runs is answered: it has been cancelled.
  func runnerEnded() -> [Task<Void, Never>] {
    on { $0.runnerEnded() }
    return Array(tasks.values)
  }

  func on(_ change: (inout ActorRoster) -> [ActorRoster.Effect]) {
    for effect in change(&roster) { carryOut(effect) }
    loop.tell(holdsActors: roster.holdsAny)
  }

  private func carryOut(_ effect: ActorRoster.Effect) {
    switch effect {
    case .prepare(let assignment):
      begin(taken(assignment), options.prepareActor) { $0.prepared($1) }
    case .run(let assignment):
      begin(taken(assignment), options.actors) { $0.ended($1, isOK: true, "") }
    case .stop(let actor, let reason, let remaining):
      held[actor]?.tell(reason, remainingMilliseconds: remaining)
    case .cancel(let actor):
      tasks[actor]?.cancel()
      held[actor]?.takenAway()
    }
  }

  private func taken(_ assignment: ActorRoster.Assignment) -> HeldActor {
    if let actor = held[assignment.actor], actor.generation == assignment.generation { return actor }
    let actor = HeldActor(assignment, loop)
    held[assignment.actor] = actor
    return actor
  }

  private func begin(
    _ actor: HeldActor, _ code: (@Sendable (HeldActor) async throws -> Void)?,
    _ returned: @escaping @Sendable (ActorHost, HeldActor) -> Void
  ) {
    let loop = loop
    tasks[ActorID(actor.id)] = Task.detached {
      do {
        try await code?(actor)
        loop.perform { host, _ in returned(host, actor) }
      } catch {
        let text = "\(error)"
        loop.perform { host, _ in host.ended(actor, isOK: false, text) }
      }
    }
  }

  private func prepared(_ actor: HeldActor) {
    let id = ActorID(actor.id)
    tasks[id] = nil
    on { $0.prepared(id, actor.generation) }
    // It was to stop before it ran.
    guard tasks[id] == nil else { return }
    held[id] = nil
    actor.takenAway()
  }

  private func ended(_ actor: HeldActor, isOK: Bool, _ message: String) {
    let id = ActorID(actor.id)
    tasks[id] = nil
    held[id] = nil
    actor.takenAway()
    on { $0.ended(id, actor.generation, isOK: isOK, message: message) }
  }
}
