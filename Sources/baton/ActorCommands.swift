import BatonAPI
import BatonClient
import Glibc
import Linux
import Options

/// Commands about actors.
extension BatonCommand {
  static let actorCommands: [Command] = [
    Command(
      name: "actors",
      usage:
        "actors [list [POOL] | get ID | why ID | watch ID | create POOL NAME | sleep ID | wake ID | destroy ID]",
      summary: "Actors: how each is and why, a new one, and what becomes of one.",
      options: [
        Option("all", short: "a", .flag, help: "list: those that are destroyed too."),
        Option("name", .value(placeholder: "NAME"), help: "list: only of this kind."),
        Option("state", .value(placeholder: "STATE"), help: "list: only in this state."),
        Option("runner", .value(placeholder: "ID"), help: "list: only what this runner holds."),
        Option("key", .value(placeholder: "KEY"), help: "list: only with this key. create: the new one's."),
        Option("input", .value(placeholder: "TEXT"), help: "create: what its runner is given."),
        Option(
          "input-file", .value(placeholder: "PATH"),
          help: "create: the same from a file; - is standard input."),
        Option(
          "crash-policy", .value(placeholder: "P"),
          help: "create: restart, sleep or destroy it when it fails.", fallback: "restart"),
        Option("request-id", .value(placeholder: "ID"), help: "create: the same id is the same actor."),
        Option("or-get", .flag, help: "create: the one with the key, if there is one."),
        Option("wait", short: "w", .flag, help: "create: until it runs."), namespace,
      ],
      run: actors)
  ]

  private static func actors(_ context: Context) async throws -> Int32 {
    let arguments = context.arguments
    switch (arguments.first ?? "list", arguments.count) {
    case ("list", 0...2): return try await listActors(context)
    case ("create", 3): return try await createActor(context)
    case ("get", 2): return try await act(context) { _, _ in }
    case ("sleep", 2): return try await act(context) { try await $0.sleepActor($1) }
    case ("wake", 2): return try await act(context) { try await $0.wakeActor($1) }
    case ("destroy", 2): return try await act(context) { try await $0.destroyActor($1) }
    case ("why", 2): return try await explain(.actor(actorID(context)), context)
    case ("watch", 2): return try await watchActor(context)
    default:
      throw UsageError(
        "list [POOL], get ID, why ID, watch ID, create POOL NAME, sleep ID, wake ID or destroy ID")
    }
  }

  private static func actorID(_ context: Context) throws -> Int64 {
    guard let id = Int64(context.arguments[1]), id > 0 else {
      throw UsageError("an actor is named by its id, not by \"\(context.arguments[1])\"")
    }
    return id
  }

  // MARK: - Lists

  private static func listActors(_ context: Context) async throws -> Int32 {
    let options = context.options
    var filter = ActorsFilter()
    filter.namespace = context.namespace
    filter.runnerName = context.arguments.count > 1 ? context.arguments[1] : nil
    filter.name = options["name"]
    filter.key = options["key"]
    filter.runner = try options.integer("runner", in: 1...Int64.max)
    filter.includeDestroyed = options.isOn("all")
    filter.state = try options["state"].map { word in
      guard Self.states.contains(word) else {
        throw UsageError("--state must be \(Self.states.joined(separator: ", ")), is \"\(word)\"")
      }
      return word
    }
    let client = try await context.connect()
    if context.isJSON {
      try await printPages(
        client, .listActors, member: "actors",
        fields: [
          "namespace": filter.namespace, "runnerName": filter.runnerName, "name": filter.name,
          "key": filter.key, "runnerId": filter.runner.map { "\($0)" },
          "state": filter.state.map { "ACTOR_STATE_\($0.uppercased())" },
        ], flags: filter.includeDestroyed ? ["includeDestroyed"] : [])
    } else {
      say(actorTable(try await client.actors(filter)).text(width: context.width))
    }
    return ExitCode.ok
  }

  private static let states = ["pending", "starting", "running", "stopping", "sleeping", "destroyed"]

