import Handover

/// Where a list goes on: the kind of list and its filter, as a fingerprint, and the key of the last element
/// that was given. Hexadecimal, so that it can be pasted anywhere; its form is nobody's business but ours.
struct PageToken: Hashable {
  var fingerprint: UInt64
  /// One entry for each column of the list's order.
  var key: [String]

  /// `list` names the kind of list and everything that filters it.
  init(list: String, key: [String]) {
    fingerprint = Self.fingerprint(list)
    self.key = key
  }

  var text: String {
    let bytes = Self.bytes(fingerprint) + key.joined(separator: "\u{0}").utf8
    let sealed = Self.bytes(Self.hash(bytes)).prefix(4) + bytes
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: sealed.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The key in a token of this very list; nil when it is empty (the first page).
  /// Throws a `Refusal` when it is of another list or not a token at all.
  static func key(in token: String, list: String, columns: Int) throws(Refusal) -> [String]? {
    if token.isEmpty { return nil }
    guard let sealed = decode(token), sealed.count >= 12,
      bytes(hash(Array(sealed[4...]))).prefix(4).elementsEqual(sealed.prefix(4))
    else { throw noToken }
    guard sealed[4..<12].elementsEqual(bytes(fingerprint(list))) else {
      throw Refusal(
        .invalidArgument,
        "page_token is of another list; repeat the request that it came from, or leave it empty for the first page"
      )
    }
    let key = String(decoding: sealed[12...], as: UTF8.self)
      .split(separator: "\u{0}", omittingEmptySubsequences: false).map { String($0) }
    // Whoever forges the seal is a peer too: an answer, not a trap.
    guard key.count == columns else { throw noToken }
    return key
  }

  static let noToken = Refusal(
    .invalidArgument, "page_token is none that this daemon gave; leave it empty for the first page")

  private static func fingerprint(_ list: String) -> UInt64 { hash(Array(list.utf8)) }

  /// FNV-1a: against mistakes, not against malice. A token says nothing that its bearer could not ask for.
  private static func hash(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  private static func bytes(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
  }

  private static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for digit in text.utf8 {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return high == nil ? bytes : nil
  }
}
