import Handover

/// The word for each case of each closed set, as people read them in tables, logs and metrics. The same as the
/// schema's names without their prefix.
package enum Words {
  package static func word(_ phase: RunnerPhase) -> String {
    switch phase {
    case .ready: "ready"
    case .draining: "draining"
    case .stopped: "stopped"
    case .lost: "lost"
    }
  }

  package static func word(_ link: RunnerLink) -> String {
    switch link {
    case .attached: "attached"
    case .detached: "detached"
    }
  }

  package static func word(_ end: RunnerEnd) -> String {
    switch end {
    case .detached: "detached"
    case .forced: "forced"
    case .threshold: "threshold"
    case .processDied: "process_died"
    case .machineRestarted: "machine_restarted"
    case .keyTaken: "key_taken"
    }
  }

  package static func word(_ cause: DrainCause) -> String {
    switch cause {
    case .versionUpgrade: "version_upgrade"
    case .superseded: "superseded"
    case .operator: "operator"
    case .self: "self"
    }
  }

  package static func word(_ state: DrainState) -> String {
    switch state {
    case .ordered: "ordered"
    case .delivered: "delivered"
    case .acked: "acked"
    case .completed: "completed"
    case .forced: "forced"
    case .runnerLost: "runner_lost"
    case .cancelled: "cancelled"
    }
  }

  package static func word(_ wayBack: WayBack) -> String {
    switch wayBack {
    case .offered: "offered"
    case .tooLate: "too_late"
    }
  }

  package static func word(_ strategy: UpgradeSettings.Strategy) -> String {
    switch strategy {
    case .immediate: "immediate"
    case .careful: "careful"
    }
  }

  package static func word(_ capacity: UpgradeSettings.Capacity) -> String {
    switch capacity {
    case .proceed: "proceed"
    case .wait: "wait"
    }
  }

  package static func word(_ outlook: Explanation.Outlook) -> String {
    switch outlook {
    case .settled: "settled"
    case .slow: "slow"
    case .impossible: "impossible"
    }
  }

  package static func word(_ cause: TargetCause) -> String {
    switch cause {
    case .first: "first"
    case .promoted: "promoted"
    case .demoted: "demoted"
    case .pinned: "pinned"
    }
  }

  package static func word(_ config: Decision.Config) -> String {
    switch config {
    case .created: "created"
    case .found: "found"
    }
  }

  package static func word(_ upgrade: Decision.Upgrade) -> String {
    switch upgrade {
    case .notNormal: "not_normal"
    case .disabled: "disabled"
    case .notAuthorized: "not_authorized"
    case .noneOlder: "none_older"
    case .applied: "applied"
    }
  }

  package static func word(_ standing: Decision.Standing) -> String {
    switch standing {
    case .ready: "ready"
    case .draining: "draining"
    }
  }

  package static func word(_ kind: EventKind) -> String {
    switch kind {
    case .namespaceCreated: "namespace_created"
    case .configPut: "config_put"
    case .configDeleted: "config_deleted"
    case .targetChanged: "target_changed"
    case .runnerRegistered: "runner_registered"
    case .runnerResumed: "runner_resumed"
    case .runnerDetached: "runner_detached"
    case .runnerSilent: "runner_silent"
    case .runnerHeard: "runner_heard"
    case .runnerStopped: "runner_stopped"
    case .runnerLost: "runner_lost"
    case .drainOrdered: "drain_ordered"
    case .drainDelivered: "drain_delivered"
    case .drainAcked: "drain_acked"
    case .drainCompleted: "drain_completed"
    case .drainForced: "drain_forced"
    case .drainRunnerLost: "drain_runner_lost"
    case .drainCancelled: "drain_cancelled"
    case .actorCreated: "actor_created"
    case .actorPending: "actor_pending"
    case .actorStarting: "actor_starting"
    case .actorRunning: "actor_running"
    case .actorStopping: "actor_stopping"
    case .actorSleeping: "actor_sleeping"
    case .actorDestroyed: "actor_destroyed"
    case .targetSet: "target_set"
    case .runnerCordoned: "runner_cordoned"
    case .runnerUncordoned: "runner_uncordoned"
    case .drainWayBackOffered: "drain_way_back_offered"
    case .drainTooLate: "drain_too_late"
    case .drainExtended: "drain_extended"
    case .upgradeHeld: "upgrade_held"
    case .upgradeAbandoned: "upgrade_abandoned"
    }
  }

  package static func word(_ state: ActorState) -> String {
    switch state {
    case .pending: "pending"
    case .starting: "starting"
    case .running: "running"
    case .stopping: "stopping"
    case .sleeping: "sleeping"
    case .destroyed: "destroyed"
    }
  }

  package static func word(_ policy: CrashPolicy) -> String {
    switch policy {
    case .restart: "restart"
    case .sleep: "sleep"
    case .destroy: "destroy"
    }
  }

  package static func word(_ reason: ActorStopReason) -> String {
    switch reason {
    case .sleep: "sleep"
    case .stop: "stop"
    case .destroy: "destroy"
    case .goingAway: "going_away"
    }
  }

  package static func word(_ failure: ActorFailure) -> String {
    switch failure {
    case .noCapacity: "no_capacity"
    case .runnerNoResponse: "runner_no_response"
    case .runnerLost: "runner_lost"
    case .runnerDrainingTimeout: "runner_draining_timeout"
    case .crashed: "crashed"
    }
  }

  package static func word(_ wait: ActorWait) -> String {
    switch wait {
    case .runner: "runner"
    case .capacity: "capacity"
    case .backoff: "backoff"
    case .turn: "turn"
    }
  }

  /// The case that a word names; nil for a word that names none.
  package static func `case`<Case: CaseIterable>(_ word: String, _ spell: (Case) -> String) -> Case? {
    Case.allCases.first { spell($0) == word.replacing("-", with: "_") }
  }
}

extension String {
  fileprivate func replacing(_ old: Character, with new: Character) -> String {
    String(map { $0 == old ? new : $0 })
  }
}
