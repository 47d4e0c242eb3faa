import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// What the store answered, as replies.
extension Service {
  /// The answer to a mutation that a caller waits for.
  func answer(_ call: Call, _ outcome: MutationOutcome, _ now: Moment) {
    guard !call.isOver else { return }
    replyArena.reset()
    switch outcome {
    case .namespaceCreated(let namespace, let revision):
      let response = replyArena.make(Baton__V1__CreateNamespaceResponse.self)
      response.pointee.namespace_ = Encode.namespace(namespace, replyArena)
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case .configPut(let decision, let revision):
      let response = replyArena.make(Baton__V1__PutRunnerConfigResponse.self)
      response.pointee.decision = Encode.decision(decision, replyArena)
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case .configDeleted(let revision):
      let response = replyArena.make(Baton__V1__DeleteRunnerConfigResponse.self)
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case .drained(let orders, let existing, let revision):
      let response = replyArena.make(Baton__V1__DrainResponse.self)
      response.pointee.n_order_ids = orders.count
      response.pointee.order_ids = replyArena.array(orders.map { UInt64($0.rawValue) })
      response.pointee.n_existing_order_ids = existing.count
      response.pointee.existing_order_ids = replyArena.array(existing.map { UInt64($0.rawValue) })
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case .actor(let actor, let isCreated, let revision):
      self.answer(call, actor, isCreated: isCreated, UInt64(revision.rawValue), now)
    case .targetSet, .cordoned, .drainChanged: answerControl(call, outcome, now)
    case .registered, .applied, .stopping, .left, .reported, .pruned:
      preconditionFailure("\(call.method) was answered with \(outcome)")
    }
  }

  /// The reader has answered a query, or failed.
  package func answered(_ ticket: Ticket, _ result: Result<QueryAnswer, StoreFailure>, now: Moment) {
    guard let pending = pendingQueries.removeValue(forKey: ticket) else { return }
    switch (pending, result) {
    case (.unary(let call), .success(let answer)): self.answer(call, answer, now)
    case (.watch(let call), .success(let answer)): eventsRead(call, answer, now)
    case (.watchActor(let call), .success(let answer)): actorRead(call, answer, now)
    case (.commands(let call), .success(let answer)): commandsRead(call, answer, now)
    case (.unary(let call), .failure(let failure)): fail(call, Status(failure), now)
    case (.watch(let call), .failure(let failure)): fail(call, Status(failure), now)
    case (.watchActor(let call), .failure(let failure)): fail(call, Status(failure), now)
    case (.commands(let call), .failure(let failure)): fail(call, Status(failure), now)
    }
  }

  private func answer(_ call: Call, _ answer: QueryAnswer, _ now: Moment) {
    guard !call.isOver else { return }
    replyArena.reset()
    let revision = UInt64(answer.revision.rawValue)
    switch answer.content {
    case .status(let counts): status(call, counts, revision, now)
    case .namespaces(let page):
      let response = replyArena.make(Baton__V1__ListNamespacesResponse.self)
      let elements = page.elements.map { Encode.namespace($0, replyArena) }
      response.pointee.n_namespaces = elements.count
      response.pointee.namespaces = replyArena.messages(elements)
      response.pointee.next_page_token = replyArena.string(page.next)
      response.pointee.revision = revision
      reply(call, response, now)
    case .config(let config):
      let response = replyArena.make(Baton__V1__GetRunnerConfigResponse.self)
      response.pointee.config = Encode.config(config, replyArena)
      response.pointee.revision = revision
      reply(call, response, now)
    case .configs(let page):
      let response = replyArena.make(Baton__V1__ListRunnerConfigsResponse.self)
      let elements = page.elements.map { element in
        let entry = replyArena.make(Baton__V1__ListRunnerConfigsResponse__Entry.self)
        entry.pointee.namespace_ = replyArena.string(element.pool.namespace)
        entry.pointee.name = replyArena.string(element.pool.name)
        entry.pointee.config = Encode.config(element.config, replyArena)
        return entry
      }
      response.pointee.n_configs = elements.count
      response.pointee.configs = replyArena.messages(elements)
      response.pointee.next_page_token = replyArena.string(page.next)
      response.pointee.revision = revision
      reply(call, response, now)
    case .runners, .runner, .drains, .drain: answerRunners(call, answer, now)
    case .pools, .pool: answerPools(call, answer, now)
    case .actor(let actor): self.answer(call, actor, isCreated: false, revision, now)
    case .actors(let page): self.answer(call, page, revision, now)
    case .refused(let refusal): fail(call, Status(refusal), now)
    case .plan, .explanation, .history: answerControl(call, answer, now)
    case .events, .commands: preconditionFailure("\(call.method) was answered with \(answer.content)")
    }
  }

