import CBatonProto
import Handover
import Protobuf

/// What operators ask of upgrades, each field checked.
extension Requests {
  package static func target(
    _ message: UnsafeMutablePointer<Baton__V1__SetTargetVersionRequest>, who: Peer
  ) throws(FieldViolation) -> Mutation {
    let request = message.pointee
    let wish: TargetWish
    switch request.target_case {
    case BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_VERSION:
      wish = .version(try Bounds.version(request.version, field: "version"))
    case BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_AUTOMATIC:
      try mustBeTrue(request.automatic != 0, field: "automatic")
      wish = .automatic
    case BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_PREVIOUS:
      try mustBeTrue(request.previous != 0, field: "previous")
      wish = .previous
    default:
      throw FieldViolation(field: "target", requirement: "must be version, automatic or previous")
    }
    return .setTarget(try pool(request.pool), wish, reason: try reason(request.reason), who: who)
  }

  package static func cordon(
    _ message: UnsafeMutablePointer<Baton__V1__CordonRequest>, who: Peer
  ) throws(FieldViolation) -> Mutation {
    let request = message.pointee
    return .cordon(
      RunnerID(try id(request.runner_id, field: "runner_id")), request.cordoned != 0,
      reason: try reason(request.reason), who: who)
  }

  package static func cancelDrain(
    _ message: UnsafeMutablePointer<Baton__V1__CancelDrainRequest>, who: Peer
  ) throws(FieldViolation) -> Mutation {
    let request = message.pointee
    let which: DrainSelector
    switch request.which_case {
    case BATON__V1__CANCEL_DRAIN_REQUEST__WHICH_ORDER_ID: which = try order(request.order_id)
    case BATON__V1__CANCEL_DRAIN_REQUEST__WHICH_RUNNER_ID: which = try orderOf(request.runner_id)
    default: throw noSelector
    }
    return .cancelDrain(which, reason: try reason(request.reason), who: who)
  }

  package static func changeDeadline(
    _ message: UnsafeMutablePointer<Baton__V1__ChangeDeadlineRequest>, who: Peer
  ) throws(FieldViolation) -> Mutation {
    let request = message.pointee
    let which: DrainSelector
    switch request.which_case {
    case BATON__V1__CHANGE_DEADLINE_REQUEST__WHICH_ORDER_ID: which = try order(request.order_id)
    case BATON__V1__CHANGE_DEADLINE_REQUEST__WHICH_RUNNER_ID: which = try orderOf(request.runner_id)
    default: throw noSelector
    }
    let change: DeadlineChange
    switch request.change_case {
    case BATON__V1__CHANGE_DEADLINE_REQUEST__CHANGE_EXTEND_MS:
      let allowed = Bounds.graceMilliseconds
      guard let more = Int64(exactly: request.extend_ms), allowed.contains(more) else {
        throw FieldViolation(
          field: "extend_ms",
          requirement:
            "must be \(allowed.lowerBound) to \(allowed.upperBound) ms, is \(request.extend_ms)")
      }
      change = .extend(milliseconds: more)
    case BATON__V1__CHANGE_DEADLINE_REQUEST__CHANGE_FORCE_NOW:
      try mustBeTrue(request.force_now != 0, field: "force_now")
      change = .forceNow
    default: throw FieldViolation(field: "change", requirement: "must be extend_ms or force_now")
    }
    return .changeDeadline(which, change, reason: try reason(request.reason), who: who)
  }

  package static func plan(
    _ message: UnsafeMutablePointer<Baton__V1__PlanUpgradeRequest>, now: Moment
  ) throws(FieldViolation) -> Query {
    let request = message.pointee
    let supposition: Supposition?
    switch request.supposition_case {
    case BATON__V1__PLAN_UPGRADE_REQUEST__SUPPOSITION_REGISTERS:
      let newcomer = request.registers.pointee
      supposition = .registers(
        try Bounds.version(newcomer.version, field: "registers.version"),
        slots: try Bounds.totalSlots(newcomer.total_slots, field: "registers.total_slots"))
    case BATON__V1__PLAN_UPGRADE_REQUEST__SUPPOSITION_CONFIG:
      supposition = .config(try config(request.config))
    case BATON__V1__PLAN_UPGRADE_REQUEST__SUPPOSITION_TARGET_VERSION:
      let version = request.target_version
      supposition = .pin(version == 0 ? nil : try Bounds.version(version, field: "target_version"))
    default: supposition = nil
    }
    return .plan(
      try pool(request.pool), supposition, try page(request.page_size, request.page_token), at: now)
  }

