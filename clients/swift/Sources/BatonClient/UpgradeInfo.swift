import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// A target version that somebody set.
public struct PinInfo: Hashable, Sendable {
  /// Which version.
  public var version: UInt32
  /// Who set it.
  public var who: PeerInfo
  /// Why, for people.
  public var reason: String
  /// Milliseconds since 1970.
  public var atMilliseconds: Int64

  init(_ pin: Pin) {
    version = pin.version.number
    who = PeerInfo(pin.who)
    reason = pin.reason
    atMilliseconds = pin.atMilliseconds
  }
}

/// An upgrade that a gate holds back; `planUpgrade` says which gate and whom.
public struct HeldUpgradeInfo: Hashable, Sendable {
  /// The version that the held runners would leave for.
  public var goalVersion: UInt32
  /// For how long nothing of it has moved, as of the answer; nil while it does.
  public var heldMilliseconds: Int64?
  /// It was held for too long: nobody leaves for this goal any more.
  public var isAbandoned: Bool

  init(_ upgrade: PoolMemory.Upgrade) {
    goalVersion = upgrade.goal.number
    // `Decode` puts its beginning on a clock that begins with the answer.
    heldMilliseconds = upgrade.heldSinceNanoseconds.map { -$0 / 1_000_000 }
    isAbandoned = upgrade.isAbandoned
  }
}

/// A gate that is closed.
public struct HoldInfo: Hashable, Sendable {
  /// min_healthy, min_available, free_slots, max_draining, no_runner, abandoned or exempt.
  public var gate: String
  /// The version that the held runners would leave for.
  public var goalVersion: UInt32
  /// How many runners it holds.
  public var count: Int
  /// When it opens by itself as things stood at the answer; nil when no time says so.
  public var opensInMilliseconds: Int64?
  /// How many slots are missing; nil when it is not slots that it waits for.
  public var missingSlots: Int64?
  /// False when it stays closed as things stand: somebody must do something.
  public var isPossible: Bool
  /// The same, for people.
  public var sentence: String

  init(_ message: UnsafeMutablePointer<Baton__V1__Hold>) {
    let hold = message.pointee
    gate = Read.string(hold.gate)
    goalVersion = hold.goal_version
    count = Int(hold.count)
    opensInMilliseconds = Decode.time(hold.opens_in_ms)
    missingSlots = Decode.time(hold.missing_slots)
    isPossible = hold.possible != 0
    sentence = Read.string(hold.sentence)
  }
}

/// What would happen to a pool.
public struct UpgradePlan: Hashable, Sendable {
  /// What becomes of the ready runners of one version.
  public struct VersionFate: Hashable, Sendable {
    /// The version.
    public var version: UInt32
    /// How many there are.
    public var ready: Int
    /// Of those, the ones that leave now.
    public var ordered: Int
    /// The ones that a gate holds.
    public var held: Int
    /// Which gate; nil when none does.
    public var gate: String?
    /// The ones whose order somebody cancelled.
    public var exempt: Int
    /// Its open orders of an upgrade are taken back.
    public var isRecalled: Bool

    init(_ message: UnsafeMutablePointer<Baton__V1__VersionFate>) {
      let fate = message.pointee
      version = fate.version
      ready = Int(fate.ready)
      ordered = Int(fate.ordered)
      held = Int(fate.held)
      gate = UpgradePlan.gate(fate.gate)
      exempt = Int(fate.exempt)
      isRecalled = fate.recalled != 0
    }
  }

  /// What becomes of one ready runner.
  public struct RunnerFate: Hashable, Sendable {
    /// Which.
    public var runner: Int64
    /// Its version.
    public var version: UInt32
    /// Its actors.
    public var usedSlots: Int
    /// stays, ordered or held; unknown from a daemon that is newer than this client.
    public var fate: String
    /// The gate that holds it; nil when none does.
    public var gate: String?

    init(_ message: UnsafeMutablePointer<Baton__V1__RunnerFate>) {
      let fate = message.pointee
      runner = Decode.wall(fate.runner_id)
      version = fate.version
      usedSlots = Int(fate.used_slots)
      self.fate =
        switch fate.fate {
        case BATON__V1__RUNNER_FATE__FATE__FATE_STAYS: "stays"
        case BATON__V1__RUNNER_FATE__FATE__FATE_ORDERED: "ordered"
        case BATON__V1__RUNNER_FATE__FATE__FATE_HELD: "held"
        default: "unknown"
        }
      gate = UpgradePlan.gate(fate.gate)
    }
  }

