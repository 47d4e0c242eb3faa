/// A position in time: what decisions are made from, and what people are shown.
package struct Moment: Hashable, Sendable {
  /// Nanoseconds of the clock that includes suspend and never jumps (CLOCK_BOOTTIME).
  package var nanoseconds: Int64
  /// Milliseconds since 1970, for display only.
  package var wallMilliseconds: Int64

  package init(nanoseconds: Int64, wallMilliseconds: Int64) {
    self.nanoseconds = nanoseconds
    self.wallMilliseconds = wallMilliseconds
  }
}

/// One registration of one process. Positive, never reused within a fleet.
package struct RunnerID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: Int64
  package init(_ rawValue: Int64) { self.rawValue = rawValue }
  package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  package var description: String { String(rawValue) }
}

/// One drain order. Positive, never reused within a fleet.
package struct DrainOrderID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: Int64
  package init(_ rawValue: Int64) { self.rawValue = rawValue }
  package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  package var description: String { String(rawValue) }
}

/// A position in the event log; 0 is before the first event.
package struct Revision: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: Int64
  package init(_ rawValue: Int64) { self.rawValue = rawValue }
  package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  package var description: String { String(rawValue) }
}

/// One attachment of a runner to one connection: the generation that keeps news of a dead connection from
/// being taken for news of the one that replaced it. Grows over the life of the state, restarts included.
package struct AttachmentID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: Int64
  package init(_ rawValue: Int64) { self.rawValue = rawValue }
  package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  package var description: String { String(rawValue) }
}

/// What a runner runs. Greater is newer; 0 and the greatest number are refused, so that "none" and "all"
/// can never be a version.
package struct Version: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let number: UInt32
  package init?(_ number: UInt32) {
    guard number != 0, number != .max else { return nil }
    self.number = number
  }
  package static func < (a: Self, b: Self) -> Bool { a.number < b.number }
  package var description: String { String(number) }
}

/// A pool's full name.
package struct PoolName: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var namespace: String
  package var name: String
  package init(namespace: String, name: String) {
    self.namespace = namespace
    self.name = name
  }
  package static func < (a: Self, b: Self) -> Bool { (a.namespace, a.name) < (b.namespace, b.name) }
  package var description: String { "\(namespace)/\(name)" }
}

/// 128 random bits that a runner makes up once and sends in every Register.
package struct RegistrationToken: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64
  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}

/// The process at the other end of a socket, as the kernel names it.
package struct Peer: Hashable, Sendable {
  package var uid: UInt32
  package var gid: UInt32
  /// 0 when the daemon itself is meant.
  package var pid: Int32
  /// The process's short name (at most 15 bytes).
  package var program: String
  package init(uid: UInt32, gid: UInt32, pid: Int32, program: String) {
    self.uid = uid
    self.gid = gid
    self.pid = pid
    self.program = program
  }
}
