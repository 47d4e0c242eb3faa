/// A runner's life: `ready -> draining -> stopped | lost`, and `ready -> stopped | lost`.
package enum RunnerPhase: Int, Sendable, CaseIterable {
  case ready = 1
  case draining = 2
  case stopped = 3
  case lost = 4

  package var hasEnded: Bool {
    switch self {
    case .ready, .draining: false
    case .stopped, .lost: true
    }
  }
}

/// Whether a living runner's connection is there.
package enum RunnerLink: Int, Sendable, CaseIterable {
  case attached = 1
  case detached = 2
}

/// Why a runner ended.
package enum RunnerEnd: Int, Sendable, CaseIterable {
  /// It said Detach.
  case detached = 1
  /// Its drain order's deadline passed.
  case forced = 2
  /// Detached or silent for longer than the lost threshold.
  case threshold = 3
  /// It had declared `ends_with_process` and its process died.
  case processDied = 4
  /// The machine restarted.
  case machineRestarted = 5
  /// Another runner took its key while it was detached.
  case keyTaken = 6
}

/// A runner as the registry knows it.
package struct Runner: Hashable, Sendable {
  package var id: RunnerID
  package var pool: PoolName
  package var key: String
  package var version: Version
  package var totalSlots: UInt32
  package var remainingSlots: UInt32
  package var phase: RunnerPhase
  /// nil once it has ended.
  package var link: RunnerLink?
  package var isSilent: Bool
  package var endsWithProcess: Bool
  package var peer: Peer
  package var metadata: [MetadataPair]
  package var registeredAtMilliseconds: Int64
  package var linkChangedAtMilliseconds: Int64
  package var endedAtMilliseconds: Int64?
  package var end: RunnerEnd?
  package var drainOrder: DrainOrderID?
  package var exitCode: Int32?
  package var detachReason: String
  /// It understands actor commands; without it, it is given no actors.
  package var takesActors: Bool
  /// Somebody said that it gets no new actors.
  package var isCordoned: Bool
  /// The target that somebody cancelled its order for, while that is the target.
  package var exemptFrom: Version?

  package init(
    id: RunnerID, pool: PoolName, key: String, version: Version, totalSlots: UInt32, remainingSlots: UInt32,
    phase: RunnerPhase, link: RunnerLink?, isSilent: Bool, endsWithProcess: Bool, peer: Peer,
    metadata: [MetadataPair], registeredAtMilliseconds: Int64, linkChangedAtMilliseconds: Int64,
    endedAtMilliseconds: Int64?, end: RunnerEnd?, drainOrder: DrainOrderID?, exitCode: Int32?,
    detachReason: String, takesActors: Bool,
    isCordoned: Bool = false, exemptFrom: Version? = nil
  ) {
    self.id = id
    self.pool = pool
    self.key = key
    self.version = version
    self.totalSlots = totalSlots
    self.remainingSlots = remainingSlots
    self.phase = phase
    self.link = link
    self.isSilent = isSilent
    self.endsWithProcess = endsWithProcess
    self.peer = peer
    self.metadata = metadata
    self.registeredAtMilliseconds = registeredAtMilliseconds
    self.linkChangedAtMilliseconds = linkChangedAtMilliseconds
    self.endedAtMilliseconds = endedAtMilliseconds
    self.end = end
    self.drainOrder = drainOrder
    self.exitCode = exitCode
    self.detachReason = detachReason
    self.takesActors = takesActors
    self.isCordoned = isCordoned
    self.exemptFrom = exemptFrom
  }
}

/// One free pair, in the order given.
package struct MetadataPair: Hashable, Sendable {
  package var key: String
  package var value: String
  package init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}
