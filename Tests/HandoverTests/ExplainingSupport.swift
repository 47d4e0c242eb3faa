import Testing

@testable import Handover

let ops = Peer(uid: 1000, gid: 1000, pid: 77, program: "baton")
let worker = Peer(uid: 1000, gid: 1000, pid: 4711, program: "worker")

/// Somebody who is asked about, in a pool `default/web` on version 8 whose runners are version 7 and 8.
struct Asked: Sendable {
  static let now = Moment(nanoseconds: 10_000 * Fleet.second, wallMilliseconds: 1_700_000_000_000)
  static func ago(_ seconds: Int64) -> Int64 { now.wallMilliseconds - seconds * 1000 }
  static func ahead(_ seconds: Int64) -> Int64 { now.nanoseconds + seconds * Fleet.second }

  var fleet = Fleet()
  var pin: Pin?
  var runner: Runner
  var order: DrainOrder?
  var isAuthorized = true
  var deeds: [Event] = []
  var actorCount = 0
  var actors: [HeldActor] = []
  var actor: Actor?

  /// Runner 5 of version 7 is ready, and so is runner 9 of version 8, which made that the target.
  init() {
    fleet.target = Version(8)
    fleet.runners = [
      .init(id: RunnerID(5), version: Version(7)!, slots: 4, actors: 0),
      .init(id: RunnerID(9), version: Version(8)!, slots: 4, actors: 0),
    ]
    runner = Self.runner(5, version: 7)
  }

  static func runner(_ id: Int64, version: UInt32) -> Runner {
    Runner(
      id: RunnerID(id), pool: PoolName(namespace: "default", name: "web"), key: "host-\(id)",
      version: Version(version)!, totalSlots: 4, remainingSlots: 4, phase: .ready, link: .attached,
      isSilent: false, endsWithProcess: false, peer: worker, metadata: [],
      registeredAtMilliseconds: ago(3600), linkChangedAtMilliseconds: ago(3600), endedAtMilliseconds: nil,
      end: nil, drainOrder: nil, exitCode: nil, detachReason: "", takesActors: true)
  }

  /// Its runner must leave.
  mutating func drains(
    _ cause: DrainCause = .versionUpgrade, _ state: DrainState = .acked, reason: String? = nil,
    leftSeconds: Int64 = 240
  ) {
    runner.phase = .draining
    fleet.runners[0].isDraining = true
    fleet.runners[0].isUpgradeOrder = cause == .versionUpgrade
    order = DrainOrder(
      id: DrainOrderID(12), runner: RunnerID(5), pool: runner.pool, runnerVersion: runner.version,
      cause: cause,
      reason: reason ?? (cause == .versionUpgrade ? "version 8 is the target of default/web" : ""),
      targetVersion: Version(8), who: cause == .operator ? ops : worker, state: state,
      orderedAtMilliseconds: Self.ago(60), deliveredAtMilliseconds: Self.ago(59),
      ackedAtMilliseconds: Self.ago(58), endedAtMilliseconds: state.isOpen ? nil : Self.ago(10),
      graceMilliseconds: 300_000, deadlineNanoseconds: Self.ahead(leftSeconds), deliveries: 1)
  }

  mutating func holds(_ count: Int, _ actors: (id: Int64, state: ActorState, seconds: Int64)...) {
    actorCount = count
    fleet.runners[0].actors = Int64(count)
    self.actors = actors.map {
      HeldActor(id: ActorID($0.id), state: $0.state, sinceMilliseconds: Self.ago($0.seconds))
    }
  }

  mutating func did(_ kind: EventKind, _ detail: String, order: Int64? = nil, byRunner: Bool = false) {
    deeds.append(
      Event(
        revision: Revision(Int64(deeds.count + 100)), atMilliseconds: Self.ago(30), kind: kind,
        namespace: "default", name: "web", runner: runner.id, drainOrder: order.map { DrainOrderID($0) },
        version: runner.version, who: byRunner ? nil : ops, detail: detail))
  }

  mutating func pinned(_ version: UInt32, _ reason: String) {
    pin = Pin(version: Version(version)!, who: ops, reason: reason, atMilliseconds: Self.ago(120))
    fleet.pin = Version(version)
  }

