/// The way back that a delivered order's runner is offered (StopCancelled), durable with the order.
package enum WayBack: Int, Sendable, CaseIterable {
  /// The runner has been asked and has not answered.
  case offered = 1
  /// It answered that it has begun to end what it holds: the order goes on and is not offered a way back again.
  case tooLate = 2
}

/// Taking an order back: by somebody's word, or by the plan when the target no longer asks for it.
package enum Undo {
  package enum Verdict: Hashable, Sendable {
    /// No Stop of it is known to have left: it is cancelled at once. The runner is told all the same, since a Stop may
    /// be on its way.
    case cancel
    /// The runner has its Stop: only its `resumed` cancels.
    case offer
    /// It is offered already.
    case awaitAnswer
    case refuse(Obstacle)
  }

  package enum Obstacle: Hashable, Sendable {
    /// Its key belongs to the runner that superseded it.
    case superseded
    /// It leaves on its own word.
    case leavesByItself
    /// It has answered `too_late`.
    case tooLate
    case hasEnded(DrainState)
  }

  package static func verdict(cause: DrainCause, state: DrainState, wayBack: WayBack?) -> Verdict {
    switch state {
    case .completed, .forced, .runnerLost, .cancelled: return .refuse(.hasEnded(state))
    case .ordered, .delivered, .acked: break
    }
    switch cause {
    case .superseded: return .refuse(.superseded)
    case .self: return .refuse(.leavesByItself)
    case .versionUpgrade, .operator: break
    }
    switch (wayBack, state) {
    case (.tooLate, _): return .refuse(.tooLate)
    case (.offered, _): return .awaitAnswer
    case (nil, .ordered): return .cancel
    case (nil, _): return .offer
    }
  }

  /// The runner's word on StopCancelled.
  package enum Answer: Int, Sendable, CaseIterable {
    case resumed = 1
    case tooLate = 2
  }

  package enum Consequence: Hashable, Sendable {
    /// The order is cancelled: the runner is ready again.
    case cancelled
    /// The order goes on to its end.
    case goesOn
    /// The order is cancelled already and the runner ends all the same: it leaves on its own word from here.
    case beginsOwnDrain
    /// It says nothing new: the order was not offered a way back, or has ended.
    case ignored
  }

  package static func consequence(of answer: Answer, state: DrainState, wayBack: WayBack?) -> Consequence {
    switch (state, answer) {
    case (.cancelled, .tooLate): return .beginsOwnDrain
    case (.completed, _), (.forced, _), (.runnerLost, _), (.cancelled, .resumed): return .ignored
    case (.ordered, _), (.delivered, _), (.acked, _):
      guard wayBack == .offered else { return .ignored }
      switch answer {
      case .resumed: return .cancelled
      case .tooLate: return .goesOn
      }
    }
  }
}

/// Who gets a key that somebody holds.
package enum KeyRule {
  package enum Verdict: Hashable, Sendable {
    /// The holder is drained gracefully.
    case supersede
    /// The holder, which is detached, is lost.
    case take
    case sameVersion
    case holderIsNewer
    /// No other version takes a key from the pinned one, not even a newer.
    case holderIsPinned
  }

  package static func verdict(
    newcomer: Version, holder: Version, holderIsAttached: Bool, pin: Version?
  ) -> Verdict {
    let replaced: Verdict = holderIsAttached ? .supersede : .take
    if newcomer == holder { return holderIsAttached ? .sameVersion : .take }
    if newcomer == pin { return replaced }
    if holder == pin { return .holderIsPinned }
    return newcomer > holder ? replaced : .holderIsNewer
  }
}
