import CProtobufC

/// Messages as proto3 JSON (https://protobuf.dev/programming-guides/json/), by their description alone: lowerCamelCase
/// names, 64-bit numbers as strings, enums by name, bytes as base64, maps as objects.
///
/// Fields at their default are written too, so that a person sees that they are there; unset messages and oneofs are
/// not.
package enum JSONEncode {
  package static func text(_ message: UnsafePointer<ProtobufCMessage>) -> String {
    var text = ""
    write(UnsafeRawPointer(message), message.pointee.descriptor, to: &text)
    return text
  }

  private static func write(
    _ message: UnsafeRawPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
    to text: inout String
  ) {
    text += "{"
    var isFirst = true
    for index in 0..<Int(descriptor.pointee.n_fields) {
      let field = descriptor.pointee.fields + index
      guard isPresent(field, in: message) else { continue }
      text += isFirst ? "" : ","
      isFirst = false
      string(JSONName.camel(String(cString: field.pointee.name)), to: &text)
      text += ":"
      let place = message + Int(field.pointee.offset)
      if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
        let count = message.load(fromByteOffset: Int(field.pointee.quantifier_offset), as: Int.self)
        repeated(field, place.load(as: UnsafeRawPointer?.self), count, to: &text)
      } else {
        value(field, place, to: &text)
      }
    }
    text += "}"
  }

  private static func isPresent(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>, in message: UnsafeRawPointer
  ) -> Bool {
    if field.pointee.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0 {
      return message.load(fromByteOffset: Int(field.pointee.quantifier_offset), as: UInt32.self)
        == field.pointee.id
    }
    if field.pointee.type == PROTOBUF_C_TYPE_MESSAGE, field.pointee.label != PROTOBUF_C_LABEL_REPEATED {
      return message.load(fromByteOffset: Int(field.pointee.offset), as: UnsafeRawPointer?.self) != nil
    }
    return true
  }

  private static func repeated(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>, _ base: UnsafeRawPointer?, _ count: Int,
    to text: inout String
  ) {
    let isMap = JSONName.isMapEntry(field)
    text += isMap ? "{" : "["
    for index in 0..<count {
      guard let base else { break }
      if index > 0 { text += "," }
      let place = base + index * JSONName.elementBytes(field.pointee.type)
      if isMap {
        let entry = place.load(as: UnsafeRawPointer.self)
        let inner = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
        value(inner.pointee.fields, entry + Int(inner.pointee.fields[0].offset), to: &text)
        text += ":"
        value(inner.pointee.fields + 1, entry + Int(inner.pointee.fields[1].offset), to: &text)
      } else {
        value(field, place, to: &text)
      }
    }
    text += isMap ? "}" : "]"
  }

  private static func value(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>, _ place: UnsafeRawPointer, to text: inout String
  ) {
    switch field.pointee.type {
    case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32:
      text += String(place.load(as: Int32.self))
    case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_FIXED32: text += String(place.load(as: UInt32.self))
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64:
      text += "\"\(place.load(as: Int64.self))\""
    case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64: text += "\"\(place.load(as: UInt64.self))\""
    case PROTOBUF_C_TYPE_FLOAT: number(Double(place.load(as: Float.self)), to: &text)
    case PROTOBUF_C_TYPE_DOUBLE: number(place.load(as: Double.self), to: &text)
    case PROTOBUF_C_TYPE_BOOL: text += place.load(as: Int32.self) != 0 ? "true" : "false"
    case PROTOBUF_C_TYPE_ENUM: enumeration(field, place.load(as: Int32.self), to: &text)
    case PROTOBUF_C_TYPE_STRING:
      string(Read.string(place.load(as: UnsafePointer<CChar>?.self)), to: &text)
    case PROTOBUF_C_TYPE_BYTES:
      string(Base64.text(Read.bytes(place.load(as: ProtobufCBinaryData.self))), to: &text)
    case PROTOBUF_C_TYPE_MESSAGE:
      let inner = place.load(as: UnsafeRawPointer.self)
      write(
        inner, field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self), to: &text)
    default: preconditionFailure("protobuf-c has no type \(field.pointee.type)")
    }
  }

  private static func number(_ value: Double, to text: inout String) {
    text +=
      value.isFinite ? String(value) : "\"\(value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")\""
  }

  /// A value that the schema does not name stays a number.
  private static func enumeration(
    _ field: UnsafePointer<ProtobufCFieldDescriptor>, _ value: Int32, to text: inout String
  ) {
    let descriptor = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
    if let named = protobuf_c_enum_descriptor_get_value(descriptor, value) {
      string(String(cString: named.pointee.name), to: &text)
    } else {
      text += String(value)
    }
  }

  package static func string(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      default:
        // A terminal obeys C1 controls too, so they go out escaped like the others.
        if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
          let hex = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}

/// What encoding and decoding must agree on.
enum JSONName {
  /// `drain_grace_period_ms` is `drainGracePeriodMs`.
  static func camel(_ name: String) -> String {
    var result = ""
    var raise = false
    for letter in name {
      if letter == "_" {
        raise = true
      } else {
        result += raise ? letter.uppercased() : String(letter)
        raise = false
      }
    }
    return result
  }

  /// protobuf-c knows no maps: they are repeated messages named `…Entry` of a key and a value.
  static func isMapEntry(_ field: UnsafePointer<ProtobufCFieldDescriptor>) -> Bool {
    guard field.pointee.type == PROTOBUF_C_TYPE_MESSAGE, field.pointee.label == PROTOBUF_C_LABEL_REPEATED
    else {
      return false
    }
    let inner = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
    guard inner.pointee.n_fields == 2, let fields = inner.pointee.fields,
      String(cString: inner.pointee.short_name).hasSuffix("Entry")
    else { return false }
    return fields[0].type == PROTOBUF_C_TYPE_STRING && String(cString: fields[0].name) == "key"
      && String(cString: fields[1].name) == "value"
  }

  static func elementBytes(_ type: ProtobufCType) -> Int {
    switch type {
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_UINT64,
      PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_MESSAGE:
      8
    case PROTOBUF_C_TYPE_BYTES: MemoryLayout<ProtobufCBinaryData>.stride
    default: 4
    }
  }
}

/// RFC 4648, section 4.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func text(_ bytes: [UInt8]) -> String {
    var result: [UInt8] = []
    result.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (16 - 8 * $1.offset) }
      for place in 0..<4 {
        result.append(
          place <= group.count ? alphabet[Int(bits >> (18 - 6 * place) & 63)] : UInt8(ascii: "="))
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// nil when the text is not base64; the URL alphabet and missing padding are taken too, as proto3 JSON asks.
  static func bytes(_ text: String) -> [UInt8]? {
    var bits: UInt32 = 0
    var count = 0
    var result: [UInt8] = []
    let body = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
    guard text.utf8.count - body.count <= 2, body.count % 4 != 1 else { return nil }
    for byte in body {
      let letter =
        byte == UInt8(ascii: "-") ? UInt8(ascii: "+") : byte == UInt8(ascii: "_") ? UInt8(ascii: "/") : byte
      guard let value = alphabet.firstIndex(of: letter) else { return nil }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return result
  }
}
