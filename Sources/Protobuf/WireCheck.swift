import CProtobufC

/// Walks the bytes of a message along its schema before protobuf-c sees them, for what protobuf-c lets pass: strings
/// that are not UTF-8 or hold a NUL (which would cut them off unseen), endless nesting, floods of fields.
/// Allocates nothing unless it throws.
package struct WireCheck {
  /// No message of ours nests half as deep.
  static let maxDepth = 16
  /// Submessages, strings and unknown fields in one message, all levels together: a page of 1000 runners with 64 pairs
  /// each has 200 000.
  static let maxElements = 262_144

  private let bytes: UnsafePointer<UInt8>
  private var elementsLeft = maxElements

  package static func check(
    _ bytes: UnsafeRawBufferPointer, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) throws(DecodeError) {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    var check = WireCheck(bytes: base.assumingMemoryBound(to: UInt8.self))
    try check.message(descriptor, 0, bytes.count, depth: 0)
  }

  private init(bytes: UnsafePointer<UInt8>) { self.bytes = bytes }

  private mutating func message(
    _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, _ start: Int, _ end: Int, depth: Int
  ) throws(DecodeError) {
    guard depth < Self.maxDepth else { throw DecodeError(field: "", problem: .tooDeep) }
    var position = start
    while position < end {
      let tag = try varint(&position, end, .malformedTag)
      guard tag <= UInt64(UInt32.max), tag >> 3 != 0 else {
        throw DecodeError(field: "", problem: .malformedTag)
      }
      let wireType = UInt8(tag & 7)
      if let field = Self.field(descriptor, UInt32(tag >> 3)) {
        do throws(DecodeError) {
          try known(field, wireType, &position, end, depth)
        } catch {
          throw error.inside(String(cString: field.pointee.name))
        }
      } else {
        try element()
        try skip(wireType, &position, end)
      }
    }
  }

  /// Fields are sorted by number. Most messages number them from 1 on without a gap, so that is tried first.
  private static func field(
    _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, _ number: UInt32
  ) -> UnsafePointer<ProtobufCFieldDescriptor>? {
    let count = Int(descriptor.pointee.n_fields)
    guard let fields = descriptor.pointee.fields else { return nil }
    let guess = Int(number) - 1
    if guess < count, fields[guess].id == number { return fields + guess }
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      let id = fields[middle].id
      if id == number { return fields + middle }
      if id < number { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  private mutating func known(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>, _ wireType: UInt8, _ position: inout Int, _ end: Int,
    _ depth: Int
  ) throws(DecodeError) {
    let type = field.pointee.type
    switch type {
    case PROTOBUF_C_TYPE_MESSAGE, PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES:
      guard wireType == 2 else { throw DecodeError(field: "", problem: .wrongWireType) }
      try element()
      let (from, to) = try lengthDelimited(&position, end)
      if type == PROTOBUF_C_TYPE_MESSAGE {
        let inner = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
        try message(inner, from, to, depth: depth + 1)
      } else if type == PROTOBUF_C_TYPE_STRING {
        try text(from, to)
      }
    default:
      let expected = Self.wireType(type)
      if wireType == expected {
        try skip(wireType, &position, end)
      } else if wireType == 2, field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
        try packed(expected, &position, end)
      } else {
        throw DecodeError(field: "", problem: .wrongWireType)
      }
    }
  }

  private mutating func element() throws(DecodeError) {
    elementsLeft -= 1
    guard elementsLeft >= 0 else { throw DecodeError(field: "", problem: .tooManyElements) }
  }

  private static func wireType(_ type: ProtobufCType) -> UInt8 {
    switch type {
    case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: 1
    case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: 5
    default: 0
    }
  }

  private func packed(_ wireType: UInt8, _ position: inout Int, _ end: Int) throws(DecodeError) {
    let (from, to) = try lengthDelimited(&position, end)
    switch wireType {
    case 0:
      var inside = from
      while inside < to { _ = try varint(&inside, to, .malformedVarint) }
    default:
      guard (to - from) % (wireType == 1 ? 8 : 4) == 0 else {
        throw DecodeError(field: "", problem: .truncated)
      }
    }
  }

  private func skip(_ wireType: UInt8, _ position: inout Int, _ end: Int) throws(DecodeError) {
    switch wireType {
    case 0: _ = try varint(&position, end, .malformedVarint)
    case 1: position += 8
    case 2: _ = try lengthDelimited(&position, end)
    case 5: position += 4
    // Groups (3 and 4) have been gone since proto3; 6 and 7 never were.
    default: throw DecodeError(field: "", problem: .malformedTag)
    }
    guard position <= end else { throw DecodeError(field: "", problem: .truncated) }
  }

  private func lengthDelimited(_ position: inout Int, _ end: Int) throws(DecodeError) -> (Int, Int) {
    let length = try varint(&position, end, .malformedVarint)
    guard length <= UInt64(end - position) else { throw DecodeError(field: "", problem: .truncated) }
    defer { position += Int(length) }
    return (position, position + Int(length))
  }

  @inline(__always)
  private func varint(
    _ position: inout Int, _ end: Int, _ problem: DecodeError.Problem
  ) throws(DecodeError) -> UInt64 {
    guard position < end else { throw DecodeError(field: "", problem: .truncated) }
    let first = bytes[position]
    if first < 0x80 {
      position += 1
      return UInt64(first)
    }
    return try longVarint(&position, end, problem)
  }

  private func longVarint(
    _ position: inout Int, _ end: Int, _ problem: DecodeError.Problem
  ) throws(DecodeError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end {
      let byte = bytes[position]
      position += 1
      guard shift < 63 || byte <= 1 else { throw DecodeError(field: "", problem: problem) }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
      guard shift <= 63 else { throw DecodeError(field: "", problem: problem) }
    }
    throw DecodeError(field: "", problem: .truncated)
  }

  private func text(_ from: Int, _ to: Int) throws(DecodeError) {
    var isASCII = true
    for index in from..<to {
      let byte = bytes[index]
      guard byte != 0 else { throw DecodeError(field: "", problem: .containsNUL) }
      isASCII = isASCII && byte < 0x80
    }
    guard !isASCII else { return }
    let text = UnsafeBufferPointer(start: bytes + from, count: to - from)
    guard String(validating: text, as: UTF8.self) != nil else {
      throw DecodeError(field: "", problem: .notUTF8)
    }
  }
}
