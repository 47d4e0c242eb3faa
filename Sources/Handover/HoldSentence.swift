extension Hold {
  /// The same for people: who stays, why, and what opens the gate. `now` is on the clock of `Moment.nanoseconds`.
  package func sentence(now: Int64) -> String {
    let runners = count == 1 ? "1 runner" : "\(count) runners"
    let stay = count == 1 ? "\(runners) stays" : "\(runners) stay"
    switch gate {
    case .minHealthy:
      guard let untilNanoseconds else {
        return "\(stay) until version \(goal) has an attached ready runner, "
          + "and has had one for long enough (min_healthy)"
      }
      let left = Spoken.duration(nanoseconds: untilNanoseconds - now)
      return "\(stay) until version \(goal) has had an attached ready runner for long enough (min_healthy): "
        + "\(left) more"
    case .minAvailable:
      let missing =
        "\(stay): without the next one the pool would have \(Spoken.slots(missingSlots)) too few (min_available)"
      return isPossible
        ? "\(missing), until runners with as many that are detached, silent or cordoned count again"
        : "\(missing); it takes as many more of version \(goal), or a lower min_available"
    case .freeSlots:
      let missing =
        "\(stay): version \(goal) has \(Spoken.slots(missingSlots)) too few for the actors of the next one"
      return isPossible
        ? "\(missing) and of those that wait or leave, until some become free"
        : "\(missing), even when all of its slots are free; it takes as many more of version \(goal)"
    case .maxDraining:
      let wait = count == 1 ? "waits for its turn" : "wait for their turn"
      return "\(runners) \(wait): no more may drain at once (max_draining)"
    case .noRunner:
      return "\(stay): version \(goal), which is pinned, has no attached ready runner; "
        + "start one, or set another target"
    case .abandoned:
      return "\(stay): the upgrade to version \(goal) was held back for hold_timeout and is abandoned; "
        + "a new config or pin tries it again"
    case .exempt:
      let orders = count == 1 ? "order" : "orders"
      return "\(stay): somebody cancelled the \(orders) to leave for version \(goal); "
        + "that holds until there is another target"
    }
  }
}

/// Quantities in sentences.
enum Spoken {
  /// In its two greatest units; what has passed is `0 s`.
  static func duration(nanoseconds: Int64) -> String {
    duration(milliseconds: nanoseconds / 1_000_000)
  }

  static func duration(milliseconds: Int64) -> String {
    // Of what is left the last second counts until it is over.
    let seconds = max(0, milliseconds + 999) / 1000
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")] as [(Int64, String)]
    guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0 s" }
    let (size, unit) = units[first]
    let rest = first + 1 < units.count ? seconds % size / units[first + 1].0 : 0
    return rest == 0 ? "\(seconds / size) \(unit)" : "\(seconds / size) \(unit) \(rest) \(units[first + 1].1)"
  }

  static func slots(_ count: Int64) -> String { count == 1 ? "1 slot" : "\(count) slots" }
}
