import CBatonProto
import Foundation
import HandWire

/// A FileDescriptorSet, read by hand: the tests' view of a schema that shares nothing with the code under test.
/// Field numbers: google/protobuf/descriptor.proto.
struct Schema {
  struct Field: Hashable {
    var number: UInt64
    var type: String
    var label: UInt64
    var oneof: String?
  }
  struct Method: Hashable {
    var request: String
    var response: String
    var clientStreams: Bool
    var serverStreams: Bool
  }

  /// By "package.Message.field".
  var fields: [String: Field] = [:]
  /// By "package.Enum.VALUE".
  var enumValues: [String: UInt64] = [:]
  /// By "package.Service/Method".
  var methods: [String: Method] = [:]
  var messages: Set<String> = []

  init(_ set: [UInt8]) {
    for file in HandMessage(set).messages(1) {
      let package = file.text(2)
      for message in file.messages(4) { add(message: message, scope: package) }
      for type in file.messages(5) { add(enum: type, scope: package) }
      for service in file.messages(6) {
        for method in service.messages(2) {
          methods["\(package).\(service.text(1))/\(method.text(1))"] = Method(
            request: method.text(2), response: method.text(3),
            clientStreams: method.number(5) == 1, serverStreams: method.number(6) == 1)
        }
      }
    }
  }

  /// The one that the program carries.
  static let current = Schema(
    Array(
      UnsafeBufferPointer(start: baton_descriptor_set_bytes(), count: baton_descriptor_set_length())))

  private mutating func add(message: HandMessage, scope: String) {
    let name = "\(scope).\(message.text(1))"
    messages.insert(name)
    let oneofs = message.messages(8).map { $0.text(1) }
    for field in message.messages(2) {
      let typeName = field.text(6)
      fields["\(name).\(field.text(1))"] = Field(
        number: field.number(3) ?? 0, type: typeName.isEmpty ? "\(field.number(5) ?? 0)" : typeName,
        label: field.number(4) ?? 0,
        oneof: field.number(9).map { oneofs[Int($0)] })
    }
    for nested in message.messages(3) { add(message: nested, scope: name) }
    for type in message.messages(4) { add(enum: type, scope: name) }
  }

  private mutating func add(enum type: HandMessage, scope: String) {
    for value in type.messages(2) {
      enumValues["\(scope).\(type.text(1)).\(value.text(1))"] = value.number(2) ?? 0
    }
  }
}
