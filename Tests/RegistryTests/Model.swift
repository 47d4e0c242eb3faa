import Handover

@testable import Registry

/// The rules once more, in the plainest form there is: no database, no counters, every question answered by
/// looking at every runner. What the store does is compared with it, step by step.
struct Model {
  struct Runner {
    var pool: PoolName
    var key: String?
    var version: UInt32
    var phase = RunnerPhase.ready
    var isAttached = true
    var isSilent = false
    var attachment: Int64
    var uid: UInt32
    var token: RegistrationToken
    var end: RunnerEnd?
    var order: Int64?
    /// How many targets its pool had had when somebody cancelled its order.
    var exemptFrom: Int?
  }

  struct Order: Equatable {
    var runner: Int64
    var state = DrainState.ordered
    var deadline: Int64
    var cause: DrainCause
    /// Its runner was asked whether it stays.
    var isOffered = false
    /// It answered that it cannot, or somebody else has its key.
    var isTooLate = false
    /// The plan wanted it back and somebody else has its key.
    var isRefused = false
  }

  struct Pool {
    var config: RunnerConfig?
    var owner: UInt32?
    var target: UInt32? { didSet { if target != oldValue { changes += 1 } } }
    var changes = 0
  }

  var runners: [Int64: Runner] = [:]
  var orders: [Int64: Order] = [:]
  var pools: [PoolName: Pool] = [:] {
    didSet { poolOrder += pools.keys.filter { !poolOrder.contains($0) } }
  }
  /// In which order the pools were made: a change to several settles them in that order.
  private var poolOrder: [PoolName] = []
  var now: Int64
  private var lastRunner: Int64 = 0
  private var lastOrder: Int64 = 0

  init(now: Int64) { self.now = now }

  /// nil when it is done, else the code that it is refused with.
  mutating func apply(_ mutation: Mutation) -> Refusal.Code? {
    switch mutation {
    case .register(let registration): return register(registration)
    case .detached(let attachments):
      for id in current(attachments) where runners[id]!.isAttached {
        runners[id]!.isAttached = false
        runners[id]!.isSilent = false
      }
    case .silent(let attachments):
      for id in current(attachments) where runners[id]!.isAttached { runners[id]!.isSilent = true }
    case .heard(let attachments):
      for id in current(attachments) { runners[id]!.isSilent = false }
    case .stopDelivered(let ids):
      for id in ids.map(\.rawValue) where orders[id]?.state == .ordered { orders[id]!.state = .delivered }
    case .stopAcked(let acknowledgements):
      for ack in acknowledgements {
        guard let order = orders[ack.order.rawValue], order.state.isOpen, order.runner == ack.runner.rawValue
        else {
          continue
        }
        orders[ack.order.rawValue]!.state = .acked
      }
    case .stopping(let attachment, _, let grace):
      if let refusal = notHeard(attachment) { return refusal }
      let id = attachment.runner.rawValue
      guard runners[id]!.phase == .ready else { return nil }
      order([id], .`self`, grace)
      settle(runners[id]!.pool)
    case .leave(let attachment, _, _):
      let runner = runners[attachment.runner.rawValue]
      if let runner, runner.end == .detached, runner.attachment == attachment.id.rawValue { return nil }
      if let refusal = notHeard(attachment) { return refusal }
      end([attachment.runner.rawValue], .stopped, .detached)
    case .lose(let attachments, let cause): end(current(attachments), .lost, cause)
    case .force(let ids):
      let due = ids.map(\.rawValue).filter { orders[$0]?.state.isOpen == true && orders[$0]!.deadline <= now }
      end(due.map { orders[$0]!.runner }, .stopped, .forced)
    case .createNamespace: return .alreadyExists
    case .putConfig(let name, let config, let who, _):
      if let pool = pools[name], !may(who.uid, pool) { return .permissionDenied }
      pools[name, default: Pool()].config = config
      settle(name)
    case .deleteConfig(let name, let who, _):
      guard let pool = pools[name], pool.config != nil else { return .notFound }
      guard may(who.uid, pool) else { return .permissionDenied }
      guard living(name).isEmpty else { return .failedPrecondition }
      pools[name] = Pool()
    case .drain(let command): return drain(command)
    case .cancelDrain(.order(let id), _, let who): return cancel(id.rawValue, who)
    case .stopCancelledAnswered(let attachment, let id, let answer): answered(attachment, id.rawValue, answer)
    case .setTarget, .cordon, .cancelDrain, .changeDeadline:
      preconditionFailure("the planner's own tests have these: \(mutation)")
    // Actors have a model of their own: `ActorLife` for each, `Allocator` for their slots.
    case .createActor, .changeActor, .actorReports, .commandsAcked, .timePassed:
      preconditionFailure("no actors here: \(mutation)")
    case .prune: preconditionFailure("the model forgets nothing: \(mutation)")
    }
    return nil
  }

