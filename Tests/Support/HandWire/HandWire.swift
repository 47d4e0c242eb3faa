/// Protobuf by hand: an oracle that shares nothing with the code under test.
package enum Wire {
  package static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  package static func tag(_ field: UInt32, _ wireType: UInt8) -> [UInt8] {
    varint(UInt64(field) << 3 | UInt64(wireType))
  }

  package static func number(_ field: UInt32, _ value: UInt64) -> [UInt8] { tag(field, 0) + varint(value) }
  package static func fixed64(_ field: UInt32, _ value: UInt64) -> [UInt8] {
    tag(field, 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  package static func fixed32(_ field: UInt32, _ value: UInt32) -> [UInt8] {
    tag(field, 5) + (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  package static func bytes(_ field: UInt32, _ value: [UInt8]) -> [UInt8] {
    tag(field, 2) + varint(UInt64(value.count)) + value
  }
  package static func text(_ field: UInt32, _ value: String) -> [UInt8] { bytes(field, Array(value.utf8)) }

  /// Both of a map's entry.
  package static func pair(_ field: UInt32, _ key: String, _ value: String) -> [UInt8] {
    bytes(field, text(1, key) + text(2, value))
  }

  package static func repeated(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count * count)
    for _ in 0..<count { result += bytes }
    return result
  }
}

/// ttrpc frames by hand, as the protocol has them: 4 bytes of length, 4 of stream, type, flags, body.
package enum HandFrame {
  package static let request: UInt8 = 1
  package static let response: UInt8 = 2
  package static let data: UInt8 = 3
  package static let remoteClosed: UInt8 = 1
  package static let remoteOpen: UInt8 = 2
  package static let noData: UInt8 = 4

  /// `length` says another one than the body has.
  package static func bytes(
    _ stream: UInt32, _ type: UInt8, _ flags: UInt8, _ body: [UInt8] = [], length: UInt32? = nil
  ) -> [UInt8] {
    [length ?? UInt32(body.count), stream].flatMap { number in
      (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    } + [type, flags] + body
  }

  /// A Request frame that calls a method.
  package static func call(
    _ stream: UInt32, _ service: String, _ method: String, _ payload: [UInt8] = [], flags: UInt8 = 0,
    timeoutNanoseconds: UInt64? = nil
  ) -> [UInt8] {
    bytes(
      stream, request, flags,
      Wire.text(1, service) + Wire.text(2, method) + (payload.isEmpty ? [] : Wire.bytes(3, payload))
        + (timeoutNanoseconds.map { Wire.number(4, $0) } ?? []))
  }
}

/// A frame that came from a server.
package struct HandAnswer: Equatable, CustomStringConvertible {
  package var stream: UInt32
  package var type: UInt8
  package var flags: UInt8
  /// A Response's status code; 0 is OK. 0 for data.
  package var code: Int32
  package var message: String
  package var payload: [UInt8]

  package var description: String { "stream \(stream) type \(type) code \(code) \(message)" }

  /// The whole frames at the beginning of `bytes`, which are taken off.
  package static func take(from bytes: inout [UInt8]) -> [HandAnswer] {
    var found: [HandAnswer] = []
    var at = 0
    while bytes.count - at >= 10 {
      func number(_ offset: Int) -> UInt32 {
        bytes[(at + offset)..<(at + offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
      }
      let length = Int(number(0))
      guard bytes.count - at >= 10 + length else { break }
      var answer = HandAnswer(
        stream: number(4), type: bytes[at + 8], flags: bytes[at + 9], code: 0, message: "",
        payload: Array(bytes[(at + 10)..<(at + 10 + length)]))
      if answer.type == HandFrame.response {
        let response = HandMessage(answer.payload)
        if let status = response.payload(1).map(HandMessage.init) {
          answer.code = Int32(truncatingIfNeeded: status.number(1) ?? 0)
          answer.message = status.payload(2).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        answer.payload = response.payload(2) ?? []
      }
      found.append(answer)
      at += 10 + length
    }
    bytes.removeFirst(at)
    return found
  }
}

/// A message's fields, read without its schema; the last of a field counts.
package struct HandMessage {
  private var numbers: [UInt64: UInt64] = [:]
  private var payloads: [UInt64: [[UInt8]]] = [:]

  package init(_ bytes: [UInt8]) {
    var rest = bytes[...]
    func varint() -> UInt64 {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while let byte = rest.popFirst() {
        value |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { break }
        shift += 7
      }
      return value
    }
    while !rest.isEmpty {
      let tag = varint()
      switch tag & 7 {
      case 0: numbers[tag >> 3] = varint()
      case 2:
        let length = Int(varint())
        payloads[tag >> 3, default: []].append(Array(rest.prefix(length)))
        rest = rest.dropFirst(length)
      case 1: rest = rest.dropFirst(8)
      case 5: rest = rest.dropFirst(4)
      default: preconditionFailure("no wire type \(tag & 7) is written by anything that is tested")
      }
    }
  }

  package func number(_ field: UInt64) -> UInt64? { numbers[field] }
  package func payload(_ field: UInt64) -> [UInt8]? { payloads[field]?.last }
  package func text(_ field: UInt64) -> String { String(decoding: payload(field) ?? [], as: UTF8.self) }
  package func messages(_ field: UInt64) -> [HandMessage] { (payloads[field] ?? []).map { HandMessage($0) } }
}
