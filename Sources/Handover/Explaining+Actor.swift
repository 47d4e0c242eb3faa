/// Actors: what one waits for.
extension Said {
  mutating func actor(_ facts: ActorFacts) {
    let actor = facts.actor
    let key = actor.identity.key.map { ", key \($0)" } ?? ""
    explanation.state = Self.word(actor.state)
    explanation.endsAtNanoseconds = actor.dueNanoseconds
    let name = "Actor \(actor.id) (\(actor.identity.name)\(key))"
    switch actor.state {
    case .pending: pending(facts, name)
    case .starting, .running, .stopping: held(facts, name)
    case .sleeping:
      say("\(name) has been asleep\(since(entered: actor.times.sleepingAt))")
      if let due = actor.dueNanoseconds {
        say("Its alarm is in \(left(due))")
      } else {
        say("It sleeps until somebody wakes it")
      }
      hint("baton actors wake \(actor.id)")
    case .destroyed:
      say("\(name) was destroyed\(actor.times.destroyedAt.map { " \(ago($0))" } ?? "")")
    }
    if actor.isWakeWanted { say("It was woken meanwhile: it comes back as soon as it has stopped") }
    failure(actor)
    if let runner = facts.runner, let order = runner.order, order.state.isOpen { causes(of: order, runner) }
  }

  private func since(entered milliseconds: Int64?) -> String {
    milliseconds.map { " for \(since($0))" } ?? ""
  }

  // MARK: - On a runner

  private mutating func held(_ facts: ActorFacts, _ name: String) {
    let actor = facts.actor
    let place = actor.runner.map { "runner \($0)" } ?? "a runner"
    let acked = actor.isCommandAcked ? "which has acknowledged it" : "which has not acknowledged it yet"
    switch actor.state {
    case .starting:
      let since = since(entered: actor.times.startingAt)
      say("\(name) has been starting\(since): it was sent to \(place), \(acked)")
      if let due = actor.dueNanoseconds {
        say("\(left(due)) is left until it must run; then it is tried again elsewhere")
      }
      outlook(atLeast: .slow)
    case .running: say("\(name) has been running on \(place)\(since(entered: actor.times.runningAt))")
    case .stopping:
      let why = Self.why(actor.stopReason)
      say("\(name) has been stopping\(since(entered: actor.times.stoppingAt)): \(why)")
      say("That was told to \(place), \(acked)")
      if let due = actor.dueNanoseconds { say("\(left(due)) is left; then it is taken away from the runner") }
      outlook(atLeast: .slow)
    case .pending, .sleeping, .destroyed: preconditionFailure("actor \(actor.id) is on no runner: \(actor)")
    }
    if let runner = facts.runner { on(runner, actor) }
  }

  private static func why(_ reason: ActorStopReason?) -> String {
    switch reason {
    case .sleep?: "it is to sleep"
    case .stop?: "it wants to end"
    case .destroy?: "it is to be destroyed"
    case .goingAway?, nil: "its runner must leave, and it goes on elsewhere"
    }
  }

  private mutating func on(_ facts: RunnerFacts, _ actor: Actor) {
    if facts.runner.phase == .draining, let order = facts.order {
      say("Runner \(facts.runner.id) must leave (drain order \(order.id)): \(order.reason)")
      hint("baton explain runner \(facts.runner.id)")
    }
    guard facts.runner.link == .detached || facts.runner.isSilent else { return }
    away(facts)
    hint("baton explain runner \(facts.runner.id)")
    if actor.state != .running { outlook(atLeast: .impossible) }
  }

  // MARK: - In the queue

  private mutating func pending(_ facts: ActorFacts, _ name: String) {
    let actor = facts.actor
    let pool = facts.pool
    say("\(name) has been waiting for a slot\(since(entered: actor.times.pendingAt))")
    outlook(atLeast: .slow)
    let isCut = actor.queuedBefore >= Bounds.queueCounted
    let before =
      switch actor.queuedBefore {
      case 0: "it is the next"
      case 1: "1 has its turn before it"
      default: "\(isCut ? "at least " : "")\(actor.queuedBefore) have their turn before it"
      }
    switch actor.wait {
    case .runner?:
      say("\(pool.name) has no attached ready runner that takes actors; \(before)")
      outlook(atLeast: .impossible)
      hint("baton runners \(pool.place)")
    case .capacity?:
      say("No runner that may take it has a free slot; \(before)")
      capacity(pool)
      hint("baton explain pool \(pool.place)")
    case .backoff?:
      let next = actor.dueNanoseconds.map { "in \(left($0))" } ?? "soon"
      let tries = Self.count(actor.retries, "failed try", "failed tries")
      say("It is tried again \(next), after \(tries) in a row")
    case .turn?, nil: say("A slot is free: it has its turn with the next change; \(before)")
    }
  }

  /// Where there are slots, and why they are not for it.
  private mutating func capacity(_ pool: PoolFacts) {
    let target = pool.state.target
    for summary in pool.state.versions.sorted(by: { $0.version > $1.version }) where summary.ready > 0 {
      let facts = pool.state.facts[summary.version] ?? VersionFacts()
      let slots = Spoken.slots(facts.servingSlots)
      let free = "Version \(summary.version) has \(facts.servingFreeSlots) of \(slots) free"
      let mayTake = summary.version == target || pool.state.config.actorsFallBack
      let isPassedOver = !mayTake && facts.servingFreeSlots > 0
      say(isPassedOver ? "\(free), but is not the target, and fallback is off" : free)
    }
  }

  private mutating func failure(_ actor: Actor) {
    guard let failure = actor.failure else { return }
    let what =
      switch failure {
      case .noCapacity: "no slot was free"
      case .runnerNoResponse: "its runner did not do as it was told in time"
      case .runnerLost: "its runner was lost"
      case .runnerDrainingTimeout: "its runner was ended by force before it had stopped"
      case .crashed: "it crashed"
      }
    let message = failure == .crashed && !actor.stopMessage.isEmpty ? ": \(actor.stopMessage)" : ""
    let when = actor.failedAtMilliseconds.map { " (\(ago($0)))" } ?? ""
    say("What last went wrong\(when): \(what)\(message)")
  }

  static func word(_ state: ActorState) -> String {
    switch state {
    case .pending: "pending"
    case .starting: "starting"
    case .running: "running"
    case .stopping: "stopping"
    case .sleeping: "sleeping"
    case .destroyed: "destroyed"
    }
  }
}
