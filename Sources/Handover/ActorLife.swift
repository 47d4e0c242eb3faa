/// An actor's life as a value: happenings and time in, what follows out. Who keeps it and who is told is not its
/// business.
///
///     pending -> starting -> running -> stopping -> pending | sleeping | destroyed
///
/// A slot is taken from `starting` until the actor has left its runner. Every start raises the generation; what an older
/// one reports is the registry's to refuse. Being drained is never a crash, whatever the crash policy.
package struct ActorLife: Hashable, Sendable {
  /// Waits for a slot, or for the time of its next try.
  package struct Pending: Hashable, Sendable {
    /// nil: it is in the queue.
    package var retryAt: Int64?
    package init(retryAt: Int64?) { self.retryAt = retryAt }
  }

  /// Has a slot; its runner has until the deadline to say that it runs.
  package struct Starting: Hashable, Sendable {
    package var runner: RunnerID
    package var deadline: Int64
    package init(runner: RunnerID, deadline: Int64) {
      self.runner = runner
      self.deadline = deadline
    }
  }

  package struct Running: Hashable, Sendable {
    package var runner: RunnerID
    package var since: Int64
    package init(runner: RunnerID, since: Int64) {
      self.runner = runner
      self.since = since
    }
  }

  /// Told to stop.
  package struct Stopping: Hashable, Sendable {
    package var runner: RunnerID
    package var reason: ActorStopReason
    /// nil when the runner's drain order has the deadline.
    package var deadline: Int64?
    /// Since when it had run; nil when it never did.
    package var ranSince: Int64?
    /// It was woken while it was on its way to sleep.
    package var isWakeWanted: Bool
    package init(
      runner: RunnerID, reason: ActorStopReason, deadline: Int64?, ranSince: Int64?, isWakeWanted: Bool
    ) {
      self.runner = runner
      self.reason = reason
      self.deadline = deadline
      self.ranSince = ranSince
      self.isWakeWanted = isWakeWanted
    }
  }

  package enum State: Hashable, Sendable {
    case pending(Pending)
    case starting(Starting)
    case running(Running)
    case stopping(Stopping)
    case sleeping
    case destroyed
  }

  /// When it wants to be woken: on the clock of `Moment.nanoseconds`, and for after a restart of the machine, whose clock
  /// begins anew, on the wall clock.
  package struct Alarm: Hashable, Sendable {
    package var nanoseconds: Int64
    package var wallMilliseconds: Int64
    package init(nanoseconds: Int64, wallMilliseconds: Int64) {
      self.nanoseconds = nanoseconds
      self.wallMilliseconds = wallMilliseconds
    }
  }

  package enum Happening: Hashable, Sendable {
    /// It was given a slot.
    case allocated(RunnerID)
    case running
    case stopped(isOK: Bool)
    case startRefused
    case sleepIntent
    case stopIntent
    case alarm(Alarm?)
    /// What clients want.
    case wake
    case sleep
    case destroy
    /// Its runner has been ordered to leave.
    case runnerDrains
    /// Its runner's order is cancelled: the runner stays.
    case drainCancelled
    /// Its runner has ended. Where its process may run on, cut off from the daemon, until its own fence stops it, nobody
    /// else is given the actor before that.
    case runnerEnded(RunnerEnd, mayRunUntil: Int64? = nil)
    /// The time that `due` names has come.
    case due
    /// Nobody had a slot for it.
    case noCapacity
  }

  /// What follows, in this order.
  package enum Effect: Hashable, Sendable {
    /// Its runner's books have one slot less.
    case slotTaken(RunnerID)
    /// Its runner's books have one slot more.
    case slotFreed(RunnerID)
    /// Its runner must be told: a new command, whose index is `commandIndex`.
    case command(RunnerID)
    /// Its runner, which may still run it, must be told to end it at once.
    case drop(RunnerID, generation: Int64)
    /// It wants a slot: at its old place in the queue, or behind everyone.
    case wantsSlot(keepsPlace: Bool)
    /// It entered another state; the words say after what.
    case entered(ActorState, after: String)
  }

  package private(set) var state: State
  package private(set) var generation: Int64
  /// The latest command of this generation, and how far its runner has acknowledged them.
  package private(set) var commandIndex: Int64
  package private(set) var commandAcked: Int64
  /// The latest report of this generation that counted.
  package private(set) var reportIndex: Int64
  package private(set) var alarm: Alarm?
  package private(set) var retries: Int
  package private(set) var failure: ActorFailure?
  package private(set) var failedAtMilliseconds: Int64?
  package let crashPolicy: CrashPolicy

  /// A new one, which wants a slot.
  package init(crashPolicy: CrashPolicy) {
    self.init(
      state: .pending(Pending(retryAt: nil)), generation: 0, commandIndex: 0, commandAcked: 0, reportIndex: 0,
      alarm: nil, retries: 0, failure: nil, failedAtMilliseconds: nil, crashPolicy: crashPolicy)
  }

  /// One that was kept.
  package init(
    state: State, generation: Int64, commandIndex: Int64, commandAcked: Int64, reportIndex: Int64,
    alarm: Alarm?, retries: Int, failure: ActorFailure?, failedAtMilliseconds: Int64?,
    crashPolicy: CrashPolicy
  ) {
    self.state = state
    self.generation = generation
    self.commandIndex = commandIndex
    self.commandAcked = commandAcked
    self.reportIndex = reportIndex
    self.alarm = alarm
    self.retries = retries
    self.failure = failure
    self.failedAtMilliseconds = failedAtMilliseconds
    self.crashPolicy = crashPolicy
  }

  // MARK: - Where it stands

  package var actorState: ActorState {
    switch state {
    case .pending: .pending
    case .starting: .starting
    case .running: .running
    case .stopping: .stopping
    case .sleeping: .sleeping
    case .destroyed: .destroyed
    }
  }

  /// Who has a slot taken for it.
  package var runner: RunnerID? {
    switch state {
    case .starting(let starting): starting.runner
    case .running(let running): running.runner
    case .stopping(let stopping): stopping.runner
    case .pending, .sleeping, .destroyed: nil
    }
  }

  package var isQueued: Bool { state == .pending(Pending(retryAt: nil)) }

  package var stopping: Stopping? {
    if case .stopping(let stopping) = state { stopping } else { nil }
  }

  /// It is destroyed, or will be as soon as it has stopped.
  package var isDoomed: Bool {
    switch state {
    case .destroyed: true
    case .stopping(let stopping): stopping.reason == .destroy || stopping.reason == .stop
    case .pending, .starting, .running, .sleeping: false
    }
  }

  /// When something happens to it by itself; nil when nothing does.
  package var due: Int64? {
    switch state {
    case .pending(let pending): pending.retryAt
    case .starting(let starting): starting.deadline
    case .stopping(let stopping): stopping.deadline
    case .sleeping: alarm?.nanoseconds
    case .running, .destroyed: nil
    }
  }

  // MARK: - Steps

  /// A report of this step has come. False when it was counted before.
  package mutating func counts(report index: Int64) -> Bool {
    guard index > reportIndex else { return false }
    reportIndex = index
    return true
  }

  /// Its runner has the command. False when that was known.
  package mutating func acknowledged(command index: Int64) -> Bool {
    let known = min(index, commandIndex)
    guard known > commandAcked else { return false }
    commandAcked = known
    return true
  }

  /// What follows from a happening; nothing where it comes too late to matter or changes nothing.
  package mutating func on(
    _ happening: Happening, id: ActorID, settings: ActorSettings, now: Moment
  ) -> [Effect] {
    let step = Step(id: id, settings: settings.effective, now: now)
    switch happening {
    case .allocated(let runner): return allocated(runner, step)
    case .running: return runs(step)
    case .stopped(let isOK): return stopped(isOK: isOK, step)
    case .startRefused: return startRefused(step)
    case .sleepIntent: return stop(.sleep, step)
    case .stopIntent: return stop(.stop, step)
    case .alarm(let alarm):
      if state != .destroyed { self.alarm = alarm }
      return []
    case .wake: return wake(step)
    case .sleep: return sleep(step)
    case .destroy: return destroy(step)
    case .runnerDrains: return runnerDrains(step)
    case .drainCancelled:
      drainCancelled(step)
      return []
    case .runnerEnded(let end, let mayRunUntil):
      let effects = runnerEnded(end, step)
      guard let mayRunUntil, case .pending(let pending) = state, !effects.isEmpty else { return effects }
      state = .pending(Pending(retryAt: max(pending.retryAt ?? 0, mayRunUntil)))
      return effects.filter { if case .wantsSlot = $0 { false } else { true } }
    case .due: return dueNow(step)
    case .noCapacity:
      if isQueued { fail(.noCapacity, step) }
      return []
    }
  }

  struct Step {
    var id: ActorID
    var settings: ActorSettings
    var now: Moment
    func after(_ milliseconds: Int64) -> Int64 { now.nanoseconds + milliseconds * 1_000_000 }
  }

  // MARK: - On its way to a runner

  private mutating func allocated(_ runner: RunnerID, _ step: Step) -> [Effect] {
    precondition(isQueued, "actor \(step.id) was given a slot while \(state)")
    generation += 1
    commandIndex = 1
    commandAcked = 0
    reportIndex = 0
    state = .starting(
      Starting(runner: runner, deadline: step.after(step.settings.startThresholdMilliseconds)))
    return [
      .slotTaken(runner), .command(runner), .entered(.starting, after: "generation \(generation)"),
    ]
  }

  private mutating func runs(_ step: Step) -> [Effect] {
    // Told to stop before it could say so: it will say that it has stopped, too.
    guard case .starting(let starting) = state else { return [] }
    state = .running(Running(runner: starting.runner, since: step.now.nanoseconds))
    commandAcked = commandIndex
    return [.entered(.running, after: "")]
  }

  private mutating func startRefused(_ step: Step) -> [Effect] {
    switch state {
    case .starting(let starting):
      return left(starting.runner, by: wantSlot(keepsPlace: true, after: "start_refused"))
    case .stopping(let stopping): return hasStopped(stopping, step)
    case .pending, .running, .sleeping, .destroyed: return []
    }
  }

  // MARK: - On its way off a runner

  private mutating func stopped(isOK: Bool, _ step: Step) -> [Effect] {
    switch state {
    case .stopping(let stopping): return hasStopped(stopping, step)
    case .starting(let starting): return ended(by: isOK, on: starting.runner, ranSince: nil, step)
    case .running(let running): return ended(by: isOK, on: running.runner, ranSince: running.since, step)
    case .pending, .sleeping, .destroyed: return []
    }
  }

  /// By itself: done when it says so, else by its policy.
  private mutating func ended(
    by isOK: Bool, on runner: RunnerID, ranSince: Int64?, _ step: Step
  ) -> [Effect] {
    guard !isOK else { return left(runner, by: end(after: "finished")) }
    fail(.crashed, step)
    switch crashPolicy {
    case .restart:
      return left(runner, by: retry(ranSince: ranSince, keepsPlace: false, after: "crashed", step))
    case .sleep: return left(runner, by: fallAsleep(after: "crashed", step))
    case .destroy: return left(runner, by: end(after: "crashed"))
    }
  }

  /// As it was told.
  private mutating func hasStopped(_ stopping: Stopping, _ step: Step) -> [Effect] {
    switch stopping.reason {
    case .destroy: return left(stopping.runner, by: end(after: "destroy"))
    case .stop: return left(stopping.runner, by: end(after: "stop"))
    case .goingAway:
      return left(stopping.runner, by: wantSlot(keepsPlace: true, after: "going_away"))
    case .sleep:
      return left(
        stopping.runner,
        by: stopping.isWakeWanted
          ? wantSlot(keepsPlace: false, after: "wake") : fallAsleep(after: "sleep", step))
    }
  }

  private mutating func runnerDrains(_ step: Step) -> [Effect] {
    switch state {
    case .starting(let starting): return tell(starting.runner, .goingAway, ranSince: nil, step)
    case .running(let running): return tell(running.runner, .goingAway, ranSince: running.since, step)
    case .pending, .stopping, .sleeping, .destroyed: return []
    }
  }

  /// It stops all the same, as it was told, and comes back to whoever has a slot; but the order's deadline is gone.
  private mutating func drainCancelled(_ step: Step) {
    guard case .stopping(var stopping) = state, stopping.deadline == nil else { return }
    stopping.deadline = step.after(step.settings.stopThresholdMilliseconds)
    state = .stopping(stopping)
  }

  private mutating func runnerEnded(_ end: RunnerEnd, _ step: Step) -> [Effect] {
    let failure: ActorFailure = end == .forced ? .runnerDrainingTimeout : .runnerLost
    let word = end == .forced ? "runner_draining_timeout" : "runner_lost"
    switch state {
    case .starting(let starting):
      fail(failure, step)
      return left(starting.runner, by: retry(ranSince: nil, keepsPlace: true, after: word, step))
    case .running(let running):
      fail(failure, step)
      return left(running.runner, by: retry(ranSince: running.since, keepsPlace: true, after: word, step))
    case .stopping(let stopping):
      // Who says Detach has stopped what it held, as it was told.
      if end != .detached { fail(failure, step) }
      return hasStopped(stopping, step)
    case .pending, .sleeping, .destroyed: return []
    }
  }

  // MARK: - What it and its clients want

  /// Its own wish, or a client's, to stop for that reason.
  private mutating func stop(_ reason: ActorStopReason, _ step: Step) -> [Effect] {
    switch state {
    case .starting(let starting): return tell(starting.runner, reason, ranSince: nil, step)
    case .running(let running): return tell(running.runner, reason, ranSince: running.since, step)
    case .stopping(var stopping):
      // Its runner stops it already; what becomes of it then is another matter. Nothing takes an end back.
      guard Self.rank(reason) > Self.rank(stopping.reason) else { return [] }
      stopping.reason = reason
      stopping.isWakeWanted = false
      stopping.deadline = stopping.deadline ?? step.after(step.settings.stopThresholdMilliseconds)
      state = .stopping(stopping)
      return [.entered(.stopping, after: Self.word(reason))]
    case .pending, .sleeping, .destroyed: return []
    }
  }

  private mutating func wake(_ step: Step) -> [Effect] {
    switch state {
    case .sleeping:
      retries = 0
      return wantSlot(keepsPlace: false, after: "wake")
    case .stopping(var stopping):
      guard stopping.reason == .sleep else { return [] }
      stopping.isWakeWanted = true
      state = .stopping(stopping)
      return []
    case .pending, .starting, .running, .destroyed: return []
    }
  }

  private mutating func sleep(_ step: Step) -> [Effect] {
    switch state {
    case .pending: return fallAsleep(after: "sleep", step)
    case .starting, .running: return stop(.sleep, step)
    case .stopping(var stopping):
      guard stopping.reason == .sleep else { return stop(.sleep, step) }
      stopping.isWakeWanted = false
      state = .stopping(stopping)
      return []
    case .sleeping, .destroyed: return []
    }
  }

  private mutating func destroy(_ step: Step) -> [Effect] {
    switch state {
    case .pending, .sleeping: return end(after: "destroy")
    case .starting, .running, .stopping: return stop(.destroy, step)
    case .destroyed: return []
    }
  }

  // MARK: - Time

  private mutating func dueNow(_ step: Step) -> [Effect] {
    guard let due, due <= step.now.nanoseconds else { return [] }
    switch state {
    case .pending: return wantSlot(keepsPlace: false, after: "backoff")
    case .starting(let starting):
      fail(.runnerNoResponse, step)
      return dropped(starting.runner)
        + retry(ranSince: nil, keepsPlace: false, after: "runner_no_response", step)
    case .stopping(let stopping):
      fail(.runnerNoResponse, step)
      return [.drop(stopping.runner, generation: generation)] + hasStopped(stopping, step)
    case .sleeping:
      retries = 0
      alarm = nil
      return wantSlot(keepsPlace: false, after: "alarm")
    case .running, .destroyed: return []
    }
  }

  // MARK: - Inside

  private mutating func fail(_ failure: ActorFailure, _ step: Step) {
    self.failure = failure
    failedAtMilliseconds = step.now.wallMilliseconds
  }

  private mutating func tell(
    _ runner: RunnerID, _ reason: ActorStopReason, ranSince: Int64?, _ step: Step
  ) -> [Effect] {
    commandIndex += 1
    state = .stopping(
      Stopping(
        runner: runner, reason: reason,
        deadline: reason == .goingAway ? nil : step.after(step.settings.stopThresholdMilliseconds),
        ranSince: ranSince, isWakeWanted: false))
    return [.command(runner), .entered(.stopping, after: Self.word(reason))]
  }

  private func left(_ runner: RunnerID, by effects: [Effect]) -> [Effect] { [.slotFreed(runner)] + effects }

  private func dropped(_ runner: RunnerID) -> [Effect] {
    [.drop(runner, generation: generation), .slotFreed(runner)]
  }

  private mutating func wantSlot(keepsPlace: Bool, after word: String) -> [Effect] {
    state = .pending(Pending(retryAt: nil))
    return [.wantsSlot(keepsPlace: keepsPlace), .entered(.pending, after: word)]
  }

  private mutating func retry(
    ranSince: Int64?, keepsPlace: Bool, after word: String, _ step: Step
  ) -> [Effect] {
    if let ranSince,
      step.now.nanoseconds - ranSince >= step.settings.retryResetMilliseconds * 1_000_000
    {
      retries = 0
    }
    let pause = ActorRetry.pauseMilliseconds(
      retries: retries, backoff: step.settings.retryBackoffMilliseconds, id: step.id, generation: generation)
    retries += 1
    guard pause > 0 else { return wantSlot(keepsPlace: keepsPlace, after: word) }
    state = .pending(Pending(retryAt: step.after(pause)))
    return [.entered(.pending, after: "\(word), next try in \(pause) ms")]
  }

  private mutating func fallAsleep(after word: String, _ step: Step) -> [Effect] {
    state = .sleeping
    return [.entered(.sleeping, after: word)]
  }

  private mutating func end(after word: String) -> [Effect] {
    state = .destroyed
    alarm = nil
    return [.entered(.destroyed, after: word)]
  }

  /// Which of two reasons stays.
  private static func rank(_ reason: ActorStopReason) -> Int {
    switch reason {
    case .goingAway: 0
    case .sleep: 1
    case .stop: 2
    case .destroy: 3
    }
  }

  private static func word(_ reason: ActorStopReason) -> String {
    switch reason {
    case .sleep: "sleep"
    case .stop: "stop"
    case .destroy: "destroy"
    case .goingAway: "going_away"
    }
  }
}

/// How long an actor that failed waits for its next try.
package enum ActorRetry {
  /// `retries` is how often it has been tried again in a row so far: the first try is made at once, the next after
  /// `backoff`, then after twice as long each, 256-fold at the most; up to a quarter of `backoff` is added, so that many
  /// that failed together do not come back together. The same actor and generation give the same pause.
  package static func pauseMilliseconds(
    retries: Int, backoff: Int64, id: ActorID, generation: Int64
  ) -> Int64 {
    guard retries > 0 else { return 0 }
    let spread = mix(
      UInt64(bitPattern: id.rawValue) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(bitPattern: generation))
    return backoff << Int64(min(retries - 1, 8)) + Int64(spread % UInt64(backoff / 4 + 1))
  }

  /// The finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
