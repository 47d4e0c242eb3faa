// Changes: what the store is told, and what came of it.

package enum Mutation: Hashable, Sendable {
  case register(Registration)
  /// The connections of these attachments are gone. An attachment that is no longer the runner's is ignored.
  case detached([Attachment])
  /// No heartbeat for longer than the silent threshold, or heard again.
  case silent([Attachment])
  case heard([Attachment])
  /// The kernel took the bytes of a Stop.
  case stopDelivered([DrainOrderID])
  /// The runner has its Stop. An order that is not this runner's open one is ignored.
  case stopAcked([StopAcknowledgement])
  /// The runner begins its own drain; nothing new when it is draining already.
  case stopping(Attachment, reason: String, graceMilliseconds: Int64)
  /// The runner has finished and leaves.
  case leave(Attachment, exitCode: Int32?, reason: String)
  /// These are given up. One that has ended, or that has attached again since (`attachment` differs), is left.
  case lose([Attachment], RunnerEnd)
  /// Orders whose deadline may have passed; those that are open and past it are forced.
  case force([DrainOrderID])
  case createNamespace(String, who: Peer)
  case putConfig(PoolName, RunnerConfig, who: Peer, reason: String = "")
  case deleteConfig(PoolName, who: Peer, reason: String = "")
  case drain(DrainCommand)
  case createActor(ActorCreation)
  case changeActor(ActorID, ActorWish, who: Peer)
  /// What a runner says of its actors.
  case actorReports(Attachment, [ActorReport])
  /// The runner has these commands.
  case commandsAcked(RunnerID, [ActorCheckpoint])
  /// Whatever was due: actors and pools whose time has come, and actors for whom the last transaction had no room.
  case timePassed
  /// One small step towards these limits.
  case prune(HistoryLimits)
  /// The pool's target is set by hand, or moves by itself again.
  case setTarget(PoolName, TargetWish, reason: String, who: Peer)
  case cordon(RunnerID, Bool, reason: String, who: Peer)
  case cancelDrain(DrainSelector, reason: String, who: Peer)
  case changeDeadline(DrainSelector, DeadlineChange, reason: String, who: Peer)
  /// The runner's word on StopCancelled.
  case stopCancelledAnswered(Attachment, DrainOrderID, Undo.Answer)
}

/// What somebody wants a pool's target to be.
package enum TargetWish: Hashable, Sendable {
  case version(Version)
  /// As if nobody had said anything.
  case automatic
  /// The one before the present target.
  case previous
}

/// An order, by itself or as the open one of a runner.
package enum DrainSelector: Hashable, Sendable {
  case order(DrainOrderID)
  case runner(RunnerID)
}

package enum DeadlineChange: Hashable, Sendable {
  /// More than it has; it ends at most `Bounds.graceMilliseconds.upperBound` from now.
  case extend(milliseconds: Int64)
  case forceNow
}

/// An actor as somebody wants it.
package struct ActorCreation: Hashable, Sendable {
  package var identity: ActorIdentity
  package var input: [UInt8]
  /// Makes the request safe to repeat; empty is none.
  package var requestID: String
  /// The actor that has the key already will do.
  package var mayExist: Bool
  package var who: Peer
  package init(
    identity: ActorIdentity, input: [UInt8] = [], requestID: String = "", mayExist: Bool = false, who: Peer
  ) {
    self.identity = identity
    self.input = input
    self.requestID = requestID
    self.mayExist = mayExist
    self.who = who
  }
}

/// What a client wants of an actor.
package enum ActorWish: Hashable, Sendable, CaseIterable {
  case wake
  case sleep
  case destroy
}

/// One runner on one connection.
package struct Attachment: Hashable, Sendable {
  package var runner: RunnerID
  package var id: AttachmentID
  package init(runner: RunnerID, id: AttachmentID) {
    self.runner = runner
    self.id = id
  }
}

package struct StopAcknowledgement: Hashable, Sendable {
  package var runner: RunnerID
  package var order: DrainOrderID
  package init(runner: RunnerID, order: DrainOrderID) {
    self.runner = runner
    self.order = order
  }
}

/// A Register whose fields have been checked.
package struct Registration: Hashable, Sendable {
  package var pool: PoolName
  /// nil when the runner gave none: its id becomes its key.
  package var key: String?
  package var version: Version
  package var totalSlots: UInt32
  package var token: RegistrationToken
  package var endsWithProcess: Bool
  package var takesActors: Bool
  package var metadata: [MetadataPair]
  package var peer: Peer
  /// The connection that it came on; greater than every earlier one.
  package var attachment: AttachmentID
  package init(
    pool: PoolName, key: String?, version: Version, totalSlots: UInt32, token: RegistrationToken,
    endsWithProcess: Bool, takesActors: Bool = false, metadata: [MetadataPair], peer: Peer,
    attachment: AttachmentID
  ) {
    self.pool = pool
    self.key = key
    self.version = version
    self.totalSlots = totalSlots
    self.token = token
    self.endsWithProcess = endsWithProcess
    self.takesActors = takesActors
    self.metadata = metadata
    self.peer = peer
    self.attachment = attachment
  }
}

