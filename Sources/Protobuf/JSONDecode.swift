import CProtobufC

/// proto3 JSON to a message in an arena, by its description alone. Strict: what the schema does not name is refused with
/// its path. Names are taken in lowerCamelCase and as the schema spells them.
package enum JSONDecode {
  /// Encoded bytes of the message that the text describes; an empty text is an empty message.
  package static func bytes(
    _ text: String, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>, in arena: Arena
  ) throws(JSONError) -> [UInt8] {
    arena.reset()
    var reader = JSONReader(text)
    guard reader.peek() != nil else { return [] }
    let message = try object(&reader, descriptor, arena, depth: 0)
    try reader.expectEnd()
    return Codec.encode(UnsafePointer(message.assumingMemoryBound(to: ProtobufCMessage.self)))
  }

  private static func object(
    _ reader: inout JSONReader, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, _ arena: Arena,
    depth: Int
  ) throws(JSONError) -> UnsafeMutableRawPointer {
    guard depth < JSONReader.maxDepth else { throw JSONError(path: "", problem: "is nested too deep") }
    let message = arena.makeRaw(descriptor)
    try reader.expect("{")
    guard !reader.accept("}") else { return message }
    var seen: Set<UInt32> = []
    repeat {
      let name = try reader.string()
      try reader.expect(":")
      guard let field = field(named: name, in: descriptor) else {
        throw JSONError(path: name, problem: "is not a field of \(String(cString: descriptor.pointee.name))")
      }
      guard seen.insert(field.pointee.id).inserted else {
        throw JSONError(path: name, problem: "is given twice")
      }
      if reader.acceptWord("null") { continue }
      do throws(JSONError) {
        try member(&reader, field, of: message, arena, depth)
      } catch {
        let dot = error.path.isEmpty || error.path.hasPrefix("[") ? "" : "."
        throw JSONError(path: name + dot + error.path, problem: error.problem)
      }
    } while reader.accept(",")
    try reader.expect("}")
    return message
  }

  private static func field(
    named name: String, in descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  ) -> UnsafePointer<ProtobufCFieldDescriptor>? {
    for index in 0..<Int(descriptor.pointee.n_fields) {
      let field = descriptor.pointee.fields + index
      let own = String(cString: field.pointee.name)
      if own == name || JSONName.camel(own) == name { return field }
    }
    return nil
  }

  private static func member(
    _ reader: inout JSONReader, _ field: UnsafePointer<ProtobufCFieldDescriptor>,
    of message: UnsafeMutableRawPointer, _ arena: Arena, _ depth: Int
  ) throws(JSONError) {
    let place = message + Int(field.pointee.offset)
    let quantifier = message + Int(field.pointee.quantifier_offset)
    if field.pointee.label == PROTOBUF_C_LABEL_REPEATED {
      try repeated(&reader, field, place, quantifier, arena, depth)
      return
    }
    if field.pointee.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0 {
      guard quantifier.load(as: UInt32.self) == 0 else {
        throw JSONError(path: "", problem: "excludes another member of the same oneof")
      }
      quantifier.storeBytes(of: field.pointee.id, as: UInt32.self)
    }
    try value(&reader, field, place, arena, depth)
  }

  private static func repeated(
    _ reader: inout JSONReader, _ field: UnsafePointer<ProtobufCFieldDescriptor>,
    _ place: UnsafeMutableRawPointer, _ quantifier: UnsafeMutableRawPointer, _ arena: Arena, _ depth: Int
  ) throws(JSONError) {
    let size = JSONName.elementBytes(field.pointee.type)
    let isMap = JSONName.isMapEntry(field)
    var elements = UnsafeMutableRawPointer.allocate(byteCount: 16 * size, alignment: 16)
    var capacity = 16
    var count = 0
    defer { elements.deallocate() }
    try reader.expect(isMap ? "{" : "[")
    if !reader.accept(isMap ? "}" : "]") {
      repeat {
        if count == capacity {
          let larger = UnsafeMutableRawPointer.allocate(byteCount: 2 * capacity * size, alignment: 16)
          larger.copyMemory(from: elements, byteCount: count * size)
          elements.deallocate()
          elements = larger
          capacity *= 2
        }
        let element = elements + count * size
        element.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        if isMap {
          try entry(&reader, field, element, arena, depth)
        } else {
          do throws(JSONError) {
            try value(&reader, field, element, arena, depth)
          } catch {
            let dot = error.path.isEmpty || error.path.hasPrefix("[") ? "" : "."
            throw JSONError(path: "[\(count)]" + dot + error.path, problem: error.problem)
          }
        }
        count += 1
      } while reader.accept(",")
      try reader.expect(isMap ? "}" : "]")
    }
    quantifier.storeBytes(of: count, as: Int.self)
    place.storeBytes(of: arena.copy(elements, byteCount: count * size), as: UnsafeMutableRawPointer?.self)
  }

  private static func entry(
    _ reader: inout JSONReader, _ field: UnsafePointer<ProtobufCFieldDescriptor>,
    _ place: UnsafeMutableRawPointer, _ arena: Arena, _ depth: Int
  ) throws(JSONError) {
    let inner = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
    let message = arena.makeRaw(inner)
    let key = try reader.string()
    guard !key.utf8.contains(0) else { throw JSONError(path: "", problem: "has a key with a NUL") }
    (message + Int(inner.pointee.fields[0].offset)).storeBytes(
      of: arena.string(key), as: UnsafeMutablePointer<CChar>.self)
    try reader.expect(":")
    try value(
      &reader, inner.pointee.fields + 1, message + Int(inner.pointee.fields[1].offset), arena, depth + 1)
    place.storeBytes(of: message, as: UnsafeMutableRawPointer.self)
  }

  private static func value(
    _ reader: inout JSONReader, _ field: UnsafePointer<ProtobufCFieldDescriptor>,
    _ place: UnsafeMutableRawPointer, _ arena: Arena, _ depth: Int
  ) throws(JSONError) {
    switch field.pointee.type {
    case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32:
      place.storeBytes(of: try integer(&reader, Int32.self), as: Int32.self)
    case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_FIXED32:
      place.storeBytes(of: try integer(&reader, UInt32.self), as: UInt32.self)
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64:
      place.storeBytes(of: try integer(&reader, Int64.self), as: Int64.self)
    case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64:
      place.storeBytes(of: try integer(&reader, UInt64.self), as: UInt64.self)
    case PROTOBUF_C_TYPE_FLOAT: place.storeBytes(of: Float(try real(&reader)), as: Float.self)
    case PROTOBUF_C_TYPE_DOUBLE: place.storeBytes(of: try real(&reader), as: Double.self)
    case PROTOBUF_C_TYPE_BOOL:
      let truth = reader.acceptWord("true")
      guard truth || reader.acceptWord("false") else {
        throw JSONError(path: "", problem: "must be true or false")
      }
      place.storeBytes(of: truth ? 1 : 0, as: Int32.self)
    case PROTOBUF_C_TYPE_ENUM:
      place.storeBytes(of: try enumeration(&reader, field), as: Int32.self)
    case PROTOBUF_C_TYPE_STRING:
      let text = try quoted(&reader, "a string")
      guard !text.utf8.contains(0) else { throw JSONError(path: "", problem: "contains a NUL") }
      place.storeBytes(of: arena.string(text), as: UnsafeMutablePointer<CChar>.self)
    case PROTOBUF_C_TYPE_BYTES:
      guard let bytes = Base64.bytes(try quoted(&reader, "base64 in a string")) else {
        throw JSONError(path: "", problem: "must be base64")
      }
      place.storeBytes(of: arena.bytes(bytes), as: ProtobufCBinaryData.self)
    case PROTOBUF_C_TYPE_MESSAGE:
      let inner = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
      guard reader.peek() == UInt8(ascii: "{") else {
        throw JSONError(path: "", problem: "must be an object")
      }
      place.storeBytes(
        of: try object(&reader, inner, arena, depth: depth + 1), as: UnsafeMutableRawPointer.self)
    default: preconditionFailure("protobuf-c has no type \(field.pointee.type)")
    }
  }

  private static func quoted(_ reader: inout JSONReader, _ what: String) throws(JSONError) -> String {
    guard reader.peek() == UInt8(ascii: "\"") else { throw JSONError(path: "", problem: "must be \(what)") }
    return try reader.string()
  }

  /// A number, or one in a string, which is how proto3 JSON writes 64 bits.
  private static func integer<I: FixedWidthInteger>(
    _ reader: inout JSONReader, _ type: I.Type
  ) throws(JSONError) -> I {
    let text = reader.peek() == UInt8(ascii: "\"") ? try reader.string() : try reader.number()
    guard let value = I(text), !text.hasPrefix("+") else {
      throw JSONError(path: "", problem: "must be a whole number from \(I.min) to \(I.max)")
    }
    return value
  }

  private static func real(_ reader: inout JSONReader) throws(JSONError) -> Double {
    let text = reader.peek() == UInt8(ascii: "\"") ? try reader.string() : try reader.number()
    guard let value = Double(text) else { throw JSONError(path: "", problem: "must be a number") }
    return value
  }

  private static func enumeration(
    _ reader: inout JSONReader, _ field: UnsafePointer<ProtobufCFieldDescriptor>
  ) throws(JSONError) -> Int32 {
    guard reader.peek() == UInt8(ascii: "\"") else { return try integer(&reader, Int32.self) }
    let name = try reader.string()
    let descriptor = field.pointee.descriptor.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
    guard let value = protobuf_c_enum_descriptor_get_value_by_name(descriptor, name) else {
      let known = (0..<Int(descriptor.pointee.n_values)).map {
        String(cString: descriptor.pointee.values[$0].name)
      }
      throw JSONError(path: "", problem: "must be one of \(known.joined(separator: ", "))")
    }
    return value.pointee.value
  }
}

extension Arena {
  /// A message that is known by its description only, every field at its default.
  func makeRaw(_ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) -> UnsafeMutableRawPointer {
    guard let memory = take(descriptor.pointee.sizeof_message) else {
      preconditionFailure("an encode has no limit")
    }
    descriptor.pointee.message_init(memory.assumingMemoryBound(to: ProtobufCMessage.self))
    return memory
  }

  func copy(_ bytes: UnsafeRawPointer, byteCount: Int) -> UnsafeMutableRawPointer? {
    guard byteCount > 0 else { return nil }
    guard let memory = take(byteCount) else { preconditionFailure("an encode has no limit") }
    memory.copyMemory(from: bytes, byteCount: byteCount)
    return memory
  }
}
