/// Every bound on what a peer may send, and the checks that name the field and its bounds.
package enum Bounds {
  package static let nameBytes = 128
  package static let totalSlots: ClosedRange<UInt32> = 1...1_000_000
  package static let graceMilliseconds: ClosedRange<Int64> = 1000...604_800_000
  package static let metadataPairs = 64
  package static let metadataKeyBytes = 64
  package static let metadataValueBytes = 1024
  package static let reasonBytes = 1024
  package static let pageSize = 1000
  package static let defaultPageSize = 100
  package static let versionsShown = 64
  package static let targetHistoryShown = 100
  package static let targetHistoryKept = 1000
  package static let inputBytes = 65_536
  package static let requestIDBytes = 128
  /// What a runner says of its actors in one message: its answer must fit the runner's queue.
  package static let actorEvents = 4096
  /// How far the place of an actor in its queue is counted.
  package static let queueCounted = 1000
  package static let alarmMilliseconds: ClosedRange<Int64> = 1...31_536_000_000
  package static let actorStartMilliseconds: ClosedRange<Int64> = 100...86_400_000
  package static let actorStopMilliseconds: ClosedRange<Int64> = 100...604_800_000
  package static let actorRetryBackoffMilliseconds: ClosedRange<Int64> = 10...3_600_000
  package static let actorRetryResetMilliseconds: ClosedRange<Int64> = 100...86_400_000

  /// A namespace, runner name or key: 1 to 128 bytes of letters, digits, `.`, `_`, `-`, `:` and `/`,
  /// beginning with a letter or digit.
  package static func name(_ value: String, field: String) throws(FieldViolation) -> String {
    let form =
      "must be 1 to \(nameBytes) bytes of letters, digits, '.', '_', '-', ':' and '/', beginning with a letter or digit"
    var first = true
    for byte in value.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        break
      case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "/"):
        guard !first else { throw FieldViolation(field: field, requirement: form) }
      default:
        throw FieldViolation(field: field, requirement: form)
      }
      first = false
    }
    guard !first, value.utf8.count <= nameBytes else { throw FieldViolation(field: field, requirement: form) }
    return value
  }

  package static func version(_ value: UInt32, field: String) throws(FieldViolation) -> Version {
    guard let version = Version(value) else {
      throw FieldViolation(field: field, requirement: "must be 1 to 4294967294, is \(value)")
    }
    return version
  }

  package static func totalSlots(_ value: UInt32, field: String) throws(FieldViolation) -> UInt32 {
    guard totalSlots.contains(value) else {
      throw FieldViolation(
        field: field,
        requirement: "must be \(totalSlots.lowerBound) to \(totalSlots.upperBound), is \(value)")
    }
    return value
  }

  /// A grace period as sent; 0 stays 0 and means the default.
  package static func grace(_ milliseconds: UInt64, field: String) throws(FieldViolation) -> Int64 {
    try Bounds.milliseconds(milliseconds, in: graceMilliseconds, field: field)
  }

  /// A time as sent; 0 stays 0 and means the default.
  package static func milliseconds(
    _ milliseconds: UInt64, in allowed: ClosedRange<Int64>, field: String
  ) throws(FieldViolation) -> Int64 {
    guard let value = Int64(exactly: milliseconds), value == 0 || allowed.contains(value) else {
      throw FieldViolation(
        field: field,
        requirement:
          "must be 0 (the default) or \(allowed.lowerBound) to \(allowed.upperBound) ms, is \(milliseconds)"
      )
    }
    return value
  }

  /// Words for people: at most 1024 bytes, without control characters other than tab and line feed.
  package static func reason(_ value: String, field: String) throws(FieldViolation) -> String {
    guard value.utf8.count <= reasonBytes, !value.utf8.contains(where: isControl) else {
      throw FieldViolation(
        field: field, requirement: "must be at most \(reasonBytes) bytes without control characters")
    }
    return value
  }

  package static func metadata(
    _ pairs: [MetadataPair], field: String
  ) throws(FieldViolation) -> [MetadataPair] {
    guard pairs.count <= metadataPairs else {
      throw FieldViolation(
        field: field, requirement: "must have at most \(metadataPairs) pairs, has \(pairs.count)")
    }
    var seen: Set<String> = []
    for pair in pairs {
      guard (1...metadataKeyBytes).contains(pair.key.utf8.count), !pair.key.utf8.contains(where: isControl)
      else {
        throw FieldViolation(
          field: field,
          requirement: "must have keys of 1 to \(metadataKeyBytes) bytes without control characters")
      }
      guard pair.value.utf8.count <= metadataValueBytes else {
        throw FieldViolation(
          field: "\(field)[\(pair.key)]", requirement: "must be at most \(metadataValueBytes) bytes")
      }
      guard seen.insert(pair.key).inserted else {
        throw FieldViolation(field: "\(field)[\(pair.key)]", requirement: "must be given once")
      }
    }
    return pairs
  }

  package static func pageSize(_ value: UInt32, field: String) throws(FieldViolation) -> Int {
    guard value <= UInt32(pageSize) else {
      throw FieldViolation(
        field: field, requirement: "must be 0 (which is \(defaultPageSize)) to \(pageSize), is \(value)")
    }
    return value == 0 ? defaultPageSize : Int(value)
  }

  private static func isControl(_ byte: UInt8) -> Bool {
    byte < 0x20 && byte != 0x09 && byte != 0x0A || byte == 0x7F
  }
}

/// A field that is not as it must be.
package struct FieldViolation: Error, Hashable, CustomStringConvertible {
  package var field: String
  package var requirement: String
  package init(field: String, requirement: String) {
    self.field = field
    self.requirement = requirement
  }
  package var description: String { "\(field) \(requirement)" }
}
