import CBatonProto
import CProtobufC
import Protobuf

/// The messages that Request and Response frames carry, through protobuf-c.
enum Envelope {
  struct Request {
    /// Service and method live as long as the arena's message, too.
    var name: MethodName
    /// Lives as long as the arena's message.
    var payload: UnsafeRawBufferPointer
    var timeoutNanoseconds: Int64
  }

  static func decodeRequest(
    _ body: UnsafeRawBufferPointer, in arena: Arena
  ) throws(DecodeError) -> Request {
    let message = try Codec.decode(Ttrpc__Request.self, body, in: arena).pointee
    return Request(
      name: MethodName(service: Read.utf8(message.service), method: Read.utf8(message.method)),
      payload: UnsafeRawBufferPointer(start: message.payload.data, count: message.payload.len),
      timeoutNanoseconds: message.timeout_nano)
  }

  static func decodeResponse(
    _ body: UnsafeRawBufferPointer, in arena: Arena
  ) throws(DecodeError) -> (status: Status, payload: UnsafeRawBufferPointer) {
    let message = try Codec.decode(Ttrpc__Response.self, body, in: arena).pointee
    var status = Status(.ok, "")
    if let given = message.status?.pointee {
      status = Status(StatusCode(rawValue: given.code) ?? .unknown, Read.string(given.message))
    }
    return (status, UnsafeRawBufferPointer(start: message.payload.data, count: message.payload.len))
  }

  static func makeRequest(
    service: String, method: String, payload: UnsafeRawBufferPointer, timeoutNanoseconds: Int64,
    in arena: Arena
  ) -> UnsafeMutablePointer<Ttrpc__Request> {
    arena.reset()
    let message = arena.make(Ttrpc__Request.self)
    message.pointee.service = arena.string(service)
    message.pointee.method = arena.string(method)
    // Packed before the caller's bytes can go away, so they need no copy.
    message.pointee.payload = borrowed(payload)
    message.pointee.timeout_nano = timeoutNanoseconds
    return message
  }

  /// An OK leaves the status out, as stock servers do.
  static func makeResponse(
    _ status: Status, payload: UnsafeRawBufferPointer, in arena: Arena
  ) -> UnsafeMutablePointer<Ttrpc__Response> {
    arena.reset()
    let message = arena.make(Ttrpc__Response.self)
    message.pointee.payload = borrowed(payload)
    if status.code != .ok {
      let given = arena.make(Google__Rpc__Status.self)
      given.pointee.code = status.code.rawValue
      given.pointee.message = arena.string(status.message)
      message.pointee.status = given
    }
    return message
  }

  private static func borrowed(_ bytes: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
    ProtobufCBinaryData(
      len: bytes.count,
      data: UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)))
  }
}
