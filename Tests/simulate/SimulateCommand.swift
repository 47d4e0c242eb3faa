import Glibc
import Options
import Simulator

/// Runs seeds, one after the other, and says which failed.
enum SimulateCommand {
  private static let options: [Option] = [
    Option("seeds", .value(placeholder: "N"), environment: "SEEDS", help: "How many seeds.", fallback: "500"),
    Option(
      "hours", .value(placeholder: "N"), environment: "HOURS",
      help: "Go on for so long instead, from a first seed of the clock."),
    Option(
      "first", .value(placeholder: "SEED"), environment: "FIRST", help: "The first of them.", fallback: "1"),
    Option(
      "seed", .value(placeholder: "SEED"), environment: "SEED", help: "Run this one only and print its trace."
    ),
    Option(
      "minutes", .value(placeholder: "N"), environment: "MINUTES",
      help: "Simulated minutes of faults a seed.",
      fallback: "10"),
    Option("bug", .value(placeholder: "NAME"), environment: "BUG", help: "Run with this planted bug."),
    Option("help", short: "h", .flag, help: "Print this text."),
  ]

  static func main(_ arguments: [String]) -> Int32 {
    do {
      var environment: [String: String] = [:]
      for option in options {
        if let name = option.environment, let value = getenv(name) {
          environment[name] = String(cString: value)
        }
      }
      let parsed = try ParsedOptions(arguments, options: options, environment: environment)
      if parsed.isOn("help") {
        print("usage: simulate [OPTION ...]\n\n\(Help.options(options))", terminator: "")
        return 0
      }
      let minutes = try parsed.integer("minutes", in: 1...Int64(100_000)) ?? 10
      guard let bug = PlantedBug(rawValue: parsed["bug"] ?? "none") else {
        throw UsageError(
          "--bug must be one of \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      if let seed = try parsed.integer("seed", in: 0...UInt64.max) {
        return one(seed, bug, minutes) ? 0 : 1
      }
      if let hours = try parsed.integer("hours", in: 1...Int64(10_000)) {
        return endless(until: time(nil) + Int(hours) * 3600, bug, minutes) ? 0 : 1
      }
      let first = try parsed.integer("first", in: 0...UInt64.max / 2) ?? 1
      let count = try parsed.integer("seeds", in: 1...100_000_000) ?? 500
      return many(first, UInt64(count), bug, minutes) ? 0 : 1
    } catch {
      print("simulate: \(error)")
      return 2
    }
  }

  private static func one(_ seed: UInt64, _ bug: PlantedBug, _ minutes: Int64) -> Bool {
    print("SEED=\(seed)")
    let outcome = Simulation.run(seed: seed, bug: bug, minutes: minutes, trace: { print($0) })
    print(line(outcome))
    return outcome.violations.isEmpty
  }

  /// A hundred at a time, until the clock says that it is enough, or some failed.
  private static func endless(until end: time_t, _ bug: PlantedBug, _ minutes: Int64) -> Bool {
    var first = UInt64(time(nil)) * 1000
    repeat {
      print("from \(first): ", terminator: "")
      fflush(nil)
      guard many(first, 100, bug, minutes) else { return false }
      first += 100
    } while time(nil) < end
    return true
  }

  private static func many(_ first: UInt64, _ count: UInt64, _ bug: PlantedBug, _ minutes: Int64) -> Bool {
    var failed = 0
    for seed in first..<first + count {
      let outcome = Simulation.run(seed: seed, bug: bug, minutes: minutes)
      if !outcome.violations.isEmpty {
        failed += 1
        print("SEED=\(seed) failed: \(outcome.violations.joined(separator: "; "))")
      }
    }
    print("\(count - UInt64(failed)) passed, \(failed) failed")
    return failed == 0
  }

  private static func line(_ outcome: Simulation.Outcome) -> String {
    "seed \(outcome.seed): \(outcome.events) events, \(outcome.runners) runners, \(outcome.orders) orders, trace "
      + "\(String(outcome.traceHash, radix: 16)), \(outcome.violations.isEmpty ? "sound" : outcome.violations.joined(separator: "; "))"
  }
}
