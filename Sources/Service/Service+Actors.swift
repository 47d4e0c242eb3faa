import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// Actors: what runners say of them, what runners are told, and those who watch one.
extension Service {
  /// How many bytes of commands are read for a runner at a time.
  private static let commandBytes = 128 << 10

  // MARK: - What runners say

  func actorsReported(
    _ call: AttachCall, _ message: UnsafeMutablePointer<Baton__V1__ActorEvents>, _ now: Moment
  ) throws {
    guard let attachment = try call.session.attached(saying: "ActorEvents") else { return }
    let reports = try Requests.reports(message)
    guard !reports.isEmpty else { return }
    guard pendingMutations.count < settings.maxPendingMutations else {
      return fail(call, Status(.resourceExhausted, "too many changes wait for the disk: try again soon"), now)
    }
    metrics.actorReports &+= UInt64(reports.count)
    submit(.actorReports(attachment, reports), .reports(call))
  }

  func commandsReceived(
    _ call: AttachCall, _ message: UnsafeMutablePointer<Baton__V1__AckCommands>
  ) throws {
    guard let attachment = try call.session.attached(saying: "AckCommands") else { return }
    let commands = Read.messages(message.pointee.n_commands, message.pointee.commands)
    outbox.commandsAcked[attachment.runner, default: []] += commands.map { Decode.checkpoint($0) }
  }

  func reported(
    _ call: AttachCall, acked: [ActorCheckpoint], refused: [ActorCheckpoint], _ now: Moment
  ) {
    metrics.actorReportsRefused &+= UInt64(refused.count)
    guard !acked.isEmpty || !refused.isEmpty else { return }
    replyArena.reset()
    push(call, AttachResponses.ackEvents(acked: acked, refused: refused, replyArena), now)
  }

  // MARK: - What runners are told

  func commandsIssued(_ issued: [RunnerID]) {
    for runner in issued {
      guard let call = runners[runner]?.call else { continue }
      call.hasCommands = true
      readCommands(for: call)
    }
  }

  /// Reads on for a runner that takes what it is sent; whoever does not is read for when it has.
  func readCommands(for call: AttachCall) {
    guard call.hasCommands, !call.isReadingCommands, !call.isOver, let attachment = call.session.attachment,
      call.connection.output.byteCount(stream: call.stream) < settings.maxStreamQueueBytes / 4
    else { return }
    call.hasCommands = false
    call.isReadingCommands = true
    query(
      .commands(attachment.runner, after: call.commandCursor, limitBytes: Self.commandBytes), .commands(call))
  }

  func commandsRead(_ call: AttachCall, _ answer: QueryAnswer, _ now: Moment) {
    guard case .commands(let commands, let upTo, let hasMore) = answer.content else {
      preconditionFailure("commands were asked for, and answered with \(answer.content)")
    }
    call.isReadingCommands = false
    guard !call.isOver else { return }
    call.commandCursor = max(call.commandCursor, upTo)
    if hasMore { call.hasCommands = true }
    if !commands.isEmpty {
      metrics.actorCommands &+= UInt64(commands.count)
      replyArena.reset()
      guard push(call, AttachResponses.actorCommands(commands, now: now, replyArena), now) else { return }
    }
    readCommands(for: call)
  }

  /// This generation of an actor was taken from a runner that may still run it. Should the connection end before this
  /// arrives, the resume tells: the runner says what it holds.
  func actorDropped(_ runner: RunnerID, _ checkpoint: ActorCheckpoint, _ now: Moment) {
    host.log(
      LogRecord(
        .warning, "actor taken from its runner, which did not answer in time",
        [
          ("actor", .number(checkpoint.actor.rawValue)), ("generation", .number(checkpoint.generation)),
          ("runner", .number(runner.rawValue)),
        ]))
    guard let call = runners[runner]?.call else { return }
    let drop = ActorCommand(checkpoint: checkpoint, kind: .drop, deadlineNanoseconds: nil)
    replyArena.reset()
    push(call, AttachResponses.actorCommands([drop], now: now, replyArena), now)
  }

