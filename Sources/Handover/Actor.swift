/// One actor. Positive, never reused within a fleet.
package struct ActorID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: Int64
  package init(_ rawValue: Int64) { self.rawValue = rawValue }
  package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  package var description: String { String(rawValue) }
}

/// An actor's life: `pending -> starting -> running -> stopping -> pending | sleeping | destroyed`. `ActorLife` says what
/// leads from one to the next.
package enum ActorState: Int, Sendable, CaseIterable {
  case pending = 1
  case starting = 2
  case running = 3
  case stopping = 4
  case sleeping = 5
  case destroyed = 6
}

/// What becomes of an actor that stops with an error of its own.
package enum CrashPolicy: Int, Sendable, CaseIterable {
  case restart = 1
  case sleep = 2
  case destroy = 3
}

/// Why an actor was told to stop.
package enum ActorStopReason: Int, Sendable, CaseIterable {
  case sleep = 1
  /// Its own wish to end.
  case stop = 2
  case destroy = 3
  /// Its runner must leave: it goes on elsewhere.
  case goingAway = 4
}

/// What last went wrong with an actor.
package enum ActorFailure: Int, Sendable, CaseIterable {
  case noCapacity = 1
  case runnerNoResponse = 2
  case runnerLost = 3
  case runnerDrainingTimeout = 4
  case crashed = 5
}

/// What a pending actor waits for.
package enum ActorWait: Int, Sendable, CaseIterable {
  /// An attached ready runner that takes actors.
  case runner = 1
  /// A free slot of a runner that may take it.
  case capacity = 2
  /// The time of its next try.
  case backoff = 3
  /// Nothing more: the next change gives it a slot.
  case turn = 4
}

/// One step in one generation of an actor's life. Commands and reports count their own steps, from 1.
package struct ActorCheckpoint: Hashable, Sendable {
  package var actor: ActorID
  package var generation: Int64
  package var index: Int64
  package init(actor: ActorID, generation: Int64, index: Int64) {
    self.actor = actor
    self.generation = generation
    self.index = index
  }
}

/// What the daemon tells a runner to do with an actor.
package struct ActorCommand: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case start(namespace: String, name: String, key: String, input: [UInt8])
    case stop(ActorStopReason)
    /// It is no longer this runner's; nothing is to be said.
    case drop
  }
  package var checkpoint: ActorCheckpoint
  package var kind: Kind
  /// Until when it must be done, on the clock of `Moment.nanoseconds`; nil when nothing limits it.
  package var deadlineNanoseconds: Int64?
  package init(checkpoint: ActorCheckpoint, kind: Kind, deadlineNanoseconds: Int64?) {
    self.checkpoint = checkpoint
    self.kind = kind
    self.deadlineNanoseconds = deadlineNanoseconds
  }
}

/// What a runner says of an actor.
package struct ActorReport: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case running
    case stopped(isOK: Bool, message: String)
    /// The Start crossed the runner's Stop on its way.
    case startRefused
    case sleepIntent
    case stopIntent
    /// nil takes the alarm back.
    case setAlarm(afterMilliseconds: Int64?)
    /// Held after a resume. Nothing changes by it; what is not the runner's is refused.
    case held
  }
  package var checkpoint: ActorCheckpoint
  package var kind: Kind
  package init(checkpoint: ActorCheckpoint, kind: Kind) {
    self.checkpoint = checkpoint
    self.kind = kind
  }
}

/// The actors of a pool that are not destroyed, counted.
package struct ActorCounts: Hashable, Sendable {
  package var pending = 0
  /// Of the pending ones, those in the queue; the others are before their next try.
  package var queued = 0
  package var starting = 0
  package var running = 0
  package var stopping = 0
  package var sleeping = 0

  package init() {}

  package subscript(_ state: ActorState) -> Int {
    get {
      switch state {
      case .pending: pending
      case .starting: starting
      case .running: running
      case .stopping: stopping
      case .sleeping: sleeping
      case .destroyed: 0
      }
    }
    set {
      switch state {
      case .pending: pending = newValue
      case .starting: starting = newValue
      case .running: running = newValue
      case .stopping: stopping = newValue
      case .sleeping: sleeping = newValue
      case .destroyed: break
      }
    }
  }

  package var total: Int { pending + starting + running + stopping + sleeping }
}

