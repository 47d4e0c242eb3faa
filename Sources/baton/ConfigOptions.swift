import BatonClient
import enum Handover.Bounds
import Options

/// A pool's config as options of a command: `config put` stores it, `plan` supposes it.
extension BatonCommand {
  /// `verb` says in the help when they count.
  static func configOptions(_ verb: String) -> [Option] {
    [
      Option("drain-on-version-upgrade", .flag, help: verb + "a newer version drains the older ones."),
      Option("no-drain", .flag, help: verb + "it does not; what holds when neither is given."),
      Option("drain-grace", .value(placeholder: "TIME"), help: verb + "how long a drained runner may take."),
      Option(
        "strategy", .value(placeholder: "S"),
        help: verb
          + "how an upgrade goes where the next five do not say: immediate, or careful (30s of health, "
          + "no slot less than before, a quarter of the runners at a time, given up after 1h).",
        fallback: "immediate"),
      Option(
        "min-healthy", .value(placeholder: "TIME"),
        help: verb
          + "a version is the target only after it has had a ready runner for so long without a break."),
      Option(
        "capacity", .value(placeholder: "C"),
        help: verb
          + "proceed: older runners go, whether there is room for their work or not; wait: they wait for it."),
      Option(
        "min-available", .value(placeholder: "N|P%"),
        help: verb + "with wait, the slots that must stay ready.", fallback: "all there were"),
      Option(
        "max-draining", .value(placeholder: "N|P%"), help: verb + "how many runners may drain at once."),
      Option(
        "hold-timeout", .value(placeholder: "TIME"),
        help: verb + "an upgrade that is held back for so long is abandoned; 0 is never."),
      Option("actor-start", .value(placeholder: "TIME"), help: verb + "how long an actor may take to start."),
      Option("actor-stop", .value(placeholder: "TIME"), help: verb + "how long an actor may take to stop."),
      Option(
        "actor-backoff", .value(placeholder: "TIME"),
        help: verb + "the pause before an actor's second try in a row; it doubles with each."),
      Option(
        "actor-reset", .value(placeholder: "TIME"),
        help: verb + "after running this long an actor's next try is a first one."),
      Option(
        "fallback", .flag,
        help: verb + "other ready versions take actors for which the target has no free slot."),
      Option("serverless", .flag, help: verb + "runners start on demand; an upgrade never drains them."),
      Option("metadata", .list(placeholder: "K=V"), help: verb + "free pairs."),
      Option(
        "file", .value(placeholder: "PATH"),
        help: verb + "the whole config from what get --json printed; - is standard input."),
    ]
  }

  /// The whole config that these options say.
  static func givenConfig(_ options: ParsedOptions) throws -> PoolConfig {
    let drains = options.isOn("drain-on-version-upgrade")
    guard !(drains && options.isOn("no-drain")) else {
      throw UsageError("--drain-on-version-upgrade or --no-drain, not both")
    }
    let grace = try options.milliseconds("drain-grace", in: 1000...604_800_000)
    var metadata: [String: String] = [:]
    for pair in options.list("metadata") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw UsageError("--metadata takes K=V, not \"\(pair)\"") }
      metadata[String(parts[0])] = String(parts[1])
    }
    let actors = try actorPolicy(options)
    let upgrade = try upgradePolicy(options)
    if options.isOn("serverless") {
      guard !drains, grace == nil, upgrade == UpgradePolicy() else {
        throw UsageError("--serverless runners are never drained by an upgrade")
      }
      guard actors == ActorPolicy() else {
        throw UsageError("--serverless pools have the default times of actors")
      }
      return PoolConfig(.serverless, metadata: metadata)
    }
    let drain: Bool? = drains ? true : options.isOn("no-drain") ? false : nil
    return PoolConfig(
      .normal(drainOnVersionUpgrade: drain, graceMilliseconds: grace, actors: actors, upgrade: upgrade),
      metadata: metadata)
  }

  private static func actorPolicy(_ options: ParsedOptions) throws -> ActorPolicy {
    var policy = ActorPolicy()
    policy.fallsBackToOtherVersions = options.isOn("fallback")
    policy.startMilliseconds = try options.milliseconds("actor-start", in: Bounds.actorStartMilliseconds)
    policy.stopMilliseconds = try options.milliseconds("actor-stop", in: Bounds.actorStopMilliseconds)
    policy.backoffMilliseconds = try options.milliseconds(
      "actor-backoff", in: Bounds.actorRetryBackoffMilliseconds)
    policy.resetMilliseconds = try options.milliseconds("actor-reset", in: Bounds.actorRetryResetMilliseconds)
    return policy
  }

  private static func upgradePolicy(_ options: ParsedOptions) throws -> UpgradePolicy {
    var policy = UpgradePolicy()
    policy.strategy = try word("strategy", options)
    policy.minHealthyMilliseconds = try options.milliseconds("min-healthy", in: 0...86_400_000)
    policy.capacity = try word("capacity", options)
    policy.minAvailable = try share("min-available", options)
    policy.maxDraining = try share("max-draining", options)
    policy.holdTimeoutMilliseconds = try options.milliseconds("hold-timeout", in: 0...604_800_000)
    return policy
  }

  private static func word<Word: RawRepresentable & CaseIterable>(
    _ name: String, _ options: ParsedOptions
  ) throws -> Word? where Word.RawValue == String {
    guard let text = options[name] else { return nil }
    guard let word = Word(rawValue: text) else {
      let words = Word.allCases.map(\.rawValue).joined(separator: " or ")
      throw UsageError("--\(name) must be \(words), is \"\(text)\"")
    }
    return word
  }

  private static func share(_ name: String, _ options: ParsedOptions) throws -> Share? {
    guard let text = options[name] else { return nil }
    guard let share = Share(text) else {
      throw UsageError("--\(name) must be a number such as 3, or a share such as 25%; is \"\(text)\"")
    }
    return share
  }

  /// What holds, whether the strategy says it or the config itself.
  static func words(_ policy: UpgradePolicy) -> String {
    let held = policy.value.policy
    var words: [String] = []
    if held.minHealthyMilliseconds > 0 {
      words.append("healthy for \(Duration.text(milliseconds: held.minHealthyMilliseconds))")
    }
    if case .wait(let share) = held.capacity {
      words.append("waits for room (\(share?.description ?? "all") slots stay)")
    }
    if let most = held.maxDraining { words.append("\(most) at once") }
    guard !words.isEmpty else { return "at once" }
    words.append(
      held.holdTimeoutMilliseconds.map { "given up after \(Duration.text(milliseconds: $0))" }
        ?? "never given up")
    return words.joined(separator: ", ")
  }
}
