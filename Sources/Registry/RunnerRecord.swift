import CMessageDigest
import Handover

/// A living runner's row, as far as changes need it.
struct RunnerRecord {
  var id: RunnerID
  var poolID: Int64
  var key: String?
  var version: Version
  var isDraining: Bool
  var isAttached: Bool
  var isSilent: Bool
  var isAuthorized: Bool
  var totalSlots: UInt32
  var attachment: AttachmentID
  var endsWithProcess: Bool
  var peer: Peer
  var metadata: [UInt8]
  var takesActors: Bool
  var usedSlots: Int64
  var isCordoned: Bool
  /// The target change for which somebody cancelled its order.
  var exemptChange: Int64?
  /// Its open order is an upgrade's and has not been offered a way back.
  var isRecallable: Bool

  static let columns = """
    id, pool_id, key, version, phase, link, silent, authorized, total_slots, attachment, ends_with_process,
    uid, gid, pid, program, metadata, takes_actors, used_slots, cordoned, exempt_change, recallable
    """

  init(_ row: Row) {
    id = RunnerID(row.int64(0))
    poolID = row.int64(1)
    key = row.optionalText(2)
    version = row.version(3)
    isDraining = row.int(4) == RunnerPhase.draining.rawValue
    isAttached = row.int(5) == RunnerLink.attached.rawValue
    isSilent = row.bool(6)
    isAuthorized = row.bool(7)
    totalSlots = row.uint32(8)
    attachment = AttachmentID(row.int64(9))
    endsWithProcess = row.bool(10)
    peer = row.peer(11)
    metadata = row.blob(15)
    takesActors = row.bool(16)
    usedSlots = row.int64(17)
    isCordoned = row.bool(18)
    exemptChange = row.optionalInt64(19)
    isRecallable = row.bool(20)
  }

  /// One that has just come: ready and attached.
  init(id: RunnerID, poolID: Int64, _ registration: Registration, isAuthorized: Bool) {
    self.id = id
    self.poolID = poolID
    key = registration.key
    version = registration.version
    isDraining = false
    isAttached = true
    isSilent = false
    self.isAuthorized = isAuthorized
    totalSlots = registration.totalSlots
    attachment = registration.attachment
    endsWithProcess = registration.endsWithProcess
    peer = registration.peer
    metadata = MetadataCoding.encode(registration.metadata)
    takesActors = registration.takesActors
    usedSlots = 0
    isCordoned = false
    exemptChange = nil
    isRecallable = false
  }

  var shownKey: String { key ?? String(id.rawValue) }

  /// How it counts in its pool.
  func standing(in pool: PoolRecord) -> Standing {
    Standing(
      phase: isDraining ? .draining : .ready, isAttached: isAttached, isAuthorized: isAuthorized,
      totalSlots: totalSlots, usedSlots: usedSlots, isSilent: isSilent, isCordoned: isCordoned,
      isExempt: isExempt(in: pool), isRecallable: isRecallable, takesActors: takesActors)
  }

  /// An exemption ends with the target that it was from.
  func isExempt(in pool: PoolRecord) -> Bool {
    exemptChange != nil && exemptChange == pool.targetChangeID
  }
}

extension Row {
  /// Only versions that were checked are written; what else a damaged page holds reads as the least.
  func version(_ column: Int32) -> Version { Version(uint32(column)) ?? Version(1)! }

  func optionalVersion(_ column: Int32) -> Version? { isNull(column) ? nil : Version(uint32(column)) }

  /// Four columns: uid, gid, pid, program.
  func peer(_ column: Int32) -> Peer {
    Peer(
      uid: uint32(column), gid: uint32(column + 1), pid: int32(column + 2), program: text(column + 3))
  }
}

/// What is kept of a registration token: enough of its SHA-256 to know it again, and not enough to show it.
struct TokenDigest: Hashable {
  var high: Int64
  var low: Int64

  init(_ token: RegistrationToken) {
    var bytes = (token.high.bigEndian, token.low.bigEndian)
    self = withUnsafeBytes(of: &bytes) { Self(hashing: $0) }
  }

  init(_ text: String) {
    var text = text
    self = text.withUTF8 { Self(hashing: UnsafeRawBufferPointer($0)) }
  }

  init(high: Int64, low: Int64) {
    self.high = high
    self.low = low
  }

  private init(hashing bytes: UnsafeRawBufferPointer) {
    var context = SHA2_CTX()
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    SHA256Init(&context)
    if let base = bytes.baseAddress {
      SHA256Update(&context, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }
    SHA256Final(&digest, &context)
    (high, low) = digest.withUnsafeBytes { bytes in
      (
        Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: Int64.self)),
        Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
      )
    }
  }
}

/// Metadata as bytes: for each pair the length of the key (one byte), the key, the length of the value (two
/// bytes, big-endian), the value. Bounds keep both within their lengths.
enum MetadataCoding {
  static func encode(_ pairs: [MetadataPair]) -> [UInt8] {
    var bytes: [UInt8] = []
    for pair in pairs {
      let key = pair.key.utf8
      let value = pair.value.utf8
      precondition(
        key.count <= UInt8.max && value.count <= UInt16.max,
        "metadata of \(key.count) and \(value.count) bytes was not checked")
      bytes.append(UInt8(key.count))
      bytes.append(contentsOf: key)
      bytes.append(UInt8(value.count >> 8))
      bytes.append(UInt8(value.count & 0xFF))
      bytes.append(contentsOf: value)
    }
    return bytes
  }

  /// Stops at the first pair that is cut off, which only damage can bring.
  static func decode(_ bytes: [UInt8]) -> [MetadataPair] {
    var pairs: [MetadataPair] = []
    var rest = bytes[...]
    while let keyCount = rest.popFirst(), rest.count >= Int(keyCount) + 2 {
      let key = String(decoding: rest.prefix(Int(keyCount)), as: UTF8.self)
      rest = rest.dropFirst(Int(keyCount))
      let valueCount = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
      guard rest.count >= valueCount else { break }
      pairs.append(MetadataPair(key: key, value: String(decoding: rest.prefix(valueCount), as: UTF8.self)))
      rest = rest.dropFirst(valueCount)
    }
    return pairs
  }
}