  // MARK: - What clients ask

  func answer(_ call: Call, _ actor: Actor, isCreated: Bool, _ revision: UInt64, _ now: Moment) {
    let encoded = Encode.actor(actor, now: now, replyArena)
    switch call.method {
    case .createActor, .getOrCreateActor:
      let response = replyArena.make(Baton__V1__CreateActorResponse.self)
      response.pointee.actor = encoded
      response.pointee.created = isCreated ? 1 : 0
      response.pointee.revision = revision
      if isCreated { metrics.actorsCreated &+= 1 }
      reply(call, response, now)
    case .wakeActor:
      let response = replyArena.make(Baton__V1__WakeActorResponse.self)
      response.pointee.actor = encoded
      response.pointee.revision = revision
      reply(call, response, now)
    case .sleepActor:
      let response = replyArena.make(Baton__V1__SleepActorResponse.self)
      response.pointee.actor = encoded
      response.pointee.revision = revision
      reply(call, response, now)
    case .destroyActor:
      let response = replyArena.make(Baton__V1__DestroyActorResponse.self)
      response.pointee.actor = encoded
      response.pointee.revision = revision
      reply(call, response, now)
    case .getActor:
      let response = replyArena.make(Baton__V1__GetActorResponse.self)
      response.pointee.actor = encoded
      response.pointee.revision = revision
      reply(call, response, now)
    default: preconditionFailure("\(call.method) was answered with an actor")
    }
  }

  func answer(_ call: Call, _ page: PageOf<Actor>, _ revision: UInt64, _ now: Moment) {
    let response = replyArena.make(Baton__V1__ListActorsResponse.self)
    let elements = page.elements.map { Encode.actor($0, now: now, replyArena) }
    response.pointee.n_actors = elements.count
    response.pointee.actors = replyArena.messages(elements)
    response.pointee.next_page_token = replyArena.string(page.next)
    response.pointee.revision = revision
    reply(call, response, now)
  }

  // MARK: - Watchers

  func beginWatchActor(
    _ call: Call, _ request: UnsafeMutablePointer<Baton__V1__WatchActorRequest>
  ) throws {
    let watch = WatchActorCall(
      connection: call.connection, stream: call.stream, startedAt: call.startedAt, deadline: call.deadline,
      actor: ActorID(try Requests.id(request.pointee.actor_id, field: "actor_id")))
    replace(call, by: watch)
    actorWatchers[watch.actor, default: []].append(watch)
    read(watch)
  }

  /// While one reads, and while what it was sent waits, changes gather and are told as one.
  func read(_ watch: WatchActorCall) {
    guard watch.hasNews, !watch.isReading, !watch.isOver, isReadingOn(watch) else { return }
    watch.hasNews = false
    watch.isReading = true
    query(.actor(watch.actor), .watchActor(watch))
  }

  func actorsChanged(_ changed: [ActorID]) {
    guard !actorWatchers.isEmpty else { return }
    for actor in changed {
      for watch in actorWatchers[actor] ?? [] {
        watch.hasNews = true
        read(watch)
      }
    }
  }

  func actorRead(_ watch: WatchActorCall, _ answer: QueryAnswer, _ now: Moment) {
    watch.isReading = false
    guard !watch.isOver else { return }
    switch answer.content {
    case .refused(let refusal): fail(watch, Status(refusal), now)
    case .actor(let actor):
      replyArena.reset()
      let response = replyArena.make(Baton__V1__WatchActorResponse.self)
      response.pointee.actor = Encode.actor(actor, now: now, replyArena)
      response.pointee.revision = UInt64(answer.revision.rawValue)
      guard push(watch, response, now) else { return }
      if actor.state == .destroyed { return finish(watch, now) }
      read(watch)
    default: preconditionFailure("a watched actor was answered with \(answer.content)")
    }
  }

  func forget(_ watch: WatchActorCall) {
    actorWatchers[watch.actor]?.removeAll { $0 === watch }
    if actorWatchers[watch.actor]?.isEmpty == true { actorWatchers[watch.actor] = nil }
  }
}
