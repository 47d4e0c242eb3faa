import BatonAPI
import BatonClient
import Glibc
import enum Handover.Bounds
import Options

/// Commands about pools' configs, and calls by hand.
extension BatonCommand {
  static let configCommands: [Command] = [
    Command(
      name: "config",
      usage:
        "config list | get NAME | delete NAME | put NAME [--file PATH | --drain-on-version-upgrade | --no-drain] "
        + "[--drain-grace TIME] [--actor-start TIME] [--actor-stop TIME] [--actor-backoff TIME] [--actor-reset TIME] "
        + "[--fallback] [--serverless] [--metadata K=V ...]",
      summary: "How a pool's runners are treated.",
      options: [
        Option("drain-on-version-upgrade", .flag, help: "put: a newer version drains the older ones."),
        Option("no-drain", .flag, help: "put: it does not; what holds when neither is given."),
        Option("drain-grace", .value(placeholder: "TIME"), help: "put: how long a drained runner may take."),
        Option("actor-start", .value(placeholder: "TIME"), help: "put: how long an actor may take to start."),
        Option("actor-stop", .value(placeholder: "TIME"), help: "put: how long an actor may take to stop."),
        Option(
          "actor-backoff", .value(placeholder: "TIME"),
          help: "put: the pause before an actor's second try in a row; it doubles with each."),
        Option(
          "actor-reset", .value(placeholder: "TIME"),
          help: "put: after running this long an actor's next try is a first one."),
        Option(
          "fallback", .flag,
          help: "put: other ready versions take actors for which the target has no free slot."),
        Option("serverless", .flag, help: "put: runners start on demand; an upgrade never drains them."),
        Option("metadata", .list(placeholder: "K=V"), help: "put: free pairs."),
        Option(
          "file", .value(placeholder: "PATH"),
          help: "put: the whole config from what get --json printed; - is standard input."), namespace,
      ],
      run: config)
  ]

  private static func config(_ context: Context) async throws -> Int32 {
    let name = context.arguments.count > 1 ? context.arguments[1] : nil
    let namespace = context.namespace ?? "default"
    switch (context.arguments.first ?? "list", name, context.arguments.count) {
    case ("list", nil, _): return try await listConfigs(context)
    case ("get", let name?, 2):
      let client = try await context.connect()
      if context.isJSON {
        say(
          try await client.call(
            .getRunnerConfig,
            json: "{\"namespace\":\(FlatJSON.quoted(namespace)),\"name\":\(FlatJSON.quoted(name))}"))
      } else {
        show(try await client.config(name: name, namespace: namespace), "\(namespace)/\(name)")
      }
    case ("put", let name?, 2) where context.options["file"] != nil:
      let config = try stored(at: context.options["file"] ?? "-")
      say(
        try await context.connect().call(
          .putRunnerConfig,
          json:
            "{\"namespace\":\(FlatJSON.quoted(namespace)),\"name\":\(FlatJSON.quoted(name)),\"config\":\(config)}"
        ))
    case ("put", let name?, 2):
      let config = try given(context)
      let decision = try await context.connect().putConfig(config, name: name, namespace: namespace)
      if context.isJSON {
        say(
          "{\"config\":\"\(decision.config)\",\"upgrade\":\"\(decision.upgrade)\",\"ordered\":\(decision.ordered)}"
        )
      } else {
        say("\(decision.config == "created" ? "created" : "replaced") the config of \(namespace)/\(name)")
        if decision.ordered > 0 {
          say("\(decision.ordered) older runners were ordered to leave: baton drains \(name)")
        }
      }
    case ("delete", let name?, 2):
      try await context.connect().deleteConfig(name: name, namespace: namespace)
      if !context.isJSON { say("deleted the config of \(namespace)/\(name)") }
    default: throw UsageError("list, get NAME, put NAME or delete NAME")
    }
    return ExitCode.ok
  }

