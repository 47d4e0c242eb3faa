import CBatonProto
import Protobuf
import Testing

@testable import BatonAPI
@testable import Handover

/// Upgrades over the wire: how a config says they go, what holds them, what would happen and why; a request's wrong field
/// is named.
@Suite struct ControlMessageTests {
  private static let now = Moment(nanoseconds: 5_000_000_000, wallMilliseconds: 1_790_000_000_000)
  private static let who = Peer(uid: 1000, gid: 100, pid: 4242, program: "deploy")
  private static let name = PoolName(namespace: "staging", name: "mail")

  // MARK: - Configs

  static let settings: [UpgradeSettings] = [
    UpgradeSettings(), UpgradeSettings(strategy: .immediate), UpgradeSettings(strategy: .careful),
    UpgradeSettings(minHealthyMilliseconds: 0, holdTimeoutMilliseconds: 0),
    UpgradeSettings(minHealthyMilliseconds: 86_400_000, holdTimeoutMilliseconds: 604_800_000),
    UpgradeSettings(capacity: .proceed, maxDraining: .count(1)),
    UpgradeSettings(capacity: .wait, minAvailable: .count(0), maxDraining: .percent(100)),
    UpgradeSettings(strategy: .careful, minAvailable: .percent(0), maxDraining: .count(1_000_000)),
  ]

  @Test(arguments: settings)
  func upgradeSettings(_ settings: UpgradeSettings) throws {
    let config = RunnerConfig(kind: .normal(.init(upgrade: settings)))
    let read = try #require(try carried({ Encode.config(config, $0) }, { Decode.config($0) }))
    #expect(read.kind == config.kind)
    let taken = try decoded(Self.json(config), as: Baton__V1__RunnerConfig.self) {
      try Requests.config($0).kind
    }
    #expect(taken == config.kind)
  }

  private static func json(_ config: RunnerConfig) throws -> String {
    try shown { Encode.config(config, $0) }
  }

  /// A field that a later release gives gates is kept and told as it came.
  @Test func whatIsNotKnownOfAConfigIsKept() throws {
    let arena = Arena()
    let config = try decoded(
      #"{"normal":{"strategy":"STRATEGY_CAREFUL","minHealthyMs":"7"}}"#, as: Baton__V1__RunnerConfig.self
    ) { try Requests.config($0) }
    // NormalRunners.31, a varint: in the message of 7 bytes that `normal` (field 1) is.
    var bytes = config.encoded
    #expect(bytes[0] == 0x0A)
    bytes[1] += 3
    bytes += [0xF8, 0x01, 0x05]
    let read = try bytes.withUnsafeBytes { raw in
      try Requests.config(Codec.decode(Baton__V1__RunnerConfig.self, raw, in: arena))
    }
    #expect(read.kind == config.kind)
    let told = withExtendedLifetime(arena) { Codec.encode(Encode.config(read, arena)) }
    #expect(told == bytes)
  }

