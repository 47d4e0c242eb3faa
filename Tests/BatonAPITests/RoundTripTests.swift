import CBatonProto
import Handover
import Protobuf
import Testing

@testable import BatonAPI

/// What the daemon says of its model, over the wire and read by a client, is what it knew: every case of every enum, with
/// all that may be absent absent and present.
@Suite struct RoundTripTests {
  private static let pool = PoolName(namespace: "staging", name: "mail")
  private static let who = Peer(uid: 1000, gid: 100, pid: 4242, program: "deploy")
  private static let pairs = [
    MetadataPair(key: "commit", value: "3f2a"), MetadataPair(key: "team", value: "post"),
  ]

  private static func runner(_ phase: RunnerPhase, _ end: RunnerEnd?, link: RunnerLink?, full: Bool) -> Runner
  {
    Runner(
      id: RunnerID(7), pool: pool, key: full ? "host-1" : "", version: Version(3)!, totalSlots: 8,
      remainingSlots: full ? 5 : 0, phase: phase, link: link, isSilent: full, endsWithProcess: full,
      peer: who,
      metadata: full ? pairs : [], registeredAtMilliseconds: 1, linkChangedAtMilliseconds: 2,
      endedAtMilliseconds: full ? 3 : nil, end: end, drainOrder: full ? DrainOrderID(9) : nil,
      exitCode: full ? 0 : nil, detachReason: full ? "done" : "", takesActors: true,
      isCordoned: full, exemptFrom: full ? Version(4) : nil)
  }

  @Test(arguments: RunnerPhase.allCases, [RunnerLink.attached, .detached])
  func runners(_ phase: RunnerPhase, _ link: RunnerLink) throws {
    for end in RunnerEnd.allCases.map({ $0 as RunnerEnd? }) + [nil] {
      for full in [true, false] {
        let runner = Self.runner(phase, end, link: phase.hasEnded ? nil : link, full: full)
        #expect(try carried({ Encode.runner(runner, $0) }, { Decode.runner($0) }) == runner)
      }
    }
  }

  @Test(arguments: DrainCause.allCases, DrainState.allCases)
  func drains(_ cause: DrainCause, _ state: DrainState) throws {
    let now = Moment(nanoseconds: 5_000_000_000, wallMilliseconds: 1_790_000_000_000)
    for full in [true, false] {
      let order = DrainOrder(
        id: DrainOrderID(.max), runner: RunnerID(1), pool: Self.pool, runnerVersion: Version(1)!,
        cause: cause,
        reason: full ? "über" : "", targetVersion: full ? Version(2) : nil, who: Self.who, state: state,
        orderedAtMilliseconds: 10, deliveredAtMilliseconds: full ? 11 : nil,
        ackedAtMilliseconds: full ? 12 : nil,
        endedAtMilliseconds: full ? 13 : nil, graceMilliseconds: 30_000, deadlineNanoseconds: 9_000_000_000,
        deliveries: full ? 3 : 0, wayBack: full ? WayBack.allCases[state.rawValue % 2] : nil,
        cancelledBy: full ? Self.who : nil, cancelReason: full ? "not now" : "")
      let read = try #require(try carried({ Encode.drain(order, now: now, $0) }, { Decode.drain($0) }))
      // A client has another clock: the deadline arrives as what remains.
      var expected = order
      expected.deadlineNanoseconds = read.deadlineNanoseconds
      #expect(read == expected)
      let message = try carried({ Encode.drain(order, now: now, $0) }, { $0.pointee.remaining_ms })
      #expect(message == UInt64(order.remainingMilliseconds(at: now)))
    }
  }

  @Test(arguments: [true, false, nil] as [Bool?])
  func configs(_ drain: Bool?) throws {
    let normal = RunnerConfig(
      kind: .normal(.init(drainOnVersionUpgrade: drain, drainGracePeriodMilliseconds: 30_000)),
      metadata: Self.pairs)
    for config in [normal, RunnerConfig(kind: .serverless, metadata: []), .automatic] {
      let read = try #require(try carried({ Encode.config(config, $0) }, { Decode.config($0) }))
      #expect(read.kind == config.kind && read.metadata == config.metadata)
    }
  }

  @Test(arguments: TargetCause.allCases)
  func pools(_ cause: TargetCause) throws {
    for full in [true, false] {
      let target = TargetChange(
        version: Version(3)!, previousVersion: full ? Version(2) : nil, cause: cause,
        runner: full ? RunnerID(5) : nil,
        who: Self.who, atMilliseconds: 77)
      let read = try carried({ Encode.target(target, $0) }, { Decode.target($0) })
      #expect(read == target)
    }
  }

  @Test(arguments: Decision.Upgrade.allCases, Decision.Standing.allCases)
  func decisions(_ upgrade: Decision.Upgrade, _ standing: Decision.Standing) throws {
    for config in Decision.Config.allCases {
      let decision = Decision(
        config: config, upgrade: upgrade, ordered: 3, held: [.init(gate: "pace", count: 2)],
        superseded: RunnerID(4),
        standing: standing, target: Version(9))
      #expect(try carried({ Encode.decision(decision, $0) }, { Decode.decision($0) }) == decision)
    }
  }

  @Test(arguments: EventKind.allCases)
  func events(_ kind: EventKind) throws {
    for full in [true, false] {
      let event = Event(
        revision: Revision(1), atMilliseconds: 2, kind: kind, namespace: "default", name: full ? "mail" : "",
        runner: full ? RunnerID(3) : nil, drainOrder: full ? DrainOrderID(4) : nil,
        version: full ? Version(5) : nil,
        who: full ? Self.who : nil, detail: full ? "more" : "")
      #expect(try carried({ Encode.event(event, $0) }, { Decode.event($0) }) == event)
    }
  }
}
