import BatonClient
import Linux
import Options

/// `drains --watch`: an upgrade as it goes, from the event log on; it is looked at anew when something happened, at most
/// once a second.
struct UpgradeWatch {
  private enum News: Sendable {
    case answer(FleetClient.WatchAnswer)
    case second
  }

  let context: Context
  let name: String
  let namespace: String
  private let isLive: Bool
  private var client: FleetClient
  private var revision: Int64?
  private var stopped: [UInt32: Int] = [:]
  /// Runners that had to leave at some time since the watch began, and how many of them have.
  private var leaving: Set<Int64> = []
  private var left = 0
  private var view: UpgradeView?
  private var isStale = true
  private var lookedAt: ContinuousClock.Instant?
  private var shown = ""
  private var drawnLines = 0

  init(_ context: Context, _ client: FleetClient) throws {
    self.context = context
    self.client = client
    name = try context.one("the pool")
    namespace = context.namespace ?? "default"
    isLive = Terminal.isTerminal(1) && !context.isJSON
  }

  /// Until it is killed; or with `--until-done` until it is done.
  mutating func run() async throws -> Int32 {
    while true {
      do {
        if let code = try await follow() { return code }
      } catch let error as BatonError where error.isConnectionFailure || error.code == .unavailable {
        // A restarted daemon goes on where it was; nothing is missed.
        let channel = try await Channel.connect(
          path: context.options["socket"], retry: RetryPolicy(totalMilliseconds: 30_000))
        client = FleetClient(channel)
        isStale = true
      }
    }
  }

  /// The log is followed from before the first look on.
  private mutating func follow() async throws -> Int32? {
    for try await news in Self.news(client.watch(from: revision, name: name, namespace: namespace)) {
      switch news {
      case .answer(let answer):
        answer.events.forEach { note($0) }
        isStale = isStale || !answer.events.isEmpty
        revision = answer.revision
      case .second: break
      }
      try await lookIfDue()
      show()
      if context.options.isOn("until-done"), let code { return code }
    }
    throw BatonError(.unavailable, "the daemon ended the watch", isConnectionFailure: true)
  }

  private static func news(_ watch: WatchSequence) -> AsyncThrowingStream<News, any Error> {
    AsyncThrowingStream { continuation in
      let answers = Task {
        do {
          for try await answer in watch { continuation.yield(.answer(answer)) }
          continuation.finish()
        } catch {
          continuation.finish(throwing: error)
        }
      }
      let seconds = Task {
        while (try? await Task.sleep(for: .seconds(1))) != nil { continuation.yield(.second) }
      }
      continuation.onTermination = { _ in
        answers.cancel()
        seconds.cancel()
      }
    }
  }

  private mutating func note(_ event: FleetEvent) {
    guard let runner = event.runner else { return }
    switch event.kind {
    case "drain_ordered": leaving.insert(runner)
    case "drain_cancelled": leaving.remove(runner)
    case "runner_stopped", "runner_lost":
      if let version = event.version { stopped[version, default: 0] += 1 }
      if leaving.remove(runner) != nil { left += 1 }
    default: break
    }
  }

  private mutating func lookIfDue() async throws {
    let now = ContinuousClock.now
    let isStale = self.isStale || isLive && view?.hasCountdown == true
    // Before the watch has begun a look could miss what follows it.
    guard isStale, revision != nil, lookedAt.map({ now - $0 >= .seconds(1) }) ?? true else { return }
    lookedAt = now
    self.isStale = false
    // In this order: who is held no more and not yet ordered in the first is among the open orders of the second.
    let (plan, _) = try await client.planUpgrade(name, namespace, nil, pageSize: 1, token: "")
    let open = try await client.drains(name: name, namespace: namespace)
    let pool = try await client.pool(name: name, namespace: namespace).pool
    for order in open { leaving.insert(order.runner) }
    view = UpgradeView(pool, plan, open, stopped: stopped, left: left)
  }

  /// How the command ends; nil while it goes on.
  private var code: Int32? {
    guard let view, !isStale else { return nil }
    if view.isDone { return ExitCode.ok }
    return view.isAbandoned ? ExitCode.notCompleted : nil
  }

  private mutating func show() {
    guard let view else { return }
    if isLive {
      let lines = view.lines(width: context.width ?? 80)
      let text = lines.joined(separator: "\n")
      guard text != shown else { return }
      shown = text
      BatonCommand.say((drawnLines > 0 ? "\u{1B}[\(drawnLines)A\u{1B}[J" : "") + text)
      drawnLines = lines.count
    } else {
      let text = context.isJSON ? view.json : view.line
      guard text != shown else { return }
      shown = text
      let time = LocalTime.text(milliseconds: Clock.wallMilliseconds())
      BatonCommand.say(context.isJSON ? text : "\(time)  \(text)")
    }
  }
}

extension BatonCommand {
  static func watchUpgrade(_ context: Context) async throws -> Int32 {
    for other in ["all", "runner"] where context.options.isOn(other) {
      throw UsageError("--\(other) is for the list, --watch shows a pool")
    }
    guard context.arguments.count == 1 else {
      throw UsageError("--watch takes one pool: drains --watch NAME")
    }
    var watch = try UpgradeWatch(context, try await context.connect())
    return try await watch.run()
  }
}
