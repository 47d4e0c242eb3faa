import BatonAPI
import CBatonProto
import CProtobufC
import Handover
import Protobuf
import Ttrpc

/// The handlers of unary and server-streaming calls: a request decoded and checked, then answered at once, or by the
/// store.
extension Service {
  func handle(_ call: Call, _ payload: UnsafeRawBufferPointer, _ now: Moment) {
    do {
      switch call.method {
      case .attach: preconditionFailure("Attach is a conversation")
      case .hello, .ping, .cancel, .listServices, .getMetrics, .healthCheck:
        try handleHere(call, payload, now)
      case .watch: try beginWatch(call, decode(payload), now)
      case .healthWatch: try beginHealthWatch(call, decode(payload), now)
      case .watchActor: try beginWatchActor(call, decode(payload))
      case .createNamespace, .putRunnerConfig, .deleteRunnerConfig, .drain, .createActor, .getOrCreateActor,
        .wakeActor, .sleepActor, .destroyActor:
        try ask(call, mutation(call, payload), now)
      case .setTargetVersion, .cordon, .cancelDrain, .changeDeadline:
        try ask(call, controlMutation(call, payload), now)
      case .getStatus, .listNamespaces, .getRunnerConfig, .listRunnerConfigs, .listRunners, .getRunner,
        .listPools,
        .getPool, .listDrains, .getDrain, .getActor, .listActors:
        try ask(call, query(call.method, payload), now)
      case .planUpgrade, .explain, .listHistory:
        try ask(call, controlQuery(call.method, payload, now), now)
      }
    } catch let error as DecodeError {
      fail(call, Status(error), now)
    } catch let error as FieldViolation {
      fail(call, Status(error), now)
    } catch {
      preconditionFailure("a handler threw \(error)")
    }
  }

  func decode<Message: CMessage>(
    _ payload: UnsafeRawBufferPointer
  ) throws(DecodeError) -> UnsafeMutablePointer<Message> {
    try Codec.decode(Message.self, payload, in: requestArena)
  }

  private func ask(_ call: Call, _ mutation: Mutation, _ now: Moment) {
    guard pendingMutations.count < settings.maxPendingMutations else {
      return fail(call, Status(.resourceExhausted, "too many changes wait for the disk: try again soon"), now)
    }
    submit(mutation, .unary(call))
  }

  private func ask(_ call: Call, _ query: Query, _ now: Moment) {
    guard pendingQueries.count < settings.maxPendingQueries else {
      return fail(call, Status(.resourceExhausted, "too many reads are under way: try again soon"), now)
    }
    self.query(query, .unary(call))
  }

  // MARK: - What the store is asked

  private func mutation(_ call: Call, _ payload: UnsafeRawBufferPointer) throws -> Mutation {
    let who = call.connection.peer
    switch call.method {
    case .createNamespace:
      let request: UnsafeMutablePointer<Baton__V1__CreateNamespaceRequest> = try decode(payload)
      return .createNamespace(try Bounds.name(Read.string(request.pointee.name), field: "name"), who: who)
    case .putRunnerConfig:
      let request: UnsafeMutablePointer<Baton__V1__PutRunnerConfigRequest> = try decode(payload)
      let pool = try Requests.pool(request.pointee.namespace_, request.pointee.name)
      return .putConfig(
        pool, try Requests.config(request.pointee.config), who: who,
        reason: try Requests.reason(request.pointee.reason))
    case .deleteRunnerConfig:
      let request: UnsafeMutablePointer<Baton__V1__DeleteRunnerConfigRequest> = try decode(payload)
      return .deleteConfig(
        try Requests.pool(request.pointee.namespace_, request.pointee.name), who: who,
        reason: try Requests.reason(request.pointee.reason))
    case .drain:
      let request: UnsafeMutablePointer<Baton__V1__DrainRequest> = try decode(payload)
      return .drain(try Requests.drain(request, who: who))
    case .createActor, .getOrCreateActor:
      return .createActor(
        try Requests.creation(decode(payload), mayExist: call.method == .getOrCreateActor, who: who))
    case .wakeActor:
      let request: UnsafeMutablePointer<Baton__V1__WakeActorRequest> = try decode(payload)
      return .changeActor(
        ActorID(try Requests.id(request.pointee.actor_id, field: "actor_id")), .wake, who: who)
    case .sleepActor:
      let request: UnsafeMutablePointer<Baton__V1__SleepActorRequest> = try decode(payload)
      return .changeActor(
        ActorID(try Requests.id(request.pointee.actor_id, field: "actor_id")), .sleep, who: who)
    case .destroyActor:
      let request: UnsafeMutablePointer<Baton__V1__DestroyActorRequest> = try decode(payload)
      return .changeActor(
        ActorID(try Requests.id(request.pointee.actor_id, field: "actor_id")), .destroy, who: who)
    default: preconditionFailure("\(call.method) changes nothing")
    }
  }

