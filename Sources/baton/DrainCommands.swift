import BatonAPI
import BatonClient
import Linux
import Options

/// Commands that order and follow drains.
extension BatonCommand {
  static let drainCommands: [Command] = [
    Command(
      name: "drain",
      usage: "drain (--runner ID | NAME [--older-than V | --all]) [--grace TIME] [--reason TEXT] [--wait]\n"
        + "       baton drain (--cancel | --extend TIME | --force) [--order] ID ... [--reason TEXT]",
      summary:
        "Order runners to leave: one, a pool's older versions, or a whole pool; or change what was ordered.",
      options: [
        Option("runner", .value(placeholder: "ID"), help: "This runner."),
        Option(
          "older-than", .value(placeholder: "V"), help: "The pool's runners below this version.",
          fallback: "its target version"),
        Option("all", .flag, help: "All of the pool's runners."),
        Option("grace", .value(placeholder: "TIME"), help: "How long they may take.", fallback: "the pool's"),
        Option("reason", .value(placeholder: "TEXT"), help: "Why, for whoever asks at night."),
        Option(
          "wait", short: "w", .flag, help: "Wait until all have ended; exit code 4 if one did not complete."),
        namespace,
      ] + drainControlOptions,
      run: drain),
    Command(
      name: "drains",
      usage: "drains [NAME] [--all] [--runner ID] [--namespace NS] [--json]\n"
        + "       baton drains --watch NAME [--until-done] [--namespace NS] [--json]",
      summary: "Drain orders: who leaves, why, by whose word, how far; or an upgrade as it goes.",
      options: [
        Option("all", short: "a", .flag, help: "Those that have ended too."),
        Option("runner", .value(placeholder: "ID"), help: "Only of this runner."),
        Option("watch", short: "w", .flag, help: "Show a pool's upgrade as it goes."),
        Option(
          "until-done", .flag,
          help: "With --watch: end when nobody is held or drains any more; exit code 4 if it was abandoned."),
        namespace,
      ],
      run: drains),
    Command(
      name: "watch", usage: "watch [NAME] [--from REVISION] [--namespace NS] [--json]",
      summary: "Follow what happens, from now on or from a revision.",
      options: [
        Option(
          "from", .value(placeholder: "REVISION"), help: "Begin after this one; 0 is the very beginning.",
          fallback: "now"),
        namespace,
      ],
      run: watch),
  ]

  private static func drain(_ context: Context) async throws -> Int32 {
    if let code = try await changeDrains(context) { return code }
    let result: DrainResult
    let grace = try context.options.milliseconds("grace", in: 1000...604_800_000)
    let target = try drainTarget(context)
    let client = try await context.connect()
    result = try await client.drain(
      target, graceMilliseconds: grace, reason: context.options["reason"] ?? "")
    let orders = result.existing + result.ordered
    if context.isJSON {
      let ids = { (ids: [Int64]) in ids.map { "\"\($0)\"" }.joined(separator: ",") }
      say("{\"orderIds\":[\(ids(result.ordered))],\"existingOrderIds\":[\(ids(result.existing))]}")
    } else if orders.isEmpty {
      say("nothing to drain: no ready runner is older than the pool's target version")
    } else {
      let already = result.existing.isEmpty ? "" : " (\(result.existing.count) were draining already)"
      say("\(orders.count) to leave: orders \(shown(orders))\(already)")
    }
    return context.options.isOn("wait") ? try await wait(for: orders, client, context) : ExitCode.ok
  }

  private static func drainTarget(_ context: Context) throws -> DrainTarget {
    let options = context.options
    let runner = try options.integer("runner", in: 1...Int64.max)
    let below = try options.integer("older-than", in: 1...UInt32.max - 1)
    switch (runner, context.arguments.count) {
    case (let id?, 0):
      guard below == nil, !options.isOn("all") else { throw UsageError("--runner stands alone") }
      return .runner(id)
    case (nil, 1):
      guard below == nil || !options.isOn("all") else { throw UsageError("--older-than or --all, not both") }
      let (name, namespace) = (context.arguments[0], context.namespace ?? "default")
      return options.isOn("all")
        ? .pool(name: name, namespace: namespace)
        : .olderVersions(name: name, namespace: namespace, below: below)
    default: throw UsageError("name a pool, or a runner with --runner ID")
    }
  }

  private static func shown(_ orders: [Int64]) -> String {
    let first = orders.prefix(8).map(String.init).joined(separator: ", ")
    return orders.count > 8 ? first + ", …" : first
  }

  /// Follows the log from before the first look on, so that no end is missed between them.
  private static func wait(for orders: [Int64], _ client: FleetClient, _ context: Context) async throws
    -> Int32
  {
    var open = Set(orders)
    var isClean = true
    guard !open.isEmpty else { return ExitCode.ok }
    let answers = client.watch()
    for try await _ in answers {
      for id in open.sorted() {
        let order = try await client.drain(order: id)
        guard !order.isOpen else { continue }
        open.remove(id)
        isClean = isClean && order.state == "completed"
        if !context.isJSON { say(sentence(order)) }
      }
      if open.isEmpty { return isClean ? ExitCode.ok : ExitCode.notCompleted }
    }
    throw BatonError(.unavailable, "the daemon ended the watch", isConnectionFailure: true)
  }

