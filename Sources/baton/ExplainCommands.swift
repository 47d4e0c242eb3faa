import BatonClient
import Glibc
import Options

/// Commands that say why: `explain` of what is, `history` of what was decided.
extension BatonCommand {
  static let explainCommands: [Command] = [
    Command(
      name: "explain",
      usage: "explain [runner] ID | order ID | actor ID | [pool] NAME [--namespace NS] [--json]",
      summary: "Why something is as it is, who did it, what it waits for and what can be done.",
      options: [namespace], run: explain),
    Command(
      name: "history", usage: "history [NAME] [--limit N] [--namespace NS] [--json]",
      summary: "Who decided what, when and why: configs, targets, drains, cordons; latest first.",
      options: [
        Option("limit", .value(placeholder: "N"), help: "So many at the most.", fallback: "50"), namespace,
      ],
      run: history),
  ]

  private static func explain(_ context: Context) async throws -> Int32 {
    try await explain(explainSubject(context), context)
  }

  static func explain(_ subject: ExplainSubject, _ context: Context) async throws -> Int32 {
    let client = try await context.connect()
    guard !context.isJSON else {
      let member =
        switch subject {
        case .runner(let id): ("runnerId", "\"\(id)\"")
        case .order(let id): ("orderId", "\"\(id)\"")
        case .actor(let id): ("actorId", "\"\(id)\"")
        case .pool(let name, let namespace): ("pool", poolReference(name, namespace))
        }
      say(try await client.call(.explain, json: FlatJSON.object([member])))
      return ExitCode.ok
    }
    show(try await client.explain(subject), context.width)
    return ExitCode.ok
  }

  private static func explainSubject(_ context: Context) throws -> ExplainSubject {
    let arguments = context.arguments
    let usage = UsageError("runner ID, order ID, actor ID or pool NAME")
    guard let first = arguments.first, arguments.count <= 2 else { throw usage }
    guard arguments.count == 2 else {
      // A number alone is a runner's, a name a pool's.
      guard let id = Int64(first) else {
        return .pool(name: first, namespace: context.namespace ?? "default")
      }
      return .runner(id)
    }
    let second = arguments[1]
    if first == "pool" { return .pool(name: second, namespace: context.namespace ?? "default") }
    guard ["runner", "order", "actor"].contains(first) else { throw usage }
    guard let id = Int64(second), id > 0 else {
      throw UsageError(
        "\(first == "runner" ? "a runner" : "an \(first)") is named by its id, not by \"\(second)\"")
    }
    switch first {
    case "runner": return .runner(id)
    case "order": return .order(id)
    default: return .actor(id)
    }
  }

  private static func show(_ explanation: ExplanationInfo, _ width: Int?) {
    func paragraph(_ text: String, _ indent: String = "") {
      for line in Help.wrap(text, width: (width ?? 120) - indent.count) {
        say(indent + Table.printable(line))
      }
    }
    for sentence in explanation.sentences { paragraph(sentence) }
    if !explanation.causes.isEmpty { say("\nwhat led to it, the nearest first:") }
    for cause in explanation.causes {
      let by = cause.who.map { ", by \(who($0))" } ?? ""
      let why = cause.reason.isEmpty ? "" : ": \(cause.reason)"
      paragraph("\(LocalTime.withDate(milliseconds: cause.atMilliseconds))  \(cause.what)\(by)\(why)", "  ")
    }
    if !explanation.hints.isEmpty { say("\nwhat can be done:") }
    for hint in explanation.hints { say("  " + Table.printable(hint)) }
  }

  // MARK: - History

  private static func history(_ context: Context) async throws -> Int32 {
    guard context.arguments.count <= 1 else { throw UsageError("this takes at most one name") }
    let limit = try context.options.integer("limit", in: 1...1_000_000) ?? 50
    let client = try await context.connect()
    if context.isJSON {
      try await printPages(
        client, .listHistory, member: "entries",
        fields: ["namespace": context.namespace, "name": context.arguments.first], flags: [], limit: limit)
      return ExitCode.ok
    }
    let entries = try await client.history(
      name: context.arguments.first, namespace: context.namespace, limit: limit)
    say(historyTable(entries).text(width: context.width))
    return ExitCode.ok
  }

  private static func historyTable(_ entries: [HistoryInfo]) -> Table {
    var table = Table([
      .init(heading: "WHEN"), .init(heading: "POOL", isFlexible: true), .init(heading: "WHAT"),
      .init(heading: "BY", isFlexible: true), .init(heading: "WHY", isFlexible: true),
    ])
    for entry in entries {
      let event = entry.event
      table.add([
        LocalTime.withDate(milliseconds: event.atMilliseconds),
        event.name.isEmpty ? event.namespace : "\(event.namespace)/\(event.name)", what(entry),
        event.who.map { user($0) } ?? "the daemon", event.detail,
      ])
    }
    return table
  }

  /// `drain_ordered: order 4, runner 17 v2`, or `drain_ordered: 20 runners of v1` where they were made together.
  private static func what(_ entry: HistoryInfo) -> String {
    let event = entry.event
    let version = event.version.map { "v\($0)" }
    let parts =
      entry.orders > 1
      ? ["\(entry.orders) runners" + (version.map { " of \($0)" } ?? "")]
      : [
        event.drainOrder.map { "order \($0)" },
        event.runner.map { "runner \($0)" + (version.map { " \($0)" } ?? "") } ?? version,
      ].compactMap { $0 }
    return parts.isEmpty ? event.kind : "\(event.kind): \(parts.joined(separator: ", "))"
  }

  /// `alice (uid 1000), baton[4242]`; without the name for a user that has none on this machine.
  private static func user(_ peer: PeerInfo) -> String {
    guard peer.pid != 0 else { return "the daemon" }
    let name = getpwuid(peer.uid).map { String(cString: $0.pointee.pw_name) }
    return "\(name.map { "\($0) (uid \(peer.uid))" } ?? "uid \(peer.uid)"), \(peer.program)[\(peer.pid)]"
  }
}
