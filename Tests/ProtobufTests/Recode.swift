import CProtobufC
import HandWire

@testable import Protobuf

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
