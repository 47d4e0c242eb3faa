import BatonClient
import Options

/// Commands that say which version a pool is to be on, and which runners get work.
extension BatonCommand {
  static let reason = Option(
    "reason", .value(placeholder: "TEXT"), help: "Why, for whoever asks at night.")

  static let targetCommands: [Command] = [
    Command(
      name: "pin", usage: "pin NAME (VERSION | auto) [--reason TEXT] [--namespace NS] [--json]",
      summary: "Set a pool's target version by hand, older or newer, or let it move by itself again.",
      options: [reason, namespace],
      run: { context in
        guard context.arguments.count == 2 else { throw UsageError("NAME, and a VERSION or auto") }
        switch context.arguments[1] {
        case "auto", "automatic": return try await setTarget(.automatic, context)
        case let text:
          guard let version = UInt32(text), (1...UInt32.max - 1).contains(version) else {
            throw UsageError("a version is 1 to 4294967294, or auto; not \"\(text)\"")
          }
          return try await setTarget(.version(version), context)
        }
      }),
    Command(
      name: "rollback", usage: "rollback NAME [--reason TEXT] [--namespace NS] [--json]",
      summary: "Set a pool's target to the version that was its target before.",
      options: [reason, namespace],
      run: { context in
        _ = try context.one("the pool")
        return try await setTarget(.previous, context)
      }),
    Command(
      name: "cordon", usage: "cordon ID ... [--reason TEXT] [--json]",
      summary: "Give runners no new actors; they stay, and what they hold goes on.", options: [reason],
      run: { context in try await cordon(true, context) }),
    Command(
      name: "uncordon", usage: "uncordon ID ... [--reason TEXT] [--json]",
      summary: "Give them new actors again.", options: [reason],
      run: { context in try await cordon(false, context) }),
  ]

  private static func setTarget(_ target: TargetChoice, _ context: Context) async throws -> Int32 {
    let (name, namespace) = (context.arguments[0], context.namespace ?? "default")
    let reason = context.options["reason"] ?? ""
    let client = try await context.connect()
    guard !context.isJSON else {
      let member =
        switch target {
        case .version(let version): ("version", "\(version)")
        case .automatic: ("automatic", "true")
        case .previous: ("previous", "true")
        }
      let request = FlatJSON.object([
        ("pool", poolReference(name, namespace)), member, ("reason", FlatJSON.quoted(reason)),
      ])
      say(try await client.call(.setTargetVersion, json: request))
      return ExitCode.ok
    }
    let (decision, pinned) = try await client.setTarget(
      target, name: name, namespace: namespace, reason: reason)
    let pool = "\(namespace)/\(name)"
    say(pinned.map { "\(pool) is pinned to version \($0)" } ?? "the target of \(pool) moves by itself again")
    say(sentence(decision, name, isDone: true))
    return ExitCode.ok
  }

  static func poolReference(_ name: String, _ namespace: String) -> String {
    FlatJSON.object([("namespace", FlatJSON.quoted(namespace)), ("name", FlatJSON.quoted(name))])
  }

  /// What the runners of a pool got, or would get, from a change.
  static func sentence(_ decision: DecisionInfo, _ name: String, isDone: Bool) -> String {
    let target = decision.targetVersion.map { "version \($0)" } ?? "no version"
    let held = decision.held.sorted { $0.key < $1.key }.map { "\($0.value) held back by \($0.key)" }
    switch decision.upgrade {
    case "not_normal": return "its target is \(target); it is serverless: no upgrade drains it"
    case "disabled":
      return
        "its target is \(target); drain_on_version_upgrade is off: nobody \(isDone ? "has to" : "would have to") leave"
    case "not_authorized":
      return "its target stays \(target): whoever runs the newer version may not move it"
    default: break
    }
    if decision.ordered == 0, held.isEmpty {
      return "its target is \(target); nobody \(isDone ? "has to" : "would have to") leave"
    }
    let ordered = "\(decision.ordered) \(isDone ? "were" : "would be") ordered to leave"
    let kept = held.map { ", " + $0 }.joined()
    let follow = isDone ? ": baton drains --watch \(name)" : ""
    return "its target is \(target); \(ordered)\(kept)\(follow)"
  }

  private static func cordon(_ isCordoned: Bool, _ context: Context) async throws -> Int32 {
    let ids = try runnerIDs(context)
    let reason = context.options["reason"] ?? ""
    let client = try await context.connect()
    return try await forEach(ids) { id in
      guard !context.isJSON else {
        let request = FlatJSON.object([
          ("runnerId", "\"\(id)\""), ("cordoned", "\(isCordoned)"), ("reason", FlatJSON.quoted(reason)),
        ])
        return say(FlatJSON.fields(try await client.call(.cordon, json: request))["runner"] ?? "{}")
      }
      let runner =
        isCordoned
        ? try await client.cordon(id, reason: reason) : try await client.uncordon(id, reason: reason)
      let holds = Int(runner.totalSlots) - Int(runner.remainingSlots)
      say(
        "runner \(runner.id) v\(runner.version) of \(runner.namespace)/\(runner.name) "
          + (runner.isCordoned
            ? "is cordoned: it keeps its \(holds) actors and gets no new ones"
            : "gets actors again; \(runner.remainingSlots) of its \(runner.totalSlots) slots are free"))
    }
  }

  /// One or more ids.
  static func runnerIDs(_ context: Context, _ what: String = "runner") throws -> [Int64] {
    guard !context.arguments.isEmpty else { throw UsageError("name each \(what) by its id") }
    return try context.arguments.map { text in
      guard let id = Int64(text), id > 0 else {
        throw UsageError("a \(what) is named by its id, not by \"\(text)\"")
      }
      return id
    }
  }

  /// One that is refused does not keep the others from theirs.
  static func forEach(_ ids: [Int64], _ act: (Int64) async throws -> Void) async throws -> Int32 {
    var code = ExitCode.ok
    for id in ids {
      do {
        try await act(id)
      } catch let error as BatonError where !error.isConnectionFailure {
        complain(error.description)
        code = ExitCode.refused
      }
    }
    return code
  }
}
