import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// What a pool's target version is to be.
public enum TargetChoice: Hashable, Sendable {
  /// This version, until somebody says otherwise; it need not have a runner yet.
  case version(UInt32)
  /// The greatest version, as if nobody had said anything.
  case automatic
  /// The target before the present one, as a version set by hand.
  case previous
}

/// A drain order, by itself or as the open one of a runner.
public enum DrainSelector: Hashable, Sendable {
  /// An order.
  case order(Int64)
  /// The open order of a runner.
  case runner(Int64)
}

/// What is supposed when a plan is asked for.
public enum UpgradeSupposition: Hashable, Sendable {
  /// A runner of this version registered, with so many slots.
  case registers(version: UInt32, totalSlots: UInt32)
  /// This were the pool's config.
  case config(PoolConfig)
  /// This target version were set; nil is automatic.
  case target(UInt32?)
}

/// What is to be explained.
public enum ExplainSubject: Hashable, Sendable {
  /// A runner: why it leaves or stays.
  case runner(Int64)
  /// A drain order.
  case order(Int64)
  /// An actor.
  case actor(Int64)
  /// A pool: what its upgrade waits for.
  case pool(name: String, namespace: String = "default")
}

extension FleetClient {
  private static func pool(
    _ name: String, _ namespace: String, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__PoolRef> {
    let pool = arena.make(Baton__V1__PoolRef.self)
    pool.pointee.namespace_ = arena.string(namespace)
    pool.pointee.name = arena.string(name)
    return pool
  }

  // MARK: - Changes

  /// Sets a pool's target version: runners of every other version are drained, under the gates and the pace of its config. Answers what
  /// the pool's runners got from it, and the version that is set now (nil: automatic).
  @discardableResult
  public func setTarget(
    _ target: TargetChoice, name: String, namespace: String = "default", reason: String = ""
  ) async throws -> (decision: DecisionInfo, pinnedVersion: UInt32?) {
    try await call(
      .setTargetVersion,
      { (request: UnsafeMutablePointer<Baton__V1__SetTargetVersionRequest>, arena) in
        request.pointee.pool = Self.pool(name, namespace, arena)
        switch target {
        case .version(let version):
          request.pointee.target_case = BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_VERSION
          request.pointee.version = version
        case .automatic:
          request.pointee.target_case = BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_AUTOMATIC
          request.pointee.automatic = 1
        case .previous:
          request.pointee.target_case = BATON__V1__SET_TARGET_VERSION_REQUEST__TARGET_PREVIOUS
          request.pointee.previous = 1
        }
        request.pointee.reason = arena.string(reason)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__SetTargetVersionResponse>) in
      guard let decision = Decode.decision(response.pointee.decision) else {
        throw BatonError(.internal, "the daemon's answer has no decision")
      }
      let pinned = response.pointee.pinned_version
      return (DecisionInfo(decision), pinned == 0 ? nil : pinned)
    }
  }

  /// A runner takes no new actors and stays; what it has goes on.
  @discardableResult
  public func cordon(_ runner: Int64, reason: String = "") async throws -> RunnerInfo {
    try await cordon(runner, true, reason)
  }

  /// It takes new actors again.
  @discardableResult
  public func uncordon(_ runner: Int64, reason: String = "") async throws -> RunnerInfo {
    try await cordon(runner, false, reason)
  }

  private func cordon(_ id: Int64, _ isCordoned: Bool, _ reason: String) async throws -> RunnerInfo {
    try await call(
      .cordon,
      { (request: UnsafeMutablePointer<Baton__V1__CordonRequest>, arena) in
        request.pointee.runner_id = UInt64(clamping: id)
        request.pointee.cordoned = isCordoned ? 1 : 0
        request.pointee.reason = arena.string(reason)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__CordonResponse>) in
      guard let runner = response.pointee.runner.flatMap({ Decode.runner($0) }) else {
        throw BatonError(.internal, "the daemon's answer has no runner")
      }
      return RunnerInfo(runner)
    }
  }

  /// Takes a drain order back. The order that is answered is cancelled; or its runner has its Stop and was offered a way back
  /// (`wayBack`), and the order is cancelled once it answers that its work goes on.
  @discardableResult
  public func cancelDrain(_ which: DrainSelector, reason: String = "") async throws -> DrainInfo {
    try await call(
      .cancelDrain,
      { (request: UnsafeMutablePointer<Baton__V1__CancelDrainRequest>, arena) in
        switch which {
        case .order(let id):
          request.pointee.which_case = BATON__V1__CANCEL_DRAIN_REQUEST__WHICH_ORDER_ID
          request.pointee.order_id = UInt64(clamping: id)
        case .runner(let id):
          request.pointee.which_case = BATON__V1__CANCEL_DRAIN_REQUEST__WHICH_RUNNER_ID
          request.pointee.runner_id = UInt64(clamping: id)
        }
        request.pointee.reason = arena.string(reason)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__CancelDrainResponse>) in
      try Self.info(response.pointee.drain)
    }
  }

  /// Gives a drain order so much more time than it has: 1 s to a week. It ends at most a week from now.
  @discardableResult
  public func extendDrain(
    _ which: DrainSelector, byMilliseconds milliseconds: Int64, reason: String = ""
  ) async throws -> DrainInfo {
    try await changeDeadline(which, reason) { request in
      request.pointee.change_case = BATON__V1__CHANGE_DEADLINE_REQUEST__CHANGE_EXTEND_MS
      request.pointee.extend_ms = UInt64(clamping: milliseconds)
    }
  }

  /// Ends a drain order now: what its runner holds is taken away.
  @discardableResult
  public func forceDrain(_ which: DrainSelector, reason: String = "") async throws -> DrainInfo {
    try await changeDeadline(which, reason) { request in
      request.pointee.change_case = BATON__V1__CHANGE_DEADLINE_REQUEST__CHANGE_FORCE_NOW
      request.pointee.force_now = 1
    }
  }

  private func changeDeadline(
    _ which: DrainSelector, _ reason: String,
    _ change: (UnsafeMutablePointer<Baton__V1__ChangeDeadlineRequest>) -> Void
  ) async throws -> DrainInfo {
    try await call(
      .changeDeadline,
      { (request: UnsafeMutablePointer<Baton__V1__ChangeDeadlineRequest>, arena) in
        switch which {
        case .order(let id):
          request.pointee.which_case = BATON__V1__CHANGE_DEADLINE_REQUEST__WHICH_ORDER_ID
          request.pointee.order_id = UInt64(clamping: id)
        case .runner(let id):
          request.pointee.which_case = BATON__V1__CHANGE_DEADLINE_REQUEST__WHICH_RUNNER_ID
          request.pointee.runner_id = UInt64(clamping: id)
        }
        change(request)
        request.pointee.reason = arena.string(reason)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__ChangeDeadlineResponse>) in
      try Self.info(response.pointee.drain)
    }
  }

  // MARK: - Questions

  /// What would happen to a pool; nil is as things stand. Nothing does.
  public func planUpgrade(
    name: String, namespace: String = "default", supposing supposition: UpgradeSupposition? = nil
  ) async throws -> UpgradePlan {
    var plan: UpgradePlan?
    let runners = try await pages { token in
      let (page, next) = try await planUpgrade(
        name, namespace, supposition, pageSize: Bounds.pageSize, token: token)
      plan = plan ?? page
      return (page.runners, next)
    }
    guard var plan else { throw BatonError(.internal, "the daemon's answer has no plan") }
    plan.runners = runners
    return plan
  }

  /// One page of the runners that a plan is about.
  package func planUpgrade(
    _ name: String, _ namespace: String, _ supposition: UpgradeSupposition?, pageSize: Int, token: String
  ) async throws -> (UpgradePlan, next: String) {
    try await call(
      .planUpgrade,
      { (request: UnsafeMutablePointer<Baton__V1__PlanUpgradeRequest>, arena) in
        request.pointee.pool = Self.pool(name, namespace, arena)
        switch supposition {
        case .registers(let version, let totalSlots):
          let newcomer = arena.make(Baton__V1__Newcomer.self)
          newcomer.pointee.version = version
          newcomer.pointee.total_slots = totalSlots
          request.pointee.supposition_case = BATON__V1__PLAN_UPGRADE_REQUEST__SUPPOSITION_REGISTERS
          request.pointee.registers = newcomer
        case .config(let config):
          request.pointee.supposition_case = BATON__V1__PLAN_UPGRADE_REQUEST__SUPPOSITION_CONFIG
          request.pointee.config = Encode.config(config.value, arena)
        case .target(let version):
          request.pointee.supposition_case = BATON__V1__PLAN_UPGRADE_REQUEST__SUPPOSITION_TARGET_VERSION
          request.pointee.target_version = version ?? 0
        case nil: break
        }
        request.pointee.page_size = UInt32(pageSize)
        request.pointee.page_token = arena.string(token)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__PlanUpgradeResponse>) in
      (try UpgradePlan(response), Read.string(response.pointee.next_page_token))
    }
  }

  /// Why something is as it is.
  public func explain(_ subject: ExplainSubject) async throws -> ExplanationInfo {
    try await call(
      .explain,
      { (request: UnsafeMutablePointer<Baton__V1__ExplainRequest>, arena) in
        switch subject {
        case .runner(let id):
          request.pointee.subject_case = BATON__V1__EXPLAIN_REQUEST__SUBJECT_RUNNER_ID
          request.pointee.runner_id = UInt64(clamping: id)
        case .order(let id):
          request.pointee.subject_case = BATON__V1__EXPLAIN_REQUEST__SUBJECT_ORDER_ID
          request.pointee.order_id = UInt64(clamping: id)
        case .actor(let id):
          request.pointee.subject_case = BATON__V1__EXPLAIN_REQUEST__SUBJECT_ACTOR_ID
          request.pointee.actor_id = UInt64(clamping: id)
        case .pool(let name, let namespace):
          request.pointee.subject_case = BATON__V1__EXPLAIN_REQUEST__SUBJECT_POOL
          request.pointee.pool = Self.pool(name, namespace, arena)
        }
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__ExplainResponse>) in ExplanationInfo(response) }
  }

  /// Who decided what, latest first, at most so much of it.
  public func history(
    name: String? = nil, namespace: String? = nil, limit: Int = 100
  ) async throws -> [HistoryInfo] {
    var entries: [HistoryInfo] = []
    var token = ""
    repeat {
      let (more, next) = try await history(name, namespace, pageSize: limit - entries.count, token)
      entries += more
      token = next
    } while !token.isEmpty && entries.count < limit
    return entries
  }

  private func history(
    _ name: String?, _ namespace: String?, pageSize: Int, _ token: String
  ) async throws -> ([HistoryInfo], next: String) {
    try await call(
      .listHistory,
      { (request: UnsafeMutablePointer<Baton__V1__ListHistoryRequest>, arena) in
        request.pointee.namespace_ = arena.string(namespace ?? "")
        request.pointee.name = arena.string(name ?? "")
        request.pointee.page_size = UInt32(min(max(1, pageSize), Bounds.pageSize))
        request.pointee.page_token = arena.string(token)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__ListHistoryResponse>) in
      (
        Read.messages(response.pointee.n_entries, response.pointee.entries).compactMap { entry in
          entry.pointee.event.flatMap { Decode.event($0) }.map {
            HistoryInfo(event: FleetEvent($0), orders: Int(entry.pointee.orders))
          }
        }, Read.string(response.pointee.next_page_token)
      )
    }
  }
}