  @Test(arguments: [
    WrongField("strategy", #"{"strategy":7}"#, "has no value 7"),
    WrongField("capacity", #"{"capacity":3}"#, "has no value 3"),
    WrongField("min_healthy_ms", #"{"minHealthyMs":"86400001"}"#, "must be 0 to 86400000 (a day)"),
    WrongField("min_healthy_ms", #"{"minHealthyMs":"18446744073709551615"}"#, "must be 0 to 86400000"),
    WrongField("hold_timeout_ms", #"{"holdTimeoutMs":"999"}"#, "must be 0 (never) or 1000 to 604800000"),
    WrongField("hold_timeout_ms", #"{"holdTimeoutMs":"604800001"}"#, "must be 0 (never) or 1000 to"),
    WrongField(
      "hold_timeout_ms", #"{"minHealthyMs":"5000","holdTimeoutMs":"5000"}"#,
      "must be greater than min_healthy_ms (5000)"),
    WrongField(
      "min_available", #"{"capacity":"CAPACITY_WAIT","minAvailable":{}}"#, "must be count or percent"),
    WrongField(
      "min_available", #"{"capacity":"CAPACITY_WAIT","minAvailable":{"percent":101}}"#, "must be 0% to 100%"),
    WrongField("min_available", #"{"minAvailable":{"count":3}}"#, "has a meaning only with capacity wait"),
    WrongField("max_draining", #"{"maxDraining":{}}"#, "must be count or percent"),
    WrongField("max_draining", #"{"maxDraining":{"count":0}}"#, "must be 1 to 1000000"),
    WrongField("max_draining", #"{"maxDraining":{"percent":0}}"#, "must be 1% to 100%"),
  ])
  func settingsWrongFieldIsNamed(_ row: WrongField) {
    let found = violation {
      try decoded("{\"normal\":\(row.json)}", as: Baton__V1__RunnerConfig.self) { try Requests.config($0) }
    }
    #expect(found?.field == "config.normal." + row.field)
    #expect(found?.requirement.hasPrefix(row.says) == true, "\(found?.requirement ?? "nothing")")
  }

  // MARK: - Pools

  @Test(arguments: [nil, 0, 3_000_000_000, 4_999_999_999] as [Int64?])
  func pools(_ heldSince: Int64?) throws {
    for isFull in [true, false] {
      let version = Version(3)!
      var pool = Pool(
        name: Self.name, config: .automatic, target: nil, ownerUID: nil, versions: [], openDrains: 0)
      if isFull {
        pool.versions = [
          VersionSummary(
            version: version, ready: 4, readyAttached: 3, readyAttachedAuthorized: 3, draining: 2,
            totalSlots: 16,
            remainingSlots: 5, exempt: 1, drainingActors: 7)
        ]
        pool.pin = Pin(version: version, who: Self.who, reason: "canary", atMilliseconds: 9)
        pool.heldUpgrade = .init(
          goal: version, heldSinceNanoseconds: heldSince, isAbandoned: heldSince == nil)
      }
      var read = try carried({ Encode.pool(pool, now: Self.now, $0) }, { Decode.pool($0) })
      // A client has another clock: what it was held for arrives as a time before the answer.
      let ago = read.heldUpgrade?.heldSinceNanoseconds.map { -$0 / 1_000_000 }
      #expect(ago == (isFull ? heldSince.map { max(1, (Self.now.nanoseconds - $0) / 1_000_000) } : nil))
      read.heldUpgrade?.heldSinceNanoseconds = pool.heldUpgrade?.heldSinceNanoseconds
      read.config.encoded = []
      #expect(read == pool)
    }
  }

  // MARK: - Plans, explanations, history

  private static func plan() -> Plan {
    let (one, two, three) = (Version(1)!, Version(2)!, Version(3)!)
    return Plan(
      targetMove: .init(version: three, cause: .promoted), target: three, retirement: .runners([RunnerID(7)]),
      retired: 1, recalled: [one], upgrade: .applied,
      holds: [
        Hold(.maxDraining, goal: three, count: 2, isPossible: true),
        Hold(.minHealthy, goal: three, count: 1, untilNanoseconds: 6_000_000_001, isPossible: true),
        Hold(.freeSlots, goal: three, count: 1, missingSlots: 5, isPossible: false),
        Hold(.minHealthy, goal: three, count: 1, untilNanoseconds: 4_000_000_000, isPossible: true),
      ],
      fates: [
        .init(version: three, ready: 1),
        .init(version: two, ready: 4, ordered: 1, held: 2, gate: .maxDraining, exempt: 1),
      ],
      memory: PoolMemory(), wakeAtNanoseconds: 5_500_000_000)
  }

  @Test func aPlanIsToldWhole() throws {
    let fates: [PlanView.RunnerFate] = [
      .init(runner: RunnerID(7), version: Version(2)!, usedSlots: 0, fate: .ordered),
      .init(runner: RunnerID(8), version: Version(2)!, usedSlots: 3, fate: .held(.maxDraining)),
      .init(runner: RunnerID(9), version: Version(3)!, usedSlots: 1, fate: .stays),
    ]
    let view = PlanView(plan: Self.plan(), runners: PageOf(elements: fates, next: "more"))
    let text = try shown { Encode.plan(view, now: Self.now, $0) }
    for part in [
      #""decision":{"config":"CONFIG_FOUND","upgrade":"UPGRADE_APPLIED","ordered":1,"held":["#
        + #"{"gate":"min_healthy","count":2},{"gate":"free_slots","count":1},{"gate":"max_draining","count":2}]"#,
      #""targetBecomes":3,"cause":"TARGET_CAUSE_PROMOTED""#,
      #"{"gate":"max_draining","goalVersion":3,"count":2,"opensInMs":"0","missingSlots":"0","possible":true"#,
      // Rounded up; what is due is not "never".
      #"{"gate":"min_healthy","goalVersion":3,"count":1,"opensInMs":"1001","#,
      #"{"gate":"min_healthy","goalVersion":3,"count":1,"opensInMs":"1","#,
      #"{"gate":"free_slots","goalVersion":3,"count":1,"opensInMs":"0","missingSlots":"5","possible":false"#,
      #""versions":[{"version":3,"ready":1,"ordered":0,"held":0,"gate":"","exempt":0,"recalled":false},"#
        + #"{"version":2,"ready":4,"ordered":1,"held":2,"gate":"max_draining","exempt":1,"recalled":false},"#
        // It has no ready runner left, and its orders are taken back.
        + #"{"version":1,"ready":0,"ordered":0,"held":0,"gate":"","exempt":0,"recalled":true}]"#,
      #""runners":[{"runnerId":"7","version":2,"usedSlots":0,"fate":"FATE_ORDERED","gate":""},"#
        + #"{"runnerId":"8","version":2,"usedSlots":3,"fate":"FATE_HELD","gate":"max_draining"},"#
        + #"{"runnerId":"9","version":3,"usedSlots":1,"fate":"FATE_STAYS","gate":""}]"#,
      #""nextChangeInMs":"500","nextPageToken":"more""#,
    ] { #expect(text.contains(part), "\(part)\n\(text)") }
    for hold in view.plan.holds { #expect(text.contains(hold.sentence(now: Self.now.nanoseconds))) }
  }

  @Test func aPlanInWhichNothingHappensIsShort() throws {
    let plan = Planner.plan(PoolState(config: .automatic, target: nil, versions: []), now: 0)
    let view = PlanView(plan: plan, runners: PageOf(elements: [], next: ""))
    let text = try shown { Encode.plan(view, now: Self.now, $0) }
    #expect(
      text.contains(
        #""targetBecomes":0,"cause":"TARGET_CAUSE_UNSPECIFIED","holds":[],"versions":[],"runners":[]"#))
    #expect(text.contains(#""nextChangeInMs":"0""#))
  }

  @Test(arguments: Explanation.Outlook.allCases)
  func explanations(_ outlook: Explanation.Outlook) throws {
    let explanation = Explanation(
      state: "draining", sentences: ["It leaves.", "Über 2 actors."],
      causes: [
        .init(what: "order 4 was given", who: nil, reason: "", atMilliseconds: 8),
        .init(what: "the target was set", who: Self.who, reason: "canary", atMilliseconds: 7),
      ], holds: [Hold(.exempt, goal: Version(2)!, count: 1, isPossible: false)],
      blockingActors: [ActorID(11), ActorID(12)], blockingActorCount: 12, endsAtNanoseconds: 6_000_000_000,
      outlook: outlook, hints: ["baton drain --extend 10m 7"])
    let text = try shown { Encode.explanation(explanation, now: Self.now, $0) }
    for part in [
      #"{"state":"draining","sentences":["It leaves.","Über 2 actors."],"causes":[{"what":"order 4 was given","reason":"","atMs":"8"},"#,
      #"{"what":"the target was set","who":{"uid":1000,"gid":100,"pid":4242,"program":"deploy"},"reason":"canary","atMs":"7"}"#,
      #""gate":"exempt""#, #""blockingActors":["11","12"],"blockingActorCount":12,"endsInMs":"1000""#,
      #""outlook":"OUTLOOK_\#(Words.word(outlook).uppercased())""#,
      #""hints":["baton drain --extend 10m 7"]"#,
    ] { #expect(text.contains(part), "\(part)\n\(text)") }
  }

  @Test func historyTellsOrdersThatWereMadeTogether() throws {
    let event = Event(
      revision: Revision(5), atMilliseconds: 6, kind: .drainOrdered, namespace: "default", name: "mail",
      runner: RunnerID(1), drainOrder: DrainOrderID(2), version: Version(3), who: Self.who, detail: "why")
    let page = PageOf(elements: [HistoryEntry(event: event, orders: 20)], next: "more")
    let (read, orders, next) = try carried({ Encode.history(page, $0) }) { message in
      let entry = try #require(Read.messages(message.pointee.n_entries, message.pointee.entries).first)
      return (
        Decode.event(entry.pointee.event), entry.pointee.orders, Read.string(message.pointee.next_page_token)
      )
    }
    #expect(read == event && orders == 20 && next == "more")
  }
}