  // MARK: - Registration

  private mutating func register(_ registration: Registration) -> Refusal.Code? {
    if let (id, known) = runners.first(where: { $0.value.token == registration.token }) {
      guard known.uid == registration.peer.uid else { return .permissionDenied }
      guard !known.phase.hasEnded else { return .failedPrecondition }
      guard registration.attachment.rawValue >= known.attachment else { return .aborted }
      guard known.pool == registration.pool, known.version == registration.version.number,
        known.key == registration.key || shownKey(id) == registration.key
      else { return .failedPrecondition }
      runners[id]!.isAttached = true
      runners[id]!.isSilent = false
      runners[id]!.attachment = registration.attachment.rawValue
      settle(known.pool)
      return nil
    }
    if let key = registration.key, let holder = holder(key, registration.pool) {
      let held = runners[holder]!
      let number = registration.version.number
      if number < held.version { return .failedPrecondition }
      if number == held.version, held.isAttached { return .alreadyExists }
      let uid = registration.peer.uid
      guard uid == held.uid || may(uid, pools[registration.pool]!) else { return .permissionDenied }
      if pools[registration.pool]!.config == nil { pools[registration.pool]!.config = .automatic }
      if held.isAttached {
        order([holder], .superseded, 0)
      } else {
        finish([holder], .lost, .keyTaken)
      }
    }
    var pool = pools[registration.pool] ?? Pool()
    pool.config = pool.config ?? .automatic
    pool.owner = pool.owner ?? registration.peer.uid
    pools[registration.pool] = pool
    lastRunner += 1
    while registration.key == nil, holder(String(lastRunner), registration.pool) != nil { lastRunner += 1 }
    runners[lastRunner] = Runner(
      pool: registration.pool, key: registration.key, version: registration.version.number,
      attachment: registration.attachment.rawValue, uid: registration.peer.uid, token: registration.token)
    settle(registration.pool)
    return nil
  }

  private func shownKey(_ id: Int64) -> String { runners[id]!.key ?? String(id) }

  private func holder(_ key: String, _ pool: PoolName) -> Int64? {
    runners.first { $0.value.pool == pool && $0.value.phase == .ready && shownKey($0.key) == key }?.key
  }

  private func may(_ uid: UInt32, _ pool: Pool) -> Bool {
    pool.owner == nil || uid == pool.owner || uid == daemonUID || uid == 0
  }

  // MARK: - The pool as it should be

  private mutating func settle(_ name: PoolName) {
    while settleOnce(name) {}
  }

