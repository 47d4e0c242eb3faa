import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// Who steers the fleet: puts configs, drains, sets targets, cordons, takes orders back. One call at a time on a
/// connection of its own each.
final class SimulatedOperator {
  private let world: World
  private var callers: [SimulatedCaller] = []

  /// Short, so that a run sees many of their ends.
  private static let actorSettings: ActorSettings = {
    var settings = ActorSettings()
    settings.startThresholdMilliseconds = 6000
    settings.stopThresholdMilliseconds = 20_000
    settings.retryBackoffMilliseconds = 1000
    settings.retryResetMilliseconds = 60_000
    return settings
  }()

  init(_ world: World) { self.world = world }

  func call(
    _ method: Method, _ request: [UInt8], _ answered: @escaping (UnsafeRawBufferPointer) -> Void = { _ in }
  ) {
    callers.append(SimulatedCaller(world, method, request, message: answered, ended: { _ in }))
    callers.removeAll { $0.hasEnded }
  }

  func make<Message: CMessage>(
    _ type: Message.Type, _ arena: Arena, _ set: (inout Message) -> Void
  ) -> UnsafeMutablePointer<Message> {
    let message = arena.make(type)
    set(&message.pointee)
    return message
  }

  // MARK: - Configs

  /// Gates and pace as somebody might set them, with times as short as a run.
  func drawUpgrade() -> UpgradeSettings {
    guard !world.random.oneIn(3) else { return UpgradeSettings() }
    var settings = UpgradeSettings()
    if world.random.oneIn(2) { settings.minHealthyMilliseconds = world.random.oneIn(2) ? 5000 : 20_000 }
    if world.random.oneIn(2) { settings.capacity = .wait }
    if settings.capacity != nil, world.random.oneIn(3) { settings.minAvailable = .percent(50) }
    switch Int.random(in: 0..<4, using: &world.random) {
    case 0: settings.maxDraining = .count(1)
    case 1: settings.maxDraining = .percent(50)
    default: break
    }
    if world.random.oneIn(3) { settings.holdTimeoutMilliseconds = 60_000 }
    return settings
  }

  func putConfig(_ pool: PoolName, drains: Bool) {
    let settings = PoolSettings(drains: drains, upgrade: drawUpgrade())
    let arena = Arena()
    let request = arena.make(Baton__V1__PutRunnerConfigRequest.self)
    request.pointee.namespace_ = arena.string(pool.namespace)
    request.pointee.name = arena.string(pool.name)
    request.pointee.config = Encode.config(
      RunnerConfig(
        kind: .normal(
          .init(drainOnVersionUpgrade: drains, actors: Self.actorSettings, upgrade: settings.upgrade))),
      arena)
    world.history.configSent(pool, settings)
    let sent = world.history.configs[pool]!.count
    call(.putRunnerConfig, Codec.encode(request)) { [world] _ in
      // Only while it was the only one on its way is its order certain.
      if world.history.configs[pool]!.count == sent { world.history.configAcknowledged(pool, settings) }
    }
  }

  // MARK: - Upgrades

  func drain(_ pool: PoolName, one runner: RunnerID?) {
    let arena = Arena()
    let request = arena.make(Baton__V1__DrainRequest.self)
    let selector = arena.make(Baton__V1__DrainRequest__PoolSelector.self)
    selector.pointee.namespace_ = arena.string(pool.namespace)
    selector.pointee.name = arena.string(pool.name)
    if world.random.oneIn(3), let runner {
      request.pointee.target_case = BATON__V1__DRAIN_REQUEST__TARGET_RUNNER_ID
      request.pointee.runner_id = UInt64(runner.rawValue)
    } else if world.random.oneIn(3) {
      request.pointee.target_case = BATON__V1__DRAIN_REQUEST__TARGET_WHOLE_POOL
      request.pointee.whole_pool = selector
    } else {
      request.pointee.target_case = BATON__V1__DRAIN_REQUEST__TARGET_OLDER_VERSIONS
      request.pointee.older_versions = selector
    }
    request.pointee.reason = arena.string("simulated operator")
    call(.drain, Codec.encode(request)) { [world] payload in
      let arena = Arena()
      guard let response = try? Codec.decode(Baton__V1__DrainResponse.self, payload, in: arena) else {
        return
      }
      for id in Read.numbers(response.pointee.n_order_ids, response.pointee.order_ids) {
        world.history.ordered(DrainOrderID(Int64(id)))
      }
    }
  }

