/// Facts in, sentences out: what an operator asks at night. Nothing is looked up here; whoever reads the facts reads them
/// from one state, so that no two sentences contradict each other.
package enum Explaining {
  package static func explanation(of facts: ExplainFacts, at now: Moment) -> Explanation {
    var explaining = Said(now: now)
    switch facts {
    case .runner(let facts): explaining.runner(facts)
    case .order(let order, let facts): explaining.order(order, facts)
    case .actor(let facts): explaining.actor(facts)
    case .pool(let facts): explaining.pool(facts)
    }
    return explaining.explanation
  }
}

extension PoolFacts {
  /// How a command names it.
  var place: String { name.namespace == "default" ? name.name : "\(name.name) --namespace \(name.namespace)" }
}

/// An explanation in the making.
struct Said {
  let now: Moment
  var explanation = Explanation(state: "")

  init(now: Moment) { self.now = now }

  mutating func say(_ sentence: String) { explanation.sentences.append(sentence + ".") }
  mutating func hint(_ command: String) {
    if !explanation.hints.contains(command) { explanation.hints.append(command) }
  }
  mutating func cause(_ what: String, who: Peer? = nil, reason: String = "", at milliseconds: Int64) {
    explanation.causes.append(
      Explanation.Cause(what: what, who: who, reason: reason, atMilliseconds: milliseconds))
  }

  /// What stands in the way counts more than what goes on.
  mutating func outlook(atLeast outlook: Explanation.Outlook) {
    if outlook.rawValue > explanation.outlook.rawValue { explanation.outlook = outlook }
  }

  mutating func hold(_ hold: Hold) {
    explanation.holds.append(hold)
    say(hold.sentence(now: now.nanoseconds))
    // Whoever is exempt stays, and waits for nothing.
    if hold.gate == .exempt { return }
    outlook(atLeast: hold.isPossible ? .slow : .impossible)
  }

  // MARK: - Words

  func since(_ milliseconds: Int64) -> String {
    Spoken.duration(milliseconds: now.wallMilliseconds - milliseconds)
  }
  func ago(_ milliseconds: Int64) -> String { "\(since(milliseconds)) ago" }
  func left(_ nanoseconds: Int64) -> String { Spoken.duration(nanoseconds: nanoseconds - now.nanoseconds) }

  static func who(_ peer: Peer) -> String {
    peer.pid == 0 ? "the daemon" : "uid \(peer.uid) (\(peer.program), pid \(peer.pid))"
  }

  /// `by uid 1000 (baton, pid 4711): noisy disk`.
  static func by(_ peer: Peer?, _ reason: String) -> String {
    (peer.map { " by \(who($0))" } ?? "") + (reason.isEmpty ? "" : ": \(reason)")
  }

  static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    number == 1 ? "1 \(one)" : "\(number) \(many ?? one + "s")"
  }

  // MARK: - The chain of causes

  /// Up to whoever made that version the target.
  mutating func target(_ caused: CausedChange, pin: Pin?) {
    let change = caused.change
    let was = change.previousVersion.map { ", after version \($0)" } ?? ""
    let how =
      switch change.cause {
      case .first: "version \(change.version) became the target, as the first"
      case .promoted: "version \(change.version) became the target\(was)"
      case .demoted:
        "version \(change.version) took over\(was), which had no ready runner left"
      case .pinned: "version \(change.version), set by hand, became the target\(was)"
      }
    cause(how, who: person(change.who), at: change.atMilliseconds)
    if change.cause == .pinned, let pin, pin.version == change.version {
      cause(
        "version \(pin.version) was set by hand", who: pin.who, reason: pin.reason, at: pin.atMilliseconds)
    } else if let runner = caused.runner {
      cause(
        "runner \(runner.id) registered with version \(runner.version)", who: runner.peer,
        at: runner.registeredAtMilliseconds)
    } else if let id = change.runner {
      cause("runner \(id) registered with version \(change.version)", at: change.atMilliseconds)
    }
  }

  /// Nobody where the daemon did it.
  func person(_ peer: Peer) -> Peer? { peer.pid == 0 ? nil : peer }

  /// Why somebody was told to leave.
  mutating func order(_ order: DrainOrder, for caused: CausedChange?, pin: Pin?) {
    let runner = "runner \(order.runner)"
    let what =
      switch order.cause {
      case .versionUpgrade: "\(runner) was ordered to leave for another version (drain order \(order.id))"
      case .superseded:
        "\(runner) was ordered to leave for the one that took its key (drain order \(order.id))"
      case .operator: "somebody ordered \(runner) to leave (drain order \(order.id))"
      case .self: "\(runner) began to leave by itself (drain order \(order.id))"
      }
    cause(what, who: person(order.who), reason: order.reason, at: order.orderedAtMilliseconds)
    guard order.cause == .versionUpgrade, let caused else { return }
    target(caused, pin: pin)
  }

  /// What was done to it or to its order: latest first.
  mutating func deeds(_ facts: RunnerFacts, where isMeant: (Event) -> Bool) {
    for event in facts.deeds.sorted(by: { $0.revision > $1.revision }) where isMeant(event) {
      guard let what = Self.deed(event.kind) else { continue }
      cause(what, who: event.who.flatMap { person($0) }, reason: event.detail, at: event.atMilliseconds)
    }
  }

  /// nil for what is not done to a runner by somebody.
  private static func deed(_ kind: EventKind) -> String? {
    switch kind {
    case .drainExtended: "its deadline was extended"
    case .drainForced: "it was ended by force"
    case .drainCancelled: "its order was cancelled"
    case .drainWayBackOffered: "it was offered to stay"
    case .drainTooLate: "it answered that it had begun to end"
    case .runnerCordoned: "it was cordoned"
    case .runnerUncordoned: "it was uncordoned"
    default: nil
    }
  }

  /// `ready, detached and cordoned`.
  static func list(_ words: [String]) -> String {
    words.count < 2
      ? words.joined() : words.dropLast().joined(separator: ", ") + " and " + words[words.count - 1]
  }
}
