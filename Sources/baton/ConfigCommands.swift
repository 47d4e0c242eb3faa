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
        "config list | get NAME | put NAME [--file PATH | OPTION ...] | delete NAME [--reason TEXT]",
      summary: "How a pool's runners are treated.", options: configOptions("put: ") + [reason, namespace],
      run: config)
  ]

  private static func config(_ context: Context) async throws -> Int32 {
    let name = context.arguments.count > 1 ? context.arguments[1] : nil
    let namespace = context.namespace ?? "default"
    let why = context.options["reason"] ?? ""
    switch (context.arguments.first ?? "list", name, context.arguments.count) {
    case ("list", nil, _): return try await listConfigs(context)
    case ("get", let name?, 2):
      let client = try await context.connect()
      if context.isJSON {
        say(
          try await client.call(
            .getRunnerConfig,
            json: poolReference(name, namespace)))
      } else {
        show(try await client.config(name: name, namespace: namespace), "\(namespace)/\(name)")
      }
    case ("put", let name?, 2) where context.options["file"] != nil:
      let config = try storedConfig(at: context.options["file"] ?? "-")
      say(
        try await context.connect().call(
          .putRunnerConfig,
          json:
            "{\"namespace\":\(FlatJSON.quoted(namespace)),\"name\":\(FlatJSON.quoted(name)),\"config\":\(config),"
            + "\"reason\":\(FlatJSON.quoted(why))}"
        ))
    case ("put", let name?, 2):
      let config = try givenConfig(context.options)
      let decision = try await context.connect().putConfig(
        config, name: name, namespace: namespace, reason: why)
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
      try await context.connect().deleteConfig(name: name, namespace: namespace, reason: why)
      if !context.isJSON { say("deleted the config of \(namespace)/\(name)") }
    default:
      throw UsageError(
        "list, get NAME, put NAME or delete NAME, and nothing more but options: "
          + context.arguments.joined(separator: " "))
    }
    return ExitCode.ok
  }

  /// A config as JSON: alone, or inside the answer that `get --json` prints.
  static func storedConfig(at path: String) throws -> String {
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

  private static func show(_ config: PoolConfig, _ pool: String) {
    let (drain, grace) = words(config)
    say("\(pool)\n  drain     \(drain)\n  grace     \(grace)")
    if case .normal(_, _, let actors, let upgrade) = config.kind {
      say("  upgrade   \(words(upgrade))")
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
      .init(heading: "GRACE", alignment: .right), .init(heading: "UPGRADE", isFlexible: true),
      .init(heading: "METADATA", isFlexible: true),
    ])
    for pool in try await client.pools(namespace: context.namespace) {
      let (drain, grace) = words(pool.config)
      let metadata = pool.config.metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      var upgrade = "-"
      if case .normal(_, _, _, let policy) = pool.config.kind { upgrade = words(policy) }
      table.add([
        "\(pool.namespace)/\(pool.name)", drain, grace, upgrade, metadata.joined(separator: " "),
      ])
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