  /// The answer that whoever did it would get.
  public var decision: DecisionInfo
  /// The target would become this version; nil when it stays.
  public var targetBecomes: UInt32?
  /// Why it would: first, promoted, demoted or pinned.
  public var cause: String?
  /// The gates that hold somebody.
  public var holds: [HoldInfo]
  /// Of each version that has a ready runner or whose orders are taken back, greatest first.
  public var versions: [VersionFate]
  /// The pool's ready runners, oldest version first, then fewest actors.
  public var runners: [RunnerFate]
  /// When the plan could become another one though nothing happens, as of the answer; nil when time changes nothing.
  public var nextChangeInMilliseconds: Int64?
  /// What it was read at.
  public var revision: Int64

  init(_ message: UnsafeMutablePointer<Baton__V1__PlanUpgradeResponse>) throws {
    let plan = message.pointee
    guard let decision = Decode.decision(plan.decision) else {
      throw BatonError(.internal, "the daemon's answer has no decision")
    }
    self.decision = DecisionInfo(decision)
    targetBecomes = plan.target_becomes == 0 ? nil : plan.target_becomes
    cause = TargetCause(rawValue: Int(plan.cause.rawValue)).map(Words.word)
    holds = Read.messages(plan.n_holds, plan.holds).map(HoldInfo.init)
    versions = Read.messages(plan.n_versions, plan.versions).map(VersionFate.init)
    runners = Read.messages(plan.n_runners, plan.runners).map(RunnerFate.init)
    nextChangeInMilliseconds = Decode.time(plan.next_change_in_ms)
    revision = Decode.wall(plan.revision)
  }

  private static func gate(_ text: UnsafePointer<CChar>?) -> String? {
    let text = Read.string(text)
    return text.isEmpty ? nil : text
  }
}

/// Why something is as it is, in sentences and in fields.
public struct ExplanationInfo: Hashable, Sendable {
  /// One link of the chain of causes.
  public struct Cause: Hashable, Sendable {
    /// What happened, as a sentence.
    public var what: String
    /// Who did it; nil when the daemon or a runner did.
    public var who: PeerInfo?
    /// The reason given.
    public var reason: String
    /// Milliseconds since 1970.
    public var atMilliseconds: Int64

    init(_ message: UnsafeMutablePointer<Baton__V1__Cause>) {
      let cause = message.pointee
      what = Read.string(cause.what)
      who = cause.who.map { PeerInfo(Decode.peer($0)) }
      reason = Read.string(cause.reason)
      atMilliseconds = Decode.wall(cause.at_ms)
    }
  }

  /// What it is, in a few words.
  public var state: String
  /// The whole answer, for people.
  public var sentences: [String]
  /// What led to it, the nearest cause first, up to who did it.
  public var causes: [Cause]
  /// Gates that hold it.
  public var holds: [HoldInfo]
  /// Actors that it waits for, at most 10, the longest at it first.
  public var blockingActors: [Int64]
  /// How many there are of them in all.
  public var blockingActorCount: Int
  /// When its time ends, as of the answer; nil when no time is set.
  public var endsInMilliseconds: Int64?
  /// settled (it waits for nothing), slow (it goes on by itself) or impossible (it stays as it is until somebody does something, or its
  /// deadline does); unknown from a daemon that is newer than this client.
  public var outlook: String
  /// What somebody could do, as commands of `baton`.
  public var hints: [String]
  /// What it was read at.
  public var revision: Int64

  init(_ message: UnsafeMutablePointer<Baton__V1__ExplainResponse>) {
    let answer = message.pointee
    state = Read.string(answer.state)
    sentences = Read.strings(answer.n_sentences, answer.sentences)
    causes = Read.messages(answer.n_causes, answer.causes).map(Cause.init)
    holds = Read.messages(answer.n_holds, answer.holds).map(HoldInfo.init)
    blockingActors = Read.numbers(answer.n_blocking_actors, answer.blocking_actors).map(Decode.wall)
    blockingActorCount = Int(answer.blocking_actor_count)
    endsInMilliseconds = Decode.time(answer.ends_in_ms)
    outlook = Explanation.Outlook(rawValue: Int(answer.outlook.rawValue)).map(Words.word) ?? "unknown"
    hints = Read.strings(answer.n_hints, answer.hints)
    revision = Decode.wall(answer.revision)
  }
}

/// One decision of somebody.
public struct HistoryInfo: Hashable, Sendable {
  /// The event; of orders that were made together, the first one's.
  public var event: FleetEvent
  /// How many orders were made together; 0 when it is about none.
  public var orders: Int
}