  var target: CausedChange? {
    fleet.target.map { version in
      CausedChange(
        change: TargetChange(
          version: version, previousVersion: Version(version.number - 1),
          cause: pin == nil ? .promoted : .pinned, runner: pin == nil ? RunnerID(9) : nil,
          who: pin?.who ?? worker, atMilliseconds: Self.ago(61)),
        runner: pin == nil ? Self.runner(9, version: 8) : nil)
    }
  }

  var pool: PoolFacts {
    PoolFacts(name: runner.pool, state: fleet.state, plan: fleet.plan, target: target, pin: pin)
  }

  var facts: RunnerFacts {
    RunnerFacts(
      runner: runner, isAuthorized: isAuthorized, pool: pool, order: order,
      orderedFor: order?.cause == .versionUpgrade ? target : nil, deeds: deeds, actorCount: actorCount,
      actors: actors)
  }
}

/// An explanation as the tests spell it: the state, whether it goes on, what is left; the sentences; `<` before each cause;
/// `>` before each hint.
func text(_ facts: ExplainFacts) -> String {
  let explanation = Explaining.explanation(of: facts, at: Asked.now)
  let left = explanation.endsAtNanoseconds.map {
    " | \(Spoken.duration(nanoseconds: $0 - Asked.now.nanoseconds))"
  }
  let blockers = explanation.blockingActors.map { "\($0)" }.joined(separator: " ")
  let head =
    "\(explanation.state) | \(explanation.outlook)\(left ?? "")" + (blockers.isEmpty ? "" : " | \(blockers)")
  let causes = explanation.causes.map { cause in
    let who = cause.who.map { ", by \(Said.who($0))" } ?? ""
    let ago = Spoken.duration(milliseconds: Asked.now.wallMilliseconds - cause.atMilliseconds)
    return "< \(ago) ago \(cause.what)\(who)\(cause.reason.isEmpty ? "" : ": \(cause.reason)")"
  }
  return ([head] + explanation.sentences + causes + explanation.hints.map { "> \($0)" })
    .joined(separator: "\n")
}

extension Asked {
  mutating func detached(seconds: Int64) {
    runner.link = .detached
    runner.linkChangedAtMilliseconds = Self.ago(seconds)
  }

  /// Somebody took its order back, or wanted to.
  mutating func taken(_ wayBack: WayBack?, _ reason: String) {
    order?.wayBack = wayBack
    order?.cancelledBy = ops
    order?.cancelReason = reason
  }

  mutating func exempt() {
    runner.phase = .ready
    runner.exemptFrom = Version(8)
    fleet.runners[0].isDraining = false
    fleet.runners[0].isExempt = true
  }

  mutating func ended(_ phase: RunnerPhase, _ end: RunnerEnd, exitCode: Int32? = nil) {
    runner.phase = phase
    runner.link = nil
    runner.end = end
    runner.exitCode = exitCode
    runner.endedAtMilliseconds = Self.ago(10)
    fleet.runners.removeFirst()
  }
}

/// A question and the whole answer.
struct Question<Facts: Sendable>: CustomTestStringConvertible, Sendable {
  var name: String
  var facts: Facts
  var answer: String
  var testDescription: String { name }
}

extension Question where Facts == Asked {
  init(_ name: String, _ adjust: (inout Asked) -> Void, answer: String) {
    var asked = Asked()
    adjust(&asked)
    self.init(name: name, facts: asked, answer: answer)
  }
}

extension Asked {
  mutating func actor(
    _ state: ActorState, on runner: Int64? = nil, _ adjust: (inout Actor) -> Void = { _ in }
  ) {
    var times = ActorTimes(createdAt: Self.ago(600))
    times.entered(state, at: Self.ago(55))
    var actor = Actor(
      id: ActorID(7),
      identity: ActorIdentity(pool: self.runner.pool, name: "box", key: "a", crashPolicy: .restart),
      state: state, generation: 1, runner: runner.map { RunnerID($0) }, runnerVersion: nil, stopReason: nil,
      failure: nil, failedAtMilliseconds: nil, retries: 0, stopMessage: "", wait: nil, queuedBefore: 0,
      dueNanoseconds: nil, isCommandAcked: false, isWakeWanted: false, who: ops, times: times)
    adjust(&actor)
    self.actor = actor
  }

  var actorFacts: ActorFacts {
    ActorFacts(actor: actor!, pool: pool, runner: actor!.runner == nil ? nil : facts)
  }
}
