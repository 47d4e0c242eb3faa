import CProtobufC
import Glibc

/// Why bytes are not the message that they should be.
package struct DecodeError: Error, Hashable, CustomStringConvertible {
  package enum Problem: String, Hashable, Sendable {
    case truncated = "ends in the middle"
    case malformedTag = "has a malformed tag"
    case malformedVarint = "has a malformed number"
    case wrongWireType = "has another type than the schema"
    case notUTF8 = "is not UTF-8"
    case containsNUL = "contains a NUL"
    case tooDeep = "is nested too deep"
    case tooManyElements = "has too many elements"
    case tooLarge = "takes too much memory to decode"
    case rejected = "does not parse"
  }

  /// Path of the field from the message that was decoded; empty for the message itself.
  package var field: String
  package var problem: Problem

  package init(field: String, problem: Problem) {
    self.field = field
    self.problem = problem
  }

  package var description: String { "\(field.isEmpty ? "the message" : field) \(problem.rawValue)" }

  func inside(_ parent: String) -> DecodeError {
    DecodeError(field: field.isEmpty ? parent : "\(parent).\(field)", problem: problem)
  }
}

/// Bytes to messages and back, through protobuf-c.
package enum Codec {
  /// What a decode of that many bytes may take: 16 KiB, eight for each byte, and sixteen more for each of the first
  /// MiB. The densest honest messages ask for 23 a byte (a page of runners that say short things of themselves, in
  /// 390 kB), and the largest frame gets 48 MiB.
  static func limitBytes(for byteCount: Int) -> Int {
    let (each, overflow) = byteCount.multipliedReportingOverflow(by: 8)
    return (overflow ? 0 : each) + 16 * min(byteCount, 1 << 20) + 16_384
  }

  /// Checks the bytes against the schema, then decodes them into the arena, which is reset first: whatever was
  /// decoded in it before is gone. The message lives until the next reset.
  package static func decode<Message: CMessage>(
    _ type: Message.Type, _ bytes: UnsafeRawBufferPointer, in arena: Arena
  ) throws(DecodeError) -> UnsafeMutablePointer<Message> {
    UnsafeMutableRawPointer(try decode(Message.descriptor, bytes, in: arena))
      .assumingMemoryBound(to: Message.self)
  }

  /// The same for a message that is known by its description only.
  package static func decode(
    _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, _ bytes: UnsafeRawBufferPointer, in arena: Arena
  ) throws(DecodeError) -> UnsafeMutablePointer<ProtobufCMessage> {
    try WireCheck.check(bytes, as: descriptor)
    arena.reset(limitBytes: limitBytes(for: bytes.count))
    return try unpack(descriptor, bytes, in: arena)
  }

  /// Decodes beside what the arena holds already; for a message inside another one.
  package static func decodeAlso<Message: CMessage>(
    _ type: Message.Type, _ bytes: UnsafeRawBufferPointer, in arena: Arena
  ) throws(DecodeError) -> UnsafeMutablePointer<Message> {
    try WireCheck.check(bytes, as: Message.descriptor)
    return UnsafeMutableRawPointer(try unpack(Message.descriptor, bytes, in: arena))
      .assumingMemoryBound(to: Message.self)
  }

  private static func unpack(
    _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, _ bytes: UnsafeRawBufferPointer, in arena: Arena
  ) throws(DecodeError) -> UnsafeMutablePointer<ProtobufCMessage> {
    let message = protobuf_c_message_unpack(
      descriptor, arena.allocator, bytes.count, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
    guard let message else {
      throw DecodeError(field: "", problem: arena.isExhausted ? .tooLarge : .rejected)
    }
    return message
  }

  package static func encodedSize(_ message: UnsafePointer<ProtobufCMessage>) -> Int {
    protobuf_c_message_get_packed_size(message)
  }

  package static func encodedSize<Message: CMessage>(_ message: UnsafeMutablePointer<Message>) -> Int {
    encodedSize(base(message))
  }

  /// Writes the message at the front of `buffer`, which must hold `encodedSize` bytes; returns how many it took.
  package static func encode<Message: CMessage>(
    _ message: UnsafeMutablePointer<Message>, into buffer: UnsafeMutableRawBufferPointer
  ) -> Int {
    protobuf_c_message_pack(base(message), buffer.baseAddress?.assumingMemoryBound(to: UInt8.self))
  }

  /// Encodes into memory of the arena, which lives until its next reset.
  package static func encode<Message: CMessage>(
    _ message: UnsafeMutablePointer<Message>, in arena: Arena
  ) -> UnsafeRawBufferPointer {
    let buffer = arena.buffer(encodedSize(message))
    return UnsafeRawBufferPointer(rebasing: buffer[..<encode(message, into: buffer)])
  }

  package static func encode<Message: CMessage>(_ message: UnsafeMutablePointer<Message>) -> [UInt8] {
    encode(base(message))
  }

  package static func encode(_ message: UnsafePointer<ProtobufCMessage>) -> [UInt8] {
    let size = protobuf_c_message_get_packed_size(message)
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = protobuf_c_message_pack(message, buffer.baseAddress)
    }
  }

  package static func base<Message: CMessage>(
    _ message: UnsafeMutablePointer<Message>
  ) -> UnsafePointer<ProtobufCMessage> {
    UnsafeRawPointer(message).assumingMemoryBound(to: ProtobufCMessage.self)
  }
}

/// Reading what protobuf-c made.
package enum Read {
  /// A string field. WireCheck has seen to it that it is UTF-8 without NUL.
  package static func string(_ pointer: UnsafePointer<CChar>?) -> String {
    pointer.map { String(cString: $0) } ?? ""
  }

  /// The bytes of a string field, in place.
  package static func utf8(_ pointer: UnsafePointer<CChar>?) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: pointer, count: pointer.map { strlen($0) } ?? 0)
  }

  package static func bytes(_ data: ProtobufCBinaryData) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: data.data, count: data.len))
  }

  /// A repeated message field.
  package static func messages<Message>(
    _ count: Int, _ base: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?
  ) -> [UnsafeMutablePointer<Message>] {
    guard let base, count > 0 else { return [] }
    return UnsafeBufferPointer(start: base, count: count).compactMap { $0 }
  }

  /// A repeated string field.
  package static func strings(
    _ count: Int, _ base: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
  ) -> [String] {
    numbers(count, base).map { string($0) }
  }

  /// A repeated number field.
  package static func numbers<Element>(_ count: Int, _ base: UnsafeMutablePointer<Element>?) -> [Element] {
    guard let base, count > 0 else { return [] }
    return Array(UnsafeBufferPointer(start: base, count: count))
  }
}