  private static func actorTable(_ actors: [ActorInfo]) -> Table {
    var table = Table([
      .init(heading: "ID", alignment: .right), .init(heading: "POOL", isFlexible: true),
      .init(heading: "NAME", isFlexible: true), .init(heading: "KEY", isFlexible: true),
      .init(heading: "STATE"), .init(heading: "GENERATION", alignment: .right),
      .init(heading: "RUNNER", alignment: .right), .init(heading: "DUE", alignment: .right),
      .init(heading: "LAST FAILURE"), .init(heading: "AGE", alignment: .right),
    ])
    let now = Clock.wallMilliseconds()
    for actor in actors {
      let aside = actor.wait ?? actor.stopReason
      table.add([
        "\(actor.id)", "\(actor.namespace)/\(actor.runnerName)", actor.name, actor.key ?? "",
        actor.state + (aside.map { " (\($0))" } ?? ""), "\(actor.generation)", holder(actor) ?? "-",
        actor.dueInMilliseconds.map(span) ?? "-", actor.failure ?? "-",
        span(max(0, now - actor.createdAtMilliseconds)),
      ])
    }
    return table
  }

  /// To the second: what is shown was so a moment ago.
  private static func span(_ milliseconds: Int64) -> String {
    Duration.text(milliseconds: milliseconds < 1000 ? milliseconds : milliseconds / 1000 * 1000)
  }

  private static func holder(_ actor: ActorInfo) -> String? {
    actor.runner.map { "\($0)" + (actor.runnerVersion.map { " v\($0)" } ?? "") }
  }

  // MARK: - One

  /// Asks for something and shows the actor after it.
  private static func act(
    _ context: Context, _ ask: (FleetClient, Int64) async throws -> Void
  ) async throws -> Int32 {
    let id = try actorID(context)
    let client = try await context.connect()
    try await ask(client, id)
    try await showActor(id, client, context)
    return ExitCode.ok
  }

  private static func showActor(_ id: Int64, _ client: FleetClient, _ context: Context) async throws {
    guard !context.isJSON else {
      let json = try await client.call(.getActor, json: "{\"actorId\":\"\(id)\"}")
      return say(FlatJSON.fields(json)["actor"] ?? json)
    }
    let actor = try await client.actor(id)
    say(
      "actor \(actor.id)  \(actor.name)\(actor.key.map { " " + $0 } ?? "") of \(actor.namespace)/\(actor.runnerName)"
    )
    say("state       \(actor.state), generation \(actor.generation)")
    say("at crashes  \(actor.crashPolicy), tried again \(actor.retries) times in a row")
    say("created     \(LocalTime.text(milliseconds: actor.createdAtMilliseconds)) by \(who(actor.who))")
    for sentence in sentences(actor) { say("            \(sentence)") }
  }

  private static func createActor(_ context: Context) async throws -> Int32 {
    let options = context.options
    var new = NewActor(name: context.arguments[2], runnerName: context.arguments[1])
    new.namespace = context.namespace ?? "default"
    new.key = options["key"]
    new.requestID = options["request-id"]
    new.input = try input(options)
    if let word = options["crash-policy"] {
      guard let policy = ActorCrashPolicy(rawValue: word) else {
        throw UsageError("--crash-policy must be restart, sleep or destroy, is \"\(word)\"")
      }
      new.crashPolicy = policy
    }
    guard new.key != nil || !options.isOn("or-get") else {
      throw UsageError("--or-get needs --key: it says which actor is meant")
    }
    let client = try await context.connect()
    let id: Int64
    var isCreated = true
    if options.isOn("or-get") {
      let found = try await client.getOrCreateActor(new)
      (id, isCreated) = (found.actor.id, found.isCreated)
    } else {
      id = try await client.createActor(new).id
    }
    if !context.isJSON { say(isCreated ? "created actor \(id)" : "actor \(id) was there") }
    if options.isOn("wait") { _ = try await client.awaitRunning(id) }
    try await showActor(id, client, context)
    return ExitCode.ok
  }

