import BatonAPI
import CBatonProto
import CSQLite
import Foundation
import Handover
import Protobuf
import Registry
import Testing

/// The story of every kept database: namespaces default and staging; `default/mail`, draining with 30 s, with runner b of
/// version 1 (draining, its order acked), a of version 1 (stopped, its order completed) and c of version 2 (ready);
/// `staging/web`, whose config has fields of a later release. From v2 on b and c take actors: one stops on b, one runs on c,
/// one sleeps. The daemon was killed.
@Suite struct KeptDatabaseTests {
  static let kept: [String] = Project.files(under: "Tests/EvolutionTests/Fixtures")
    .filter { $0.hasSuffix("database.sql") }

  @Test func theFirstReleaseIsKept() { #expect(Self.kept.contains("v1/database.sql")) }

  @Test(arguments: kept)
  func isOpenedWithAllThatIsInIt(_ path: String) throws {
    try Self.withStore(path) { store, reader in
      let snapshot = try store.start(at: Moment(nanoseconds: 1, wallMilliseconds: 1_800_000_000_000))
      #expect(snapshot.runners.count == 2)
      #expect(snapshot.openOrders.count == 1)
      #expect(try store.verifyCounters() == [])

      guard
        case .runners(let runners) = try reader.read(
          .runners(RunnerFilter(includeEnded: true), Page(size: 10))
        ).content
      else { throw Project.Failure(text: "no list of runners") }
      let seen = runners.elements.map { "\($0.id.rawValue) \($0.key) \($0.version) \($0.phase)" }
      #expect(seen == ["1 b 1 draining", "2 a 1 stopped", "3 c 2 ready"])

      guard
        case .drains(let orders) = try reader.read(
          .drains(DrainFilter(includeEnded: true), Page(size: 10))
        ).content
      else { throw Project.Failure(text: "no list of orders") }
      #expect(orders.elements.map(\.state).sorted { $0.rawValue < $1.rawValue } == [.acked, .completed])
      #expect(orders.elements.allSatisfy { $0.cause == .versionUpgrade && $0.who.program == "baton" })
    }
  }

  /// Its actors go on where they were, and an upgrade that it had begun can be taken back by this one.
  @Test func itsActorsAndOrdersGoOn() throws {
    try Self.withStore("v2/database.sql") { store, reader in
      let now = Moment(nanoseconds: 1, wallMilliseconds: 1_800_000_000_000)
      let snapshot = try store.start(at: now)
      guard case .actors(let actors) = try reader.read(.actors(ActorFilter(), Page(size: 10))).content else {
        throw Project.Failure(text: "no list of actors")
      }
      let seen = actors.elements.map { "\($0.id.rawValue) \($0.state) \($0.runner?.rawValue ?? 0)" }
      #expect(seen == ["1 stopping 1", "2 running 3", "3 sleeping 0"])
      let mail = PoolName(namespace: "default", name: "mail")
      guard case .pool(let pool, _) = try reader.read(.pool(mail)).content else {
        throw Project.Failure(text: "no pool")
      }
      #expect(pool.versions.map(\.drainingActors) == [0, 1] && pool.pin == nil && pool.heldUpgrade == nil)
      let root = Peer(uid: 0, gid: 0, pid: 1, program: "sh")
      let order = try #require(snapshot.openOrders.first).id
      let batch = try store.apply([.cancelDrain(.order(order), reason: "kept", who: root)], at: now)
      guard case .success(.drainChanged(let offered, _)) = batch.results[0] else {
        throw Project.Failure(text: "\(batch.results[0])")
      }
      #expect(offered.wayBack == .offered && offered.state == .acked)
      #expect(try store.verifyCounters() == [])
    }
  }

  /// What had ended goes by the limits of today; what lives stays.
  @Test(arguments: kept)
  func itsHistoryEnds(_ path: String) throws {
    try Self.withStore(path) { store, reader in
      let now = Moment(nanoseconds: 1, wallMilliseconds: 4_000_000_000_000)
      let open = try store.start(at: now).openOrders
      let batch = try store.apply([.prune(HistoryLimits())], at: now)
      guard case .success(.pruned(let removed, hasMore: false)) = batch.results[0] else {
        throw Project.Failure(text: "\(batch.results[0])")
      }
      #expect(removed.runners == 1 && removed.orders == 1 && removed.events > 0)
      #expect(try store.verifyCounters() == [])
      guard
        case .runners(let runners) = try reader.read(
          .runners(RunnerFilter(includeEnded: true), Page(size: 10))
        ).content,
        case .drains(let orders) = try reader.read(.drains(DrainFilter(includeEnded: true), Page(size: 10)))
          .content
      else { throw Project.Failure(text: "no lists") }
      #expect(runners.elements.map(\.key) == ["b", "c"])
      #expect(orders.elements.map(\.id) == open.map(\.id))
      #expect(orders.elements.allSatisfy { $0.runnerVersion.number == 1 && $0.who.program == "baton" })
    }
  }

  /// A config that a later release wrote loses nothing by being kept by this one.
  @Test(arguments: kept)
  func aConfigOfALaterReleaseSurvives(_ path: String) throws {
    try Self.withStore(path) { store, reader in
      _ = try store.start(at: Moment(nanoseconds: 1, wallMilliseconds: 1_800_000_000_000))
      let web = PoolName(namespace: "staging", name: "web")
      guard case .config(let config) = try reader.read(.config(web)).content else {
        throw Project.Failure(text: "no config")
      }
      #expect(
        config.kind == .normal(.init(drainOnVersionUpgrade: true, drainGracePeriodMilliseconds: 60_000)))
      #expect(config.metadata == [MetadataPair(key: "team", value: "post")])
      let arena = Arena()
      let bytes = withExtendedLifetime(arena) { Codec.encode(Encode.config(config, arena)) }
      // normal.900 = 7, and field 901 = "tomorrow": neither is in this schema.
      let hex = bytes.map { String(format: "%02x", $0) }.joined()
      #expect(hex == "0a09080110e0d403a038071a0c0a047465616d1204706f7374aa3808746f6d6f72726f77")
    }
  }

  private static func withStore(_ path: String, _ body: (SQLiteStore, SQLiteReader) throws -> Void) throws {
    try Project.withTemporaryDirectory { folder in
      let file = folder.appending(path: "baton.db").path(percentEncoded: false)
      var handle: OpaquePointer?
      #expect(sqlite3_open(file, &handle) == SQLITE_OK)
      let sql = try Project.text("Tests/EvolutionTests/Fixtures/\(path)")
      #expect(
        sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
      sqlite3_close(handle)
      // The boot of the fixture: on another one its runners are gone with their processes.
      let store = try SQLiteStore(path: file, bootID: "the-kept-boot", daemonUID: 0, times: FleetTimes())
      try body(store, SQLiteReader(path: file))
    }
  }
}