  private func answerRunners(_ call: Call, _ answer: QueryAnswer, _ now: Moment) {
    let revision = UInt64(answer.revision.rawValue)
    switch answer.content {
    case .runners(let page):
      let response = replyArena.make(Baton__V1__ListRunnersResponse.self)
      let elements = page.elements.map { Encode.runner($0, replyArena) }
      response.pointee.n_runners = elements.count
      response.pointee.runners = replyArena.messages(elements)
      response.pointee.next_page_token = replyArena.string(page.next)
      response.pointee.revision = revision
      reply(call, response, now)
    case .runner(let runner):
      let response = replyArena.make(Baton__V1__GetRunnerResponse.self)
      response.pointee.runner = Encode.runner(runner, replyArena)
      response.pointee.revision = revision
      reply(call, response, now)
    case .drains(let page):
      let response = replyArena.make(Baton__V1__ListDrainsResponse.self)
      let elements = page.elements.map { Encode.drain($0, now: now, replyArena) }
      response.pointee.n_drains = elements.count
      response.pointee.drains = replyArena.messages(elements)
      response.pointee.next_page_token = replyArena.string(page.next)
      response.pointee.revision = revision
      reply(call, response, now)
    case .drain(let order):
      let response = replyArena.make(Baton__V1__GetDrainResponse.self)
      response.pointee.drain = Encode.drain(order, now: now, replyArena)
      response.pointee.revision = revision
      reply(call, response, now)
    default: preconditionFailure("neither runners nor drains: \(answer.content)")
    }
  }

  private func answerPools(_ call: Call, _ answer: QueryAnswer, _ now: Moment) {
    let revision = UInt64(answer.revision.rawValue)
    switch answer.content {
    case .pools(let page):
      let response = replyArena.make(Baton__V1__ListPoolsResponse.self)
      let elements = page.elements.map { Encode.pool($0, now: now, replyArena) }
      response.pointee.n_pools = elements.count
      response.pointee.pools = replyArena.messages(elements)
      response.pointee.next_page_token = replyArena.string(page.next)
      response.pointee.revision = revision
      reply(call, response, now)
    case .pool(let pool, let history):
      let response = replyArena.make(Baton__V1__GetPoolResponse.self)
      response.pointee.pool = Encode.pool(pool, now: now, replyArena)
      let changes = history.map { Encode.target($0, replyArena) }
      response.pointee.n_target_history = changes.count
      response.pointee.target_history = replyArena.messages(changes)
      response.pointee.revision = revision
      reply(call, response, now)
    default: preconditionFailure("no pools: \(answer.content)")
    }
  }

  private func status(_ call: Call, _ counts: FleetCounts, _ revision: UInt64, _ now: Moment) {
    let response = replyArena.make(Baton__V1__GetStatusResponse.self)
    response.pointee.daemon_version = replyArena.string(settings.daemonVersion)
    response.pointee.pid = settings.pid
    response.pointee.started_at_ms = Encode.wall(startedAt.wallMilliseconds)
    response.pointee.socket_path = replyArena.string(settings.socketPath)
    response.pointee.state_dir = replyArena.string(settings.stateDirectory)
    response.pointee.fleet_id = fleetID
    response.pointee.revision = revision
    response.pointee.store_healthy = storeError == nil ? 1 : 0
    response.pointee.store_error = replyArena.string(storeError ?? "")
    response.pointee.connections = UInt32(clamping: connectionCount)
    response.pointee.namespaces = UInt64(clamping: counts.namespaces)
    response.pointee.pools = UInt64(clamping: counts.pools)
    response.pointee.runners_ready = UInt64(clamping: counts.ready)
    response.pointee.runners_draining = UInt64(clamping: counts.draining)
    response.pointee.runners_detached = UInt64(clamping: counts.detached)
    response.pointee.runners_ended = UInt64(clamping: counts.ended)
    response.pointee.open_drains = UInt64(clamping: counts.openDrains)
    response.pointee.actors = Encode.actorCounts(counts.actors, replyArena)
    response.pointee.wal_bytes = UInt64(clamping: counts.walBytes)
    response.pointee.heartbeat_interval_ms = UInt32(clamping: settings.times.heartbeatIntervalMilliseconds)
    response.pointee.silent_threshold_ms = UInt32(clamping: settings.times.silentThresholdMilliseconds)
    response.pointee.lost_threshold_ms = UInt32(clamping: settings.times.lostThresholdMilliseconds)
    response.pointee.default_drain_grace_ms = Encode.wall(settings.times.defaultGraceMilliseconds)
    reply(call, response, now)
  }
}
