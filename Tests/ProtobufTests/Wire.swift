import CBatonProto
import CProtobufC
import Foundation
import Testing

@testable import Protobuf

/// Protobuf by hand: an oracle that shares nothing with the code under test.
enum Wire {
  static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  static func tag(_ field: UInt32, _ wireType: UInt8) -> [UInt8] {
    varint(UInt64(field) << 3 | UInt64(wireType))
  }

  static func number(_ field: UInt32, _ value: UInt64) -> [UInt8] { tag(field, 0) + varint(value) }
  static func fixed64(_ field: UInt32, _ value: UInt64) -> [UInt8] {
    tag(field, 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  static func fixed32(_ field: UInt32, _ value: UInt32) -> [UInt8] {
    tag(field, 5) + (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  static func bytes(_ field: UInt32, _ value: [UInt8]) -> [UInt8] {
    tag(field, 2) + varint(UInt64(value.count)) + value
  }
  static func text(_ field: UInt32, _ value: String) -> [UInt8] { bytes(field, Array(value.utf8)) }

  /// Both of a map's entry.
  static func pair(_ field: UInt32, _ key: String, _ value: String) -> [UInt8] {
    bytes(field, text(1, key) + text(2, value))
  }

  static func repeated(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count * count)
    for _ in 0..<count { result += bytes }
    return result
  }
}

/// The bytes decoded and encoded again; what was wrong with them otherwise.
func recode(
  _ bytes: [UInt8], as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, in arena: Arena = Arena()
) -> Result<[UInt8], DecodeError> {
  bytes.withUnsafeBytes { buffer in
    Result { () throws(DecodeError) in
      Codec.encode(UnsafePointer(try Codec.decode(descriptor, buffer, in: arena)))
    }
  }
}

/// What is wrong with the bytes, as a peer is told; nil when nothing is.
func fault(
  _ bytes: [UInt8], as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, in arena: Arena = Arena()
) -> String? {
  switch recode(bytes, as: descriptor, in: arena) {
  case .success: nil
  case .failure(let error): error.description
  }
}
