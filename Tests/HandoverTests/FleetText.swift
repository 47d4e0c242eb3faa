import Handover

/// How the tables write a fleet down.
extension Fleet {
  init(policy: String, pool: String, runners text: String) {
    self.init()
    for word in words(policy) { apply(policy: word) }
    for word in words(pool) { apply(pool: word) }
    for word in words(text) { add(runners: word) }
  }

  private mutating func apply(policy word: String) {
    let value = word.split(separator: "=").last.map(String.init) ?? ""
    switch word.prefix(while: { $0 != "=" }) {
    case "off": kind = .off
    case "serverless": kind = .serverless
    case "careful": settings.strategy = .careful
    case "healthy": settings.minHealthyMilliseconds = nanoseconds(value) / 1_000_000
    case "wait":
      settings.capacity = .wait
      settings.minAvailable = Share(value)
    case "drain": settings.maxDraining = Share(value)!
    case "hold": settings.holdTimeoutMilliseconds = nanoseconds(value) / 1_000_000
    default: preconditionFailure("a policy has no \(word)")
    }
  }

  private mutating func apply(pool word: String) {
    let numbers = word.split { !$0.isNumber }.map { Int64($0)! }
    let version = numbers.first.flatMap { Version(UInt32($0)) }
    switch word.prefix(while: \.isLetter) {
    case "on": target = version
    case "pin": pin = version
    case "was": memory.settledSlots = numbers[0]
    case "struck":
      memory.strikes[version!] = .init(count: Int(numbers[1]), lastNanoseconds: now - 3600 * Self.second)
    case "stuck":
      memory.upgrade = .init(goal: version!, heldSinceNanoseconds: now - numbers[1] * Self.second)
    case "abandoned": memory.upgrade = .init(goal: version!, isAbandoned: true)
    default: preconditionFailure("a pool has no \(word)")
    }
  }

  /// `3x1:4/2@5s-?xdo`: three of version 1 with 4 slots and 2 actors each; the version is healthy for 5 s; detached, of
  /// a foreign user, exempt, draining by an upgrade's order, draining by another.
  private mutating func add(runners word: String) {
    let times = word.split(separator: "x", maxSplits: 1)
    let count = times.count > 1 ? Int(times[0]) : nil
    let rest = count == nil ? Substring(word) : times[1]
    let numbers = rest.split { !$0.isNumber }.map { Int64($0)! }
    var runner = Runner(
      id: RunnerID(0), version: Version(UInt32(numbers[0]))!, slots: numbers[1], actors: numbers[2])
    if numbers.count > 3 { healthySince[runner.version] = now - numbers[3] * Self.second }
    runner.isAttached = !rest.contains("-")
    runner.isAuthorized = !rest.contains("?")
    runner.isExempt = rest.contains("x")
    runner.isDraining = rest.contains("d") || rest.contains("o")
    runner.isUpgradeOrder = rest.contains("d")
    for _ in 0..<(count ?? 1) {
      runner.id = RunnerID(Int64(runners.count + 1))
      runners.append(runner)
    }
  }

  /// The plan as the tables' right-hand columns.
  func row(of plan: Plan) -> [String] {
    let ordered =
      switch plan.retirement {
      case nil: "-"
      case .all: "all \(plan.retired)"
      case .runners(let ids): ids.map { "#\($0)" }.joined(separator: " ")
      }
    let held = plan.held.map { "\($0.gate) \($0.count)" }
    return [
      plan.targetMove.map { "\($0.cause) \($0.version)" } ?? "=", ordered, list(held, separator: ", "),
      list(plan.recalled.map(\.description)), list(memory(of: plan)),
      plan.wakeAtNanoseconds.map { "\(($0 - now) / Self.second)s" } ?? "-",
    ]
  }

  private func memory(of plan: Plan) -> [String] {
    var words: [String] = []
    if let upgrade = plan.memory.upgrade {
      if upgrade.isAbandoned { words.append("abandoned\(upgrade.goal)") }
      if let since = upgrade.heldSinceNanoseconds {
        words.append("stuck\(upgrade.goal)/\((now - since) / Self.second)s")
      }
    }
    if let slots = plan.memory.settledSlots { words.append("was\(slots)") }
    words += plan.memory.strikes.sorted { $0.key < $1.key }.map { "struck\($0.key)/\($0.value.count)" }
    return words
  }
}

private func list(_ words: [String], separator: String = " ") -> String {
  words.isEmpty ? "-" : words.joined(separator: separator)
}

private func words(_ text: String) -> [String] {
  text.split(separator: " ").map(String.init).filter { $0 != "-" }
}

private func nanoseconds(_ text: String) -> Int64 {
  let value = Int64(text.dropLast())!
  switch text.last {
  case "s": return value * Fleet.second
  case "m": return value * 60 * Fleet.second
  default: preconditionFailure("\(text) is no time")
  }
}

/// The cells of a table's lines, without its head.
func rows(of table: String) -> [[String]] {
  table.split(separator: "\n").dropFirst().filter { $0.contains("|") }.map { line in
    line.split(separator: "|", omittingEmptySubsequences: false).map {
      $0.split(separator: " ").joined(separator: " ")
    }
  }
}
