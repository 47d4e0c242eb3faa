import BatonClient
import Linux
import Options

/// A pool's upgrade at one moment, as `drains --watch` shows it.
struct UpgradeView {
  /// One version that has somebody, or had since the watch began.
  struct Row: Equatable {
    var version: UInt32
    var ready = 0
    /// Told to leave at the next change.
    var ordered = 0
    var held = 0
    var gate: String?
    var exempt = 0
    var draining = 0
    /// On the draining ones.
    var actors: Int64 = 0
    /// Since the watch began.
    var stopped = 0
  }

  let pool: String
  let target: UInt32?
  let pin: UInt32?
  let heldFor: UInt32?
  /// Greatest version first.
  let rows: [Row]
  let sentences: [String]
  /// A sentence says when something opens: it is another one a second later.
  let hasCountdown: Bool
  /// What each open order of a version had left when it was read.
  private let left: [UInt32: [Int64]]
  private let readAt = ContinuousClock.now
  /// How many of those who had or have to leave have left since the watch began.
  let done: Int
  let total: Int
  /// Nobody is held or drains.
  let isDone: Bool
  /// Nobody drains, and whoever is held is held for good.
  let isAbandoned: Bool

  init(_ pool: PoolInfo, _ plan: UpgradePlan, _ open: [DrainInfo], stopped: [UInt32: Int], left done: Int) {
    var rows: [UInt32: Row] = [:]
    func change(_ version: UInt32, _ change: (inout Row) -> Void) {
      change(&rows[version, default: Row(version: version)])
    }
    for version in pool.versions {
      change(version.version) {
        $0.ready = version.ready
        $0.actors = version.drainingActors
      }
    }
    for fate in plan.versions {
      change(fate.version) {
        ($0.ordered, $0.held, $0.gate, $0.exempt) = (fate.ordered, fate.held, fate.gate, fate.exempt)
      }
    }
    for order in open { change(order.runnerVersion) { $0.draining += 1 } }
    for (version, count) in stopped { change(version) { $0.stopped = count } }
    self.pool = "\(pool.namespace)/\(pool.name)"
    target = pool.targetVersion
    pin = pool.pin?.version
    heldFor = pool.heldUpgrade?.goalVersion
    self.rows = rows.values.sorted { $0.version > $1.version }
    sentences = plan.holds.map(\.sentence)
    hasCountdown = plan.holds.contains { $0.opensInMilliseconds != nil }
    left = Dictionary(grouping: open, by: \.runnerVersion).mapValues { $0.map(\.remainingMilliseconds) }
    let waiting = self.rows.reduce(0) { $0 + $1.held + $1.ordered }
    self.done = done
    total = done + waiting + open.count
    isDone = waiting == 0 && open.isEmpty
    isAbandoned =
      !isDone && open.isEmpty
      && self.rows.allSatisfy { $0.ordered == 0 && ($0.held == 0 || $0.gate == "abandoned") }
  }

  // MARK: - For people

  /// What is left of the soonest and of the last order of a version by now.
  private func timeLeft(_ version: UInt32) -> String? {
    guard let all = left[version], let soonest = all.min(), let last = all.max() else { return nil }
    let passed = Int64((ContinuousClock.now - readAt) / .milliseconds(1))
    func text(_ milliseconds: Int64) -> String {
      Duration.text(milliseconds: max(0, milliseconds - passed) / 1000 * 1000)
    }
    return text(soonest) == text(last) ? text(soonest) : "\(text(soonest)) to \(text(last))"
  }

  private var title: String {
    var title = "\(pool): " + (target.map { "target \($0)" } ?? "no target yet")
    if let pin { title += pin == target ? " (pinned)" : " (pinned to \(pin))" }
    if let heldFor, heldFor != target { title += ", held back from \(heldFor)" }
    return title
  }

  /// A screen of it.
  func lines(width: Int) -> [String] {
    let share = total == 0 ? 1 : Double(done) / Double(total)
    let cells = max(10, min(40, width - 40))
    let full = Int(share * Double(cells))
    let bar = String(repeating: "#", count: full) + String(repeating: "-", count: cells - full)
    var table = Table([
      .init(heading: "VERSION", alignment: .right), .init(heading: "READY", alignment: .right),
      .init(heading: "HELD", isFlexible: true), .init(heading: "DRAINING", alignment: .right),
      .init(heading: "ACTORS", alignment: .right), .init(heading: "LEFT", isFlexible: true),
      .init(heading: "STOPPED", alignment: .right),
    ])
    for row in rows {
      table.add([
        "\(row.version)", "\(row.ready)", held(row) ?? "-", "\(row.draining)", "\(row.actors)",
        timeLeft(row.version) ?? "-", "\(row.stopped)",
      ])
    }
    return [title, "[\(bar)] \(progressWords)"]
      + table.text(width: width).split(separator: "\n").map(String.init)
      + sentences.flatMap { Help.wrap(Table.printable($0), width: width) }
  }

  private var progressWords: String {
    total == 0 ? "nobody has to leave" : "\(done) of \(total) have left"
  }

  private func held(_ row: Row) -> String? {
    var parts: [String] = []
    if row.held > 0 { parts.append("\(row.held)" + (row.gate.map { " (\($0))" } ?? "")) }
    if row.exempt > 0 { parts.append("\(row.exempt) exempt") }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  /// The same in a line, without what only time changes.
  var line: String {
    let versions = rows.map { row in
      var parts = ["\(row.ready) ready"]
      if let held = held(row) { parts.append("held \(held)") }
      if row.draining > 0 { parts.append("\(row.draining) draining with \(row.actors) actors") }
      if row.stopped > 0 { parts.append("\(row.stopped) stopped") }
      return "v\(row.version) \(parts.joined(separator: ", "))"
    }
    return ([title] + versions + [progressWords]).joined(separator: "; ")
  }

  // MARK: - For programs

  /// One object; what is left of an order is left out, so that it changes only when something happens.
  var json: String {
    let versions = rows.map { row in
      FlatJSON.object([
        ("version", "\(row.version)"), ("ready", "\(row.ready)"), ("ordered", "\(row.ordered)"),
        ("held", "\(row.held)"), ("gate", FlatJSON.quoted(row.gate ?? "")), ("exempt", "\(row.exempt)"),
        ("draining", "\(row.draining)"), ("drainingActors", "\"\(row.actors)\""),
        ("stopped", "\(row.stopped)"),
      ])
    }
    return FlatJSON.object([
      ("pool", FlatJSON.quoted(pool)), ("targetVersion", "\(target ?? 0)"), ("pinnedVersion", "\(pin ?? 0)"),
      ("heldFromVersion", "\(heldFor ?? 0)"), ("left", "\(done)"), ("total", "\(total)"),
      ("done", "\(isDone)"),
      ("versions", "[\(versions.joined(separator: ","))]"),
    ])
  }
}
