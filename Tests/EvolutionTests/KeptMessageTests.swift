import BatonAPI
import CBatonProto
import CProtobufC
import Foundation
import Protobuf
import Testing

/// Messages as a peer of each release puts them on the wire. `hex` was made by protoc from `text`; `json` is how a person
/// sees it.
struct KeptMessage: Codable, Sendable, CustomTestStringConvertible {
  var type: String
  var text: String
  var hex: String
  var json: String

  var testDescription: String { "\(type) {\(text)}" }

  var bytes: [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 2).map {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
    }
  }

  static let releases: [String] = Project.files(under: "Tests/EvolutionTests/Fixtures")
    .filter { $0.hasSuffix("messages.json") }

  static let all: [KeptMessage] = releases.flatMap { path in
    try! JSONDecoder().decode(
      [KeptMessage].self, from: Data(Project.text("Tests/EvolutionTests/Fixtures/\(path)").utf8))
  }

  var descriptor: UnsafePointer<ProtobufCMessageDescriptor> {
    let types: [any CMessage.Type] = [
      Baton__V1__AttachRequest.self, Baton__V1__AttachResponse.self, Baton__V1__PutRunnerConfigRequest.self,
      Baton__V1__RunnerConfig.self, Baton__V1__Runner.self, Baton__V1__DrainOrder.self, Baton__V1__Pool.self,
      Baton__V1__Event.self,
    ]
    return types.first { String(cString: $0.descriptor.pointee.name) == type }!.descriptor
  }

  /// As the program prints it.
  func printed(_ bytes: [UInt8]) throws -> String {
    let arena = Arena()
    return try withExtendedLifetime(arena) {
      try bytes.withUnsafeBytes {
        JSONEncode.text(UnsafePointer(try Codec.decode(descriptor, $0, in: arena)))
      }
    }
  }

  /// What is printed says everything that it said then; fields that have come since are at their defaults.
  func expectKept(in printed: String) throws {
    let then = try JSONSerialization.jsonObject(with: Data(json.utf8))
    let now = try JSONSerialization.jsonObject(with: Data(printed.utf8))
    #expect(Self.isKept(then, in: now), "\(json) became \(printed)")
  }

  private static func isKept(_ then: Any, in now: Any) -> Bool {
    switch (then, now) {
    case (let then as [String: Any], let now as [String: Any]):
      then.allSatisfy { key, value in now[key].map { isKept(value, in: $0) } ?? false }
        && now.allSatisfy { key, value in then[key] != nil || isDefault(value) }
    case (let then as [Any], let now as [Any]):
      then.count == now.count && zip(then, now).allSatisfy { isKept($0, in: $1) }
    default: (then as? NSObject)?.isEqual(now) ?? false
    }
  }

  private static func isDefault(_ value: Any) -> Bool {
    switch value {
    case let number as NSNumber: number == 0
    case let text as String: text.isEmpty || text == "0" || text.hasSuffix("_UNSPECIFIED")
    case let list as [Any]: list.isEmpty
    default: value is NSNull
    }
  }
}

@Suite struct KeptMessageTests {
  @Test func theFirstReleaseIsKept() {
    #expect(KeptMessage.releases.contains("v1/messages.json"))
    #expect(KeptMessage.all.count >= 18)
  }

  @Test(arguments: KeptMessage.all)
  func isReadAsEver(_ message: KeptMessage) throws {
    try message.expectKept(in: message.printed(message.bytes))
  }

  @Test(arguments: KeptMessage.all)
  func isWrittenAsEver(_ message: KeptMessage) throws {
    let bytes = try JSONDecode.bytes(message.json, as: message.descriptor, in: Arena())
    try message.expectKept(in: message.printed(bytes))
    #expect(bytes == message.bytes)
  }

  /// A peer of tomorrow speaks of more than this program knows.
  @Test(arguments: KeptMessage.all)
  func whatIsNotKnownIsCarriedAlong(_ message: KeptMessage) throws {
    // Field 2000: a text; field 2001: a number.
    let tomorrow: [UInt8] = [0x82, 0x7D, 0x05] + Array("later".utf8) + [0x88, 0x7D, 0x2A]
    let arena = Arena()
    let again = try withExtendedLifetime(arena) {
      try (message.bytes + tomorrow).withUnsafeBytes {
        Codec.encode(UnsafePointer(try Codec.decode(message.descriptor, $0, in: arena)))
      }
    }
    #expect(again == message.bytes + tomorrow)
    #expect(try message.printed(message.bytes + tomorrow) == message.printed(message.bytes))
  }
}
