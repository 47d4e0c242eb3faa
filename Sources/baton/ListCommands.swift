import BatonAPI
import BatonClient
import Glibc
import Linux
import Options

/// Commands that show what is.
extension BatonCommand {
  static let statusCommands: [Command] = [
    Command(
      name: "status", usage: "status [--json]", summary: "How the daemon is and what it holds.", options: [],
      run: { context in
        try context.none()
        let client = try await context.connect()
        let json = try await client.call(.getStatus, json: "{}")
        if context.isJSON {
          say(json)
        } else {
          showStatus(FlatJSON.fields(json))
        }
        return ExitCode.ok
      }),
    Command(
      name: "health", usage: "health", summary: "Whether the daemon takes changes: exit code 0, or 1.",
      options: [],
      run: { context in
        try context.none()
        let serving = try await context.connect().isServing()
        say(context.isJSON ? "{\"serving\":\(serving)}" : serving ? "serving" : "not serving")
        return serving ? ExitCode.ok : ExitCode.refused
      }),
    Command(
      name: "ping", usage: "ping", summary: "How long a call there and back takes.", options: [],
      run: { context in
        try context.none()
        let microseconds = try await context.connect().ping() / 1000
        say(context.isJSON ? "{\"microseconds\":\(microseconds)}" : "\(microseconds) µs")
        return ExitCode.ok
      }),
    Command(
      name: "metrics", usage: "metrics", summary: "Counters and histograms, as Prometheus text.", options: [],
      run: { context in
        try context.none()
        let text = try await context.connect().metrics()
        say(String(text.dropLast(text.hasSuffix("\n") ? 1 : 0)))
        return ExitCode.ok
      }),
  ]

  private static func showStatus(_ fields: [String: String]) {
    func field(_ name: String) -> String { fields[name] ?? "?" }
    let started = Int64(field("startedAtMs")) ?? 0
    let up = Duration.text(milliseconds: max(0, Clock.wallMilliseconds() - started))
    say("batond \(field("daemonVersion"))  pid \(field("pid"))  up \(up)")
    say("socket     \(field("socketPath"))")
    say("state      \(field("stateDir"))  revision \(field("revision"))")
    say(
      "runners    \(field("runnersReady")) ready, \(field("runnersDraining")) draining"
        + " (\(field("runnersDetached")) of them detached), \(field("runnersEnded")) ended")
    say(
      "pools      \(field("pools")) in \(field("namespaces")) namespaces, \(field("openDrains")) open drains")
    let actors = FlatJSON.fields(fields["actors"] ?? "{}")
    say(
      "actors     "
        + ["pending", "starting", "running", "stopping", "sleeping"]
        .map { "\(actors[$0] ?? "0") \($0)" }.joined(separator: ", "))
    say("peers      \(field("connections")) connections")
    say(
      field("storeHealthy") == "true"
        ? "store      takes changes" : "store      TAKES NO CHANGES: \(Table.printable(field("storeError")))")
  }

  static let runnerCommands: [Command] = [
    Command(
      name: "runners", usage: "runners [NAME] [--all] [--namespace NS] [--json]",
      summary: "Runners and how each is.",
      options: [namespace, Option("all", short: "a", .flag, help: "Those that have ended too.")],
      run: { context in
        guard context.arguments.count <= 1 else { throw UsageError("this takes at most one name") }
        let client = try await context.connect()
        if context.isJSON {
          try await printPages(
            client, .listRunners, member: "runners",
            fields: ["namespace": context.namespace, "name": context.arguments.first],
            flags: context.options.isOn("all") ? ["includeEnded"] : [])
          return ExitCode.ok
        }
        let runners = try await client.runners(
          name: context.arguments.first, namespace: context.namespace,
          includeEnded: context.options.isOn("all"))
        say(runnerTable(runners).text(width: context.width))
        return ExitCode.ok
      }),
    Command(
      name: "pools", usage: "pools [--namespace NS] [--json]",
      summary: "Pools, their target and their versions.",
      options: [namespace],
      run: { context in
        try context.none()
        let client = try await context.connect()
        if context.isJSON {
          try await printPages(
            client, .listPools, member: "pools", fields: ["namespace": context.namespace], flags: [])
        } else {
          say(poolTable(try await client.pools(namespace: context.namespace)).text(width: context.width))
        }
        return ExitCode.ok
      }),
    Command(
      name: "namespaces", usage: "namespaces [create NAME]", summary: "Namespaces, or a new one.",
      options: [],
      run: { context in
        let client = try await context.connect()
        switch context.arguments.first {
        case nil, "list":
          for name in try await client.namespaces() {
            var quoted = "{\"name\":"
            quoted += "\"\(name)\"}"
            say(context.isJSON ? quoted : name)
          }
        case "create" where context.arguments.count == 2:
          try await client.createNamespace(context.arguments[1])
          say("created namespace \(context.arguments[1])")
        default: throw UsageError("this takes nothing, or create NAME")
        }
        return ExitCode.ok
      }),
  ]

