import BatonAPI
import Handover
import Linux
import Synchronization
import Ttrpc

/// A runner: registered with the daemon for as long as it lives, whatever becomes of the connection.
///
///     let runner = try await Runner.start(.init(name: "resize", version: 2, slots: 4))
///     for await stop in runner.stops { await finishWork(before: stop.deadline) ; break }
///     await runner.finish()
///
/// A Stop may be taken back. This one has begun to leave by then, and the daemon is answered that it is too late. One that can
/// take work again after a Stop says so by `Options.canStay`, and asks for the last word before it ends what cannot be begun again:
///
///     for await event in runner.events {
///       switch event {
///       case .stop(let stop): takeNothingNew()
///         whenIdle { if await runner.commit(to: stop) { await runner.finish() } }
///       case .stopCancelled: takeWork()
///       case .deadlineMoved, .attached, .cutOff: break
///       }
///     }
///
/// One that runs actors sets `Options.actors`, and has nothing to do at its Stop but to wait, so it can stay:
///
///     for await case .stop(let stop) in runner.events {
///       await runner.actorsEnded()
///       if await runner.commit(to: stop) { await runner.finish() }
///     }
public final class Runner: Sendable {
  /// What a runner is.
  public struct Options: Sendable {
    /// The pool's name.
    public var name: String
    /// The pool's namespace.
    public var namespace = "default"
    /// The place in the pool that it takes; nil is none.
    public var key: String?
    /// What it runs: greater is newer.
    public var version: UInt32
    /// How many actors it can hold.
    public var slots: UInt32 = 1
    /// When this process is gone, so is all its work: the daemon need not wait for the threshold.
    public var endsWithProcess = false
    /// Its Stop may be taken back until it calls `commit`, `beginDrain` or `finish`: the daemon is then told that it stays, and
    /// `events` says so. Leave it false where a Stop begins what cannot be undone, or where nobody reads `events`.
    public var canStay = false
    /// What it says of itself.
    public var metadata: [String: String] = [:]
    /// The daemon's socket; nil is the default place.
    public var socketPath: String?
    /// How long to wait for a daemon at the start, in milliseconds; later it is waited for until the runner is fenced.
    public var connectTimeoutMilliseconds: Int64 = 0
    /// Runs an actor: called once for each that the daemon gives to this runner, which takes actors when this is set. It is said to
    /// run just before; when this returns it has finished, when this throws it has failed, with the error as its message. Its
    /// task is cancelled when the time of a stop is over, and when the actor is taken away.
    public var actors: (@Sendable (HeldActor) async throws -> Void)?
    /// Gets an actor ready, within the start threshold: called before `actors`, and only when it returns is the actor said to
    /// run.
    public var prepareActor: (@Sendable (HeldActor) async throws -> Void)?

    /// A runner of a pool, a version and a number of slots.
    public init(name: String, version: UInt32, slots: UInt32 = 1) {
      self.name = name
      self.version = version
      self.slots = slots
    }
  }

  /// The daemon wants it to leave: finish, then call `finish`.
  public struct Stop: Hashable, Sendable {
    /// Which drain order.
    public var order: Int64
    /// version_upgrade, superseded, operator or self; "unknown" for one that is newer than this library.
    public var cause: String
    /// Why, as a sentence.
    public var reason: String
    /// The version that takes over.
    public var targetVersion: UInt32?
    /// How long it has, from the moment it arrived.
    public var remainingMilliseconds: Int64
    /// When that time is up.
    public var deadline: ContinuousClock.Instant
  }

  /// What happens to it.
  public enum Event: Hashable, Sendable {
    /// It is registered: for the first time, or again after a cut.
    case attached(runner: Int64, isResumed: Bool, decision: DecisionInfo?)
    /// The connection is gone; the work may go on.
    case cutOff
    /// The daemon wants it to leave. Where an earlier Stop stands, this one replaces it.
    case stop(Stop)
    /// The Stop that stands has another deadline.
    case deadlineMoved(Stop)
    /// That Stop is taken back, and the daemon has its answer: it stays, and may be given work from now on. Only with
    /// `Options.canStay`.
    case stopCancelled(order: Int64, reason: String)
  }

