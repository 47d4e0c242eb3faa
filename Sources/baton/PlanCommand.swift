import BatonClient
import Options

/// `plan`: what would happen, and why not more.
extension BatonCommand {
  static let planCommands: [Command] = [
    Command(
      name: "plan",
      usage:
        "plan NAME [--version V [--slots S] | --target (V | auto) | options of config put] [--namespace NS] [--json]",
      summary: "What would happen to a pool: as things stand, or if something were so. Nothing does.",
      options: [
        Option("version", .value(placeholder: "V"), help: "If a runner of this version registered."),
        Option(
          "slots", .value(placeholder: "S"), help: "With --version: with so many slots.", fallback: "1"),
        Option("target", .value(placeholder: "V"), help: "If this target version were set, or auto."),
        namespace,
      ] + configOptions("as the config: "),
      run: plan)
  ]

  private static func plan(_ context: Context) async throws -> Int32 {
    let name = try context.one("the pool")
    let namespace = context.namespace ?? "default"
    let supposition = try supposition(context.options)
    let client = try await context.connect()
    guard context.isJSON else {
      let plan = try await client.planUpgrade(name: name, namespace: namespace, supposing: supposition)
      show(plan, "\(namespace)/\(name)", condition(supposition), context.width)
      return ExitCode.ok
    }
    var token = ""
    repeat {
      let members =
        [
          ("pool", poolReference(name, namespace)), ("pageSize", "1000"),
          ("pageToken", FlatJSON.quoted(token)),
        ]
        + (supposition.map { [member($0)] } ?? [])
      let page = try await client.call(.planUpgrade, json: FlatJSON.object(members))
      say(page)
      token = FlatJSON.fields(page)["nextPageToken"] ?? ""
    } while !token.isEmpty
    return ExitCode.ok
  }

  // MARK: - What is supposed

  private static func supposition(_ options: ParsedOptions) throws -> UpgradeSupposition? {
    let version = try options.integer("version", in: 1...UInt32.max - 1)
    let slots = try options.integer("slots", in: 1...UInt32(1_000_000))
    guard version != nil || slots == nil else { throw UsageError("--slots goes with --version") }
    let isConfig = configOptions("").contains { options.isOn($0.name) }
    guard [version != nil, options.isOn("target"), isConfig].count(where: { $0 }) <= 1 else {
      throw UsageError("one thing at a time: --version, --target or a config")
    }
    if let version { return .registers(version: version, totalSlots: slots ?? 1) }
    if let word = options["target"], ["auto", "automatic"].contains(word) { return .target(nil) }
    if let target = try options.integer("target", in: 1...UInt32.max - 1) { return .target(target) }
    guard isConfig else { return nil }
    guard let path = options["file"] else { return .config(try givenConfig(options)) }
    return .config(try PoolConfig(json: storedConfig(at: path)))
  }

  private static func member(_ supposition: UpgradeSupposition) -> (String, String) {
    switch supposition {
    case .registers(let version, let slots):
      ("registers", FlatJSON.object([("version", "\(version)"), ("totalSlots", "\(slots)")]))
    case .config(let config): ("config", config.json)
    case .target(let version): ("targetVersion", "\(version ?? 0)")
    }
  }

  private static func condition(_ supposition: UpgradeSupposition?) -> String {
    switch supposition {
    case .registers(let version, let slots):
      "if a runner of version \(version) with \(slots) slots registered"
    case .config: "if this were its config"
    case .target(nil): "if its target moved by itself"
    case .target(let version?): "if it were pinned to version \(version)"
    case nil: "as things stand"
    }
  }

  // MARK: - What would happen

  private static func show(_ plan: UpgradePlan, _ pool: String, _ condition: String, _ width: Int?) {
    say("\(pool), \(condition):")
    if let version = plan.targetBecomes {
      say("  version \(version) would become its target (\(plan.cause ?? "unknown"))")
    }
    say("  \(sentence(plan.decision, pool, isDone: false))")
    for hold in plan.holds {
      for (index, line) in Help.wrap(hold.sentence, width: (width ?? 120) - 4).enumerated() {
        say((index == 0 ? "  - " : "    ") + Table.printable(line))
      }
    }
    if let next = plan.nextChangeInMilliseconds {
      say(
        "  it may change by itself in \(Duration.text(milliseconds: next < 1000 ? next : next / 1000 * 1000))"
      )
    }
    guard !plan.versions.isEmpty else { return }
    say("\n" + versionTable(plan).text(width: width))
    guard !plan.runners.isEmpty else { return }
    say("\n" + fateTable(plan).text(width: width))
  }

  private static func versionTable(_ plan: UpgradePlan) -> Table {
    var table = Table([
      .init(heading: "VERSION", alignment: .right), .init(heading: "READY", alignment: .right),
      .init(heading: "LEAVE", alignment: .right), .init(heading: "HELD", alignment: .right),
      .init(heading: "BY"), .init(heading: "EXEMPT", alignment: .right), .init(heading: "ORDERS"),
    ])
    for fate in plan.versions {
      table.add([
        "\(fate.version)", "\(fate.ready)", "\(fate.ordered)", "\(fate.held)", fate.gate ?? "-",
        "\(fate.exempt)",
        fate.isRecalled ? "taken back" : "-",
      ])
    }
    return table
  }

  private static func fateTable(_ plan: UpgradePlan) -> Table {
    var table = Table([
      .init(heading: "RUNNER", alignment: .right), .init(heading: "VERSION", alignment: .right),
      .init(heading: "ACTORS", alignment: .right), .init(heading: "FATE"),
    ])
    for runner in plan.runners {
      let fate = runner.fate == "ordered" ? "leaves" : runner.fate
      table.add([
        runner.runner == 0 ? "new" : "\(runner.runner)", "\(runner.version)", "\(runner.usedSlots)",
        fate + (runner.gate.map { " (\($0))" } ?? ""),
      ])
    }
    return table
  }
}