  private func query(_ method: Method, _ payload: UnsafeRawBufferPointer) throws -> Query {
    switch method {
    case .getStatus:
      let _: UnsafeMutablePointer<Baton__V1__GetStatusRequest> = try decode(payload)
      return .status
    case .listNamespaces:
      let request: UnsafeMutablePointer<Baton__V1__ListNamespacesRequest> = try decode(payload)
      return .namespaces(try Requests.page(request.pointee.page_size, request.pointee.page_token))
    case .getRunnerConfig:
      let request: UnsafeMutablePointer<Baton__V1__GetRunnerConfigRequest> = try decode(payload)
      return .config(try Requests.pool(request.pointee.namespace_, request.pointee.name))
    case .listRunnerConfigs:
      let request: UnsafeMutablePointer<Baton__V1__ListRunnerConfigsRequest> = try decode(payload)
      return .configs(
        namespace: try Requests.filter(request.pointee.namespace_, field: "namespace"),
        try Requests.page(request.pointee.page_size, request.pointee.page_token))
    case .listRunners: return try Requests.runners(decode(payload))
    case .getRunner:
      let request: UnsafeMutablePointer<Baton__V1__GetRunnerRequest> = try decode(payload)
      return .runner(RunnerID(try Requests.id(request.pointee.runner_id, field: "runner_id")))
    case .listPools:
      let request: UnsafeMutablePointer<Baton__V1__ListPoolsRequest> = try decode(payload)
      return .pools(
        namespace: try Requests.filter(request.pointee.namespace_, field: "namespace"),
        try Requests.page(request.pointee.page_size, request.pointee.page_token))
    case .getPool:
      let request: UnsafeMutablePointer<Baton__V1__GetPoolRequest> = try decode(payload)
      return .pool(try Requests.pool(request.pointee.namespace_, request.pointee.name))
    case .listDrains: return try Requests.drains(decode(payload))
    case .getDrain:
      let request: UnsafeMutablePointer<Baton__V1__GetDrainRequest> = try decode(payload)
      return .drain(DrainOrderID(try Requests.id(request.pointee.order_id, field: "order_id")))
    case .getActor:
      let request: UnsafeMutablePointer<Baton__V1__GetActorRequest> = try decode(payload)
      return .actor(ActorID(try Requests.id(request.pointee.actor_id, field: "actor_id")))
    case .listActors: return try Requests.actors(decode(payload))
    default: preconditionFailure("\(method) reads nothing")
    }
  }

  // MARK: - What needs no store

  private func handleHere(_ call: Call, _ payload: UnsafeRawBufferPointer, _ now: Moment) throws {
    replyArena.reset()
    switch call.method {
    case .hello:
      let request: UnsafeMutablePointer<Baton__V1__HelloRequest> = try decode(payload)
      guard Read.string(request.pointee.client).utf8.count <= 128 else {
        throw FieldViolation(field: "client", requirement: "must be at most 128 bytes")
      }
      hello(call, now)
    case .ping:
      let request: UnsafeMutablePointer<Baton__V1__PingRequest> = try decode(payload)
      guard request.pointee.payload.len <= 64 << 10 else {
        throw FieldViolation(
          field: "payload", requirement: "must be at most 65536 bytes, is \(request.pointee.payload.len)")
      }
      let response = replyArena.make(Baton__V1__PingResponse.self)
      // Encoded before anything else is decoded, so it needs no copy.
      response.pointee.payload = request.pointee.payload
      reply(call, response, now)
    case .cancel:
      let request: UnsafeMutablePointer<Baton__V1__CancelRequest> = try decode(payload)
      let other = call.connection.call(on: request.pointee.stream_id)
      let response = replyArena.make(Baton__V1__CancelResponse.self)
      if let other, other !== call {
        fail(other, Status(.cancelled, "cancelled by the caller"), now)
        response.pointee.cancelled = 1
      }
      reply(call, response, now)
    case .listServices:
      let _: UnsafeMutablePointer<Baton__V1__ListServicesRequest> = try decode(payload)
      reply(call, Services.response(replyArena), now)
    case .getMetrics:
      let _: UnsafeMutablePointer<Baton__V1__GetMetricsRequest> = try decode(payload)
      let response = replyArena.make(Baton__V1__GetMetricsResponse.self)
      response.pointee.text = replyArena.string(metrics.text(gauges()))
      reply(call, response, now)
    case .healthCheck:
      let request: UnsafeMutablePointer<Grpc__Health__V1__HealthCheckRequest> = try decode(payload)
      let service = Read.string(request.pointee.service)
      guard let status = healthStatus(of: service) else {
        return fail(call, Status(.notFound, "no service \(service)"), now)
      }
      let response = replyArena.make(Grpc__Health__V1__HealthCheckResponse.self)
      response.pointee.status = status
      reply(call, response, now)
    default: preconditionFailure("\(call.method) is not answered here")
    }
  }

  private func hello(_ call: Call, _ now: Moment) {
    let response = replyArena.make(Baton__V1__HelloResponse.self)
    response.pointee.daemon_version = replyArena.string(settings.daemonVersion)
    response.pointee.protocol_version = 1
    response.pointee.max_frame_bytes = UInt32(FrameHeader.maxBodyBytes)
    response.pointee.max_streams = UInt32(clamping: settings.maxStreams)
    response.pointee.max_stream_queue_bytes = UInt32(clamping: settings.maxStreamQueueBytes)
    response.pointee.fleet_id = fleetID
    reply(call, response, now)
  }

  private func gauges() -> ServiceMetrics.Gauges {
    var gauges = ServiceMetrics.Gauges()
    gauges.connections = connectionCount
    for record in runners.values {
      if record.openOrder == nil { gauges.runnersReady += 1 } else { gauges.runnersDraining += 1 }
      if record.call == nil { gauges.runnersDetached += 1 }
    }
    gauges.openDrains = openOrders.count
    gauges.pendingMutations = pendingMutations.count
    gauges.pendingQueries = pendingQueries.count
    gauges.queuedOutputBytes = connections.reduce(0) { $0 + ($1?.output.byteCount ?? 0) }
    gauges.revision = revision.rawValue
    return gauges
  }
}
