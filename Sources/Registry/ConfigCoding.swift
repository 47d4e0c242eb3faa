import Handover

/// A pool's config as its columns.
struct ConfigColumns {
  enum Kind: Int { case normal = 1, serverless = 2 }

  /// Of `pools p`, as `Row.config` reads them.
  static let columns = """
    p.kind, p.drain_on_version_upgrade, p.grace_ms, p.config_metadata, p.config_encoded, p.actor_fallback,
    p.actor_start_ms, p.actor_stop_ms, p.actor_backoff_ms, p.actor_reset_ms, p.strategy, p.min_healthy_ms,
    p.capacity, p.min_available, p.max_draining, p.hold_timeout_ms
    """
  static let count: Int32 = 16

  var kind: Int?
  var drainOnVersionUpgrade: Bool?
  var graceMilliseconds: Int64 = 0
  var actors = ActorSettings()
  var upgrade = UpgradeSettings()
  var metadata: [UInt8]?
  var encoded: [UInt8]?

  init(_ config: RunnerConfig?) {
    guard let config else { return }
    switch config.kind {
    case .normal(let normal):
      kind = Kind.normal.rawValue
      drainOnVersionUpgrade = normal.drainOnVersionUpgrade
      graceMilliseconds = normal.drainGracePeriodMilliseconds
      actors = normal.actors
      upgrade = normal.upgrade
    case .serverless:
      kind = Kind.serverless.rawValue
    }
    metadata = config.metadata.isEmpty ? nil : MetadataCoding.encode(config.metadata)
    encoded = config.encoded.isEmpty ? nil : config.encoded
  }
}

extension Row {
  /// `ConfigColumns.columns` from `column` on; nil where the pool has no config.
  func config(_ column: Int32) -> RunnerConfig? {
    guard let kind = ConfigColumns.Kind(rawValue: int(column)) else { return nil }
    let read: RunnerConfig.Kind =
      switch kind {
      case .normal:
        .normal(
          RunnerConfig.Normal(
            drainOnVersionUpgrade: isNull(column + 1) ? nil : bool(column + 1),
            drainGracePeriodMilliseconds: int64(column + 2), actors: actorSettings(column + 5),
            upgrade: upgradeSettings(column + 10)))
      case .serverless: .serverless
      }
    return RunnerConfig(
      kind: read, metadata: MetadataCoding.decode(blob(column + 3)), encoded: blob(column + 4))
  }

  private func actorSettings(_ column: Int32) -> ActorSettings {
    var settings = ActorSettings()
    settings.fallsBackToOtherVersions = bool(column)
    settings.startThresholdMilliseconds = int64(column + 1)
    settings.stopThresholdMilliseconds = int64(column + 2)
    settings.retryBackoffMilliseconds = int64(column + 3)
    settings.retryResetMilliseconds = int64(column + 4)
    return settings
  }

  private func upgradeSettings(_ column: Int32) -> UpgradeSettings {
    UpgradeSettings(
      strategy: UpgradeSettings.Strategy(rawValue: int(column)),
      minHealthyMilliseconds: optionalInt64(column + 1),
      capacity: UpgradeSettings.Capacity(rawValue: int(column + 2)),
      minAvailable: optionalText(column + 3).flatMap { Share($0) },
      maxDraining: optionalText(column + 4).flatMap { Share($0) },
      holdTimeoutMilliseconds: optionalInt64(column + 5))
  }

  /// pending, queued, starting, running, stopping, sleeping.
  func actorCounts(_ column: Int32) -> ActorCounts {
    var counts = ActorCounts()
    counts.pending = int(column)
    counts.queued = int(column + 1)
    counts.starting = int(column + 2)
    counts.running = int(column + 3)
    counts.stopping = int(column + 4)
    counts.sleeping = int(column + 5)
    return counts
  }

  /// version, previous_version, cause, runner_id, at_ms, uid, gid, pid, program; nil where there is none.
  func targetChange(_ column: Int32) -> TargetChange? {
    guard let version = optionalVersion(column) else { return nil }
    return TargetChange(
      version: version, previousVersion: optionalVersion(column + 1),
      cause: TargetCause(rawValue: int(column + 2)) ?? .first,
      runner: optionalInt64(column + 3).map { RunnerID($0) }, who: peer(column + 5),
      atMilliseconds: int64(column + 4))
  }
}
