import Handover

/// What steers a pool's upgrades from outside its counts, as its columns.
struct PoolControl: Hashable {
  var pin: Pin?
  var memory = PoolMemory()
  /// When the pool is planned anew by itself, on the clock of `Moment.nanoseconds`.
  var planDueNanoseconds: Int64?

  /// Of `pools p`, as `init` reads them.
  static let columns = """
    p.pin_version, p.pin_reason, p.pin_at_ms, p.pin_uid, p.pin_gid, p.pin_pid, p.pin_program, p.upgrade_goal,
    p.upgrade_held_since_ns, p.upgrade_abandoned, p.settled_slots, p.strikes, p.plan_due_ns
    """

  init() {}

  init(_ row: Row, _ column: Int32) {
    pin = row.optionalVersion(column).map { version in
      Pin(
        version: version, who: row.peer(column + 3), reason: row.text(column + 1),
        atMilliseconds: row.int64(column + 2))
    }
    memory = PoolMemory(
      upgrade: row.optionalVersion(column + 7).map { goal in
        PoolMemory.Upgrade(
          goal: goal, heldSinceNanoseconds: row.optionalInt64(column + 8),
          isAbandoned: row.bool(column + 9))
      },
      settledSlots: row.optionalInt64(column + 10),
      strikes: StrikesCoding.decode(row.blob(column + 11)))
    planDueNanoseconds = row.optionalInt64(column + 12)
  }
}

/// Strikes as bytes, least version first: for each the version, how often (four bytes each) and when last (eight), all
/// big-endian.
enum StrikesCoding {
  static func encode(_ strikes: [Version: PoolMemory.Strikes]) -> [UInt8]? {
    guard !strikes.isEmpty else { return nil }
    var bytes: [UInt8] = []
    for (version, struck) in strikes.sorted(by: { $0.key < $1.key }) {
      append(UInt64(version.number), 4, to: &bytes)
      append(UInt64(UInt32(clamping: struck.count)), 4, to: &bytes)
      append(UInt64(bitPattern: struck.lastNanoseconds), 8, to: &bytes)
    }
    return bytes
  }

  /// Passes over what is no version, which only damage can bring.
  static func decode(_ bytes: [UInt8]) -> [Version: PoolMemory.Strikes] {
    var strikes: [Version: PoolMemory.Strikes] = [:]
    for start in stride(from: 0, to: bytes.count - bytes.count % 16, by: 16) {
      func number(_ offset: Int, _ length: Int) -> UInt64 {
        bytes[start + offset..<start + offset + length].reduce(0) { $0 << 8 | UInt64($1) }
      }
      guard let version = Version(UInt32(truncatingIfNeeded: number(0, 4))) else { continue }
      strikes[version] = PoolMemory.Strikes(
        count: Int(number(4, 4)), lastNanoseconds: Int64(bitPattern: number(8, 8)))
    }
    return strikes
  }

  private static func append(_ value: UInt64, _ length: Int, to bytes: inout [UInt8]) {
    for index in (0..<length).reversed() { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }
}

extension PoolState {
  /// A pool as its rows count it.
  init(
    config: RunnerConfig, target: Version?, versions: [VersionCounts], control: PoolControl,
    waitingActors: Int
  ) {
    let living = versions.filter { !$0.isEmpty }
    self.init(
      config: config, target: target, versions: living.map(\.summary), pin: control.pin?.version,
      facts: Dictionary(uniqueKeysWithValues: living.map { ($0.version, $0.facts) }), memory: control.memory,
      drainingActors: living.reduce(0) { $0 + $1.drainingUsedSlots }, waitingActors: Int64(waitingActors))
  }
}
