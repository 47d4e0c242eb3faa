import CBatonProto
import Handover
import Protobuf

/// Values to messages. Each is made in the arena and lives until its reset.
package enum Encode {
  package static func peer(_ peer: Peer, _ arena: Arena) -> UnsafeMutablePointer<Baton__V1__Peer> {
    let message = arena.make(Baton__V1__Peer.self)
    message.pointee.uid = peer.uid
    message.pointee.gid = peer.gid
    message.pointee.pid = peer.pid
    message.pointee.program = arena.string(peer.program)
    return message
  }

  package static func runner(_ runner: Runner, _ arena: Arena) -> UnsafeMutablePointer<Baton__V1__Runner> {
    let message = arena.make(Baton__V1__Runner.self)
    message.pointee.id = UInt64(runner.id.rawValue)
    message.pointee.namespace_ = arena.string(runner.pool.namespace)
    message.pointee.name = arena.string(runner.pool.name)
    message.pointee.key = arena.string(runner.key)
    message.pointee.version = runner.version.number
    message.pointee.total_slots = runner.totalSlots
    message.pointee.remaining_slots = runner.remainingSlots
    message.pointee.phase = .init(rawValue: UInt32(runner.phase.rawValue))
    message.pointee.link = .init(rawValue: UInt32(runner.link?.rawValue ?? 0))
    message.pointee.silent = runner.isSilent ? 1 : 0
    message.pointee.ends_with_process = runner.endsWithProcess ? 1 : 0
    message.pointee.peer = peer(runner.peer, arena)
    let pairs = runner.metadata.map { pair in
      let entry = arena.make(Baton__V1__Runner__MetadataEntry.self)
      entry.pointee.key = arena.string(pair.key)
      entry.pointee.value = arena.string(pair.value)
      return entry
    }
    message.pointee.n_metadata = pairs.count
    message.pointee.metadata = arena.messages(pairs)
    message.pointee.registered_at_ms = wall(runner.registeredAtMilliseconds)
    message.pointee.link_changed_at_ms = wall(runner.linkChangedAtMilliseconds)
    message.pointee.ended_at_ms = wall(runner.endedAtMilliseconds)
    message.pointee.end = .init(rawValue: UInt32(runner.end?.rawValue ?? 0))
    message.pointee.drain_order_id = UInt64(runner.drainOrder?.rawValue ?? 0)
    if let code = runner.exitCode {
      message.pointee.exit_code_presence_case = BATON__V1__RUNNER__EXIT_CODE_PRESENCE_EXIT_CODE
      message.pointee.exit_code = code
    }
    message.pointee.detach_reason = arena.string(runner.detachReason)
    message.pointee.takes_actors = runner.takesActors ? 1 : 0
    message.pointee.cordoned = runner.isCordoned ? 1 : 0
    message.pointee.exempt_from_target = runner.exemptFrom?.number ?? 0
    return message
  }

  package static func drain(
    _ order: DrainOrder, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__DrainOrder> {
    let message = arena.make(Baton__V1__DrainOrder.self)
    message.pointee.id = UInt64(order.id.rawValue)
    message.pointee.runner_id = UInt64(order.runner.rawValue)
    message.pointee.namespace_ = arena.string(order.pool.namespace)
    message.pointee.name = arena.string(order.pool.name)
    message.pointee.runner_version = order.runnerVersion.number
    message.pointee.cause = .init(rawValue: UInt32(order.cause.rawValue))
    message.pointee.reason = arena.string(order.reason)
    message.pointee.target_version = order.targetVersion?.number ?? 0
    message.pointee.who = peer(order.who, arena)
    message.pointee.state = .init(rawValue: UInt32(order.state.rawValue))
    message.pointee.ordered_at_ms = wall(order.orderedAtMilliseconds)
    message.pointee.delivered_at_ms = wall(order.deliveredAtMilliseconds)
    message.pointee.acked_at_ms = wall(order.ackedAtMilliseconds)
    message.pointee.ended_at_ms = wall(order.endedAtMilliseconds)
    message.pointee.grace_ms = wall(order.graceMilliseconds)
    message.pointee.remaining_ms = wall(order.remainingMilliseconds(at: now))
    message.pointee.deliveries = order.deliveries
    message.pointee.way_back = .init(rawValue: UInt32(order.wayBack?.rawValue ?? 0))
    message.pointee.cancelled_by = order.cancelledBy.map { peer($0, arena) }
    message.pointee.cancel_reason = arena.string(order.cancelReason)
    return message
  }

  /// A config as it was sent, with what this daemon does not know of it; one the daemon made, from its values.
  package static func config(
    _ config: RunnerConfig, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__RunnerConfig> {
    if !config.encoded.isEmpty,
      let kept = try? config.encoded.withUnsafeBytes({ bytes throws(DecodeError) in
        try Codec.decodeAlso(Baton__V1__RunnerConfig.self, arena.data(bytes).buffer, in: arena)
      })
    {
      return kept
    }
    let message = arena.make(Baton__V1__RunnerConfig.self)
    switch config.kind {
    case .normal(let normal):
      let inner = arena.make(Baton__V1__NormalRunners.self)
      if let drain = normal.drainOnVersionUpgrade {
        inner.pointee.drain_on_version_upgrade_presence_case =
          BATON__V1__NORMAL_RUNNERS__DRAIN_ON_VERSION_UPGRADE_PRESENCE_DRAIN_ON_VERSION_UPGRADE
        inner.pointee.drain_on_version_upgrade = drain ? 1 : 0
      }
      inner.pointee.drain_grace_period_ms = wall(normal.drainGracePeriodMilliseconds)
      inner.pointee.fallback_to_other_versions = normal.actors.fallsBackToOtherVersions ? 1 : 0
      inner.pointee.actor_start_threshold_ms = wall(normal.actors.startThresholdMilliseconds)
      inner.pointee.actor_stop_threshold_ms = wall(normal.actors.stopThresholdMilliseconds)
      inner.pointee.actor_retry_backoff_ms = wall(normal.actors.retryBackoffMilliseconds)
      inner.pointee.actor_retry_reset_ms = wall(normal.actors.retryResetMilliseconds)
      upgrade(normal.upgrade, into: inner, arena)
      message.pointee.kind_case = BATON__V1__RUNNER_CONFIG__KIND_NORMAL
      message.pointee.normal = inner
    case .serverless:
      message.pointee.kind_case = BATON__V1__RUNNER_CONFIG__KIND_SERVERLESS
      message.pointee.serverless = arena.make(Baton__V1__ServerlessRunners.self)
    }
    let pairs = config.metadata.map { pair in
      let entry = arena.make(Baton__V1__RunnerConfig__MetadataEntry.self)
      entry.pointee.key = arena.string(pair.key)
      entry.pointee.value = arena.string(pair.value)
      return entry
    }
    message.pointee.n_metadata = pairs.count
    message.pointee.metadata = arena.messages(pairs)
    return message
  }

  package static func target(
    _ change: TargetChange, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__TargetChange> {
    let message = arena.make(Baton__V1__TargetChange.self)
    message.pointee.version = change.version.number
    message.pointee.previous_version = change.previousVersion?.number ?? 0
    message.pointee.cause = .init(rawValue: UInt32(change.cause.rawValue))
    message.pointee.runner_id = UInt64(change.runner?.rawValue ?? 0)
    message.pointee.who = peer(change.who, arena)
    message.pointee.at_ms = wall(change.atMilliseconds)
    return message
  }

  package static func pool(
    _ pool: Pool, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__Pool> {
    let message = arena.make(Baton__V1__Pool.self)
    message.pointee.namespace_ = arena.string(pool.name.namespace)
    message.pointee.name = arena.string(pool.name.name)
    message.pointee.config = config(pool.config, arena)
    message.pointee.target = pool.target.map { target($0, arena) }
    message.pointee.owner_uid = pool.ownerUID ?? 0
    message.pointee.owned = pool.ownerUID == nil ? 0 : 1
    let versions = pool.versions.map { summary in
      let entry = arena.make(Baton__V1__VersionSummary.self)
      entry.pointee.version = summary.version.number
      entry.pointee.ready = UInt32(clamping: summary.ready)
      entry.pointee.ready_attached = UInt32(clamping: summary.readyAttached)
      entry.pointee.draining = UInt32(clamping: summary.draining)
      entry.pointee.total_slots = wall(summary.totalSlots)
      entry.pointee.remaining_slots = wall(summary.remainingSlots)
      entry.pointee.exempt = UInt32(clamping: summary.exempt)
      entry.pointee.draining_actors = wall(summary.drainingActors)
      return entry
    }
    message.pointee.n_versions = versions.count
    message.pointee.versions = arena.messages(versions)
    message.pointee.open_drains = UInt32(clamping: pool.openDrains)
    message.pointee.actors = actorCounts(pool.actors, arena)
    message.pointee.pin = pool.pin.map { pin($0, arena) }
    message.pointee.held_upgrade = pool.heldUpgrade.map { heldUpgrade($0, now: now, arena) }
    return message
  }

  package static func namespace(
    _ namespace: Namespace, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__Namespace> {
    let message = arena.make(Baton__V1__Namespace.self)
    message.pointee.name = arena.string(namespace.name)
    message.pointee.created_at_ms = wall(namespace.createdAtMilliseconds)
    return message
  }

  package static func decision(
    _ decision: Decision, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__Decision> {
    let message = arena.make(Baton__V1__Decision.self)
    message.pointee.config = .init(rawValue: UInt32(decision.config.rawValue))
    message.pointee.upgrade = .init(rawValue: UInt32(decision.upgrade.rawValue))
    message.pointee.ordered = UInt32(clamping: decision.ordered)
    let held = decision.held.map { held in
      let entry = arena.make(Baton__V1__Held.self)
      entry.pointee.gate = arena.string(held.gate)
      entry.pointee.count = UInt32(clamping: held.count)
      return entry
    }
    message.pointee.n_held = held.count
    message.pointee.held = arena.messages(held)
    message.pointee.superseded = UInt64(decision.superseded?.rawValue ?? 0)
    message.pointee.standing = .init(rawValue: UInt32(decision.standing?.rawValue ?? 0))
    message.pointee.target_version = decision.target?.number ?? 0
    return message
  }

  package static func event(_ event: Event, _ arena: Arena) -> UnsafeMutablePointer<Baton__V1__Event> {
    let message = arena.make(Baton__V1__Event.self)
    message.pointee.revision = UInt64(event.revision.rawValue)
    message.pointee.at_ms = wall(event.atMilliseconds)
    message.pointee.kind = .init(rawValue: UInt32(event.kind.rawValue))
    message.pointee.namespace_ = arena.string(event.namespace)
    message.pointee.name = arena.string(event.name)
    message.pointee.runner_id = UInt64(event.runner?.rawValue ?? 0)
    message.pointee.drain_order_id = UInt64(event.drainOrder?.rawValue ?? 0)
    message.pointee.version = event.version?.number ?? 0
    message.pointee.who = event.who.map { peer($0, arena) }
    message.pointee.detail = arena.string(event.detail)
    message.pointee.actor_id = UInt64(event.actor?.rawValue ?? 0)
    message.pointee.generation = wall(event.generation)
    return message
  }

  /// Times and counts that are never negative, whatever a clock said when they were written.
  package static func wall(_ value: Int64?) -> UInt64 { UInt64(clamping: value ?? 0) }
}
