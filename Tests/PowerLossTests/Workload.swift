import Seeded
import Handover
import PowerLoss

/// Random changes to a fleet, the same for the same seed: what was registered and ordered before is what later changes are
/// about.
struct Workload {
  var random: SeededRandom
  var now = Moment(nanoseconds: 1_000_000_000_000, wallMilliseconds: 1_700_000_000_000)
  private var living: [Attachment] = []
  private var orders: [StopAcknowledgement] = []
  private var lastAttachment: Int64 = 0
  private var lastToken: UInt64 = 0
  private let pools = [
    PoolName(namespace: "default", name: "web"), PoolName(namespace: "default", name: "api"),
  ]
  private let who = Peer(uid: 1000, gid: 1000, pid: 4711, program: "worker")

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
  private mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements.randomElement(using: &random)!
  }

  mutating func registration() -> Mutation {
    lastAttachment += 1
    lastToken += 1
    let metadata =
      chance(20) ? [MetadataPair(key: "note", value: String(repeating: "n", count: pick([10, 900])))] : []
    return .register(
      Registration(
        pool: pick(pools), key: nil, version: Version(UInt32(1 + lastToken / 20))!, totalSlots: 4,
        token: RegistrationToken(high: 1, low: lastToken), endsWithProcess: false, metadata: metadata,
        peer: who, attachment: AttachmentID(lastAttachment)))
  }

  private mutating func change() -> Mutation {
    if living.isEmpty { return registration() }
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<45: return registration()
    case 45..<52: return .silent([pick(living)])
    case 52..<56: return .heard([pick(living)])
    case 56..<64: return .leave(pick(living), exitCode: 0, reason: "done")
    case 64..<70: return .lose([pick(living)], .threshold)
    case 70..<76: return .detached([pick(living)])
    case 76..<80:
      return .putConfig(
        pick(pools),
        RunnerConfig(
          kind: .normal(.init(drainOnVersionUpgrade: chance(80), drainGracePeriodMilliseconds: 60_000))),
        who: who)
    case 80..<84:
      return .drain(
        DrainCommand(target: .wholePool(pick(pools)), graceMilliseconds: 2000, reason: "test", who: who))
    case 84..<90 where !orders.isEmpty: return .stopDelivered([pick(orders).order])
    case 90..<95 where !orders.isEmpty: return .stopAcked([pick(orders)])
    default: return orders.isEmpty ? registration() : .force(orders.map(\.order))
    }
  }

  mutating func batch() -> [Mutation] {
    now.nanoseconds += 500_000_000
    now.wallMilliseconds += 500
    return (0..<Int.random(in: 1...5, using: &random)).map { _ in change() }
  }

  /// Takes in what a batch came to.
  mutating func learn(_ batch: [Mutation], _ committed: CommittedBatch) {
    for (mutation, result) in zip(batch, committed.results) {
      guard case .register(let registration) = mutation,
        case .success(.registered(let admission)) = result
      else { continue }
      living.append(Attachment(runner: admission.runner, id: registration.attachment))
      if let order = admission.openOrder {
        orders.append(StopAcknowledgement(runner: order.runner, order: order.id))
      }
    }
    for consequence in committed.consequences {
      switch consequence {
      case .stopsOrdered(_, _, let stops): orders += stops
      case .runnerEnded(let runner, _): living.removeAll { $0.runner == runner }
      case .orderEnded(let order, _, _, _): orders.removeAll { $0.order == order }
      case .decided, .targetChanged, .commandsIssued, .actorDropped, .stopsCancelled, .offerRefused,
        .deadlineChanged, .upgradeHeld:
        break
      }
    }
  }
}