  /// A config as JSON: alone, or inside the answer that `get --json` prints.
  private static func stored(at path: String) throws -> String {
    let text = String(decoding: try bytes(at: path, option: "file", limit: 1 << 20), as: UTF8.self)
    return FlatJSON.fields(text)["config"] ?? text
  }

  /// What a file holds, or standard input; at most so much of it.
  static func bytes(at path: String, option: String, limit: Int) throws -> [UInt8] {
    guard let file = fopen(path == "-" ? "/dev/stdin" : path, "r") else {
      throw UsageError("--\(option) \(path): \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
  }

  private static func given(_ context: Context) throws -> PoolConfig {
    let options = context.options
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
    if options.isOn("serverless") {
      guard !drains, grace == nil else {
        throw UsageError("--serverless runners are never drained by an upgrade")
      }
      guard actors == ActorPolicy() else {
        throw UsageError("--serverless pools have the default times of actors")
      }
      return PoolConfig(.serverless, metadata: metadata)
    }
    let drain: Bool? = drains ? true : options.isOn("no-drain") ? false : nil
    return PoolConfig(
      .normal(drainOnVersionUpgrade: drain, graceMilliseconds: grace, actors: actors), metadata: metadata)
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

  private static func show(_ config: PoolConfig, _ pool: String) {
    let (drain, grace) = words(config)
    say("\(pool)\n  drain     \(drain)\n  grace     \(grace)")
    if case .normal(_, _, let actors) = config.kind {
      func time(_ value: Int64?) -> String { value.map { Duration.text(milliseconds: $0) } ?? "default" }
      say(
        "  actors    start \(time(actors.startMilliseconds)), stop \(time(actors.stopMilliseconds)), "
          + "backoff \(time(actors.backoffMilliseconds)), reset \(time(actors.resetMilliseconds)), "
          + "fallback \(actors.fallsBackToOtherVersions ? "on" : "off")")
    }
    for (key, value) in config.metadata.sorted(by: { $0.key < $1.key }) {
      say("  metadata  \(Table.printable(key))=\(Table.printable(value))")
    }
  }

  private static func listConfigs(_ context: Context) async throws -> Int32 {
    let client = try await context.connect()
    if context.isJSON {
      try await printPages(
        client, .listRunnerConfigs, member: "configs", fields: ["namespace": context.namespace], flags: [])
      return ExitCode.ok
    }
    var table = Table([
      .init(heading: "POOL", isFlexible: true), .init(heading: "DRAIN"),
      .init(heading: "GRACE", alignment: .right),
      .init(heading: "METADATA", isFlexible: true),
    ])
    for pool in try await client.pools(namespace: context.namespace) {
      let (drain, grace) = words(pool.config)
      let metadata = pool.config.metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      table.add(["\(pool.namespace)/\(pool.name)", drain, grace, metadata.joined(separator: " ")])
    }
    say(table.text(width: context.width))
    return ExitCode.ok
  }

  static let rawCommands: [Command] = [
    Command(
      name: "call", usage: "call METHOD [JSON]",
      summary: "Any call by hand: baton call ListRunners '{\"namespace\":\"default\"}'.", options: [],
      run: { context in
        guard (1...2).contains(context.arguments.count) else {
          throw UsageError("METHOD, and its request as JSON")
        }
        guard let method = Method.find(typed: context.arguments[0]) else {
          throw UsageError("no method \(context.arguments[0]); baton call ListServices names them all")
        }
        let json = context.arguments.count > 1 ? context.arguments[1] : "{}"
        let client = try await context.connect()
        switch method.description.shape {
        case .unary: say(try await client.call(method, json: json))
        case .serverStreaming:
          for try await bytes in try client.stream(method, json: json) {
            say(try FleetClient.text(method, bytes))
          }
        case .bidirectional:
          throw UsageError("\(method.description.name) is a conversation: baton run, or a client library")
        }
        return ExitCode.ok
      })
  ]
}
