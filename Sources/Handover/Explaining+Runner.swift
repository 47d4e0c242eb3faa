/// Runners: why one leaves or stays.
extension Said {
  mutating func runner(_ facts: RunnerFacts) {
    let runner = facts.runner
    let name = "Runner \(runner.id) (version \(runner.version), key \(runner.key))"
    switch runner.phase {
    case .ready:
      let standing = Self.standing(runner)
      explanation.state = standing.joined(separator: ", ")
      say("\(name) is \(Self.list(standing))")
      away(facts)
      cordon(facts)
      stays(facts)
    case .draining:
      explanation.state = Self.standing(runner).joined(separator: ", ")
      guard let order = facts.order else { return say("\(name) is draining") }
      say("\(name) must leave: \(Self.reason(order))")
      leaving(order, facts)
      causes(of: order, facts)
    case .stopped, .lost:
      explanation.state = runner.phase == .stopped ? "stopped" : "lost"
      ended(facts, name)
    }
  }

  private static func standing(_ runner: Runner) -> [String] {
    var words = [runner.phase == .draining ? "draining" : "ready"]
    words.append(runner.link == .detached ? "detached" : "attached")
    if runner.isSilent { words.append("silent") }
    if runner.isCordoned { words.append("cordoned") }
    return words
  }

  private static func reason(_ order: DrainOrder) -> String {
    let reason = order.reason.isEmpty ? "" : ": \(order.reason)"
    return switch order.cause {
    case .versionUpgrade, .superseded: order.reason
    case .operator: "\(who(order.who)) ordered it to\(reason)"
    case .self: "it began to by itself\(reason)"
    }
  }

  /// Detached and silent runners are lost in the end.
  mutating func away(_ facts: RunnerFacts) {
    let runner = facts.runner
    let threshold = facts.lostThresholdMilliseconds
    if runner.link == .detached {
      let left = max(0, threshold - (now.wallMilliseconds - runner.linkChangedAtMilliseconds))
      let end = left > 0 ? "in \(Spoken.duration(milliseconds: left))" : "any moment"
      say(
        "The runner has been detached for \(since(runner.linkChangedAtMilliseconds)): unless it comes back it is "
          + "lost \(end), and what it holds goes on elsewhere")
      outlook(atLeast: .slow)
    } else if runner.isSilent {
      say(
        "No heartbeat has come from the runner for a while: it gets no new actors, and is lost after "
          + "\(Spoken.duration(milliseconds: threshold)) of that")
      outlook(atLeast: .slow)
    }
  }

  // MARK: - Why it stays

  private mutating func stays(_ facts: RunnerFacts) {
    let runner = facts.runner
    let plan = facts.pool.plan
    let isExempt = runner.exemptFrom != nil
    switch plan.fate(of: runner.id, version: runner.version, isExempt: isExempt) {
    case .ordered:
      say("It must leave for version \(Self.name(plan.target)): its pool's next plan tells it so")
      outlook(atLeast: .slow)
    case .held(.exempt): return exempt(facts)
    case .held(let gate): held(facts, gate)
    case .stays: settled(facts)
    }
    if let target = facts.pool.target { self.target(target, pin: facts.pool.pin) }
  }

  private static func name(_ version: Version?) -> String { version.map { "\($0)" } ?? "none" }

  private mutating func held(_ facts: RunnerFacts, _ gate: Gate) {
    let holds = facts.pool.plan.holds.filter { $0.gate == gate }
    guard let hold = holds.first(where: { $0.goal != facts.runner.version }) ?? holds.first else { return }
    say("It is to leave for version \(hold.goal), and a gate holds it (\(gate.rawValue))")
    self.hold(hold)
    hints(for: hold, of: facts.pool)
  }

  private mutating func exempt(_ facts: RunnerFacts) {
    if let hold = facts.pool.plan.holds.first(where: { $0.gate == .exempt }) {
      explanation.holds.append(hold)
    }
    let order = facts.order.flatMap { $0.cancelledBy == nil ? nil : $0 }
    let target = facts.runner.exemptFrom.map { "\($0)" } ?? "another"
    let by = Self.by(order?.cancelledBy, order?.cancelReason ?? "")
    say("It need not leave for version \(target): its order was cancelled\(by)")
    say("That holds until there is another target")
    hint("baton drain --runner \(facts.runner.id)")
    if let order {
      causes(of: order, facts)
    } else if let target = facts.pool.target {
      self.target(target, pin: facts.pool.pin)
    }
  }

  private mutating func settled(_ facts: RunnerFacts) {
    let pool = facts.pool
    let version = facts.runner.version
    guard let target = pool.plan.target else {
      return say("\(pool.name) has no target version yet: nobody is told to leave for one")
    }
    if version == target { return say("It is of the target version \(target)") }
    switch pool.state.config.kind {
    case .serverless:
      say("The target is version \(target); in a serverless pool nobody leaves for that")
      return
    case .normal(let normal):
      if version < target, normal.drainOnVersionUpgrade != true {
        say("It is older than the target version \(target) and stays: upgrades do not drain \(pool.name)")
        return hint("baton drain \(pool.place) --older-than \(target)")
      }
    }
    if let pin = pool.pin {
      say("Version \(pin.version) is set by hand and has no part in it yet; the target is version \(target)")
    } else if version > target, !facts.isAuthorized {
      say(
        "It is newer than the target version \(target), which it does not move: its user (uid "
          + "\(facts.runner.peer.uid)) is neither the pool's owner nor the daemon's own nor root")
      outlook(atLeast: .impossible)
      hint("baton pin \(pool.place) \(version)")
    } else if let hold = pool.plan.holds.first(where: { $0.goal == version }) {
      say("It is newer than the target version \(target), which is to be version \(version)")
      self.hold(hold)
    } else {
      say("It is of version \(version); the target is version \(target)")
      candidacy(of: version, pool)
    }
  }

  private mutating func cordon(_ facts: RunnerFacts) {
    guard facts.runner.isCordoned else {
      if !facts.runner.takesActors { say("It takes no actors") }
      return
    }
    let event = facts.deeds.filter { $0.kind == .runnerCordoned }.max { $0.revision < $1.revision }
    say("It gets no new actors: it was cordoned\(Self.by(event?.who, event?.detail ?? ""))")
    deeds(facts) { $0.kind == .runnerCordoned }
    hint("baton uncordon \(facts.runner.id)")
  }

  // MARK: - How it ended

  private mutating func ended(_ facts: RunnerFacts, _ name: String) {
    let runner = facts.runner
    let when = runner.endedAtMilliseconds.map { " \(ago($0))" } ?? ""
    let exit = runner.exitCode.map { ", with exit code \($0)" } ?? ""
    let reason = runner.detachReason.isEmpty ? "" : ": \(runner.detachReason)"
    let how =
      switch runner.end {
      case .detached?: "left\(when)\(exit)\(reason)"
      case .forced?:
        "was ended by force\(when): \(facts.isForcedByHand ? "somebody wanted it so" : "its time was over")"
      case .threshold?: "was lost\(when): it had been away for longer than the lost threshold"
      case .processDied?: "was lost\(when): its process died, and it had said that it ends with it"
      case .machineRestarted?: "was lost\(when): the machine restarted"
      case .keyTaken?: "was lost\(when): it was detached, and another runner took its key"
      case nil: "has ended\(when)"
      }
    say("\(name) \(how)")
    guard let order = facts.order else { return }
    say("Its drain order \(order.id) is \(Self.word(order.state))")
    causes(of: order, facts)
    hint("baton explain order \(order.id)")
  }
}
