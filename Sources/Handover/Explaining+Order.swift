/// Orders: how far they are, whom they wait for, and how they ended.
extension Said {
  mutating func order(_ order: DrainOrder, _ facts: RunnerFacts) {
    let state = Self.word(order.state)
    explanation.state = state
    say("Drain order \(order.id) of runner \(order.runner) (version \(order.runnerVersion)) is \(state)")
    if order.state.isOpen {
      leaving(order, facts)
    } else {
      ended(order)
    }
    causes(of: order, facts)
  }

  mutating func causes(of order: DrainOrder, _ facts: RunnerFacts) {
    deeds(facts) { $0.drainOrder == order.id }
    self.order(order, for: facts.orderedFor, pin: facts.pool.pin)
  }

  /// An open order: how far it is, what it waits for, and what happens when its time is over.
  mutating func leaving(_ order: DrainOrder, _ facts: RunnerFacts) {
    let runner = facts.runner
    explanation.outlook = .slow
    explanation.endsAtNanoseconds = order.deadlineNanoseconds
    progress(order, facts)
    wayBack(order)
    blockers(facts)
    let left = order.deadlineNanoseconds - now.nanoseconds
    let taken =
      switch facts.actorCount {
      case 0: ""
      case 1: "; its actor is taken away and goes on elsewhere"
      default: "; its actors are taken away and go on elsewhere"
      }
    say(
      left > 0
        ? "\(self.left(order.deadlineNanoseconds)) is left: then it is ended by force\(taken)"
        : "Its time is over: it is ended by force now\(taken)")
    let id = runner.id
    switch Undo.verdict(cause: order.cause, state: order.state, wayBack: order.wayBack) {
    case .cancel, .offer: hint("baton drain --cancel \(id)")
    case .awaitAnswer, .refuse: break
    }
    hint("baton drain --extend 10m \(id)")
    hint("baton drain --force \(id)")
    if let first = explanation.blockingActors.first { hint("baton explain actor \(first)") }
  }

  private mutating func progress(_ order: DrainOrder, _ facts: RunnerFacts) {
    let runner = facts.runner
    switch (order.state, runner.link) {
    case (.ordered, .detached?):
      say("Its Stop has not been delivered, since the runner is detached: it is sent when that comes back")
    case (.ordered, _): say("Its Stop is on its way")
    case (.delivered, _):
      let delivered = order.deliveredAtMilliseconds.map { " \(ago($0))" } ?? ""
      say("Its Stop was delivered\(delivered); the runner has not acknowledged it yet")
    case (.acked, _):
      let acked = order.ackedAtMilliseconds.map { " \(ago($0))" } ?? ""
      say("The runner acknowledged its Stop\(acked)")
    case (.completed, _), (.forced, _), (.runnerLost, _), (.cancelled, _):
      preconditionFailure("order \(order.id) has ended: \(order)")
    }
    away(facts)
    if runner.link == .detached { outlook(atLeast: .impossible) }
  }

  private mutating func wayBack(_ order: DrainOrder) {
    switch order.wayBack {
    case .offered?:
      say("It was offered to stay\(Self.by(order.cancelledBy, order.cancelReason)), and has not answered yet")
    case .tooLate?:
      say("It was offered to stay and answered that it has begun to end: the order cannot be taken back")
    case nil: break
    }
  }

  /// Whom a runner that must leave waits for.
  private mutating func blockers(_ facts: RunnerFacts) {
    explanation.blockingActors = facts.actors.prefix(Explanation.blockingActorsShown).map(\.id)
    explanation.blockingActorCount = facts.actorCount
    guard facts.actorCount > 0 else {
      let none = facts.runner.takesActors ? "It holds no actor" : "It takes no actors"
      return say("\(none): it waits for the runner to say that it has finished")
    }
    let named = facts.actors.prefix(3).map { actor in
      "actor \(actor.id) (\(Self.word(actor.state)) for \(since(actor.sinceMilliseconds)))"
    }
    let rest = facts.actorCount - named.count
    say(
      "It waits for \(Self.count(facts.actorCount, "actor")): \(named.joined(separator: ", "))"
        + (rest > 0 ? " and \(rest) more" : ""))
  }

  private mutating func ended(_ order: DrainOrder) {
    let took = order.endedAtMilliseconds.map {
      (ago: " \(ago($0))", for: Spoken.duration(milliseconds: $0 - order.orderedAtMilliseconds))
    }
    let after = took.map { ", after \($0.for)" } ?? ""
    let when = took?.ago ?? ""
    switch order.state {
    case .completed: say("The runner held nothing any more and left\(when)\(after)")
    case .forced: say("The runner was ended by force\(when)\(after), and what it held was taken away")
    case .runnerLost: say("The runner was lost\(when)\(after), before it had left")
    case .cancelled:
      say("The runner stayed: it was taken back\(when)\(Self.by(order.cancelledBy, order.cancelReason))")
    case .ordered, .delivered, .acked: preconditionFailure("order \(order.id) is open: \(order)")
    }
  }

  static func word(_ state: DrainState) -> String {
    switch state {
    case .ordered: "ordered"
    case .delivered: "delivered"
    case .acked: "acked"
    case .completed: "completed"
    case .forced: "forced"
    case .runnerLost: "runner_lost"
    case .cancelled: "cancelled"
    }
  }
}
