import CBatonProto
import Protobuf

@testable import BatonAPI

/// What an encoded value is read as on the other side: through bytes, as between two processes.
func carried<Message: CMessage, Value>(
  _ encode: (Arena) -> UnsafeMutablePointer<Message>,
  _ decode: (UnsafeMutablePointer<Message>) throws -> Value
) throws -> Value {
  let (sender, receiver) = (Arena(), Arena())
  let bytes = withExtendedLifetime(sender) { Codec.encode(encode(sender)) }
  return try withExtendedLifetime(receiver) {
    try bytes.withUnsafeBytes { try decode(try Codec.decode(Message.self, $0, in: receiver)) }
  }
}

/// The same as the JSON that people read.
func shown<Message: CMessage>(_ encode: (Arena) -> UnsafeMutablePointer<Message>) throws -> String {
  try carried(encode) { JSONEncode.text(Codec.base($0)) }
}