  package static func explanation(
    _ message: UnsafeMutablePointer<Baton__V1__ExplainRequest>, now: Moment
  ) throws(FieldViolation) -> Query {
    let request = message.pointee
    let subject: ExplainSubject
    switch request.subject_case {
    case BATON__V1__EXPLAIN_REQUEST__SUBJECT_RUNNER_ID:
      subject = .runner(RunnerID(try id(request.runner_id, field: "runner_id")))
    case BATON__V1__EXPLAIN_REQUEST__SUBJECT_ORDER_ID:
      subject = .order(DrainOrderID(try id(request.order_id, field: "order_id")))
    case BATON__V1__EXPLAIN_REQUEST__SUBJECT_ACTOR_ID:
      subject = .actor(ActorID(try id(request.actor_id, field: "actor_id")))
    case BATON__V1__EXPLAIN_REQUEST__SUBJECT_POOL: subject = .pool(try pool(request.pool))
    default:
      throw FieldViolation(field: "subject", requirement: "must be runner_id, order_id, actor_id or pool")
    }
    return .explain(subject, at: now)
  }

  package static func history(
    _ message: UnsafeMutablePointer<Baton__V1__ListHistoryRequest>
  ) throws(FieldViolation) -> Query {
    let request = message.pointee
    return .history(
      namespace: try filter(request.namespace_, field: "namespace"),
      name: try filter(request.name, field: "name"), try page(request.page_size, request.page_token))
  }

  /// How a config says that an upgrade goes: what `Decode` takes for the nearest honest thing is refused here.
  static func checkUpgrade(_ normal: Baton__V1__NormalRunners) throws(FieldViolation) {
    let field = "config.normal"
    _ = try choice(normal.strategy.rawValue, UpgradeSettings.Strategy.self, field: field + ".strategy")
    _ = try choice(normal.capacity.rawValue, UpgradeSettings.Capacity.self, field: field + ".capacity")
    for (share, name) in [(normal.min_available, "min_available"), (normal.max_draining, "max_draining")] {
      guard let share, share.pointee.kind_case == BATON__V1__SHARE__KIND__NOT_SET else { continue }
      throw FieldViolation(field: "\(field).\(name)", requirement: "must be count or percent")
    }
    try Decode.upgrade(normal).validate(field: field)
  }

  // MARK: - Parts

  private static func pool(_ ref: UnsafeMutablePointer<Baton__V1__PoolRef>?) throws(FieldViolation)
    -> PoolName
  {
    try pool(ref?.pointee.namespace_, ref?.pointee.name, prefix: "pool.")
  }

  package static func reason(_ text: UnsafePointer<CChar>?) throws(FieldViolation) -> String {
    try Bounds.reason(Read.string(text), field: "reason")
  }

  private static func order(_ value: UInt64) throws(FieldViolation) -> DrainSelector {
    .order(DrainOrderID(try id(value, field: "order_id")))
  }

  private static func orderOf(_ value: UInt64) throws(FieldViolation) -> DrainSelector {
    .runner(RunnerID(try id(value, field: "runner_id")))
  }

  private static var noSelector: FieldViolation {
    FieldViolation(field: "which", requirement: "must be order_id or runner_id")
  }

  /// False in the place of a choice would be read as the opposite of it.
  private static func mustBeTrue(_ value: Bool, field: String) throws(FieldViolation) {
    guard value else { throw FieldViolation(field: field, requirement: "must be true") }
  }
}
