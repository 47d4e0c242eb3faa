/// A number, or a share of a whole: `3`, `25%`.
package enum Share: Hashable, Sendable, CustomStringConvertible {
  case count(Int64)
  /// 0 to 100.
  case percent(Int64)

  /// Reads what `description` writes; nil for anything else.
  package init?(_ text: String) {
    let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let value = Int64(digits)
    else { return nil }
    self = digits.utf8.count == text.utf8.count ? .count(value) : .percent(value)
  }

  package var description: String {
    switch self {
    case .count(let value): "\(value)"
    case .percent(let value): "\(value)%"
    }
  }

  /// What has to stay is rounded in its own favour.
  package func roundedUp(of whole: Int64) -> Int64 {
    switch self {
    case .count(let value): value
    case .percent(let value): (whole * value + 99) / 100
    }
  }

  /// What may go is rounded against it.
  package func roundedDown(of whole: Int64) -> Int64 {
    switch self {
    case .count(let value): value
    case .percent(let value): whole * value / 100
    }
  }
}

/// How an upgrade goes, as a pool's config says it: a strategy, and what is to differ from it.
package struct UpgradeSettings: Hashable, Sendable {
  /// What holds where the config does not say.
  package enum Strategy: Int, Sendable, CaseIterable {
    /// Every older runner is drained the moment that a newer version is there. No gate, no pace.
    case immediate = 1
    /// See `UpgradePolicy.careful`.
    case careful = 2
  }

  package enum Capacity: Int, Sendable, CaseIterable {
    case proceed = 1
    case wait = 2
  }

  /// nil is `immediate`.
  package var strategy: Strategy?
  package var minHealthyMilliseconds: Int64?
  package var capacity: Capacity?
  package var minAvailable: Share?
  package var maxDraining: Share?
  /// 0 is never.
  package var holdTimeoutMilliseconds: Int64?

  package init(
    strategy: Strategy? = nil, minHealthyMilliseconds: Int64? = nil, capacity: Capacity? = nil,
    minAvailable: Share? = nil, maxDraining: Share? = nil, holdTimeoutMilliseconds: Int64? = nil
  ) {
    self.strategy = strategy
    self.minHealthyMilliseconds = minHealthyMilliseconds
    self.capacity = capacity
    self.minAvailable = minAvailable
    self.maxDraining = maxDraining
    self.holdTimeoutMilliseconds = holdTimeoutMilliseconds
  }

  /// The strategy with what was said over it.
  package var policy: UpgradePolicy {
    var policy: UpgradePolicy =
      switch strategy {
      case .immediate, nil: .immediate
      case .careful: .careful
      }
    if let minHealthyMilliseconds { policy.minHealthyMilliseconds = minHealthyMilliseconds }
    switch capacity {
    case .proceed: policy.capacity = .proceed
    case .wait: policy.capacity = .wait(minAvailable: minAvailable)
    case nil:
      if let minAvailable, case .wait = policy.capacity {
        policy.capacity = .wait(minAvailable: minAvailable)
      }
    }
    if let maxDraining { policy.maxDraining = maxDraining }
    if let holdTimeoutMilliseconds {
      policy.holdTimeoutMilliseconds = holdTimeoutMilliseconds == 0 ? nil : holdTimeoutMilliseconds
    }
    return policy
  }

  /// Each within its bounds, and the nested times nested: an upgrade that waits for a version's health is not
  /// abandoned before that can be.
  package func validate(field: String) throws(FieldViolation) {
    if let minHealthyMilliseconds, !(0...86_400_000).contains(minHealthyMilliseconds) {
      throw FieldViolation(
        field: "\(field).min_healthy_ms",
        requirement: "must be 0 to 86400000 (a day), is \(minHealthyMilliseconds)")
    }
    if let holdTimeoutMilliseconds, holdTimeoutMilliseconds != 0,
      !(1000...604_800_000).contains(holdTimeoutMilliseconds)
    {
      throw FieldViolation(
        field: "\(field).hold_timeout_ms",
        requirement: "must be 0 (never) or 1000 to 604800000 (a week), is \(holdTimeoutMilliseconds)")
    }
    if let minAvailable {
      try Self.check(
        minAvailable, counts: 0...1_000_000_000, percents: 0...100, field: "\(field).min_available")
      guard case .wait = policy.capacity else {
        throw FieldViolation(
          field: "\(field).min_available", requirement: "has a meaning only with capacity wait: set that too")
      }
    }
    if let maxDraining {
      try Self.check(maxDraining, counts: 1...1_000_000, percents: 1...100, field: "\(field).max_draining")
    }
    if let timeout = policy.holdTimeoutMilliseconds, timeout <= policy.minHealthyMilliseconds {
      throw FieldViolation(
        field: "\(field).hold_timeout_ms",
        requirement:
          "must be greater than min_healthy_ms (\(policy.minHealthyMilliseconds)), is \(timeout): every upgrade would be abandoned"
      )
    }
  }

  private static func check(
    _ share: Share, counts: ClosedRange<Int64>, percents: ClosedRange<Int64>, field: String
  ) throws(FieldViolation) {
    let (value, range, unit) =
      switch share {
      case .count(let value): (value, counts, "")
      case .percent(let value): (value, percents, "%")
      }
    guard range.contains(value) else {
      throw FieldViolation(
        field: field,
        requirement: "must be \(range.lowerBound)\(unit) to \(range.upperBound)\(unit), is \(share)")
    }
  }
}

/// How an upgrade goes, with nothing left open.
package struct UpgradePolicy: Hashable, Sendable {
  package enum Capacity: Hashable, Sendable {
    /// Older runners go, whether the new version has room for their work or not.
    case proceed
    /// They go only as far as the pool's ready slots stay at `minAvailable` (nil is all the slots that there were
    /// when the upgrade began) and the target has free slots for the actors of the one that goes.
    case wait(minAvailable: Share?)
  }

  /// A version becomes the target only after it has had an attached ready runner continuously for this long; 0 is
  /// at once.
  package var minHealthyMilliseconds: Int64
  package var capacity: Capacity
  /// How many of the pool's runners may drain at once, at least 1; nil is all.
  package var maxDraining: Share?
  /// An upgrade that gates have held back for this long is abandoned; nil is never.
  package var holdTimeoutMilliseconds: Int64?

  package init(
    minHealthyMilliseconds: Int64 = 0, capacity: Capacity = .proceed, maxDraining: Share? = nil,
    holdTimeoutMilliseconds: Int64? = nil
  ) {
    self.minHealthyMilliseconds = minHealthyMilliseconds
    self.capacity = capacity
    self.maxDraining = maxDraining
    self.holdTimeoutMilliseconds = holdTimeoutMilliseconds
  }

  package static let immediate = UpgradePolicy()

  /// 30 s of health, no slot less than before, a quarter of the runners at a time, given up after an hour.
  package static let careful = UpgradePolicy(
    minHealthyMilliseconds: 30_000, capacity: .wait(minAvailable: nil), maxDraining: .percent(25),
    holdTimeoutMilliseconds: 3_600_000)

  var waitsForCapacity: Bool {
    switch capacity {
    case .proceed: false
    case .wait: true
    }
  }

  var hasGates: Bool { minHealthyMilliseconds > 0 || waitsForCapacity }

  /// How long a version must have been healthy that has been demoted this many times: twice as long after each,
  /// up to an hour. Without `min_healthy` there is nothing to double.
  func requiredHealthNanoseconds(strikes: Int) -> Int64 {
    let most = max(minHealthyMilliseconds, 3_600_000)
    return min(most, minHealthyMilliseconds << min(strikes, 30)) * 1_000_000
  }
}
