import BatonAPI
import CBatonProto
import Protobuf

/// libFuzzer's entry (https://llvm.org/docs/LibFuzzer.html). The first byte chooses what the rest is:
/// an even one a whole conversation with the daemon (frames or the console, cut in two at the second byte), an odd one a
/// message of the schema, as bytes and as JSON.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: data, count: count)
  guard input.count >= 2 else { return 0 }
  let rest = UnsafeRawBufferPointer(rebasing: input[2...])
  if input[0].isMultiple(of: 2) {
    host.converse(rest, split: Int(input[1]))
  } else {
    Messages.check(rest, as: Method.allCases[Int(input[1]) % Method.allCases.count])
  }
  return 0
}

private nonisolated(unsafe) let host = try! FuzzHost()

private enum Messages {
  /// What is taken is taken again after it was written, and says the same; what is refused is refused with a reason.
  static func check(_ bytes: UnsafeRawBufferPointer, as method: Method) {
    for descriptor in [method.description.request, method.description.response] {
      let arena = Arena()
      withExtendedLifetime(arena) {
        do throws(DecodeError) {
          let message = try Codec.decode(descriptor, bytes, in: arena)
          let json = JSONEncode.text(UnsafePointer(message))
          let again = Codec.encode(UnsafePointer(message))
          reencode(again, descriptor, json)
        } catch {
          precondition(!error.description.isEmpty)
        }
      }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    if let encoded = try? JSONDecode.bytes(text, as: method.description.request, in: Arena()) {
      // A decode forgets what its own arena held.
      let (arena, keeper) = (Arena(), Arena())
      withExtendedLifetime((arena, keeper)) {
        do throws(DecodeError) {
          _ = try Codec.decode(method.description.request, keeper.bytes(encoded).buffer, in: arena)
        } catch  where error.problem == .tooLarge {
          // A text may ask for more than a message may take.
        } catch {
          preconditionFailure("JSON was taken and its bytes are not: \(error)")
        }
      }
    }
  }

  private static func reencode(
    _ bytes: [UInt8], _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, _ json: String
  ) {
    let (arena, keeper) = (Arena(), Arena())
    withExtendedLifetime((arena, keeper)) {
      do throws(DecodeError) {
        let message = try Codec.decode(descriptor, keeper.bytes(bytes).buffer, in: arena)
        precondition(
          JSONEncode.text(UnsafePointer(message)) == json, "it reads otherwise once it was written")
      } catch {
        preconditionFailure("what was written is not taken: \(error)")
      }
    }
  }
}