  /// Who left, why, by whose word and how long it took.
  static func sentence(_ order: DrainInfo) -> String {
    let took = (order.endedAtMilliseconds ?? Clock.wallMilliseconds()) - order.orderedAtMilliseconds
    return
      "runner \(order.runner) v\(order.runnerVersion): \(order.state) after \(Duration.text(milliseconds: max(0, took)))"
      + " (\(order.cause), \(Table.printable(order.reason)); by \(who(order.who)))"
  }

  static func who(_ peer: PeerInfo) -> String {
    peer.pid == 0 ? "the daemon" : "\(Table.printable(peer.program))[\(peer.pid)] uid \(peer.uid)"
  }

  private static func drains(_ context: Context) async throws -> Int32 {
    guard context.arguments.count <= 1 else { throw UsageError("this takes at most one name") }
    let runner = try context.options.integer("runner", in: 1...Int64.max)
    if context.options.isOn("watch") { return try await watchUpgrade(context) }
    guard !context.options.isOn("until-done") else { throw UsageError("--until-done goes with --watch") }
    let client = try await context.connect()
    if context.isJSON {
      try await printPages(
        client, .listDrains, member: "drains",
        fields: [
          "namespace": context.namespace, "name": context.arguments.first, "runnerId": runner.map { "\($0)" },
        ], flags: context.options.isOn("all") ? ["includeEnded"] : [])
      return ExitCode.ok
    }
    let orders = try await client.drains(
      name: context.arguments.first, namespace: context.namespace, runner: runner,
      includeEnded: context.options.isOn("all"))
    say(drainTable(orders).text(width: context.width))
    return ExitCode.ok
  }

  private static func drainTable(_ orders: [DrainInfo]) -> Table {
    var table = Table([
      .init(heading: "ORDER", alignment: .right), .init(heading: "RUNNER", alignment: .right),
      .init(heading: "POOL", isFlexible: true), .init(heading: "VERSION", alignment: .right),
      .init(heading: "STATE"), .init(heading: "TOOK", alignment: .right),
      .init(heading: "LEFT", alignment: .right),
      .init(heading: "CAUSE"), .init(heading: "BY", isFlexible: true),
      .init(heading: "REASON", isFlexible: true),
    ])
    let now = Clock.wallMilliseconds()
    for order in orders {
      table.add([
        "\(order.id)", "\(order.runner)", "\(order.namespace)/\(order.name)",
        "\(order.runnerVersion)\(order.targetVersion.map { " -> \($0)" } ?? "")",
        order.state + (order.isOpen ? order.wayBack.map { " (way back \($0))" } ?? "" : ""),
        Duration.text(
          milliseconds: max(0, (order.endedAtMilliseconds ?? now) - order.orderedAtMilliseconds)),
        order.isOpen ? left(order) : "-",
        order.cause,
        who(order.who), order.reason,
      ])
    }
    return table
  }

  private static func watch(_ context: Context) async throws -> Int32 {
    guard context.arguments.count <= 1 else { throw UsageError("this takes at most one name") }
    var revision = try context.options.integer("from", in: 0...Int64.max)
    var client = try await context.connect()
    while true {
      do {
        try await follow(client, from: &revision, context)
      } catch let error as BatonError where error.isConnectionFailure || error.code == .unavailable {
        // A restarted daemon goes on where it was; nothing is missed.
        let channel = try await Channel.connect(
          path: context.options["socket"], retry: RetryPolicy(totalMilliseconds: 30_000))
        client = FleetClient(channel)
      }
    }
  }

  private static func follow(
    _ client: FleetClient, from revision: inout Int64?, _ context: Context
  ) async throws {
    if context.isJSON {
      var fields = ["\"namespace\":\(FlatJSON.quoted(context.namespace ?? ""))"]
      fields.append("\"name\":\(FlatJSON.quoted(context.arguments.first ?? ""))")
      if let revision { fields.append("\"fromRevision\":\(revision)") }
      for try await bytes in try client.stream(.watch, json: "{\(fields.joined(separator: ","))}") {
        let message = FlatJSON.fields(try FleetClient.text(.watch, bytes))
        for event in FlatJSON.elements(message["events"] ?? "[]") { say(event) }
        revision = message["revision"].flatMap { Int64($0) }
      }
    } else {
      let answers = client.watch(
        from: revision, name: context.arguments.first, namespace: context.namespace)
      for try await answer in answers {
        for event in answer.events { say(line(event)) }
        revision = answer.revision
      }
    }
    throw BatonError(.unavailable, "the daemon ended the watch", isConnectionFailure: true)
  }

  private static func line(_ event: FleetEvent) -> String {
    var line = "\(event.revision)  \(LocalTime.text(milliseconds: event.atMilliseconds))  \(event.kind)"
    if !event.namespace.isEmpty {
      line += "  \(event.namespace)\(event.name.isEmpty ? "" : "/\(event.name)")"
    }
    if let runner = event.runner { line += "  runner \(runner)" }
    if let version = event.version { line += " v\(version)" }
    if let order = event.drainOrder { line += "  order \(order)" }
    if !event.detail.isEmpty { line += "  \(Table.printable(event.detail))" }
    if let who = event.who { line += "  by \(BatonCommand.who(who))" }
    return line
  }
}
