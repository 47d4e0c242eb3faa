import Handover

// How the log of events spells what it tells: lower-case words, the same as everywhere that people read them.

extension Decision {
  /// As an event's detail says it.
  var detail: String {
    var words = "config=\(config.word) upgrade=\(upgrade.word) ordered=\(ordered)"
    for held in held { words += " held[\(held.gate)]=\(held.count)" }
    if let superseded { words += " superseded=\(superseded)" }
    if let standing { words += " self=\(standing.word)" }
    if let target { words += " target=\(target)" }
    return words
  }
}

extension Decision.Config {
  var word: String {
    switch self {
    case .created: "created"
    case .found: "found"
    }
  }
}

extension Decision.Upgrade {
  var word: String {
    switch self {
    case .notNormal: "not_normal"
    case .disabled: "disabled"
    case .notAuthorized: "not_authorized"
    case .noneOlder: "none_older"
    case .applied: "applied"
    }
  }
}

extension Decision.Standing {
  var word: String {
    switch self {
    case .ready: "ready"
    case .draining: "draining"
    }
  }
}

extension TargetCause {
  var word: String {
    switch self {
    case .first: "first"
    case .promoted: "promoted"
    case .demoted: "demoted"
    case .pinned: "pinned"
    }
  }
}

extension DrainCause {
  var word: String {
    switch self {
    case .versionUpgrade: "version_upgrade"
    case .superseded: "superseded"
    case .operator: "operator"
    case .self: "self"
    }
  }
}

extension DrainState {
  var word: String {
    switch self {
    case .ordered: "ordered"
    case .delivered: "delivered"
    case .acked: "acked"
    case .completed: "completed"
    case .forced: "forced"
    case .runnerLost: "runner_lost"
    case .cancelled: "cancelled"
    }
  }
}

extension RunnerEnd {
  var word: String {
    switch self {
    case .detached: "detached"
    case .forced: "forced"
    case .threshold: "threshold"
    case .processDied: "process_died"
    case .machineRestarted: "machine_restarted"
    case .keyTaken: "key_taken"
    }
  }
}

extension RunnerPhase {
  var word: String {
    switch self {
    case .ready: "ready"
    case .draining: "draining"
    case .stopped: "stopped"
    case .lost: "lost"
    }
  }
}

extension ActorState {
  var word: String {
    switch self {
    case .pending: "pending"
    case .starting: "starting"
    case .running: "running"
    case .stopping: "stopping"
    case .sleeping: "sleeping"
    case .destroyed: "destroyed"
    }
  }
}
