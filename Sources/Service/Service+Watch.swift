import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// Those who follow: the event log, and the daemon's health.
extension Service {
  func beginWatch(_ call: Call, _ request: UnsafeMutablePointer<Baton__V1__WatchRequest>, _ now: Moment)
    throws
  {
    let isFrom =
      request.pointee.from_revision_presence_case
      == BATON__V1__WATCH_REQUEST__FROM_REVISION_PRESENCE_FROM_REVISION
    var cursor = revision
    if isFrom {
      guard let from = Int64(exactly: request.pointee.from_revision), from <= revision.rawValue else {
        return fail(
          call,
          Status(
            .outOfRange, "from_revision \(request.pointee.from_revision) is after the latest one, \(revision)"
          ), now)
      }
      cursor = Revision(from)
    }
    let watch = WatchCall(
      connection: call.connection, stream: call.stream, startedAt: call.startedAt, deadline: call.deadline,
      cursor: cursor, namespace: try Requests.filter(request.pointee.namespace_, field: "namespace"),
      name: try Requests.filter(request.pointee.name, field: "name"))
    replace(call, by: watch)
    watchers.append(watch)
    read(watch)
  }

  func beginHealthWatch(
    _ call: Call, _ request: UnsafeMutablePointer<Grpc__Health__V1__HealthCheckRequest>, _ now: Moment
  ) throws {
    let health = HealthCall(
      connection: call.connection, stream: call.stream, startedAt: call.startedAt, deadline: call.deadline,
      service: Read.string(request.pointee.service))
    replace(call, by: health)
    healthWatchers.append(health)
    pushHealth(health, now)
  }

  func replace(_ call: Call, by other: Call) {
    call.isOver = true
    call.connection.remove(call)
    other.connection.calls.append(other)
    if let deadline = other.deadline { callDeadlines.add(other, at: deadline) }
  }

  // MARK: - Events

  private func read(_ watch: WatchCall) {
    guard !watch.isOver, !watch.isReading else { return }
    watch.isReading = true
    query(
      .events(
        after: watch.cursor, namespace: watch.namespace, name: watch.name, limit: settings.watchPageEvents),
      .watch(watch))
  }

  /// A commit has made news.
  func wakeWatchers(_ now: Moment) {
    for watch in watchers where watch.cursor < revision && isReadingOn(watch) { read(watch) }
  }

  /// The peer has taken what waited: whoever was held back for it goes on.
  func resumeReaders(on connection: Connection) {
    for call in connection.calls {
      switch call {
      case let attach as AttachCall: readCommands(for: attach)
      case let watch as WatchCall where watch.cursor < revision && isReadingOn(watch): read(watch)
      case let watch as WatchActorCall: read(watch)
      default: break
      }
    }
  }

  /// Nothing more is read for who has not taken what it was sent.
  func isReadingOn(_ watch: Call) -> Bool {
    let waiting =
      watch.connection.mode == .console
      ? watch.connection.output.byteCount : watch.connection.output.byteCount(stream: watch.stream)
    return waiting < settings.maxStreamQueueBytes / 4
  }

  func eventsRead(_ watch: WatchCall, _ answer: QueryAnswer, _ now: Moment) {
    watch.isReading = false
    guard !watch.isOver else { return }
    switch answer.content {
    case .refused(let refusal): return fail(watch, Status(refusal), now)
    case .events(let events, let upTo):
      watch.cursor = upTo
      if !events.isEmpty || !watch.hasAnswered {
        watch.hasAnswered = true
        replyArena.reset()
        let response = replyArena.make(Baton__V1__WatchResponse.self)
        let elements = events.map { Encode.event($0, replyArena) }
        response.pointee.n_events = elements.count
        response.pointee.events = replyArena.messages(elements)
        response.pointee.revision = UInt64(upTo.rawValue)
        guard push(watch, response, now) else { return }
      }
      if watch.cursor < revision, isReadingOn(watch) { read(watch) }
    default: preconditionFailure("a watch was answered with \(answer.content)")
    }
  }

  // MARK: - Health

  /// nil for a service that is not served.
  func healthStatus(of service: String) -> Grpc__Health__V1__HealthCheckResponse__ServingStatus? {
    guard service.isEmpty || Method.allCases.contains(where: { $0.description.service == service }) else {
      return nil
    }
    return storeError == nil && !isShuttingDown
      ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
      : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
  }

  func healthChanged(_ now: Moment) {
    for health in healthWatchers { pushHealth(health, now) }
  }

  private func pushHealth(_ health: HealthCall, _ now: Moment) {
    replyArena.reset()
    let response = replyArena.make(Grpc__Health__V1__HealthCheckResponse.self)
    response.pointee.status =
      healthStatus(of: health.service)
      ?? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
    push(health, response, now)
  }
}
