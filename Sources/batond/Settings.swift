import Glibc
import Handover
import Linux
import Options
import Reactor
import Service

/// Every setting of the daemon: its flag, its variable, its default, and where it goes.
enum Settings {
  static let options: [Option] = [
    Option(
      "socket", .value(placeholder: "PATH"), environment: "BATON_SOCKET", help: "Socket to listen on.",
      fallback: "/run/baton/baton.sock as root, else $XDG_RUNTIME_DIR/baton/baton.sock"),
    Option(
      "state-dir", .value(placeholder: "PATH"), environment: "BATON_STATE_DIR",
      help: "Directory of the database.",
      fallback: "/var/lib/baton as root, else ~/.local/state/baton"),
    Option(
      "allow-uid", .list(placeholder: "UID"), environment: "BATON_ALLOW_UID",
      help: "Serve this user too, beside the daemon's own and root."),
    Option(
      "allow-gid", .list(placeholder: "GID"), environment: "BATON_ALLOW_GID",
      help: "Serve members of this group too."),
    Option(
      "socket-mode", .value(placeholder: "MODE"), environment: "BATON_SOCKET_MODE",
      help: "Permissions of the socket's file, octal.",
      fallback: "0600; 0660 with --allow-gid, 0666 with --allow-uid"),
    Option(
      "heartbeat-interval", .value(placeholder: "TIME"), environment: "BATON_HEARTBEAT_INTERVAL",
      help: "How often runners are asked for a sign of life.", fallback: "3s"),
    Option(
      "silent-threshold", .value(placeholder: "TIME"), environment: "BATON_SILENT_THRESHOLD",
      help: "After how long without one a runner gets no new work.", fallback: "10s"),
    Option(
      "lost-threshold", .value(placeholder: "TIME"), environment: "BATON_LOST_THRESHOLD",
      help: "After how long, detached or silent, a runner is lost.", fallback: "15s"),
    Option(
      "drain-grace", .value(placeholder: "TIME"), environment: "BATON_DRAIN_GRACE",
      help: "How long a drain may take where neither command nor config says.", fallback: "30m"),
    Option(
      "keep-history", .value(placeholder: "TIME"), environment: "BATON_KEEP_HISTORY",
      help: "How long what has ended is kept, and events; 0 is for ever.", fallback: "30d"),
    Option(
      "keep-runners", .value(placeholder: "N"), environment: "BATON_KEEP_RUNNERS",
      help: "Of ended runners at most so many.", fallback: "100000"),
    Option(
      "keep-orders", .value(placeholder: "N"), environment: "BATON_KEEP_ORDERS",
      help: "Of ended drain orders at most so many, and those that kept events tell of.", fallback: "200000"),
    Option(
      "keep-actors", .value(placeholder: "N"), environment: "BATON_KEEP_ACTORS",
      help: "Of destroyed actors at most so many.", fallback: "100000"),
    Option(
      "keep-events", .value(placeholder: "N"), environment: "BATON_KEEP_EVENTS",
      help: "Of events at most so many.", fallback: "1000000"),
    Option(
      "max-connections", .value(placeholder: "N"), environment: "BATON_MAX_CONNECTIONS",
      help: "Connections in all.", fallback: "20000"),
    Option(
      "max-connections-per-uid", .value(placeholder: "N"), environment: "BATON_MAX_CONNECTIONS_PER_UID",
      help: "Connections of one user.", fallback: "16384"),
    Option(
      "max-streams", .value(placeholder: "N"), environment: "BATON_MAX_STREAMS",
      help: "Open calls on one connection.", fallback: "128"),
    Option(
      "heartbeats-per-second", .value(placeholder: "N"), environment: "BATON_HEARTBEATS_PER_SECOND",
      help: "Heartbeats taken from one runner; who sends more, twice, is cut off.", fallback: "100"),
    Option(
      "first-call-timeout", .value(placeholder: "TIME"), environment: "BATON_FIRST_CALL_TIMEOUT",
      help: "How long after its first byte a connection may take to its first call, and a frame to its end.",
      fallback: "5s"),
    Option(
      "write-timeout", .value(placeholder: "TIME"), environment: "BATON_WRITE_TIMEOUT",
      help: "How long a peer may take none of the bytes that wait for it.", fallback: "10s"),
    Option(
      "log-level", .value(placeholder: "LEVEL"), environment: "BATON_LOG_LEVEL",
      help: "debug, info, warning or error.", fallback: "info"),
    Option(
      "log-format", .value(placeholder: "FORMAT"), environment: "BATON_LOG_FORMAT", help: "logfmt or json.",
      fallback: "logfmt"),
    Option("help", short: "h", .flag, help: "Print this text."),
    Option("version", .flag, help: "Print the version."),
  ]

  static var help: String {
    """
    batond: knows every runner on this machine, what version each runs, and hands the work over when a new one comes.

    usage: batond [--socket PATH] [--state-dir DIR] [OPTION ...]

    \(Help.options(options))
    Times are numbers with ms, s, m, h or d. SIGTERM ends it well: what is committed stays, peers are told.
    Exit codes: 0 ended well, 1 could not start or its store failed, 2 wrong command line.

    """
  }