  /// Forth, back, or as if nobody had said anything.
  func setTarget(_ pool: PoolName, near version: UInt32) {
    let arena = Arena()
    let request = make(Baton__V1__SetTargetVersionRequest.self, arena) { request in
      request.pool = make(Baton__V1__PoolRef.self, arena) { $0.name = arena.string(pool.name) }
      request.reason = arena.string("simulated operator")
      switch Int.random(in: 0..<4, using: &world.random) {
      case 0:
        request.target_case = BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_AUTOMATIC
        request.automatic = 1
      case 1:
        request.target_case = BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_PREVIOUS
        request.previous = 1
      default:
        request.target_case = BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_VERSION
        request.version = UInt32(max(1, Int(version) - Int.random(in: 0...2, using: &world.random)))
      }
    }
    call(.setTargetVersion, Codec.encode(request))
  }

  func cordon(_ runner: RunnerID) {
    let arena = Arena()
    let request = make(Baton__V1__CordonRequest.self, arena) {
      $0.runner_id = UInt64(runner.rawValue)
      $0.cordoned = world.random.oneIn(2) ? 1 : 0
      $0.reason = arena.string("simulated operator")
    }
    call(.cordon, Codec.encode(request))
  }

  func takeBack(_ runner: RunnerID) {
    let arena = Arena()
    let request = make(Baton__V1__CancelDrainRequest.self, arena) {
      $0.which_case = BATON__V1__CANCEL_DRAIN_REQUEST__WHICH_RUNNER_ID
      $0.runner_id = UInt64(runner.rawValue)
      $0.reason = arena.string("simulated operator")
    }
    call(.cancelDrain, Codec.encode(request))
  }

  func changeDeadline(_ order: DrainOrderID) {
    let arena = Arena()
    world.deadlines.mayBeExtended(order)
    let request = make(Baton__V1__ChangeDeadlineRequest.self, arena) {
      $0.which_case = BATON__V1__CHANGE_DEADLINE_REQUEST__WHICH_ORDER_ID
      $0.order_id = UInt64(order.rawValue)
      if world.random.oneIn(3) {
        $0.change_case = BATON__V1__CHANGE_DEADLINE_REQUEST__CHANGE_FORCE_NOW
        $0.force_now = 1
      } else {
        $0.change_case = BATON__V1__CHANGE_DEADLINE_REQUEST__CHANGE_EXTEND_MS
        $0.extend_ms = UInt64.random(in: 1000...20_000, using: &world.random)
      }
    }
    call(.changeDeadline, Codec.encode(request))
  }

  // MARK: - Actors

  /// Creates an actor, or wants something of one.
  func wishForActors(_ pool: PoolName) {
    let arena = Arena()
    let known = world.history.actors.keys.sorted()
    guard world.random.oneIn(3), let actor = known.randomElement(using: &world.random) else {
      let request = arena.make(Baton__V1__CreateActorRequest.self)
      request.pointee.runner_name = arena.string(pool.name)
      request.pointee.name = arena.string("box")
      if world.random.oneIn(3) {
        request.pointee.key = arena.string("key-\(Int.random(in: 0...9, using: &world.random))")
      }
      request.pointee.crash_policy = .init(rawValue: UInt32.random(in: 1...3, using: &world.random))
      return call(.createActor, Codec.encode(request)) { [world] payload in
        let arena = Arena()
        guard let response = try? Codec.decode(Baton__V1__CreateActorResponse.self, payload, in: arena),
          let actor = Decode.actor(response.pointee.actor)
        else { return }
        world.history.created(actor.id, actor.identity.name)
      }
    }
    let id = UInt64(actor.rawValue)
    switch Int.random(in: 0..<3, using: &world.random) {
    case 0: call(.wakeActor, Codec.encode(make(Baton__V1__WakeActorRequest.self, arena) { $0.actor_id = id }))
    case 1:
      call(.sleepActor, Codec.encode(make(Baton__V1__SleepActorRequest.self, arena) { $0.actor_id = id }))
    default:
      call(.destroyActor, Codec.encode(make(Baton__V1__DestroyActorRequest.self, arena) { $0.actor_id = id }))
    }
  }
}
