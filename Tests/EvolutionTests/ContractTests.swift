import BatonAPI
import Foundation
import Testing

/// What was released stays: a runner built against an old schema is not rebuilt because the daemon is.
@Suite struct ContractTests {
  @Test func generatedCodeIsCurrent() throws {
    try Project.withTemporaryDirectory { folder in
      _ = try Project.run([
        "sh", Project.root.appending(path: "proto/generate.sh").path(percentEncoded: false),
        folder.path(percentEncoded: false),
      ])
      let generated = ["Sources/CBatonProto"].flatMap { top in
        Project.files(under: top).map { "\(top)/\($0)" }
      }
      let fresh = FileManager.default.enumerator(atPath: folder.path(percentEncoded: false))?
        .compactMap { $0 as? String }.filter { $0.hasPrefix("Sources/CBatonProto/") }.sorted()
      #expect(generated.count > 20 && fresh == generated, "run proto/generate.sh")
      for path in generated + ["Sources/Protobuf/GeneratedMessages.swift"] where path.contains(".") {
        let now = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
        #expect(try now == Project.text(path), "\(path) is stale: run proto/generate.sh")
      }
    }
  }

  /// The released schemas by name, each as protoc encodes its text.
  static let released: [String] = Project.files(under: "proto/released").filter { $0.hasSuffix(".txt") }

  @Test(arguments: released)
  func nothingReleasedIsRemovedRenumberedOrRetyped(_ release: String) throws {
    let text = try Project.text("proto/released/\(release)")
    let then = try Self.schema(text)
    #expect(then.fields.count > 200)
    #expect(Self.broken(from: then, to: Schema.current) == [])
  }

  @Test func everyReleaseIsHeld() {
    #expect(Self.released.contains("v1.txt"))
  }

  /// So that the check is known to be able to fail.
  @Test(arguments: ["removed", "renumbered", "retyped"])
  func aBreakIsSeen(_ kind: String) throws {
    var old = try Self.schema(try Project.text("proto/released/v1.txt"))
    let key = "baton.v1.Register.ends_with_process"
    switch kind {
    case "removed": old.fields[key + "_of_old"] = old.fields[key]
    case "renumbered": old.fields[key]?.number += 40
    default: old.fields[key]?.type = "9"
    }
    #expect(Self.broken(from: old, to: Schema.current).count == 1)
  }

  @Test func everyMethodIsServedAsTheSchemaHasIt() {
    var served: [String: Schema.Method] = [:]
    for method in BatonAPI.Method.allCases {
      let description = method.description
      served[description.fullName] = Schema.Method(
        request: "." + String(cString: description.request.pointee.name),
        response: "." + String(cString: description.response.pointee.name),
        clientStreams: description.shape == .bidirectional,
        serverStreams: description.shape != .unary)
    }
    #expect(served == Schema.current.methods)
  }

  /// protobuf-c decodes by recursion: with no message inside itself, the depth of every message is bounded by the schema.
  @Test func noMessageContainsItself() {
    let inside = Dictionary(
      grouping: Schema.current.fields.filter { $0.value.type.hasPrefix(".") },
      by: { $0.key.split(separator: ".").dropLast().joined(separator: ".") }
    ).mapValues { $0.map { String($0.value.type.dropFirst()) } }
    func contains(_ message: String, _ path: [String]) -> [String]? {
      if path.contains(message) { return path + [message] }
      return (inside[message] ?? []).lazy.compactMap { contains($0, path + [message]) }.first
    }
    #expect(inside.count > 10)
    for message in Schema.current.messages {
      #expect(contains(message, []) == nil)
    }
  }

  @Test func everyFieldHasAComment() throws {
    let files = Project.files(under: "proto").filter { $0.hasSuffix(".proto") }
    var fields = 0
    for file in files {
      let lines = try Project.text("proto/\(file)").split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces) }
      for (index, line) in lines.enumerated() {
        guard line.contains(/^[A-Za-z][\w.<>, ]* \w+ = \d+( \[.*\])?;/) else { continue }
        fields += 1
        let isSaid = line.contains("; //") || (index > 0 && lines[index - 1].hasPrefix("//"))
        #expect(isSaid, "\(file):\(index + 1) has no comment: \(line)")
      }
    }
    #expect(fields > 250)
  }

  private static func schema(_ text: String) throws -> Schema {
    let set = try Project.run(
      [
        "protoc", "--proto_path=/usr/include", "--encode=google.protobuf.FileDescriptorSet",
        "google/protobuf/descriptor.proto",
      ], input: Data(text.utf8))
    return Schema(Array(set))
  }

  /// What a peer of the old schema would no longer find.
  private static func broken(from old: Schema, to new: Schema) -> [String] {
    var found: [String] = []
    for (name, field) in old.fields where new.fields[name] != field {
      found.append("\(name) was \(field), is \(new.fields[name].map { "\($0)" } ?? "gone")")
    }
    for (name, number) in old.enumValues where new.enumValues[name] != number {
      found.append("\(name) was \(number), is \(new.enumValues[name].map { "\($0)" } ?? "gone")")
    }
    for (name, method) in old.methods where new.methods[name] != method {
      found.append("\(name) was \(method), is \(new.methods[name].map { "\($0)" } ?? "gone")")
    }
    return found.sorted()
  }
}