package struct DrainCommand: Hashable, Sendable {
  package enum Target: Hashable, Sendable {
    case runner(RunnerID)
    /// Ready runners below `belowVersion`, or below the pool's target when nil.
    case olderVersions(PoolName, belowVersion: Version?)
    case wholePool(PoolName)
  }
  package var target: Target
  /// 0 is the pool's grace period.
  package var graceMilliseconds: Int64
  package var reason: String
  package var who: Peer
  package init(target: Target, graceMilliseconds: Int64, reason: String, who: Peer) {
    self.target = target
    self.graceMilliseconds = graceMilliseconds
    self.reason = reason
    self.who = who
  }
}

/// What a mutation that was not refused came to.
package enum MutationOutcome: Hashable, Sendable {
  case registered(Admission)
  /// Links, silence, deliveries, acknowledgements, losses, forces: how many of those named it applied to.
  case applied(Int)
  /// Order id when the runner's drain is (now or already) under way.
  case stopping(DrainOrderID)
  case left
  case namespaceCreated(Namespace, Revision)
  case configPut(Decision, Revision)
  case configDeleted(Revision)
  case drained(orders: [DrainOrderID], existing: [DrainOrderID], Revision)
  case actor(Actor, isCreated: Bool, Revision)
  /// `pin` nil is automatic.
  case targetSet(Decision, pin: Version?, Revision)
  case cordoned(Runner, Revision)
  /// As the order is now.
  case drainChanged(DrainOrder, Revision)
  /// What the step removed, and whether another one would find more.
  case pruned(PrunedCounts, hasMore: Bool)
  /// Which reports are durable, and which are of a generation that does not count.
  case reported(acked: [ActorCheckpoint], refused: [ActorCheckpoint])
}

/// The answer to a registration.
package struct Admission: Hashable, Sendable {
  package var runner: RunnerID
  package var key: String
  package var isResumed: Bool
  package var decision: Decision
  /// The order that is open for it: its Stop follows Registered.
  package var openOrder: OpenOrder?
  package init(
    runner: RunnerID, key: String, isResumed: Bool, decision: Decision, openOrder: OpenOrder?
  ) {
    self.runner = runner
    self.key = key
    self.isResumed = isResumed
    self.decision = decision
    self.openOrder = openOrder
  }
}

/// What orders that were made together have in common.
package struct OrderTerms: Hashable, Sendable {
  package var cause: DrainCause
  package var reason: String
  package var target: Version?
  package var graceMilliseconds: Int64
  /// On the clock of `Moment.nanoseconds`.
  package var deadlineNanoseconds: Int64
  package init(
    cause: DrainCause, reason: String, target: Version?, graceMilliseconds: Int64,
    deadlineNanoseconds: Int64
  ) {
    self.cause = cause
    self.reason = reason
    self.target = target
    self.graceMilliseconds = graceMilliseconds
    self.deadlineNanoseconds = deadlineNanoseconds
  }
}

/// An open order: what a Stop is made from.
package struct OpenOrder: Hashable, Sendable {
  package var id: DrainOrderID
  package var runner: RunnerID
  package var state: DrainState
  package var terms: OrderTerms
  package var wayBack: WayBack?
  /// Why it is taken back; empty when nobody gave a reason.
  package var cancelReason: String
  package init(
    id: DrainOrderID, runner: RunnerID, state: DrainState, terms: OrderTerms, wayBack: WayBack? = nil,
    cancelReason: String = ""
  ) {
    self.id = id
    self.runner = runner
    self.state = state
    self.terms = terms
    self.wayBack = wayBack
    self.cancelReason = cancelReason
  }
}

/// What a commit means for those who are connected.
package enum Consequence: Hashable, Sendable {
  /// These runners must leave: send each its Stop, watch the deadline. Not said of an order in an `Admission`.
  case stopsOrdered(pool: PoolName, OrderTerms, [StopAcknowledgement])
  /// This runner has ended: close what is attached to it.
  case runnerEnded(RunnerID, RunnerEnd)
  /// This order has ended, and how long it took from its order to its end.
  case orderEnded(DrainOrderID, RunnerID, DrainState, tookMilliseconds: Int64)
  /// A decision, for the log: one line each.
  case decided(PoolName, version: Version?, runner: RunnerID?, Decision)
  /// The pool's target moved.
  case targetChanged(PoolName, TargetChange)
  /// A gate holds an upgrade back that none held before, or it was held for so long that it is given up.
  case upgradeHeld(PoolName, goal: Version, [Decision.Held], isAbandoned: Bool)
  /// These runners have commands that were not read yet.
  case commandsIssued([RunnerID])
  /// These orders are taken back, or their runners are offered to stay: tell each (StopCancelled).
  case stopsCancelled(reason: String, [StopAcknowledgement])
  /// This order's runner was asked whether it stays, and leaves: the order stands again.
  case offerRefused(DrainOrderID)
  /// This order ends at another time.
  case deadlineChanged(DrainOrderID, nanoseconds: Int64)
  /// This generation of an actor was taken from a runner that may still run it.
  case actorDropped(RunnerID, ActorCheckpoint)
}
