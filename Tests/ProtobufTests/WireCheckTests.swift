import CBatonProto
import CProtobufC
import HandWire
import Protobuf
import Testing

/// What a peer is told for each kind of wrong bytes. protobuf-c would let half of these pass, and be cut short, grow
/// without end or overflow its stack on them.
@Suite struct WireCheckTests {
  struct Row: CustomTestStringConvertible {
    var what: String
    var message: AnyMessage
    var bytes: [UInt8]
    /// nil where the bytes are a message.
    var fault: String?

    init(_ what: String, _ message: any CMessage.Type, _ bytes: [UInt8], _ fault: String?) {
      self.what = what
      self.message = AnyMessage(message)
      self.bytes = bytes
      self.fault = fault
    }
    var testDescription: String { what }
  }

  @Test(arguments: truncated + tags + wireTypes + texts + lengths + tolerated)
  func eachWrongInputIsNamed(_ row: Row) {
    #expect(fault(row.bytes, as: row.message.descriptor) == row.fault)
  }

  private static let ten: [UInt8] = Array(repeating: 0xFF, count: 9)

  static let truncated = [
    Row("a tag cut off", Baton__V1__Register.self, [0x88], "the message ends in the middle"),
    Row("no value after the tag", Baton__V1__Register.self, [0x20], "version ends in the middle"),
    Row("a number cut off", Baton__V1__Register.self, [0x20, 0x80], "version ends in the middle"),
    Row("no length", Baton__V1__Register.self, [0x12], "name ends in the middle"),
    Row("a length cut off", Baton__V1__Register.self, [0x12, 0x80], "name ends in the middle"),
    Row("a text cut off", Baton__V1__Register.self, [0x12, 3, 0x61, 0x62], "name ends in the middle"),
    Row(
      "a submessage that is longer than what is left", Baton__V1__AttachRequest.self,
      Wire.tag(1, 2) + [9] + Wire.number(4, 1), "register ends in the middle"),
    Row(
      "a text that is longer than its submessage, though not than the message", Baton__V1__AttachRequest.self,
      Wire.bytes(1, [0x12, 3, 0x61]) + Wire.number(99, 1), "register.name ends in the middle"),
    Row(
      "an unknown number cut off", Baton__V1__Register.self, Wire.tag(99, 0), "the message ends in the middle"
    ),
    Row(
      "an unknown fixed64 cut off", Baton__V1__Register.self, Wire.tag(99, 1) + [1, 2, 3, 4, 5, 6, 7],
      "the message ends in the middle"),
    Row(
      "an unknown fixed32 cut off", Baton__V1__Register.self, Wire.tag(99, 5) + [1, 2, 3],
      "the message ends in the middle"),
    Row(
      "an unknown text cut off", Baton__V1__Register.self, Wire.tag(99, 2) + [2, 1],
      "the message ends in the middle"),
    Row(
      "packed numbers whose last is cut off", Baton__V1__DrainResponse.self, Wire.bytes(1, [1, 2, 0x80]),
      "order_ids ends in the middle"),
  ]

  static let tags = [
    Row("field 0", Baton__V1__Register.self, [0x00, 0x01], "the message has a malformed tag"),
    Row("field 0 as text", Baton__V1__Register.self, [0x02, 0x00], "the message has a malformed tag"),
    Row(
      "a tag over 32 bits", Baton__V1__Register.self, [0x80, 0x80, 0x80, 0x80, 0x10, 0x01],
      "the message has a malformed tag"),
    Row(
      "a tag without end", Baton__V1__Register.self, ten + [0xFF, 0x01], "the message has a malformed tag"),
    Row(
      "a known tag in more bytes than five", Baton__V1__Register.self,
      [0xA0, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01], "the message does not parse"),
    Row("a group", Baton__V1__Register.self, [0x9B, 0x06, 0x9C, 0x06], "the message has a malformed tag"),
    Row("the end of a group", Baton__V1__Register.self, [0x9C, 0x06], "the message has a malformed tag"),
    Row("wire type 6", Baton__V1__Register.self, [0x9E, 0x06], "the message has a malformed tag"),
    Row("wire type 7", Baton__V1__Register.self, [0x9F, 0x06], "the message has a malformed tag"),
    Row(
      "a known field as a group", Baton__V1__Register.self, [0x23, 0x24],
      "version has another type than the schema"),
    Row(
      "a number of eleven bytes", Baton__V1__Register.self, [0x20] + ten + [0x80, 0x01],
      "version has a malformed number"),
    Row(
      "a number over 64 bits", Baton__V1__Register.self, [0x20] + ten + [0x02],
      "version has a malformed number"),
    Row(
      "a length over 64 bits", Baton__V1__Register.self, [0x12] + ten + [0x7F], "name has a malformed number"),
    Row(
      "packed numbers, one of eleven bytes", Baton__V1__DrainResponse.self,
      Wire.bytes(1, ten + [0x80, 0x01]), "order_ids has a malformed number"),
  ]