  private static func runnerTable(_ runners: [RunnerInfo]) -> Table {
    var table = Table([
      .init(heading: "ID", alignment: .right), .init(heading: "POOL", isFlexible: true),
      .init(heading: "KEY", isFlexible: true), .init(heading: "VERSION", alignment: .right),
      .init(heading: "STATE"), .init(heading: "SLOTS", alignment: .right),
      .init(heading: "PID", alignment: .right),
      .init(heading: "PROGRAM", isFlexible: true), .init(heading: "AGE", alignment: .right),
    ])
    let now = Clock.wallMilliseconds()
    for runner in runners {
      var state = runner.phase
      if let link = runner.link, link != "attached" { state += " (\(link))" }
      if runner.isSilent { state += " (silent)" }
      if let end = runner.end, end != "detached" { state += " (\(end))" }
      if runner.isCordoned, runner.end == nil { state += " (cordoned)" }
      if let target = runner.exemptFromTarget, runner.phase == "ready" {
        state += " (exempt from v\(target))"
      }
      table.add([
        "\(runner.id)", "\(runner.namespace)/\(runner.name)", runner.key, "\(runner.version)", state,
        "\(runner.remainingSlots)/\(runner.totalSlots)", "\(runner.peer.pid)", runner.peer.program,
        Duration.text(milliseconds: max(0, now - runner.registeredAtMilliseconds) / 1000 * 1000),
      ])
    }
    return table
  }

  private static func poolTable(_ pools: [PoolInfo]) -> Table {
    var table = Table([
      .init(heading: "POOL", isFlexible: true), .init(heading: "TARGET", alignment: .right),
      .init(heading: "DRAIN"), .init(heading: "GRACE", alignment: .right),
      .init(heading: "VERSIONS", isFlexible: true), .init(heading: "DRAINING", alignment: .right),
      .init(heading: "HELD"), .init(heading: "ACTORS", isFlexible: true),
    ])
    for pool in pools {
      let (drain, grace) = words(pool.config)
      let versions = pool.versions.map { version in
        "v\(version.version): \(version.ready) ready"
          + (version.exempt > 0 ? " (\(version.exempt) exempt)" : "")
          + (version.draining > 0 ? ", \(version.draining) draining" : "")
      }
      table.add([
        "\(pool.namespace)/\(pool.name)", target(pool), drain, grace,
        versions.isEmpty ? "-" : versions.joined(separator: "; "), "\(pool.openDrains)", held(pool),
        words(pool.actors),
      ])
    }
    return table
  }

  private static func target(_ pool: PoolInfo) -> String {
    let target = pool.targetVersion.map { "\($0)" } ?? "-"
    guard let pin = pool.pin else { return target }
    return pin.version == pool.targetVersion ? "\(target) (pinned)" : "\(target) (pinned to \(pin.version))"
  }

  /// The version that an upgrade is held back for, and for how long; baton plan says by what.
  private static func held(_ pool: PoolInfo) -> String {
    guard let held = pool.heldUpgrade else { return "-" }
    if held.isAbandoned { return "v\(held.goalVersion) abandoned" }
    let since = held.heldMilliseconds.map { " \(Duration.text(milliseconds: max(1000, $0) / 1000 * 1000))" }
    return "v\(held.goalVersion)\(since ?? "")"
  }

  private static func words(_ actors: ActorCountsInfo) -> String {
    let counts = [
      (actors.pending, "pending"), (actors.starting, "starting"), (actors.running, "running"),
      (actors.stopping, "stopping"), (actors.sleeping, "sleeping"),
    ].filter { $0.0 > 0 }
    return counts.isEmpty ? "-" : counts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }

  static func words(_ config: PoolConfig) -> (drain: String, grace: String) {
    switch config.kind {
    case .normal(let drain, let grace, _, _):
      (drain == true ? "on upgrade" : "off", grace.map { Duration.text(milliseconds: $0) } ?? "default")
    case .serverless: ("serverless", "-")
    }
  }

  /// Every element of every page of a list, or so many of them, as the daemon's JSON, one a line.
  static func printPages(
    _ client: FleetClient, _ method: Method, member: String, fields: [String: String?], flags: [String],
    limit: Int = .max
  ) async throws {
    var (token, left) = ("", limit)
    repeat {
      var members = ["\"pageSize\":\(min(1000, left))", "\"pageToken\":\(FlatJSON.quoted(token))"]
      for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
        if let value { members.append("\"\(name)\":\(FlatJSON.quoted(value))") }
      }
      members += flags.map { "\"\($0)\":true" }
      let json = try await client.call(method, json: "{\(members.joined(separator: ","))}")
      let page = FlatJSON.fields(json)
      for element in FlatJSON.elements(page[member] ?? "[]") {
        say(element)
        left -= 1
      }
      token = page["nextPageToken"] ?? ""
    } while !token.isEmpty && left > 0
  }
}
