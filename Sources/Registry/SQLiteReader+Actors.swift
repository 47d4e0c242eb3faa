import Handover

/// Every statement of actors that a query runs, compiled once.
struct ActorReaderStatements {
  let one: Statement
  let living: Statement
  let livingEnd: Statement
  let all: Statement
  let heldByRunner: Statement
  let bounds: Statement
  let last: Statement
  let counts: Statement
  let commands: Statement

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    one = try make(ActorSQL.one)
    living = try make(ActorSQL.living)
    livingEnd = try make(ActorSQL.livingEnd)
    all = try make(ActorSQL.all)
    heldByRunner = try make(ActorSQL.heldByRunner)
    bounds = try make(ActorSQL.bounds)
    last = try make(ActorSQL.last)
    counts = try make(ActorSQL.counts)
    commands = try make(ActorSQL.commands)
  }
}

extension SQLiteReader {
  func actor(_ id: ActorID) throws(DatabaseError) -> QueryAnswer.Content {
    guard let actor = try actors.one.first(id.rawValue, read: { Actor($0) }) else {
      return try absentActor(id)
    }
    return .actor(actor)
  }

  func absentActor(_ id: ActorID) throws(DatabaseError) -> QueryAnswer.Content {
    Self.absent("actor", id.rawValue, latest: try actors.last.first { $0.int64(0) } ?? 0)
  }

  func actors(_ filter: ActorFilter, _ page: Page) throws(DatabaseError) -> QueryAnswer.Content {
    let seesDestroyed = filter.state.map { $0 == .destroyed } ?? filter.includeDestroyed
    let list =
      "actors \(filter.namespace ?? "*") \(filter.runnerName ?? "*") \(filter.name ?? "*") \(filter.key ?? "*") "
      + "\(filter.state?.rawValue ?? 0) \(filter.runner?.rawValue ?? 0) \(seesDestroyed)"
    let size = Self.size(page)
    let after: Int64
    switch id(page, list: list) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let id): after = id
    }
    let last = try actors.last.first { $0.int64(0) } ?? 0
    // Those that a runner holds are few and found by an index; others are looked for piece by piece.
    let statement: Statement
    let window: Window
    if filter.runner != nil {
      (statement, window) = (actors.heldByRunner, Window(after: after, end: .max, isLast: true))
    } else if seesDestroyed {
      (statement, window) = (actors.all, try self.window(after, from: actors.bounds, latest: last))
    } else {
      let end = try actors.livingEnd.first(after, Self.scanLimit) { $0.optionalInt64(0) }.flatMap { $0 }
      (statement, window) = (
        actors.living, Window(after: after, end: end ?? last, isLast: end.map { $0 >= last } ?? true)
      )
    }
    let found = try statement.all(
      window.after, window.end, filter.namespace, filter.runnerName, filter.name, filter.key,
      filter.state?.rawValue, filter.runner?.rawValue, size + 1
    ) { Actor($0) }
    let shown = self.page(found, size, list: list) { [String($0.id.rawValue)] }
    return .actors(bounded(shown, window, list: list))
  }

  /// Of the commands that a runner has not acknowledged those after a place, for about so many bytes; at least one.
  func commands(
    of runner: RunnerID, after: Int64, limitBytes: Int
  ) throws(DatabaseError) -> QueryAnswer.Content {
    var commands: [ActorCommand] = []
    var bytes = 0
    var last = after
    var hasMore = false
    try actors.commands.read(
      runner.rawValue, after,
      whileWanted: { row in
        guard bytes < limitBytes else {
          hasMore = true
          return false
        }
        let command = ActorCommand(row)
        last = row.int64(0)
        bytes += command.byteCount
        commands.append(command)
        return true
      })
    return .commands(commands, upTo: last, hasMore: hasMore)
  }
}

extension ActorCommand {
  fileprivate init(_ row: Row) {
    let isStart = row.int(4) == ActorState.starting.rawValue
    self.init(
      checkpoint: ActorCheckpoint(
        actor: ActorID(row.int64(1)), generation: row.int64(2), index: row.int64(3)),
      kind: isStart
        ? .start(namespace: row.text(6), name: row.text(7), key: row.text(8), input: row.blob(9))
        : .stop(ActorStopReason(rawValue: row.int(5)) ?? .goingAway),
      deadlineNanoseconds: row.optionalInt64(10))
  }

  /// About what it takes on the wire.
  fileprivate var byteCount: Int {
    switch kind {
    case .start(let namespace, let name, let key, let input):
      64 + namespace.utf8.count + name.utf8.count + key.utf8.count + input.count
    case .stop, .drop: 64
    }
  }
}
