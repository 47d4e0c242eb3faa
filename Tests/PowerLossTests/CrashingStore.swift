import Handover
import PowerLoss

@testable import Registry

/// A store on a disk of ours, and what it has acknowledged when.
final class CrashingStore {
  /// From this point of the record on the whole fleet must be found as it was then, or as one later state has it.
  struct Acknowledged {
    var position: Int
    var state: String
  }

  let disk = Disk()
  private(set) var store: SQLiteStore!
  private(set) var acknowledged: [Acknowledged] = []
  var workload: Workload
  /// How the store is set before it takes the first change.
  private let setUp: (SQLiteStore) throws -> Void

  var path: String { disk.directory + "/baton.db" }

  init(seed: UInt64, setUp: @escaping (SQLiteStore) throws -> Void = { _ in }) throws {
    workload = Workload(seed: seed)
    self.setUp = setUp
    try open()
  }

  deinit { close() }

  static func openStore(_ path: String) throws(StoreFailure) -> SQLiteStore {
    try SQLiteStore(path: path, bootID: "boot-1", daemonUID: 900, times: FleetTimes(), fleetID: 7)
  }

  func open() throws {
    store = try Self.openStore(path)
    // Small enough that a short run moves the log into the file many times.
    store.checkpointPages = 24
    try setUp(store)
    // Whoever reads now sees this.
    if !acknowledged.isEmpty { try acknowledge() }
    _ = try store.start(at: workload.now)
    try acknowledge()
  }

  func close() { store = nil }

  func acknowledge() throws {
    let position = disk.position
    acknowledged.append(Acknowledged(position: position, state: try Self.state(of: store.database)))
  }

  @discardableResult
  func apply(_ batch: [Mutation]) throws -> CommittedBatch {
    let committed = try store.apply(batch, at: workload.now)
    workload.learn(batch, committed)
    try acknowledge()
    return committed
  }

  func run(batches: Int) throws {
    for _ in 0..<batches { try apply(workload.batch()) }
  }

  // MARK: - States

  /// Every row of every table.
  static func state(of database: Database) throws -> String {
    let tables = try Statement(
      database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    ).all { $0.text(0) }
    return try tables.map { table in
      let columns = try Statement(database, "SELECT name FROM pragma_table_info('\(table)')").all {
        "quote(\($0.text(0)))"
      }
      let row = columns.joined(separator: " || ',' || ")
      let rows = try database.text("SELECT group_concat(\(row), char(10)) FROM (SELECT * FROM \(table))")
      return "\(table):\n\(rows)"
    }.joined(separator: "\n\n")
  }

  /// What must not be found after a power loss at `position`; nil when all is well.
  func problem(at position: Int, in directory: String) -> String? {
    do {
      let store = try Self.openStore(directory + "/baton.db")
      let damage = try Statement(store.database, "PRAGMA integrity_check").all { $0.text(0) }
      guard damage == ["ok"] else { return "damaged: \(damage)" }
      if let before = acknowledged.lastIndex(where: { $0.position <= position }) {
        // The one under way may be there too, whole.
        let allowed = acknowledged[before...].prefix(2).map(\.state)
        let found = try Self.state(of: store.database)
        guard allowed.contains(found) else {
          let which = acknowledged.lastIndex { $0.state == found }
          return "acknowledged \(before) of \(acknowledged.count), found "
            + (which.map { "\($0)" } ?? "what there never was")
        }
      }
      _ = try store.start(at: workload.now)
      let differences = try store.verifyCounters()
      guard differences.isEmpty else { return "counters: \(differences)" }
      let reader = try SQLiteReader(path: directory + "/baton.db")
      let found = try reader.findDamage()
      return found.isEmpty ? nil : "damaged: \(found)"
    } catch {
      return "cannot be opened: \(error)"
    }
  }
}