/// What an actor keeps besides its life.
package struct ActorIdentity: Hashable, Sendable {
  package var pool: PoolName
  /// What kind of actor it is; the runner knows what to do with it.
  package var name: String
  /// Unique among the namespace's actors of this name that are not destroyed; nil when it has none.
  package var key: String?
  package var crashPolicy: CrashPolicy
  package init(pool: PoolName, name: String, key: String?, crashPolicy: CrashPolicy) {
    self.pool = pool
    self.name = name
    self.key = key
    self.crashPolicy = crashPolicy
  }
}

/// When an actor last entered each state, in milliseconds of the wall clock; nil when never.
package struct ActorTimes: Hashable, Sendable {
  package var createdAt: Int64
  package var pendingAt: Int64?
  package var startingAt: Int64?
  package var runningAt: Int64?
  package var stoppingAt: Int64?
  package var sleepingAt: Int64?
  package var destroyedAt: Int64?
  package init(createdAt: Int64) { self.createdAt = createdAt }

  package mutating func entered(_ state: ActorState, at time: Int64) {
    switch state {
    case .pending: pendingAt = time
    case .starting: startingAt = time
    case .running: runningAt = time
    case .stopping: stoppingAt = time
    case .sleeping: sleepingAt = time
    case .destroyed: destroyedAt = time
    }
  }
}

/// An actor as the registry knows it.
package struct Actor: Hashable, Sendable {
  package var id: ActorID
  package var identity: ActorIdentity
  package var state: ActorState
  package var generation: Int64
  package var runner: RunnerID?
  package var runnerVersion: Version?
  package var stopReason: ActorStopReason?
  package var failure: ActorFailure?
  package var failedAtMilliseconds: Int64?
  package var retries: Int
  package var stopMessage: String
  package var wait: ActorWait?
  /// How many of its pool have their turn before it; at most `Bounds.queueCounted`.
  package var queuedBefore: Int
  /// When something happens by itself, on the clock of `Moment.nanoseconds`; nil when nothing does.
  package var dueNanoseconds: Int64?
  package var isCommandAcked: Bool
  package var isWakeWanted: Bool
  package var who: Peer
  package var times: ActorTimes

  package init(
    id: ActorID, identity: ActorIdentity, state: ActorState, generation: Int64, runner: RunnerID?,
    runnerVersion: Version?, stopReason: ActorStopReason?, failure: ActorFailure?,
    failedAtMilliseconds: Int64?, retries: Int, stopMessage: String, wait: ActorWait?, queuedBefore: Int,
    dueNanoseconds: Int64?, isCommandAcked: Bool, isWakeWanted: Bool, who: Peer, times: ActorTimes
  ) {
    self.id = id
    self.identity = identity
    self.state = state
    self.generation = generation
    self.runner = runner
    self.runnerVersion = runnerVersion
    self.stopReason = stopReason
    self.failure = failure
    self.failedAtMilliseconds = failedAtMilliseconds
    self.retries = retries
    self.stopMessage = stopMessage
    self.wait = wait
    self.queuedBefore = queuedBefore
    self.dueNanoseconds = dueNanoseconds
    self.isCommandAcked = isCommandAcked
    self.isWakeWanted = isWakeWanted
    self.who = who
    self.times = times
  }
}

/// How long the actors of a pool may take, and how they are tried again. 0 is the default.
package struct ActorSettings: Hashable, Sendable {
  /// Actors for which the target version has no free slot may go to another ready version.
  package var fallsBackToOtherVersions = false
  package var startThresholdMilliseconds: Int64 = 0
  package var stopThresholdMilliseconds: Int64 = 0
  package var retryBackoffMilliseconds: Int64 = 0
  package var retryResetMilliseconds: Int64 = 0

  package init() {}

  /// What holds where nothing is set: the times of the feature that Baton re-thinks.
  package var effective: ActorSettings {
    var settings = self
    if startThresholdMilliseconds == 0 { settings.startThresholdMilliseconds = 30_000 }
    if stopThresholdMilliseconds == 0 { settings.stopThresholdMilliseconds = 1_800_000 }
    if retryBackoffMilliseconds == 0 { settings.retryBackoffMilliseconds = 2000 }
    if retryResetMilliseconds == 0 { settings.retryResetMilliseconds = 600_000 }
    return settings
  }
}
