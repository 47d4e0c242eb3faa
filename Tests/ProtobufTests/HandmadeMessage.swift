import CBatonProto
import CProtobufC
import HandWire

@testable import Protobuf

/// A description as protoc-c writes them, for what no message of ours has: numbers of fixed size, real numbers, a
/// message within itself. Its struct is a header, then sixteen bytes a field and its count.
final class HandmadeMessage: @unchecked Sendable {
  struct Field {
    var number: UInt32
    var name: StaticString
    var type: ProtobufCType
    var isRepeated = false
  }

  static let fieldBytes = 32
  static let headerBytes = (MemoryLayout<ProtobufCMessage>.size + 15) & ~15

  let descriptor: UnsafeMutablePointer<ProtobufCMessageDescriptor>
  private let fields: UnsafeMutablePointer<ProtobufCFieldDescriptor>
  private let ranges: UnsafeMutablePointer<ProtobufCIntRange>

  /// Numbers must run from 1 on.
  init(fields list: [Field]) {
    precondition(list.map(\.number) == (1...UInt32(list.count)).map { $0 })
    fields = .allocate(capacity: list.count)
    for (index, field) in list.enumerated() {
      let offset = Self.headerBytes + index * Self.fieldBytes
      fields.advanced(by: index).initialize(
        to: ProtobufCFieldDescriptor(
          name: UnsafeRawPointer(field.name.utf8Start).assumingMemoryBound(to: CChar.self),
          id: field.number, label: field.isRepeated ? PROTOBUF_C_LABEL_REPEATED : PROTOBUF_C_LABEL_NONE,
          type: field.type, quantifier_offset: UInt32(field.isRepeated ? offset + 16 : 0),
          offset: UInt32(offset), descriptor: nil, default_value: nil,
          flags: field.isRepeated ? UInt32(PROTOBUF_C_FIELD_FLAG_PACKED.rawValue) : 0, reserved_flags: 0,
          reserved2: nil, reserved3: nil))
    }
    ranges = .allocate(capacity: 2)
    ranges.initialize(to: ProtobufCIntRange(start_value: 1, orig_index: 0))
    (ranges + 1).initialize(to: ProtobufCIntRange(start_value: 0, orig_index: UInt32(list.count)))
    descriptor = .allocate(capacity: 1)
    let name: StaticString = "handmade.Message"
    let characters = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    descriptor.initialize(
      to: ProtobufCMessageDescriptor(
        magic: UInt32(PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC), name: characters, short_name: characters,
        c_name: characters, package_name: characters,
        sizeof_message: Self.headerBytes + list.count * Self.fieldBytes, n_fields: UInt32(list.count),
        fields: UnsafePointer(fields), fields_sorted_by_name: nil, n_field_ranges: 1, field_ranges: ranges,
        message_init: nil, reserved1: nil, reserved2: nil, reserved3: nil))
  }

  deinit {
    descriptor.deallocate()
    fields.deallocate()
    ranges.deallocate()
  }

  func pointToItself() {
    fields.pointee.descriptor = UnsafeRawPointer(descriptor)
  }

  /// What WireCheck has against the bytes.
  func check(_ bytes: [UInt8]) -> DecodeError? {
    bytes.withUnsafeBytes { buffer in
      do throws(DecodeError) {
        try WireCheck.check(buffer, as: UnsafePointer(descriptor))
        return nil
      } catch {
        return error
      }
    }
  }
}

/// Every type of field that protobuf has and our schema may come to have: what it has not yet must work by then.
enum EveryType {
  static let shared: HandmadeMessage = {
    let message = HandmadeMessage(fields: [
      .init(number: 1, name: "an_int32", type: PROTOBUF_C_TYPE_INT32),
      .init(number: 2, name: "a_sint32", type: PROTOBUF_C_TYPE_SINT32),
      .init(number: 3, name: "an_sfixed32", type: PROTOBUF_C_TYPE_SFIXED32),
      .init(number: 4, name: "an_int64", type: PROTOBUF_C_TYPE_INT64),
      .init(number: 5, name: "a_sint64", type: PROTOBUF_C_TYPE_SINT64),
      .init(number: 6, name: "an_sfixed64", type: PROTOBUF_C_TYPE_SFIXED64),
      .init(number: 7, name: "a_uint32", type: PROTOBUF_C_TYPE_UINT32),
      .init(number: 8, name: "a_fixed32", type: PROTOBUF_C_TYPE_FIXED32),
      .init(number: 9, name: "a_uint64", type: PROTOBUF_C_TYPE_UINT64),
      .init(number: 10, name: "a_fixed64", type: PROTOBUF_C_TYPE_FIXED64),
      .init(number: 11, name: "a_float", type: PROTOBUF_C_TYPE_FLOAT),
      .init(number: 12, name: "a_double", type: PROTOBUF_C_TYPE_DOUBLE),
      .init(number: 13, name: "a_bool", type: PROTOBUF_C_TYPE_BOOL),
      .init(number: 14, name: "a_string", type: PROTOBUF_C_TYPE_STRING),
      .init(number: 15, name: "some_bytes", type: PROTOBUF_C_TYPE_BYTES),
      .init(number: 16, name: "doubles", type: PROTOBUF_C_TYPE_DOUBLE, isRepeated: true),
      .init(number: 17, name: "fixed32s", type: PROTOBUF_C_TYPE_FIXED32, isRepeated: true),
      .init(number: 18, name: "sint64s", type: PROTOBUF_C_TYPE_SINT64, isRepeated: true),
      .init(number: 19, name: "bools", type: PROTOBUF_C_TYPE_BOOL, isRepeated: true),
    ])
    message.descriptor.pointee.message_init = { memory in
      guard let memory else { return }
      let size = shared.descriptor.pointee.sizeof_message
      UnsafeMutableRawPointer(memory).initializeMemory(as: UInt8.self, repeating: 0, count: size)
      memory.pointee.descriptor = UnsafePointer(shared.descriptor)
    }
    return message
  }()

  /// The same for protoc.
  static let schema = """
    syntax = "proto3";
    package handmade;
    message Message {
      int32 an_int32 = 1; sint32 a_sint32 = 2; sfixed32 an_sfixed32 = 3;
      int64 an_int64 = 4; sint64 a_sint64 = 5; sfixed64 an_sfixed64 = 6;
      uint32 a_uint32 = 7; fixed32 a_fixed32 = 8; uint64 a_uint64 = 9; fixed64 a_fixed64 = 10;
      float a_float = 11; double a_double = 12; bool a_bool = 13; string a_string = 14; bytes some_bytes = 15;
      repeated double doubles = 16; repeated fixed32 fixed32s = 17; repeated sint64 sint64s = 18;
      repeated bool bools = 19;
    }
    """
}