  /// Whether an order was taken back, which may ask for more.
  private mutating func settleOnce(_ name: PoolName) -> Bool {
    guard let pool = pools[name] else { return false }
    let ready = living(name).filter { runners[$0]!.phase == .ready }.map { runners[$0]! }
    let attached = ready.filter(\.isAttached)
    if let target = pool.target {
      let greater = attached.filter { $0.version > target && may($0.uid, pool) }.map(\.version).max()
      let isEmpty = !ready.contains { $0.version == target }
      let lower = ready.map(\.version).filter { $0 < target }.max()
      let recallable = recallable(name).map { runners[orders[$0]!.runner]!.version }.filter { $0 != target }
        .max()
      if let greater {
        pools[name]!.target = greater
      } else if isEmpty, let heir = lower ?? recallable {
        pools[name]!.target = heir
      }
    } else {
      pools[name]!.target = attached.map(\.version).max()
    }
    guard let target = pools[name]!.target else { return false }
    if case .normal(let normal) = pool.config?.kind, normal.drainOnVersionUpgrade == true {
      let changes = pools[name]!.changes
      order(
        living(name).filter {
          runners[$0]!.phase == .ready && runners[$0]!.version < target && runners[$0]!.exemptFrom != changes
        }, .versionUpgrade, 0)
    }
    let back = recallable(name).filter { runners[orders[$0]!.runner]!.version >= target }
    for id in back {
      if canComeBack(id) {
        takeBack(id)
      } else {
        orders[id]!.isRefused = true
      }
    }
    return !back.isEmpty
  }

  /// Open orders of an upgrade whose runners have not been asked whether they stay.
  private func recallable(_ name: PoolName) -> [Int64] {
    orders.filter { _, order in
      order.state.isOpen && order.cause == .versionUpgrade && !order.isOffered && !order.isRefused
        && runners[order.runner]!.pool == name
    }.keys.sorted()
  }

  /// Nobody else is ready in its place.
  private func canComeBack(_ order: Int64) -> Bool {
    guard !orders[order]!.isTooLate else { return false }
    let runner = orders[order]!.runner
    return holder(shownKey(runner), runners[runner]!.pool).map { $0 == runner } ?? true
  }

  private mutating func takeBack(_ order: Int64) {
    guard orders[order]!.state == .ordered else { return orders[order]!.isOffered = true }
    orders[order]!.state = .cancelled
    runners[orders[order]!.runner]!.phase = .ready
  }

  private mutating func cancel(_ id: Int64, _ who: Peer) -> Refusal.Code? {
    guard let order = orders[id] else { return .notFound }
    guard order.state.isOpen else { return .failedPrecondition }
    let pool = runners[order.runner]!.pool
    guard may(who.uid, pools[pool]!) else { return .permissionDenied }
    guard order.cause == .versionUpgrade || order.cause == .operator, !order.isTooLate else {
      return .failedPrecondition
    }
    if order.isOffered { return nil }
    guard canComeBack(id) else { return .failedPrecondition }
    runners[order.runner]!.exemptFrom = pools[pool]!.changes
    takeBack(id)
    settle(pool)
    return nil
  }

  /// Whoever is asked whether it stays, and told to leave by hand before it has answered, leaves by another order.
  private mutating func endOffers(of ids: [Int64]) {
    for order in ids.compactMap({ runners[$0]!.phase == .draining ? runners[$0]!.order : nil }).sorted()
    where orders[order]!.isOffered && canComeBack(order) {
      orders[order]!.state = .cancelled
      runners[orders[order]!.runner]!.phase = .ready
      runners[orders[order]!.runner]!.exemptFrom = nil
    }
  }

  private mutating func answered(_ attachment: Handover.Attachment, _ id: Int64, _ answer: Undo.Answer) {
    guard notHeard(attachment) == nil, let order = orders[id], order.runner == attachment.runner.rawValue
    else { return }
    if order.state == .cancelled, answer == .tooLate, runners[order.runner]!.phase == .ready {
      self.order([order.runner], .`self`, 0)
    } else if order.state.isOpen, order.isOffered, !order.isTooLate {
      if answer == .resumed, canComeBack(id) {
        orders[id]!.state = .cancelled
        runners[order.runner]!.phase = .ready
      } else {
        orders[id]!.isTooLate = true
      }
    }
    settle(runners[order.runner]!.pool)
  }

  private func living(_ name: PoolName) -> [Int64] {
    runners.filter { $0.value.pool == name && !$0.value.phase.hasEnded }.keys.sorted()
  }

  // MARK: - Orders and ends

