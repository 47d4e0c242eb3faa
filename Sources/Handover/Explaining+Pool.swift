/// Pools: where an upgrade is, and what it waits for.
extension Said {
  mutating func pool(_ facts: PoolFacts) {
    let state = facts.state
    let draining = state.versions.reduce(0) { $0 + $1.draining }
    explanation.state = Self.progress(facts, draining)
    if let target = facts.target {
      let since = since(target.change.atMilliseconds)
      say("\(facts.name) has been on version \(target.change.version) for \(since)")
    } else {
      say("\(facts.name) has no target version yet: no runner of it has been attached")
    }
    pin(facts)
    for summary in state.versions.sorted(by: { $0.version > $1.version }) { say(Self.sentence(summary)) }
    drains(facts)
    for hold in facts.plan.holds {
      self.hold(hold)
      hints(for: hold, of: facts)
    }
    if draining > 0 {
      say("\(Self.count(draining, "runner")) \(draining == 1 ? "is" : "are") draining")
      if explanation.outlook != .settled { explanation.outlook = .slow }
      outlook(atLeast: .slow)
      hint("baton drains --watch \(facts.place)")
    }
    for version in state.memory.strikes.keys.sorted(by: >) { strikes(of: version, facts) }
    if state.waitingActors > 0 {
      let waiting = Int(clamping: state.waitingActors)
      say("\(Self.count(waiting, "actor")) \(waiting == 1 ? "waits" : "wait") for a slot")
    }
    if let target = facts.target { self.target(target, pin: facts.pin) }
  }

  private static func progress(_ facts: PoolFacts, _ draining: Int) -> String {
    if facts.state.memory.upgrade?.isAbandoned == true { return "abandoned" }
    let isHeld = facts.plan.holds.contains { $0.gate != .exempt }
    switch (draining > 0, isHeld) {
    case (true, _): return "upgrading"
    case (false, true): return "held"
    case (false, false): return facts.target == nil ? "empty" : "settled"
    }
  }

  private static func sentence(_ summary: VersionSummary) -> String {
    var words = ["\(summary.ready) ready"]
    let detached = summary.ready - summary.readyAttached
    if detached > 0 { words[0] += " (\(detached) detached)" }
    if summary.ready > 0 {
      words.append("\(summary.remainingSlots) of \(Spoken.slots(summary.totalSlots)) free")
    }
    if summary.draining > 0 {
      let actors = Int(clamping: summary.drainingActors)
      words.append("\(summary.draining) draining\(actors > 0 ? " with \(count(actors, "actor"))" : "")")
    }
    return "Version \(summary.version): \(words.joined(separator: ", "))"
  }

  private mutating func pin(_ facts: PoolFacts) {
    guard let pin = facts.pin else { return }
    let since = ago(pin.atMilliseconds)
    say("Version \(pin.version) was set by hand \(since)\(Self.by(pin.who, pin.reason))")
    hint("baton pin \(facts.place) auto")
  }

  /// Whether it drains at all.
  private mutating func drains(_ facts: PoolFacts) {
    switch facts.plan.upgrade {
    case .notNormal: say("It is serverless: nobody leaves for another version")
    case .disabled: say("It does not drain on a version upgrade: older runners stay")
    case .notAuthorized:
      say("A newer version is there, but no user's word that counts in this pool stands behind it")
    case .noneOlder, .applied: break
    }
    if facts.plan.upgrade == .disabled, let target = facts.plan.target,
      facts.state.versions.contains(where: { $0.ready > 0 && $0.version < target })
    {
      hint("baton drain \(facts.place) --older-than \(target)")
    }
  }

  /// A version that was the target, and lost its last ready runner.
  private mutating func strikes(of version: Version, _ facts: PoolFacts) {
    guard let strikes = facts.state.memory.strikes[version] else { return }
    let times = strikes.count == 1 ? "once" : "\(strikes.count) times"
    let required = facts.state.config.upgradePolicy.requiredHealthNanoseconds(strikes: strikes.count)
    guard required > 0 else { return say("Version \(version) was demoted \(times)") }
    say(
      "Version \(version) was demoted \(times): it must be healthy for \(Spoken.duration(nanoseconds: required)) "
        + "without a break before it is the target again")
    candidacy(of: version, facts)
  }

  /// Why a version that is there is not the target yet.
  mutating func candidacy(of version: Version, _ facts: PoolFacts) {
    let strikes = facts.state.memory.strikes[version]?.count ?? 0
    let required = facts.state.config.upgradePolicy.requiredHealthNanoseconds(strikes: strikes)
    guard required > 0, version != facts.plan.target,
      let since = facts.state.facts[version]?.healthySinceNanoseconds, since + required > now.nanoseconds
    else { return }
    say("Version \(version) will have been healthy for long enough in \(left(since + required))")
    outlook(atLeast: .slow)
  }

  mutating func hints(for hold: Hold, of pool: PoolFacts) {
    let place = pool.place
    switch hold.gate {
    case .minHealthy, .maxDraining: hint("baton drains --watch \(place)")
    case .minAvailable, .freeSlots:
      hint("baton plan \(place) --version \(hold.goal) --slots \(max(1, hold.missingSlots))")
      // An order by hand knows no gate.
      if pool.pin == nil { hint("baton drain \(place) --older-than \(hold.goal)") }
    case .noRunner: hint("baton pin \(place) auto")
    case .abandoned: hint("baton pin \(place) \(hold.goal)")
    case .exempt: break
    }
  }
}
