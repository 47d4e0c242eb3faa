import CBatonProto
import CProtobufC
import Handover
import Protobuf

/// Actors as messages, both ways.
extension Encode {
  package static func actor(
    _ actor: Actor, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__Actor> {
    let message = arena.make(Baton__V1__Actor.self)
    message.pointee.id = UInt64(actor.id.rawValue)
    message.pointee.namespace_ = arena.string(actor.identity.pool.namespace)
    message.pointee.runner_name = arena.string(actor.identity.pool.name)
    message.pointee.name = arena.string(actor.identity.name)
    message.pointee.key = arena.string(actor.identity.key ?? "")
    message.pointee.crash_policy = .init(rawValue: UInt32(actor.identity.crashPolicy.rawValue))
    message.pointee.state = .init(rawValue: UInt32(actor.state.rawValue))
    message.pointee.generation = wall(actor.generation)
    message.pointee.runner_id = UInt64(actor.runner?.rawValue ?? 0)
    message.pointee.runner_version = actor.runnerVersion?.number ?? 0
    message.pointee.stop_reason = .init(rawValue: UInt32(actor.stopReason?.rawValue ?? 0))
    message.pointee.failure = .init(rawValue: UInt32(actor.failure?.rawValue ?? 0))
    message.pointee.failed_at_ms = wall(actor.failedAtMilliseconds)
    message.pointee.retries = UInt32(clamping: actor.retries)
    message.pointee.stop_message = arena.string(actor.stopMessage)
    message.pointee.wait = .init(rawValue: UInt32(actor.wait?.rawValue ?? 0))
    message.pointee.queued_before = UInt32(clamping: actor.queuedBefore)
    message.pointee.due_in_ms = actor.dueNanoseconds.map { wall(($0 - now.nanoseconds) / 1_000_000) } ?? 0
    message.pointee.who = peer(actor.who, arena)
    message.pointee.created_at_ms = wall(actor.times.createdAt)
    message.pointee.pending_at_ms = wall(actor.times.pendingAt)
    message.pointee.starting_at_ms = wall(actor.times.startingAt)
    message.pointee.running_at_ms = wall(actor.times.runningAt)
    message.pointee.stopping_at_ms = wall(actor.times.stoppingAt)
    message.pointee.sleeping_at_ms = wall(actor.times.sleepingAt)
    message.pointee.destroyed_at_ms = wall(actor.times.destroyedAt)
    message.pointee.command_acked = actor.isCommandAcked ? 1 : 0
    message.pointee.wake_wanted = actor.isWakeWanted ? 1 : 0
    return message
  }

  package static func actorCounts(
    _ counts: ActorCounts, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__ActorCounts> {
    let message = arena.make(Baton__V1__ActorCounts.self)
    message.pointee.pending = UInt64(clamping: counts.pending)
    message.pointee.starting = UInt64(clamping: counts.starting)
    message.pointee.running = UInt64(clamping: counts.running)
    message.pointee.stopping = UInt64(clamping: counts.stopping)
    message.pointee.sleeping = UInt64(clamping: counts.sleeping)
    return message
  }

  package static func checkpoint(
    _ checkpoint: ActorCheckpoint, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__ActorCheckpoint> {
    let message = arena.make(Baton__V1__ActorCheckpoint.self)
    message.pointee.actor_id = UInt64(checkpoint.actor.rawValue)
    message.pointee.generation = wall(checkpoint.generation)
    message.pointee.index = wall(checkpoint.index)
    return message
  }
}

extension Decode {
  /// nil for an actor in a state that is not known here: a newer daemon's.
  package static func actor(_ message: UnsafeMutablePointer<Baton__V1__Actor>?) -> Actor? {
    guard let actor = message?.pointee, let state = ActorState(rawValue: Int(actor.state.rawValue)) else {
      return nil
    }
    let key = Read.string(actor.key)
    var times = ActorTimes(createdAt: wall(actor.created_at_ms))
    times.pendingAt = time(actor.pending_at_ms)
    times.startingAt = time(actor.starting_at_ms)
    times.runningAt = time(actor.running_at_ms)
    times.stoppingAt = time(actor.stopping_at_ms)
    times.sleepingAt = time(actor.sleeping_at_ms)
    times.destroyedAt = time(actor.destroyed_at_ms)
    return Actor(
      id: ActorID(wall(actor.id)),
      identity: ActorIdentity(
        pool: PoolName(namespace: Read.string(actor.namespace_), name: Read.string(actor.runner_name)),
        name: Read.string(actor.name), key: key.isEmpty ? nil : key,
        crashPolicy: CrashPolicy(rawValue: Int(actor.crash_policy.rawValue)) ?? .restart),
      state: state, generation: wall(actor.generation), runner: runner(id: actor.runner_id),
      runnerVersion: Version(actor.runner_version),
      stopReason: ActorStopReason(rawValue: Int(actor.stop_reason.rawValue)),
      failure: ActorFailure(rawValue: Int(actor.failure.rawValue)),
      failedAtMilliseconds: time(actor.failed_at_ms), retries: Int(actor.retries),
      stopMessage: Read.string(actor.stop_message), wait: ActorWait(rawValue: Int(actor.wait.rawValue)),
      queuedBefore: Int(actor.queued_before),
      // On a clock that began when the answer was made, as for drain orders.
      dueNanoseconds: time(actor.due_in_ms).map {
        $0.multipliedReportingOverflow(by: 1_000_000).partialValue
      },
      isCommandAcked: actor.command_acked != 0, isWakeWanted: actor.wake_wanted != 0, who: peer(actor.who),
      times: times)
  }

  package static func actorCounts(_ message: UnsafeMutablePointer<Baton__V1__ActorCounts>?) -> ActorCounts {
    var counts = ActorCounts()
    guard let message = message?.pointee else { return counts }
    counts.pending = Int(clamping: message.pending)
    counts.starting = Int(clamping: message.starting)
    counts.running = Int(clamping: message.running)
    counts.stopping = Int(clamping: message.stopping)
    counts.sleeping = Int(clamping: message.sleeping)
    return counts
  }

  package static func checkpoint(
    _ message: UnsafeMutablePointer<Baton__V1__ActorCheckpoint>?
  ) -> ActorCheckpoint {
    guard let message = message?.pointee else {
      return ActorCheckpoint(actor: ActorID(0), generation: 0, index: 0)
    }
    return ActorCheckpoint(
      actor: ActorID(wall(message.actor_id)), generation: wall(message.generation), index: wall(message.index)
    )
  }
}

extension Requests {
  package static func creation(
    _ message: UnsafeMutablePointer<Baton__V1__CreateActorRequest>, mayExist: Bool, who: Peer
  ) throws(FieldViolation) -> ActorCreation {
    let request = message.pointee
    let key = Read.string(request.key)
    guard !key.isEmpty || !mayExist else {
      throw FieldViolation(field: "key", requirement: "must be given: it says which actor is meant")
    }
    guard request.input.len <= Bounds.inputBytes else {
      throw FieldViolation(
        field: "input", requirement: "must be at most \(Bounds.inputBytes) bytes, is \(request.input.len)")
    }
    let requestID = Read.string(request.request_id)
    guard requestID.utf8.count <= Bounds.requestIDBytes else {
      throw FieldViolation(field: "request_id", requirement: "must be at most \(Bounds.requestIDBytes) bytes")
    }
    let namespace = try self.namespace(request.namespace_, field: "namespace")
    return ActorCreation(
      identity: ActorIdentity(
        pool: PoolName(
          namespace: namespace,
          name: try Bounds.name(Read.string(request.runner_name), field: "runner_name")),
        name: try Bounds.name(Read.string(request.name), field: "name"),
        key: key.isEmpty ? nil : try Bounds.name(key, field: "key"),
        crashPolicy: try choice(request.crash_policy.rawValue, CrashPolicy.self, field: "crash_policy")
          ?? .restart),
      input: Read.bytes(request.input), requestID: requestID, mayExist: mayExist, who: who)
  }

  package static func actors(
    _ message: UnsafeMutablePointer<Baton__V1__ListActorsRequest>
  ) throws(FieldViolation) -> Query {
    let request = message.pointee
    let state = try choice(request.state.rawValue, ActorState.self, field: "state")
    return .actors(
      ActorFilter(
        namespace: try filter(request.namespace_, field: "namespace"),
        runnerName: try filter(request.runner_name, field: "runner_name"),
        name: try filter(request.name, field: "name"), key: try filter(request.key, field: "key"),
        state: state,
        runner: request.runner_id == 0 ? nil : RunnerID(try id(request.runner_id, field: "runner_id")),
        includeDestroyed: request.include_destroyed != 0 || state == .destroyed),
      try page(request.page_size, request.page_token))
  }

  /// What a runner says of its actors. What is not known here is left out: a newer runner's.
  package static func reports(
    _ message: UnsafeMutablePointer<Baton__V1__ActorEvents>
  ) throws(FieldViolation) -> [ActorReport] {
    guard message.pointee.n_events <= Bounds.actorEvents else {
      throw FieldViolation(
        field: "actor_events.events",
        requirement: "must be at most \(Bounds.actorEvents) at once, are \(message.pointee.n_events)")
    }
    var reports: [ActorReport] = []
    for event in Read.messages(message.pointee.n_events, message.pointee.events) {
      guard let kind = try kind(event) else { continue }
      let checkpoint = Decode.checkpoint(event.pointee.checkpoint)
      guard checkpoint.index > 0 || kind == .held else {
        throw FieldViolation(
          field: "checkpoint.index", requirement: "must be 1 or more: it counts a generation's events")
      }
      reports.append(ActorReport(checkpoint: checkpoint, kind: kind))
    }
    return reports
  }

  private static func kind(
    _ message: UnsafeMutablePointer<Baton__V1__ActorEvent>
  ) throws(FieldViolation) -> ActorReport.Kind? {
    let event = message.pointee
    switch event.event_case {
    case BATON__V1__ACTOR_EVENT__EVENT_RUNNING: return .running
    case BATON__V1__ACTOR_EVENT__EVENT_STOPPED:
      return .stopped(
        isOK: event.stopped.pointee.code == BATON__V1__ACTOR_STOPPED__CODE__CODE_OK,
        message: try Bounds.reason(Read.string(event.stopped.pointee.message), field: "stopped.message"))
    case BATON__V1__ACTOR_EVENT__EVENT_START_REFUSED: return .startRefused
    case BATON__V1__ACTOR_EVENT__EVENT_INTENT:
      switch event.intent.pointee.intent {
      case BATON__V1__ACTOR_INTENT__INTENT__INTENT_SLEEP: return .sleepIntent
      case BATON__V1__ACTOR_INTENT__INTENT__INTENT_STOP: return .stopIntent
      default:
        throw FieldViolation(field: "intent.intent", requirement: "must be INTENT_SLEEP or INTENT_STOP")
      }
    case BATON__V1__ACTOR_EVENT__EVENT_SET_ALARM:
      let after = event.set_alarm.pointee.after_ms
      guard after != 0 else { return .setAlarm(afterMilliseconds: nil) }
      return .setAlarm(
        afterMilliseconds: try Bounds.milliseconds(
          after, in: Bounds.alarmMilliseconds, field: "set_alarm.after_ms"))
    case BATON__V1__ACTOR_EVENT__EVENT_HELD: return .held
    default: return nil
    }
  }
}

extension AttachResponses {
  package static func actorCommands(_ commands: [ActorCommand], now: Moment, _ arena: Arena) -> Message {
    let entries = commands.map { command in
      let entry = arena.make(Baton__V1__ActorCommand.self)
      entry.pointee.checkpoint = Encode.checkpoint(command.checkpoint, arena)
      let remaining = command.deadlineNanoseconds.map { max(0, ($0 - now.nanoseconds) / 1_000_000) } ?? 0
      let share = UInt64(FleetTimes.runnerShareMilliseconds(ofRemaining: remaining))
      switch command.kind {
      case .start(let namespace, let name, let key, let input):
        let inner = arena.make(Baton__V1__StartActor.self)
        inner.pointee.namespace_ = arena.string(namespace)
        inner.pointee.name = arena.string(name)
        inner.pointee.key = arena.string(key)
        inner.pointee.input = arena.bytes(input)
        inner.pointee.start_within_ms = share
        entry.pointee.command_case = BATON__V1__ACTOR_COMMAND__COMMAND_START
        entry.pointee.start = inner
      case .stop(let reason):
        let inner = arena.make(Baton__V1__StopActor.self)
        inner.pointee.reason = .init(rawValue: UInt32(reason.rawValue))
        inner.pointee.remaining_ms = share
        entry.pointee.command_case = BATON__V1__ACTOR_COMMAND__COMMAND_STOP
        entry.pointee.stop = inner
      case .drop:
        entry.pointee.command_case = BATON__V1__ACTOR_COMMAND__COMMAND_DROP
        entry.pointee.drop = arena.make(Baton__V1__DropActor.self)
      }
      return entry
    }
    let inner = arena.make(Baton__V1__ActorCommands.self)
    inner.pointee.n_commands = entries.count
    inner.pointee.commands = arena.messages(entries)
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_ACTOR_COMMANDS
    message.pointee.actor_commands = inner
    return message
  }

  package static func ackEvents(
    acked: [ActorCheckpoint], refused: [ActorCheckpoint], _ arena: Arena
  ) -> Message {
    let inner = arena.make(Baton__V1__AckEvents.self)
    inner.pointee.n_acked = acked.count
    inner.pointee.acked = arena.messages(acked.map { Encode.checkpoint($0, arena) })
    inner.pointee.n_refused = refused.count
    inner.pointee.refused = arena.messages(refused.map { Encode.checkpoint($0, arena) })
    let message = arena.make(Baton__V1__AttachResponse.self)
    message.pointee.message_case = BATON__V1__ATTACH_RESPONSE__MESSAGE_ACK_EVENTS
    message.pointee.ack_events = inner
    return message
  }
}

extension DaemonMessage {
  /// A command as a runner reads it; what remains is counted from its arrival.
  package struct Command: Hashable, Sendable {
    package var checkpoint: ActorCheckpoint
    /// nil for one that is not known here.
    package var kind: ActorCommand.Kind?
    package var remainingMilliseconds: Int64

    package init(checkpoint: ActorCheckpoint, kind: ActorCommand.Kind?, remainingMilliseconds: Int64) {
      self.checkpoint = checkpoint
      self.kind = kind
      self.remainingMilliseconds = remainingMilliseconds
    }

    init(_ message: UnsafeMutablePointer<Baton__V1__ActorCommand>) {
      let command = message.pointee
      checkpoint = Decode.checkpoint(command.checkpoint)
      remainingMilliseconds = 0
      switch command.command_case {
      case BATON__V1__ACTOR_COMMAND__COMMAND_START:
        let start = command.start.pointee
        kind = .start(
          namespace: Read.string(start.namespace_), name: Read.string(start.name),
          key: Read.string(start.key),
          input: Read.bytes(start.input))
        remainingMilliseconds = Decode.wall(start.start_within_ms)
      case BATON__V1__ACTOR_COMMAND__COMMAND_STOP:
        let stop = command.stop.pointee
        kind = .stop(ActorStopReason(rawValue: Int(stop.reason.rawValue)) ?? .goingAway)
        remainingMilliseconds = Decode.wall(stop.remaining_ms)
      case BATON__V1__ACTOR_COMMAND__COMMAND_DROP: kind = .drop
      default: kind = nil
      }
    }
  }
}

extension AttachRequests {
  package static func actorEvents(_ reports: [ActorReport], _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__ActorEvents.self)
    let events = reports.map { event($0, arena) }
    inner.pointee.n_events = events.count
    inner.pointee.events = arena.messages(events)
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_ACTOR_EVENTS, arena) { $0.actor_events = inner }
  }

  package static func ackCommands(_ commands: [ActorCheckpoint], _ arena: Arena) -> Message {
    let inner = arena.make(Baton__V1__AckCommands.self)
    inner.pointee.n_commands = commands.count
    inner.pointee.commands = arena.messages(commands.map { Encode.checkpoint($0, arena) })
    return message(BATON__V1__ATTACH_REQUEST__MESSAGE_ACK_COMMANDS, arena) { $0.ack_commands = inner }
  }

  private static func event(
    _ report: ActorReport, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__ActorEvent> {
    let event = arena.make(Baton__V1__ActorEvent.self)
    event.pointee.checkpoint = Encode.checkpoint(report.checkpoint, arena)
    switch report.kind {
    case .running:
      event.pointee.event_case = BATON__V1__ACTOR_EVENT__EVENT_RUNNING
      event.pointee.running = arena.make(Baton__V1__ActorRunning.self)
    case .stopped(let isOK, let text):
      let inner = arena.make(Baton__V1__ActorStopped.self)
      inner.pointee.code =
        isOK ? BATON__V1__ACTOR_STOPPED__CODE__CODE_OK : BATON__V1__ACTOR_STOPPED__CODE__CODE_ERROR
      inner.pointee.message = arena.string(text)
      event.pointee.event_case = BATON__V1__ACTOR_EVENT__EVENT_STOPPED
      event.pointee.stopped = inner
    case .startRefused:
      event.pointee.event_case = BATON__V1__ACTOR_EVENT__EVENT_START_REFUSED
      event.pointee.start_refused = arena.make(Baton__V1__ActorStartRefused.self)
    case .sleepIntent, .stopIntent:
      let inner = arena.make(Baton__V1__ActorIntent.self)
      inner.pointee.intent =
        report.kind == .sleepIntent
        ? BATON__V1__ACTOR_INTENT__INTENT__INTENT_SLEEP : BATON__V1__ACTOR_INTENT__INTENT__INTENT_STOP
      event.pointee.event_case = BATON__V1__ACTOR_EVENT__EVENT_INTENT
      event.pointee.intent = inner
    case .setAlarm(let after):
      let inner = arena.make(Baton__V1__ActorSetAlarm.self)
      inner.pointee.after_ms = UInt64(clamping: after ?? 0)
      event.pointee.event_case = BATON__V1__ACTOR_EVENT__EVENT_SET_ALARM
      event.pointee.set_alarm = inner
    case .held:
      event.pointee.event_case = BATON__V1__ACTOR_EVENT__EVENT_HELD
      event.pointee.held = arena.make(Baton__V1__ActorHeld.self)
    }
    return event
  }
}