  private mutating func order(_ ids: [Int64], _ cause: DrainCause, _ grace: Int64) {
    for id in ids {
      let configured = pools[runners[id]!.pool]?.config?.graceMilliseconds ?? 0
      let given = grace != 0 ? grace : configured != 0 ? configured : FleetTimes().defaultGraceMilliseconds
      lastOrder += 1
      orders[lastOrder] = Order(runner: id, deadline: now + given * 1_000_000, cause: cause)
      runners[id]!.phase = .draining
      runners[id]!.order = lastOrder
    }
  }

  private mutating func end(_ ids: [Int64], _ phase: RunnerPhase, _ cause: RunnerEnd) {
    finish(ids, phase, cause)
    for name in poolOrder where ids.contains(where: { runners[$0]!.pool == name }) { settle(name) }
  }

  private mutating func finish(_ ids: [Int64], _ phase: RunnerPhase, _ cause: RunnerEnd) {
    for id in ids where !runners[id]!.phase.hasEnded {
      if runners[id]!.phase == .draining {
        orders[runners[id]!.order!]!.state = SQLiteStore.orderState(cause)
      }
      runners[id]!.phase = phase
      runners[id]!.end = cause
      runners[id]!.isAttached = false
      runners[id]!.isSilent = false
    }
  }

  private mutating func drain(_ command: DrainCommand) -> Refusal.Code? {
    switch command.target {
    case .runner(let id):
      guard let runner = runners[id.rawValue] else { return .notFound }
      guard !runner.phase.hasEnded else { return .failedPrecondition }
      guard may(command.who.uid, pools[runner.pool]!) else { return .permissionDenied }
      endOffers(of: [id.rawValue])
      guard runners[id.rawValue]!.phase == .ready else { return nil }
      order([id.rawValue], .operator, command.graceMilliseconds)
      settle(runner.pool)
    case .olderVersions(let name, let below):
      guard let pool = pools[name], pool.config != nil else { return .notFound }
      return drain(name, below: below?.number ?? pool.target ?? 0, command)
    case .wholePool(let name):
      guard let pool = pools[name], pool.config != nil else { return .notFound }
      return drain(name, below: .max, command)
    }
    return nil
  }

  private mutating func drain(_ name: PoolName, below: UInt32, _ command: DrainCommand) -> Refusal.Code? {
    guard may(command.who.uid, pools[name]!) else { return .permissionDenied }
    endOffers(of: living(name).filter { runners[$0]!.version < below })
    let ready = living(name).filter { runners[$0]!.phase == .ready && runners[$0]!.version < below }
    order(ready, .operator, command.graceMilliseconds)
    settle(name)
    return nil
  }

  private func current(_ attachments: [Handover.Attachment]) -> [Int64] {
    var seen: Set<Int64> = []
    return attachments.compactMap { attachment in
      let id = attachment.runner.rawValue
      guard let runner = runners[id], !runner.phase.hasEnded, runner.attachment == attachment.id.rawValue,
        seen.insert(id).inserted
      else { return nil }
      return id
    }
  }

  private func notHeard(_ attachment: Handover.Attachment) -> Refusal.Code? {
    guard let runner = runners[attachment.runner.rawValue] else { return .notFound }
    if runner.phase.hasEnded { return .failedPrecondition }
    return runner.attachment == attachment.id.rawValue ? nil : .aborted
  }

  // MARK: - A restart of the daemon

  mutating func restart(bootChanged: Bool, lostThresholdMilliseconds: Int64) {
    if bootChanged {
      finish(runners.keys.sorted(), .lost, .machineRestarted)
      return
    }
    for id in runners.keys {
      runners[id]!.isAttached = false
      runners[id]!.isSilent = false
    }
    for id in orders.keys where orders[id]!.state.isOpen {
      // What is left, at least the threshold; these tests only let time go on.
      orders[id]!.deadline = max(orders[id]!.deadline, now + lostThresholdMilliseconds * 1_000_000)
    }
  }
}
