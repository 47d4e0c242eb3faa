import BatonAPI
import Handover

/// An actor, as the daemon knows it. The words are those of PROTOCOL.md.
public struct ActorInfo: Hashable, Sendable {
  /// Its id.
  public var id: Int64
  /// Its namespace.
  public var namespace: String
  /// With the namespace, the pool whose runners may hold it.
  public var runnerName: String
  /// What kind of actor it is.
  public var name: String
  /// Unique among the namespace's actors of its name; nil when it has none.
  public var key: String?
  /// restart, sleep or destroy.
  public var crashPolicy: String
  /// pending, starting, running, stopping, sleeping or destroyed.
  public var state: String
  /// How often it was started.
  public var generation: Int64
  /// The runner that holds it.
  public var runner: Int64?
  /// That runner's version.
  public var runnerVersion: UInt32?
  /// Why it was told to stop, while it is stopping: sleep, stop, destroy or going_away.
  public var stopReason: String?
  /// What last went wrong: no_capacity, runner_no_response, runner_lost, runner_draining_timeout or crashed.
  public var failure: String?
  /// When that was, in milliseconds since 1970, like all times here.
  public var failedAtMilliseconds: Int64?
  /// How often in a row it was tried again.
  public var retries: Int
  /// What it gave as message when it last stopped.
  public var stopMessage: String
  /// What it waits for while it is pending: runner, capacity, backoff or turn.
  public var wait: String?
  /// How many of its pool have their turn before it; counted to 1000 at the most.
  public var queuedBefore: Int
  /// Until something happens to it by itself, as of the answer: its next try, the end of its time to start or stop, its alarm.
  public var dueInMilliseconds: Int64?
  /// Whether its runner has the latest command.
  public var isCommandAcked: Bool
  /// It was woken while it was still stopping.
  public var isWakeWanted: Bool
  /// Whoever created it.
  public var who: PeerInfo
  /// When it was created.
  public var createdAtMilliseconds: Int64
  /// When it last entered each state; nil when it never did.
  public var pendingAtMilliseconds, startingAtMilliseconds, runningAtMilliseconds, stoppingAtMilliseconds,
    sleepingAtMilliseconds, destroyedAtMilliseconds: Int64?

  init(_ actor: Actor) {
    id = actor.id.rawValue
    namespace = actor.identity.pool.namespace
    runnerName = actor.identity.pool.name
    name = actor.identity.name
    key = actor.identity.key
    crashPolicy = Words.word(actor.identity.crashPolicy)
    state = Words.word(actor.state)
    generation = actor.generation
    runner = actor.runner?.rawValue
    runnerVersion = actor.runnerVersion?.number
    stopReason = actor.stopReason.map(Words.word)
    failure = actor.failure.map(Words.word)
    failedAtMilliseconds = actor.failedAtMilliseconds
    retries = actor.retries
    stopMessage = actor.stopMessage
    wait = actor.wait.map(Words.word)
    queuedBefore = actor.queuedBefore
    // As for drain orders, on a clock that begins with the answer.
    dueInMilliseconds = actor.dueNanoseconds.map { $0 / 1_000_000 }
    isCommandAcked = actor.isCommandAcked
    isWakeWanted = actor.isWakeWanted
    who = PeerInfo(actor.who)
    createdAtMilliseconds = actor.times.createdAt
    pendingAtMilliseconds = actor.times.pendingAt
    startingAtMilliseconds = actor.times.startingAt
    runningAtMilliseconds = actor.times.runningAt
    stoppingAtMilliseconds = actor.times.stoppingAt
    sleepingAtMilliseconds = actor.times.sleepingAt
    destroyedAtMilliseconds = actor.times.destroyedAt
  }
}

/// How many actors are in each state but destroyed.
public struct ActorCountsInfo: Hashable, Sendable {
  /// Without a slot: in the queue or before their next try.
  public var pending = 0
  /// With a slot, not yet said to run.
  public var starting = 0
  /// Said to run.
  public var running = 0
  /// Told to stop.
  public var stopping = 0
  /// Without a slot until they are woken.
  public var sleeping = 0

  init(_ counts: ActorCounts) {
    pending = counts.pending
    starting = counts.starting
    running = counts.running
    stopping = counts.stopping
    sleeping = counts.sleeping
  }
}

/// How long the actors of a pool may take and how they are tried again. What is nil is the default.
public struct ActorPolicy: Hashable, Sendable {
  /// When the target version has no free slot, another ready version may take an actor.
  public var fallsBackToOtherVersions = false
  /// How long one may take to start: 100 ms to a day; 30 s.
  public var startMilliseconds: Int64?
  /// How long one may take to stop: 100 ms to a week; 30 minutes.
  public var stopMilliseconds: Int64?
  /// The pause before the second try in a row, which doubles with each: 10 ms to an hour; 2 s.
  public var backoffMilliseconds: Int64?
  /// After running this long its next try is a first one again: 100 ms to a day; 10 minutes.
  public var resetMilliseconds: Int64?

  /// The defaults.
  public init() {}

  init(_ settings: ActorSettings) {
    func time(_ value: Int64) -> Int64? { value == 0 ? nil : value }
    fallsBackToOtherVersions = settings.fallsBackToOtherVersions
    startMilliseconds = time(settings.startThresholdMilliseconds)
    stopMilliseconds = time(settings.stopThresholdMilliseconds)
    backoffMilliseconds = time(settings.retryBackoffMilliseconds)
    resetMilliseconds = time(settings.retryResetMilliseconds)
  }

  var value: ActorSettings {
    var settings = ActorSettings()
    settings.fallsBackToOtherVersions = fallsBackToOtherVersions
    settings.startThresholdMilliseconds = startMilliseconds ?? 0
    settings.stopThresholdMilliseconds = stopMilliseconds ?? 0
    settings.retryBackoffMilliseconds = backoffMilliseconds ?? 0
    settings.retryResetMilliseconds = resetMilliseconds ?? 0
    return settings
  }
}