  static let wireTypes = [
    Row(
      "a number as text", Baton__V1__Register.self, Wire.text(4, "7"),
      "version has another type than the schema"),
    Row(
      "a number as fixed32", Baton__V1__Register.self, Wire.fixed32(4, 7),
      "version has another type than the schema"),
    Row(
      "a number as fixed64", Baton__V1__Register.self, Wire.fixed64(4, 7),
      "version has another type than the schema"),
    Row(
      "a text as number", Baton__V1__Register.self, Wire.number(2, 7), "name has another type than the schema"
    ),
    Row(
      "bytes as number", Baton__V1__Register.self, Wire.number(6, 7), "token has another type than the schema"
    ),
    Row(
      "bytes as fixed64", Baton__V1__Register.self, Wire.fixed64(6, 7),
      "token has another type than the schema"),
    Row(
      "a submessage as number", Baton__V1__AttachRequest.self, Wire.number(1, 7),
      "register has another type than the schema"),
    Row(
      "a map as number", Baton__V1__Register.self, Wire.number(8, 7),
      "metadata has another type than the schema"),
    Row(
      "a map's key as number", Baton__V1__Register.self, Wire.bytes(8, Wire.number(1, 7)),
      "metadata.key has another type than the schema"),
    Row(
      "an enum as text", Baton__V1__Runner.self, Wire.text(8, "READY"),
      "phase has another type than the schema"),
    Row(
      "a truth as fixed32", Baton__V1__Runner.self, Wire.fixed32(10, 1),
      "silent has another type than the schema"),
    Row(
      "a oneof's number as text", Baton__V1__Detach.self, Wire.text(1, "7"),
      "exit_code has another type than the schema"),
    Row(
      "repeated numbers as fixed64", Baton__V1__DrainResponse.self, Wire.fixed64(1, 7),
      "order_ids has another type than the schema"),
  ]

  static let texts = [
    Row(
      "a byte that begins nothing", Baton__V1__Register.self, Wire.bytes(2, [0x61, 0xFF]), "name is not UTF-8"
    ),
    Row("a lone continuation", Baton__V1__Register.self, Wire.bytes(2, [0x80]), "name is not UTF-8"),
    Row("a character cut off", Baton__V1__Register.self, Wire.bytes(2, [0xE2, 0x82]), "name is not UTF-8"),
    Row("an overlong slash", Baton__V1__Register.self, Wire.bytes(2, [0xC0, 0xAF]), "name is not UTF-8"),
    Row("an overlong NUL", Baton__V1__Register.self, Wire.bytes(2, [0xC0, 0x80]), "name is not UTF-8"),
    Row(
      "half of a surrogate pair", Baton__V1__Register.self, Wire.bytes(2, [0xED, 0xA0, 0x80]),
      "name is not UTF-8"),
    Row(
      "beyond Unicode", Baton__V1__Register.self, Wire.bytes(2, [0xF4, 0x90, 0x80, 0x80]), "name is not UTF-8"
    ),
    Row(
      "a NUL that would cut a name off", Baton__V1__Register.self, Wire.text(2, "web\0evil"),
      "name contains a NUL"),
    Row("a NUL at the end", Baton__V1__Register.self, Wire.text(2, "web\0"), "name contains a NUL"),
    Row(
      "a NUL beside what is not UTF-8", Baton__V1__Register.self, Wire.bytes(2, [0xFF, 0x00]),
      "name contains a NUL"),
    Row(
      "deep inside", Baton__V1__AttachRequest.self, Wire.bytes(1, Wire.pair(8, "os", "a\0b")),
      "register.metadata.value contains a NUL"),
    Row(
      "in a map's key", Baton__V1__AttachRequest.self, Wire.bytes(1, Wire.bytes(8, Wire.bytes(1, [0xFE]))),
      "register.metadata.key is not UTF-8"),
    Row("every length of a character", Baton__V1__Register.self, Wire.text(2, "aé€😀"), nil),
    Row("bytes may be anything", Baton__V1__Register.self, Wire.bytes(6, [0x00, 0xFF, 0x80]), nil),
    Row("so may fields that nobody knows", Baton__V1__Register.self, Wire.bytes(99, [0x00, 0xFF]), nil),
  ]

