import Handover

/// One actor during one transaction: read when first touched, written back at the end of the mutation that changed it.
final class ActorRecord {
  let id: ActorID
  let poolID: Int64
  let namespaceID: Int64
  let name: String
  let key: String?
  let who: Peer
  let request: TokenDigest?
  var life: ActorLife
  /// Its place among those who wait; kept for as long as it may come back to it.
  var place: Int64
  /// The place of its latest command among all commands.
  var commandSequence: Int64
  var stopMessage: String
  var times: ActorTimes
  /// There is no row of it yet.
  private var isNew: Bool
  /// It is among `Work.unwritten`.
  var isChanged: Bool

  init(
    new id: ActorID, poolID: Int64, namespaceID: Int64, place: Int64, _ creation: ActorCreation,
    request: TokenDigest?, at wallMilliseconds: Int64
  ) {
    self.id = id
    self.poolID = poolID
    self.namespaceID = namespaceID
    name = creation.identity.name
    key = creation.identity.key
    who = creation.who
    self.request = request
    life = ActorLife(crashPolicy: creation.identity.crashPolicy)
    self.place = place
    commandSequence = 0
    stopMessage = ""
    times = ActorTimes(createdAt: wallMilliseconds)
    times.entered(.pending, at: wallMilliseconds)
    isNew = true
    isChanged = false
  }

  static let columns = """
    id, pool_id, namespace_id, name, key, crash_policy, request_high, request_low, uid, gid, pid, program,
    created_at_ms, state, generation, runner_id, stop_reason, wake_wanted, ran_since_ns, due_ns, place,
    command_index, command_acked, command_seq, report_index, alarm_ns, alarm_at_ms, retries, failure,
    failed_at_ms, stop_message, pending_at_ms, starting_at_ms, running_at_ms, stopping_at_ms, sleeping_at_ms,
    destroyed_at_ms
    """

  init(_ row: Row) {
    id = ActorID(row.int64(0))
    poolID = row.int64(1)
    namespaceID = row.int64(2)
    name = row.text(3)
    key = row.optionalText(4)
    who = row.peer(8)
    request = row.isNull(6) ? nil : TokenDigest(high: row.int64(6), low: row.int64(7))
    place = row.int64(20)
    commandSequence = row.int64(23)
    stopMessage = row.text(30)
    times = row.actorTimes(createdAt: 12, others: 31)
    life = ActorLife(
      state: Self.state(row), generation: row.int64(14), commandIndex: row.int64(21),
      commandAcked: row.int64(22), reportIndex: row.int64(24),
      alarm: row.isNull(25)
        ? nil : ActorLife.Alarm(nanoseconds: row.int64(25), wallMilliseconds: row.int64(26)),
      retries: row.int(27), failure: ActorFailure(rawValue: row.int(28)),
      failedAtMilliseconds: row.optionalInt64(29),
      crashPolicy: CrashPolicy(rawValue: row.int(5)) ?? .restart)
    isNew = false
    isChanged = false
  }

  private static func state(_ row: Row) -> ActorLife.State {
    let runner = RunnerID(row.int64(15))
    let due = row.optionalInt64(19)
    switch ActorState(rawValue: row.int(13)) ?? .destroyed {
    case .pending: return .pending(.init(retryAt: due))
    case .starting: return .starting(.init(runner: runner, deadline: due ?? 0))
    case .running: return .running(.init(runner: runner, since: row.int64(18)))
    case .stopping:
      return .stopping(
        .init(
          runner: runner, reason: ActorStopReason(rawValue: row.int(16)) ?? .goingAway, deadline: due,
          ranSince: row.optionalInt64(18), isWakeWanted: row.bool(17)))
    case .sleeping: return .sleeping
    case .destroyed: return .destroyed
    }
  }

  private var ranSince: Int64? {
    switch life.state {
    case .running(let running): running.since
    case .stopping(let stopping): stopping.ranSince
    case .pending, .starting, .sleeping, .destroyed: nil
    }
  }

  /// Writes its row. The order of the values is that of the columns.
  func write(_ statements: ActorStatements) throws(DatabaseError) {
    let stopping = life.stopping
    if isNew {
      try statements.insert.run(
        id.rawValue, poolID, namespaceID, name, key, life.crashPolicy.rawValue, request?.high, request?.low,
        who.uid, who.gid, who.pid, who.program, times.createdAt, life.actorState.rawValue, life.generation,
        life.runner?.rawValue, stopping?.reason.rawValue, stopping?.isWakeWanted ?? false, ranSince, life.due,
        place, life.commandIndex, life.commandAcked, commandSequence, life.reportIndex,
        life.alarm?.nanoseconds, life.alarm?.wallMilliseconds, life.retries, life.failure?.rawValue,
        life.failedAtMilliseconds, stopMessage.isEmpty ? nil : stopMessage, times.pendingAt, times.startingAt,
        times.runningAt, times.stoppingAt, times.sleepingAt, times.destroyedAt)
    } else {
      try statements.update.run(
        life.actorState.rawValue, life.generation, life.runner?.rawValue, stopping?.reason.rawValue,
        stopping?.isWakeWanted ?? false, ranSince, life.due, place, life.commandIndex, life.commandAcked,
        commandSequence, life.reportIndex, life.alarm?.nanoseconds, life.alarm?.wallMilliseconds,
        life.retries, life.failure?.rawValue, life.failedAtMilliseconds,
        stopMessage.isEmpty ? nil : stopMessage, times.pendingAt, times.startingAt, times.runningAt,
        times.stoppingAt, times.sleepingAt, times.destroyedAt, id.rawValue)
    }
    isNew = false
    isChanged = false
  }
}

extension Row {
  /// Six columns from `others` on, in the order of the states.
  func actorTimes(createdAt: Int32, others: Int32) -> ActorTimes {
    var times = ActorTimes(createdAt: int64(createdAt))
    times.pendingAt = optionalInt64(others)
    times.startingAt = optionalInt64(others + 1)
    times.runningAt = optionalInt64(others + 2)
    times.stoppingAt = optionalInt64(others + 3)
    times.sleepingAt = optionalInt64(others + 4)
    times.destroyedAt = optionalInt64(others + 5)
    return times
  }
}

extension Actor {
  /// The columns of `ActorSQL.columns`.
  init(_ row: Row) {
    self.init(
      id: ActorID(row.int64(0)),
      identity: ActorIdentity(
        pool: PoolName(namespace: row.text(1), name: row.text(2)), name: row.text(3),
        key: row.optionalText(4),
        crashPolicy: CrashPolicy(rawValue: row.int(5)) ?? .restart),
      state: ActorState(rawValue: row.int(6)) ?? .destroyed, generation: row.int64(7),
      runner: row.optionalInt64(8).map { RunnerID($0) },
      runnerVersion: row.optionalVersion(9), stopReason: ActorStopReason(rawValue: row.int(10)),
      failure: ActorFailure(rawValue: row.int(11)), failedAtMilliseconds: row.optionalInt64(12),
      retries: row.int(13), stopMessage: row.text(14), wait: ActorWait(rawValue: row.int(15)),
      queuedBefore: row.int(16), dueNanoseconds: row.optionalInt64(17), isCommandAcked: row.bool(18),
      isWakeWanted: row.bool(19), who: row.peer(20), times: row.actorTimes(createdAt: 24, others: 25))
  }
}
