import BatonClient
import Options

/// `drain --cancel`, `--extend` and `--force`: orders that are there already.
extension BatonCommand {
  static let drainControlOptions: [Option] = [
    Option("cancel", .flag, help: "ID ...: take the open orders of these runners back."),
    Option("extend", .value(placeholder: "TIME"), help: "ID ...: give them so much more time."),
    Option("force", .flag, help: "ID ...: end them now; what the runners hold is taken away."),
    Option("order", .flag, help: "With these three, the ids are those of orders, not of runners."),
  ]

  private enum Change {
    case cancel
    case extend(Int64)
    case force
  }

  /// nil where new orders are asked for.
  static func changeDrains(_ context: Context) async throws -> Int32? {
    let options = context.options
    let extend = try options.milliseconds("extend", in: 1000...604_800_000)
    let changes: [Change] =
      (options.isOn("cancel") ? [.cancel] : []) + (extend.map { [.extend($0)] } ?? [])
      + (options.isOn("force") ? [.force] : [])
    guard let change = changes.first else {
      guard !options.isOn("order") else {
        throw UsageError("--order goes with --cancel, --extend or --force")
      }
      return nil
    }
    guard changes.count == 1 else { throw UsageError("--cancel, --extend or --force, not two of them") }
    for other in ["runner", "older-than", "all", "grace", "wait"] where options.isOn(other) {
      throw UsageError("--\(other) is for new orders: name the runners by their ids")
    }
    let isOrder = options.isOn("order")
    let ids = try runnerIDs(context, isOrder ? "drain order" : "runner")
    let reason = options["reason"] ?? ""
    let client = try await context.connect()
    return try await forEach(ids) { id in
      if context.isJSON {
        try await sayChanged(change, isOrder ? "orderId" : "runnerId", id, reason, client)
      } else {
        say(try await changed(change, isOrder ? .order(id) : .runner(id), reason, client))
      }
    }
  }

  private static func sayChanged(
    _ change: Change, _ member: String, _ id: Int64, _ reason: String, _ client: FleetClient
  ) async throws {
    var members = [(member, "\"\(id)\""), ("reason", FlatJSON.quoted(reason))]
    let answer: String
    switch change {
    case .cancel: answer = try await client.call(.cancelDrain, json: FlatJSON.object(members))
    case .extend(let milliseconds):
      members.append(("extendMs", "\"\(milliseconds)\""))
      answer = try await client.call(.changeDeadline, json: FlatJSON.object(members))
    case .force:
      members.append(("forceNow", "true"))
      answer = try await client.call(.changeDeadline, json: FlatJSON.object(members))
    }
    say(FlatJSON.fields(answer)["drain"] ?? "{}")
  }

  /// Asks for it, and says what became of the order.
  private static func changed(
    _ change: Change, _ which: DrainSelector, _ reason: String, _ client: FleetClient
  ) async throws -> String {
    switch change {
    case .cancel:
      let order = try await client.cancelDrain(which, reason: reason)
      let runner = "runner \(order.runner) v\(order.runnerVersion)"
      guard order.isOpen else {
        return "\(runner): order \(order.id) is cancelled: it stays, and is not ordered again for this target"
      }
      return """
        \(runner) has its Stop already and was offered a way back: if it answers that its work goes on, order \(order.id) is cancelled;
        if it has begun to end, the order goes on (\(left(order)) left): baton explain order \(order.id)
        """
    case .extend(let milliseconds):
      let order = try await client.extendDrain(which, byMilliseconds: milliseconds, reason: reason)
      return "runner \(order.runner) v\(order.runnerVersion): order \(order.id) has \(left(order)) left"
    case .force:
      return sentence(try await client.forceDrain(which, reason: reason))
    }
  }

  /// To the second: what is shown was so a moment ago.
  static func left(_ order: DrainInfo) -> String {
    Duration.text(milliseconds: order.remainingMilliseconds / 1000 * 1000)
  }
}