  private static func input(_ options: ParsedOptions) throws -> [UInt8] {
    switch (options["input"], options["input-file"]) {
    case (nil, nil): return []
    case (let text?, nil): return Array(text.utf8)
    case (nil, let path?): return try bytes(at: path, option: "input-file", limit: 1 << 20)
    case (_?, _?): throw UsageError("--input or --input-file, not both")
    }
  }

  // MARK: - As it goes

  /// How it is, shorter than `explain`.
  private static func sentences(_ actor: ActorInfo) -> [String] {
    var sentences = [now(actor)]
    if actor.isWakeWanted {
      sentences.append("It was woken meanwhile: it comes back as soon as it has stopped.")
    }
    if let failure = actor.failure, let at = actor.failedAtMilliseconds {
      let message =
        failure == "crashed" && !actor.stopMessage.isEmpty ? ": \(Table.printable(actor.stopMessage))" : ""
      sentences.append("Its last failure was \(failure), at \(LocalTime.text(milliseconds: at))\(message)")
    }
    return sentences
  }

  private static func now(_ actor: ActorInfo) -> String {
    let left = actor.dueInMilliseconds.map(span)
    let holder = "runner \(Self.holder(actor) ?? "?")"
    let acked = actor.isCommandAcked ? "which has acknowledged it" : "which has not acknowledged it yet"
    switch actor.state {
    case "pending": return pending(actor, left)
    case "starting":
      return "Starting: sent to \(holder), \(acked); \(left ?? "no time") is left until it must run."
    case "running":
      let since = actor.runningAtMilliseconds.map { " since \(LocalTime.text(milliseconds: $0))" } ?? ""
      return "Running on \(holder)\(since)."
    case "stopping":
      let reason =
        switch actor.stopReason {
        case "sleep": "it is to sleep"
        case "stop": "it wants to end"
        case "destroy": "it is to be destroyed"
        default: "its runner must leave, and it goes on elsewhere"
        }
      let end =
        left.map { "\($0) is left" }
        ?? "its time ends with the runner's: baton drains --runner \(actor.runner ?? 0)"
      return "Stopping, since \(reason): told to \(holder), \(acked); \(end)."
    case "sleeping":
      return left.map { "Sleeping: its alarm is in \($0)." }
        ?? "Sleeping until somebody wakes it: baton actors wake \(actor.id)"
    default:
      let at = actor.destroyedAtMilliseconds.map { " at \(LocalTime.text(milliseconds: $0))" } ?? ""
      return "Destroyed\(at)."
    }
  }

  private static func pending(_ actor: ActorInfo, _ left: String?) -> String {
    let pool = "\(actor.namespace)/\(actor.runnerName)"
    let before =
      actor.queuedBefore == 0 ? "it is the next" : "\(actor.queuedBefore) have their turn before it"
    switch actor.wait {
    case "runner": return "Pending: \(pool) has no attached ready runner that takes actors; \(before)."
    case "capacity": return "Pending: no runner of \(pool) that may take it has a free slot; \(before)."
    case "backoff":
      return "Pending: it is tried again in \(left ?? "a moment"), after \(actor.retries) tries in a row."
    default: return "Pending: it has its turn with the next change; \(before)."
    }
  }

  private static func watchActor(_ context: Context) async throws -> Int32 {
    let id = try actorID(context)
    let client = try await context.connect()
    if context.isJSON {
      for try await bytes in try client.stream(.watchActor, json: "{\"actorId\":\"\(id)\"}") {
        say(FlatJSON.fields(try FleetClient.text(.watchActor, bytes))["actor"] ?? "{}")
      }
    } else {
      for try await actor in client.watchActor(id) {
        say(
          "\(LocalTime.text(milliseconds: Clock.wallMilliseconds()))  generation \(actor.generation)  \(now(actor))"
        )
      }
    }
    return ExitCode.ok
  }
}