  static func configuration(
    _ parsed: ParsedOptions, _ environment: [String: String]
  ) throws -> DaemonConfiguration {
    guard parsed.positional.isEmpty, parsed.rest == nil else {
      throw UsageError("batond takes options only, not \(parsed.positional.first ?? "--")")
    }
    let paths = DefaultPaths(environment: environment, userID: getuid())
    var configuration = DaemonConfiguration(
      socketPath: try parsed["socket"] ?? paths.socket(),
      stateDirectory: try parsed["state-dir"] ?? paths.stateDirectory())
    try readTimes(parsed, &configuration)
    try readHistory(parsed, &configuration)
    try readLimits(parsed, &configuration)
    try readAccess(parsed, &configuration)
    if let word = parsed["log-level"] {
      guard let level = LogRecord.Level(word: word) else {
        throw UsageError("--log-level must be debug, info, warning or error, is \"\(word)\"")
      }
      configuration.logLevel = level
    }
    switch parsed["log-format"] {
    case nil, "logfmt": configuration.logFormat = .logfmt
    case "json": configuration.logFormat = .json
    case let word?: throw UsageError("--log-format must be logfmt or json, is \"\(word)\"")
    }
    return configuration
  }

  private static func readTimes(_ parsed: ParsedOptions, _ configuration: inout DaemonConfiguration) throws {
    let any: ClosedRange<Int64> = 1...604_800_000
    func read(_ name: String, _ into: (Int64) -> Void) throws {
      if let value = try parsed.milliseconds(name, in: any) { into(value) }
    }
    var times = configuration.service.times
    try read("heartbeat-interval") { times.heartbeatIntervalMilliseconds = $0 }
    try read("silent-threshold") { times.silentThresholdMilliseconds = $0 }
    try read("lost-threshold") { times.lostThresholdMilliseconds = $0 }
    try read("drain-grace") { times.defaultGraceMilliseconds = $0 }
    do throws(FieldViolation) {
      try times.validate()
    } catch {
      throw UsageError("--\(error)")
    }
    configuration.service.times = times
    var service = configuration.service
    try read("first-call-timeout") { service.firstCallMilliseconds = $0 }
    try read("write-timeout") { service.writeStallMilliseconds = $0 }
    configuration.service = service
  }

  private static func readHistory(_ parsed: ParsedOptions, _ configuration: inout DaemonConfiguration) throws
  {
    var history = configuration.service.history
    if let value = try parsed.milliseconds("keep-history", in: 0...HistoryLimits.keepBounds.upperBound) {
      history.keepMilliseconds = value
    }
    func read(_ name: String, _ into: (Int64) -> Void) throws {
      let bounds = Int(HistoryLimits.countBounds.lowerBound)...Int(HistoryLimits.countBounds.upperBound)
      if let value = try parsed.integer(name, in: bounds) { into(Int64(value)) }
    }
    try read("keep-runners") { history.endedRunners = $0 }
    try read("keep-orders") { history.endedOrders = $0 }
    try read("keep-actors") { history.destroyedActors = $0 }
    try read("keep-events") { history.events = $0 }
    do throws(FieldViolation) {
      try history.validate()
    } catch {
      throw UsageError("--\(error)")
    }
    configuration.service.history = history
  }

  private static func readLimits(_ parsed: ParsedOptions, _ configuration: inout DaemonConfiguration) throws {
    if let value = try parsed.integer("max-connections", in: 1...1_000_000) {
      configuration.maxConnections = value
    }
    if let value = try parsed.integer("max-connections-per-uid", in: 1...1_000_000) {
      configuration.maxConnectionsPerUID = value
    }
    if let value = try parsed.integer("max-streams", in: 1...65_536) {
      configuration.service.maxStreams = value
    }
    if let value = try parsed.integer("heartbeats-per-second", in: 1...100_000_000) {
      configuration.service.heartbeatsPerSecond = value
      configuration.service.heartbeatBurst = max(configuration.service.heartbeatBurst, 2 * value)
    }
  }

  private static func readAccess(_ parsed: ParsedOptions, _ configuration: inout DaemonConfiguration) throws {
    func numbers(_ name: String) throws -> [UInt32] {
      try parsed.list(name).map { text in
        guard let number = UInt32(text) else {
          throw UsageError("--\(name) must be a number, is \"\(text)\"")
        }
        return number
      }
    }
    let groups = try numbers("allow-gid")
    configuration.allowedUIDs = Set(try numbers("allow-uid"))
    configuration.allowedGIDs = Set(groups)
    // The file lets them knock; who is let in is decided by who they are.
    if !groups.isEmpty { configuration.socketMode = 0o660 }
    if groups.count > 1 || !configuration.allowedUIDs.isEmpty { configuration.socketMode = 0o666 }
    if groups.count == 1 { configuration.socketGroup = groups[0] }
    if let text = parsed["socket-mode"] {
      guard let mode = UInt32(text, radix: 8), mode <= 0o777 else {
        throw UsageError("--socket-mode must be octal permissions such as 0660, is \"\(text)\"")
      }
      configuration.socketMode = mode
    }
  }
}
