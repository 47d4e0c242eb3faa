import CBatonProto
import Handover
import Protobuf

/// Upgrades as messages: how a config says they go, what would happen, and why.
extension Encode {
  package static func plan(
    _ view: PlanView, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__PlanUpgradeResponse> {
    let plan = view.plan
    let message = arena.make(Baton__V1__PlanUpgradeResponse.self)
    message.pointee.decision = decision(plan.decision(config: .found), arena)
    if let move = plan.targetMove {
      message.pointee.target_becomes = move.version.number
      message.pointee.cause = .init(rawValue: UInt32(move.cause.rawValue))
    }
    message.pointee.n_holds = plan.holds.count
    message.pointee.holds = arena.messages(plan.holds.map { hold($0, now: now, arena) })
    // Those that have no ready runner left and whose orders are taken back, too.
    let versions = Set(plan.fates.map(\.version) + plan.recalled).sorted(by: >)
      .map { versionFate($0, plan, arena) }
    message.pointee.n_versions = versions.count
    message.pointee.versions = arena.messages(versions)
    message.pointee.n_runners = view.runners.elements.count
    message.pointee.runners = arena.messages(view.runners.elements.map { runnerFate($0, arena) })
    message.pointee.next_change_in_ms = left(until: plan.wakeAtNanoseconds, now)
    message.pointee.next_page_token = arena.string(view.runners.next)
    return message
  }

  private static func versionFate(
    _ version: Version, _ plan: Plan, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__VersionFate> {
    let message = arena.make(Baton__V1__VersionFate.self)
    message.pointee.version = version.number
    message.pointee.recalled = plan.recalled.contains(version) ? 1 : 0
    guard let fate = plan.fates.first(where: { $0.version == version }) else { return message }
    message.pointee.ready = UInt32(clamping: fate.ready)
    message.pointee.ordered = UInt32(clamping: fate.ordered)
    message.pointee.held = UInt32(clamping: fate.held)
    message.pointee.gate = arena.string(fate.gate?.rawValue ?? "")
    message.pointee.exempt = UInt32(clamping: fate.exempt)
    return message
  }

  private static func runnerFate(
    _ fate: PlanView.RunnerFate, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__RunnerFate> {
    let message = arena.make(Baton__V1__RunnerFate.self)
    message.pointee.runner_id = UInt64(fate.runner.rawValue)
    message.pointee.version = fate.version.number
    message.pointee.used_slots = UInt32(clamping: fate.usedSlots)
    switch fate.fate {
    case .stays: message.pointee.fate = BATON__V1__RUNNER_FATE__FATE__FATE_STAYS
    case .ordered: message.pointee.fate = BATON__V1__RUNNER_FATE__FATE__FATE_ORDERED
    case .held(let gate):
      message.pointee.fate = BATON__V1__RUNNER_FATE__FATE__FATE_HELD
      message.pointee.gate = arena.string(gate.rawValue)
    }
    return message
  }

  package static func hold(
    _ hold: Hold, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__Hold> {
    let message = arena.make(Baton__V1__Hold.self)
    message.pointee.gate = arena.string(hold.gate.rawValue)
    message.pointee.goal_version = hold.goal.number
    message.pointee.count = UInt32(clamping: hold.count)
    message.pointee.opens_in_ms = left(until: hold.untilNanoseconds, now)
    message.pointee.missing_slots = wall(hold.missingSlots)
    message.pointee.possible = hold.isPossible ? 1 : 0
    message.pointee.sentence = arena.string(hold.sentence(now: now.nanoseconds))
    return message
  }

  package static func explanation(
    _ explanation: Explanation, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__ExplainResponse> {
    let message = arena.make(Baton__V1__ExplainResponse.self)
    message.pointee.state = arena.string(explanation.state)
    message.pointee.n_sentences = explanation.sentences.count
    message.pointee.sentences = arena.strings(explanation.sentences)
    let causes = explanation.causes.map { cause in
      let entry = arena.make(Baton__V1__Cause.self)
      entry.pointee.what = arena.string(cause.what)
      entry.pointee.who = cause.who.map { peer($0, arena) }
      entry.pointee.reason = arena.string(cause.reason)
      entry.pointee.at_ms = wall(cause.atMilliseconds)
      return entry
    }
    message.pointee.n_causes = causes.count
    message.pointee.causes = arena.messages(causes)
    message.pointee.n_holds = explanation.holds.count
    message.pointee.holds = arena.messages(explanation.holds.map { hold($0, now: now, arena) })
    message.pointee.n_blocking_actors = explanation.blockingActors.count
    message.pointee.blocking_actors = arena.array(explanation.blockingActors.map { UInt64($0.rawValue) })
    message.pointee.blocking_actor_count = UInt32(clamping: explanation.blockingActorCount)
    message.pointee.ends_in_ms = left(until: explanation.endsAtNanoseconds, now)
    message.pointee.outlook = .init(rawValue: UInt32(explanation.outlook.rawValue))
    message.pointee.n_hints = explanation.hints.count
    message.pointee.hints = arena.strings(explanation.hints)
    return message
  }

  package static func history(
    _ page: PageOf<HistoryEntry>, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__ListHistoryResponse> {
    let message = arena.make(Baton__V1__ListHistoryResponse.self)
    let entries = page.elements.map { element in
      let entry = arena.make(Baton__V1__HistoryEntry.self)
      entry.pointee.event = event(element.event, arena)
      entry.pointee.orders = UInt32(clamping: element.orders)
      return entry
    }
    message.pointee.n_entries = entries.count
    message.pointee.entries = arena.messages(entries)
    message.pointee.next_page_token = arena.string(page.next)
    return message
  }

  static func pin(_ pin: Pin, _ arena: Arena) -> UnsafeMutablePointer<Baton__V1__Pin> {
    let message = arena.make(Baton__V1__Pin.self)
    message.pointee.version = pin.version.number
    message.pointee.who = peer(pin.who, arena)
    message.pointee.reason = arena.string(pin.reason)
    message.pointee.at_ms = wall(pin.atMilliseconds)
    return message
  }

  static func heldUpgrade(
    _ held: PoolMemory.Upgrade, now: Moment, _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__HeldUpgrade> {
    let message = arena.make(Baton__V1__HeldUpgrade.self)
    message.pointee.goal_version = held.goal.number
    // 0 says that it moves.
    message.pointee.held_ms =
      held.heldSinceNanoseconds.map { since in
        UInt64(max(1, (now.nanoseconds - since) / 1_000_000))
      } ?? 0
    message.pointee.abandoned = held.isAbandoned ? 1 : 0
    return message
  }

  /// What a config says of upgrades; what it does not say stays absent.
  static func upgrade(
    _ settings: UpgradeSettings, into message: UnsafeMutablePointer<Baton__V1__NormalRunners>, _ arena: Arena
  ) {
    message.pointee.strategy = .init(rawValue: UInt32(settings.strategy?.rawValue ?? 0))
    if let health = settings.minHealthyMilliseconds {
      message.pointee.min_healthy_presence_case =
        BATON__V1__NORMAL_RUNNERS__MIN_HEALTHY_PRESENCE_MIN_HEALTHY_MS
      message.pointee.min_healthy_ms = wall(health)
    }
    message.pointee.capacity = .init(rawValue: UInt32(settings.capacity?.rawValue ?? 0))
    message.pointee.min_available = settings.minAvailable.map { share($0, arena) }
    message.pointee.max_draining = settings.maxDraining.map { share($0, arena) }
    if let timeout = settings.holdTimeoutMilliseconds {
      message.pointee.hold_timeout_presence_case =
        BATON__V1__NORMAL_RUNNERS__HOLD_TIMEOUT_PRESENCE_HOLD_TIMEOUT_MS
      message.pointee.hold_timeout_ms = wall(timeout)
    }
  }

  private static func share(_ share: Share, _ arena: Arena) -> UnsafeMutablePointer<Baton__V1__Share> {
    let message = arena.make(Baton__V1__Share.self)
    switch share {
    case .count(let value):
      message.pointee.kind_case = BATON__V1__SHARE__KIND_COUNT
      message.pointee.count = UInt32(clamping: value)
    case .percent(let value):
      message.pointee.kind_case = BATON__V1__SHARE__KIND_PERCENT
      message.pointee.percent = UInt32(clamping: value)
    }
    return message
  }

  /// Rounded up, since 0 says that there is no such time: what is due has a millisecond.
  private static func left(until nanoseconds: Int64?, _ now: Moment) -> UInt64 {
    nanoseconds.map { UInt64(max(1, ($0 - now.nanoseconds + 999_999) / 1_000_000)) } ?? 0
  }
}

extension Decode {
  static func pin(_ message: UnsafeMutablePointer<Baton__V1__Pin>?) -> Pin? {
    guard let message = message?.pointee, let version = Version(message.version) else { return nil }
    return Pin(
      version: version, who: peer(message.who), reason: Read.string(message.reason),
      atMilliseconds: wall(message.at_ms))
  }

  static func heldUpgrade(
    _ message: UnsafeMutablePointer<Baton__V1__HeldUpgrade>?
  ) -> PoolMemory.Upgrade? {
    guard let message = message?.pointee, let goal = Version(message.goal_version) else { return nil }
    return PoolMemory.Upgrade(
      goal: goal,
      // On a clock that began when the answer was made, as for drain orders: it was held before that.
      heldSinceNanoseconds: time(message.held_ms).map {
        -$0.multipliedReportingOverflow(by: 1_000_000).partialValue
      },
      isAbandoned: message.abandoned != 0)
  }

  static func upgrade(_ normal: Baton__V1__NormalRunners) -> UpgradeSettings {
    let hasHealth =
      normal.min_healthy_presence_case == BATON__V1__NORMAL_RUNNERS__MIN_HEALTHY_PRESENCE_MIN_HEALTHY_MS
    let hasTimeout =
      normal.hold_timeout_presence_case == BATON__V1__NORMAL_RUNNERS__HOLD_TIMEOUT_PRESENCE_HOLD_TIMEOUT_MS
    return UpgradeSettings(
      strategy: UpgradeSettings.Strategy(rawValue: Int(normal.strategy.rawValue)),
      minHealthyMilliseconds: hasHealth ? wall(normal.min_healthy_ms) : nil,
      capacity: UpgradeSettings.Capacity(rawValue: Int(normal.capacity.rawValue)),
      minAvailable: share(normal.min_available), maxDraining: share(normal.max_draining),
      holdTimeoutMilliseconds: hasTimeout ? wall(normal.hold_timeout_ms) : nil)
  }

  private static func share(_ message: UnsafeMutablePointer<Baton__V1__Share>?) -> Share? {
    guard let share = message?.pointee else { return nil }
    switch share.kind_case {
    case BATON__V1__SHARE__KIND_COUNT: return .count(Int64(share.count))
    case BATON__V1__SHARE__KIND_PERCENT: return .percent(Int64(share.percent))
    default: return nil
    }
  }
}