  static let lengths = [
    Row(
      "a length of 2^63", Baton__V1__Register.self, [0x12] + Wire.varint(1 << 63), "name ends in the middle"),
    Row(
      "the greatest length", Baton__V1__Register.self, [0x12] + Wire.varint(.max), "name ends in the middle"),
    Row(
      "a length that would come out before the message", Baton__V1__Register.self,
      [0x12] + Wire.varint(UInt64(bitPattern: -2)) + [0x61], "name ends in the middle"),
    Row(
      "a length that is as it should be, in three bytes", Baton__V1__Register.self,
      [0x12, 0x81, 0x80, 0x00, 0x61], nil),
  ]

  static let tolerated = [
    Row("nothing at all", Baton__V1__Register.self, [], nil),
    Row("unknown fields of every type", Baton__V1__Register.self, unknown, nil),
    Row("the greatest field number", Baton__V1__Register.self, Wire.number(536_870_911, 1), nil),
    Row("an enum's value that nobody knows", Baton__V1__Runner.self, Wire.number(8, 77), nil),
    Row("a negative enum", Baton__V1__Runner.self, Wire.number(8, UInt64(bitPattern: -1)), nil),
    Row("a truth of 2", Baton__V1__Runner.self, Wire.number(10, 2), nil),
    Row("fields from last to first", Baton__V1__Register.self, Wire.number(5, 1) + Wire.text(2, "a"), nil),
    Row(
      "repeated numbers, one by one", Baton__V1__DrainResponse.self, Wire.number(1, 1) + Wire.number(1, 2),
      nil),
    Row("no packed numbers", Baton__V1__DrainResponse.self, Wire.bytes(1, []), nil),
    Row("a map's entry without key and value", Baton__V1__Register.self, Wire.bytes(8, []), nil),
  ]

  static let unknown =
    Wire.number(99, .max) + Wire.fixed64(100, 1) + Wire.bytes(101, [1, 2]) + Wire.fixed32(102, 1)

  // MARK: - Depth

  /// google.protobuf.FileDescriptorSet is not ours, and nothing of ours nests in itself: the depth of a schema is all
  /// the depth that there is.
  @Test(arguments: AnyMessage.all) func noMessageNestsBeyondHalfOfWhatIsAllowed(_ message: AnyMessage) {
    #expect(Self.depth(message.descriptor, []) <= 8)
  }

  private static func depth(_ message: UnsafePointer<ProtobufCMessageDescriptor>, _ above: [String]) -> Int {
    let name = String(cString: message.pointee.name)
    guard !above.contains(name) else {
      Issue.record("\(name) holds itself: \(above)")
      return above.count
    }
    return (0..<Int(message.pointee.n_fields)).map { message.pointee.fields[$0] }
      .filter { $0.type == PROTOBUF_C_TYPE_MESSAGE }
      .map {
        depth($0.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self), above + [name])
      }.max() ?? above.count + 1
  }

  /// A message that holds itself, as a schema of somebody else's might: 10 000 levels of it overflow protobuf-c's
  /// stack.
  @Test(arguments: [(1, true), (15, true), (16, false), (17, false), (10_000, false), (1_000_000, false)])
  func nestingIsBounded(_ levels: Int, _ isTaken: Bool) {
    let handmade = HandmadeMessage(fields: [.init(number: 1, name: "inner", type: PROTOBUF_C_TYPE_MESSAGE)])
    handmade.pointToItself()
    // From the inside out, so that each length is known.
    var lengths: [[UInt8]] = []
    var size = 0
    for _ in 0..<levels {
      let head = Wire.tag(1, 2) + Wire.varint(UInt64(size))
      lengths.append(head)
      size += head.count
    }
    let bytes = lengths.reversed().flatMap { $0 }
    #expect(handmade.check(bytes)?.problem == (isTaken ? nil : .tooDeep))
  }
}