  /// How it ended.
  public enum Ending: Hashable, Sendable {
    /// It finished, and the daemon knows.
    case finished
    /// Its work was given away or will be: all of it must have stopped. The text says why.
    case fenced(String)
  }

  /// Every Stop, once each. It ends when the runner does.
  public let stops: AsyncStream<Stop>
  /// What happens to it, in order, its Stops among it; of what nobody has read yet the latest 4096. It ends when the runner does.
  public let events: AsyncStream<Event>
  private let loop: RunnerLoop

  private init(loop: RunnerLoop, stops: AsyncStream<Stop>, events: AsyncStream<Event>) {
    self.loop = loop
    self.stops = stops
    self.events = events
  }

  deinit { loop.abandon() }

  /// Registers, and returns once that is durable. Throws `BatonError` when the daemon refuses it, or none is there.
  public static func start(_ options: Options) async throws -> Runner {
    let path = try options.socketPath ?? Channel.defaultSocketPath()
    let (stops, stopContinuation) = AsyncStream.makeStream(
      of: Stop.self, bufferingPolicy: .bufferingOldest(64))
    let (events, eventContinuation) = AsyncStream.makeStream(
      of: Event.self, bufferingPolicy: .bufferingNewest(4096))
    let loop: RunnerLoop
    do throws(Errno) {
      loop = try RunnerLoop(path: path, options: options, stops: stopContinuation, events: eventContinuation)
    } catch {
      throw BatonError(.internal, error.description)
    }
    let runner = Runner(loop: loop, stops: stops, events: events)
    try await withTaskCancellationHandler {
      try await loop.registered()
    } onCancel: {
      loop.abandon()
    }
    return runner
  }

  /// The id that the daemon gave it.
  public var id: Int64 { loop.runnerID }

  /// Begins its own drain, as a supervisor's SIGTERM should: a Stop of cause self follows, unless it has its Stop
  /// already. A grace of nil is the pool's; another is 1 s to a week, and the nearest of these when it is not. Of the
  /// reason the first 1024 bytes are told, without control characters.
  public func beginDrain(reason: String, graceMilliseconds: Int64? = nil) {
    let reason = Self.sentence(reason)
    let allowed = Bounds.graceMilliseconds
    let grace = graceMilliseconds.map { min(max($0, allowed.lowerBound), allowed.upperBound) } ?? 0
    loop.perform { $0.beginDrain(reason: reason, graceMilliseconds: grace) }
  }

  /// Says that it leaves by this Stop: from here on it cannot be taken back. False when it was taken back already or another has
  /// replaced it, and nothing has been said: then it stays, or leaves by that other. True after its end, too.
  public func commit(to stop: Stop) async -> Bool { await loop.commit(to: stop.order) }

  /// Its work is done: from here on nothing of it must run. Returns when the daemon knows, or after
  /// `timeoutMilliseconds`. Of the reason the first 1024 bytes are told, without control characters.
  @discardableResult
  public func finish(
    exitCode: Int32? = nil, reason: String = "", timeoutMilliseconds: Int64 = 10_000
  ) async -> Ending {
    let reason = Self.sentence(reason)
    loop.perform(endingWithin: timeoutMilliseconds) { $0.finish(exitCode: exitCode, reason: reason) }
    return await ended()
  }

  /// What the daemon takes as a reason: a runner must not be refused for its words when it wants to leave.
  static func sentence(_ text: String) -> String {
    var sentence = String.UnicodeScalarView()
    var byteCount = 0
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 && scalar != "\t" && scalar != "\n" || scalar.value == 0x7F
      let kept: Unicode.Scalar = isControl ? " " : scalar
      byteCount += kept.utf8.count
      guard byteCount <= Bounds.reasonBytes else { break }
      sentence.append(kept)
    }
    return String(sentence)
  }

  /// Waits until it holds no actor, which after its Stop means that it can `finish`: all have stopped, and no other is begun. After
  /// its end: until the code of all that it held has returned.
  public func actorsEnded() async { await loop.actorsEnded() }

  /// Waits for its end, whoever brings it.
  public func ended() async -> Ending { await loop.ended() }
}
