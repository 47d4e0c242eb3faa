import CBatonProto
import CProtobufC
import Handover
import Protobuf

/// Messages to values, from a peer that may be newer: what it says that is not known here becomes the nearest
/// honest thing, never a trap. Used by clients and for what the store keeps.
package enum Decode {
  package static func peer(_ message: UnsafeMutablePointer<Baton__V1__Peer>?) -> Peer {
    guard let message = message?.pointee else { return Peer(uid: 0, gid: 0, pid: 0, program: "") }
    return Peer(
      uid: message.uid, gid: message.gid, pid: message.pid, program: Read.string(message.program))
  }

  /// A config, with the bytes that carry what is not known here. A kind that is not known is `.serverless`-like to
  /// nobody: nil.
  package static func config(_ message: UnsafeMutablePointer<Baton__V1__RunnerConfig>?) -> RunnerConfig? {
    guard let message else { return nil }
    let kind: RunnerConfig.Kind
    switch message.pointee.kind_case {
    case BATON__V1__RUNNER_CONFIG__KIND_NORMAL:
      guard let normal = message.pointee.normal?.pointee else { return nil }
      let present =
        normal.drain_on_version_upgrade_presence_case
        == BATON__V1__NORMAL_RUNNERS__DRAIN_ON_VERSION_UPGRADE_PRESENCE_DRAIN_ON_VERSION_UPGRADE
      kind = .normal(
        .init(
          drainOnVersionUpgrade: present ? normal.drain_on_version_upgrade != 0 : nil,
          drainGracePeriodMilliseconds: Int64(clamping: normal.drain_grace_period_ms),
          actors: actorSettings(normal), upgrade: upgrade(normal)))
    case BATON__V1__RUNNER_CONFIG__KIND_SERVERLESS:
      kind = .serverless
    default:
      return nil
    }
    let metadata = Read.messages(message.pointee.n_metadata, message.pointee.metadata).map {
      MetadataPair(key: Read.string($0.pointee.key), value: Read.string($0.pointee.value))
    }
    return RunnerConfig(kind: kind, metadata: metadata, encoded: Codec.encode(message))
  }

  private static func actorSettings(_ normal: Baton__V1__NormalRunners) -> ActorSettings {
    var settings = ActorSettings()
    settings.fallsBackToOtherVersions = normal.fallback_to_other_versions != 0
    settings.startThresholdMilliseconds = wall(normal.actor_start_threshold_ms)
    settings.stopThresholdMilliseconds = wall(normal.actor_stop_threshold_ms)
    settings.retryBackoffMilliseconds = wall(normal.actor_retry_backoff_ms)
    settings.retryResetMilliseconds = wall(normal.actor_retry_reset_ms)
    return settings
  }

  package static func target(_ message: UnsafeMutablePointer<Baton__V1__TargetChange>?) -> TargetChange? {
    guard let message = message?.pointee, let version = Version(message.version) else { return nil }
    return TargetChange(
      version: version, previousVersion: Version(message.previous_version),
      cause: TargetCause(rawValue: Int(message.cause.rawValue)) ?? .promoted,
      runner: runner(id: message.runner_id), who: peer(message.who), atMilliseconds: wall(message.at_ms))
  }

  package static func decision(_ message: UnsafeMutablePointer<Baton__V1__Decision>?) -> Decision? {
    guard let message = message?.pointee else { return nil }
    return Decision(
      config: Decision.Config(rawValue: Int(message.config.rawValue)) ?? .found,
      upgrade: Decision.Upgrade(rawValue: Int(message.upgrade.rawValue)) ?? .noneOlder,
      ordered: Int(message.ordered),
      held: Read.messages(message.n_held, message.held).map {
        Decision.Held(gate: Read.string($0.pointee.gate), count: Int($0.pointee.count))
      },
      superseded: runner(id: message.superseded),
      standing: Decision.Standing(rawValue: Int(message.standing.rawValue)),
      target: Version(message.target_version))
  }

  package static func runner(_ message: UnsafeMutablePointer<Baton__V1__Runner>) -> Runner? {
    let runner = message.pointee
    guard let version = Version(runner.version), let phase = RunnerPhase(rawValue: Int(runner.phase.rawValue))
    else { return nil }
    let hasExitCode = runner.exit_code_presence_case == BATON__V1__RUNNER__EXIT_CODE_PRESENCE_EXIT_CODE
    return Runner(
      id: RunnerID(wall(runner.id)),
      pool: PoolName(namespace: Read.string(runner.namespace_), name: Read.string(runner.name)),
      key: Read.string(runner.key), version: version, totalSlots: runner.total_slots,
      remainingSlots: runner.remaining_slots, phase: phase,
      link: RunnerLink(rawValue: Int(runner.link.rawValue)), isSilent: runner.silent != 0,
      endsWithProcess: runner.ends_with_process != 0, peer: peer(runner.peer),
      metadata: Read.messages(runner.n_metadata, runner.metadata).map {
        MetadataPair(key: Read.string($0.pointee.key), value: Read.string($0.pointee.value))
      },
      registeredAtMilliseconds: wall(runner.registered_at_ms),
      linkChangedAtMilliseconds: wall(runner.link_changed_at_ms),
      endedAtMilliseconds: time(runner.ended_at_ms), end: RunnerEnd(rawValue: Int(runner.end.rawValue)),
      drainOrder: order(id: runner.drain_order_id), exitCode: hasExitCode ? runner.exit_code : nil,
      detachReason: Read.string(runner.detach_reason), takesActors: runner.takes_actors != 0,
      isCordoned: runner.cordoned != 0, exemptFrom: Version(runner.exempt_from_target))
  }

  package static func drain(_ message: UnsafeMutablePointer<Baton__V1__DrainOrder>) -> DrainOrder? {
    let order = message.pointee
    guard let version = Version(order.runner_version),
      let cause = DrainCause(rawValue: Int(order.cause.rawValue)),
      let state = DrainState(rawValue: Int(order.state.rawValue))
    else { return nil }
    return DrainOrder(
      id: DrainOrderID(wall(order.id)), runner: RunnerID(wall(order.runner_id)),
      pool: PoolName(namespace: Read.string(order.namespace_), name: Read.string(order.name)),
      runnerVersion: version, cause: cause, reason: Read.string(order.reason),
      targetVersion: Version(order.target_version), who: peer(order.who), state: state,
      orderedAtMilliseconds: wall(order.ordered_at_ms), deliveredAtMilliseconds: time(order.delivered_at_ms),
      ackedAtMilliseconds: time(order.acked_at_ms), endedAtMilliseconds: time(order.ended_at_ms),
      graceMilliseconds: wall(order.grace_ms),
      // On a clock that began when the answer was made, which is the only one that a client shares.
      deadlineNanoseconds: wall(order.remaining_ms).multipliedReportingOverflow(by: 1_000_000).partialValue,
      deliveries: order.deliveries, wayBack: WayBack(rawValue: Int(order.way_back.rawValue)),
      cancelledBy: order.cancelled_by.map { peer($0) }, cancelReason: Read.string(order.cancel_reason))
  }

  package static func pool(_ message: UnsafeMutablePointer<Baton__V1__Pool>) -> Pool {
    let pool = message.pointee
    return Pool(
      name: PoolName(namespace: Read.string(pool.namespace_), name: Read.string(pool.name)),
      config: config(pool.config) ?? .automatic, target: target(pool.target),
      ownerUID: pool.owned != 0 ? pool.owner_uid : nil,
      versions: Read.messages(pool.n_versions, pool.versions).compactMap { entry in
        let summary = entry.pointee
        guard let version = Version(summary.version) else { return nil }
        return VersionSummary(
          version: version, ready: Int(summary.ready), readyAttached: Int(summary.ready_attached),
          readyAttachedAuthorized: Int(summary.ready_attached), draining: Int(summary.draining),
          totalSlots: wall(summary.total_slots), remainingSlots: wall(summary.remaining_slots),
          exempt: Int(summary.exempt), drainingActors: wall(summary.draining_actors))
      },
      openDrains: Int(pool.open_drains), actors: actorCounts(pool.actors), pin: pin(pool.pin),
      heldUpgrade: heldUpgrade(pool.held_upgrade))
  }

  /// nil for a kind of event that is not known here: a newer daemon's.
  package static func event(_ message: UnsafeMutablePointer<Baton__V1__Event>) -> Event? {
    let event = message.pointee
    guard let kind = EventKind(rawValue: Int(event.kind.rawValue)) else { return nil }
    return Event(
      revision: Revision(wall(event.revision)), atMilliseconds: wall(event.at_ms), kind: kind,
      namespace: Read.string(event.namespace_), name: Read.string(event.name),
      runner: runner(id: event.runner_id), drainOrder: order(id: event.drain_order_id),
      version: Version(event.version), who: event.who.map { peer($0) }, detail: Read.string(event.detail),
      actor: event.actor_id == 0 ? nil : ActorID(wall(event.actor_id)), generation: time(event.generation))
  }

  package static func wall(_ value: UInt64) -> Int64 { Int64(clamping: value) }
  package static func time(_ value: UInt64) -> Int64? { value == 0 ? nil : wall(value) }
  package static func runner(id: UInt64) -> RunnerID? { id == 0 ? nil : RunnerID(wall(id)) }
  package static func order(id: UInt64) -> DrainOrderID? { id == 0 ? nil : DrainOrderID(wall(id)) }
}

extension ProtobufCBinaryData {
  package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: len) }
}
