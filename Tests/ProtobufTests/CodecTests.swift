import CBatonProto
import CProtobufC
import HandWire
import Testing

@testable import Protobuf

/// How much a decode may take, and that every honest message fits in it.
@Suite struct CodecTests {
  // MARK: - Bombs

  struct Bomb: CustomTestStringConvertible {
    var testDescription: String
    var message: AnyMessage
    var unit: [UInt8]
    /// What must answer: nil where the bytes are decoded, within the limit like everything.
    var problem: DecodeError.Problem?
  }

  /// 4 MiB of each: the largest frame.
  @Test(arguments: [
    Bomb(
      testDescription: "empty submessages", message: AnyMessage(Baton__V1__ListRunnersResponse.self),
      unit: [0x0A, 0x00],
      problem: .tooManyElements),
    Bomb(
      testDescription: "submessages of one byte", message: AnyMessage(Baton__V1__ListRunnersResponse.self),
      unit: [0x0A, 0x02, 0x08, 0x01], problem: .tooManyElements),
    Bomb(
      testDescription: "as many submessages as elements are allowed",
      message: AnyMessage(Baton__V1__ListRunnersResponse.self),
      unit: [0x0A, 0x10] + Wire.bytes(99, Array(repeating: 0, count: 13)), problem: .tooManyElements),
    Bomb(
      testDescription: "large structs for few bytes", message: AnyMessage(Baton__V1__ListPoolsResponse.self),
      unit: Wire.bytes(1, Wire.bytes(3, Wire.bytes(1, []))), problem: .tooManyElements),
    Bomb(
      testDescription: "empty map entries", message: AnyMessage(Baton__V1__Register.self),
      unit: [0x42, 0x00],
      problem: .tooManyElements),
    Bomb(
      testDescription: "a text over and over", message: AnyMessage(Baton__V1__Register.self),
      unit: [0x12, 0x01, 0x61],
      problem: .tooManyElements),
    Bomb(
      testDescription: "a submessage over and over", message: AnyMessage(Baton__V1__AttachRequest.self),
      unit: [0x0A, 0x00], problem: .tooManyElements),
    Bomb(
      testDescription: "unknown fields", message: AnyMessage(Baton__V1__Heartbeat.self),
      unit: Wire.number(99, 1),
      problem: .tooManyElements),
    Bomb(
      testDescription: "repeated numbers, one by one", message: AnyMessage(Baton__V1__DrainResponse.self),
      unit: [0x08, 0x01], problem: .tooLarge),
    Bomb(
      testDescription: "a number over and over", message: AnyMessage(Baton__V1__Heartbeat.self),
      unit: [0x08, 0x01],
      problem: .tooLarge),
  ])
  func bombsStayUnderTheCap(_ bomb: Bomb) {
    let arena = Arena()
    let bytes = Wire.repeated(bomb.unit, (4 << 20) / bomb.unit.count)
    switch recode(bytes, as: bomb.message.descriptor, in: arena) {
    case .success: #expect(bomb.problem == nil)
    case .failure(let error): #expect(error.problem == bomb.problem)
    }
    #expect(arena.takenBytes <= 50 << 20)
  }

  /// The elements are counted over all levels together; the last one that is allowed is taken.
  @Test func elementsAreCountedExactly() {
    let unit: [UInt8] = Wire.bytes(99, [])
    let most = Wire.repeated(unit, WireCheck.maxElements)
    // Unknown fields take 32 bytes each and more while they are scanned, so the memory ends first.
    #expect(fault(most, as: Baton__V1__PingRequest.descriptor) != "the message has too many elements")
    #expect(fault(most + unit, as: Baton__V1__PingRequest.descriptor) == "the message has too many elements")
    let inside = Wire.bytes(1, Wire.repeated(unit, WireCheck.maxElements))
    #expect(
      fault(inside, as: Baton__V1__AttachRequest.descriptor) == "register has too many elements")
  }

  @Test func fourMebibytesOfPayloadAreTaken() throws {
    let bytes = Wire.bytes(1, Array(repeating: 0xA5, count: (4 << 20) - 8))
    #expect(try recode(bytes, as: Baton__V1__PingRequest.descriptor).get() == bytes)
  }

  @Test func tenThousandOrderIDsAreTaken() throws {
    let bytes = Wire.bytes(1, Array(repeating: 1, count: 10_000))
    #expect(try recode(bytes, as: Baton__V1__DrainResponse.descriptor).get() == bytes)
  }

  // MARK: - Dense, but honest

  /// 64 pairs of one letter and nothing: five bytes each, for which protobuf-c wants a hundred and more. A runner that
  /// said this of itself was refused with RESOURCE_EXHAUSTED, though every bound was kept.
  static let densePairs = (0..<64).flatMap { Wire.bytes(8, Wire.bytes(1, [0x21 + UInt8($0)])) }

  @Test func densestRegistrationIsTaken() throws {
    let register = Wire.text(2, "w") + Wire.number(4, 1) + Wire.number(5, 1) + Wire.bytes(6, [1])
    let bytes = Wire.bytes(1, register + Self.densePairs)
    #expect(try recode(bytes, as: Baton__V1__AttachRequest.descriptor).get() == bytes)
  }

  /// A page of 1000 runners, each with all the pairs that it may have: the daemon answered it, and no client could
  /// read it.
  @Test(arguments: [0, 1024]) func fullestPageOfRunnersIsTaken(_ valueBytes: Int) throws {
    let peer = Wire.bytes(12, Wire.number(3, 1) + Wire.text(4, "w"))
    let value = valueBytes == 0 ? [] : Wire.bytes(2, Array(repeating: 0x61, count: valueBytes))
    let pairs = (0..<64).flatMap { Wire.bytes(13, Wire.bytes(1, [0x21 + UInt8($0)]) + value) }
    let runner =
      Wire.number(1, 1) + Wire.text(2, "d") + Wire.text(3, "w") + Wire.text(4, "1") + Wire.number(5, 1)
      + Wire.number(6, 1) + Wire.number(8, 1) + Wire.number(9, 1) + peer + pairs
    let bytes = Wire.repeated(Wire.bytes(1, runner), valueBytes == 0 ? 1000 : 60)
    #expect(bytes.count < 4 << 20)
    #expect(try recode(bytes, as: Baton__V1__ListRunnersResponse.descriptor).get() == bytes)
  }

  // MARK: - What is kept

  @Test func unknownFieldsAreKeptOnEveryLevel() throws {
    let unknown = WireCheckTests.unknown
    let bytes = Wire.bytes(1, Wire.bytes(4, Wire.number(1, 1) + unknown) + unknown) + unknown
    #expect(try recode(bytes, as: Baton__V1__GetPoolResponse.descriptor).get() == bytes)
    let config = Wire.bytes(1, Wire.number(1, 1) + unknown) + Wire.pair(3, "a", "b") + unknown
    #expect(try recode(config, as: Baton__V1__RunnerConfig.descriptor).get() == config)
  }

  struct Duplicate: CustomTestStringConvertible {
    var testDescription: String
    var message: AnyMessage
    var bytes: [UInt8]
    var kept: [UInt8]
  }

  /// Of a field given twice the last counts, and repeated ones follow one another.
  @Test(arguments: [
    Duplicate(
      testDescription: "a number", message: AnyMessage(Baton__V1__Register.self),
      bytes: Wire.number(4, 1) + Wire.number(4, 2), kept: Wire.number(4, 2)),
    Duplicate(
      testDescription: "a text", message: AnyMessage(Baton__V1__Register.self),
      bytes: Wire.text(2, "long ago") + Wire.text(2, "now"), kept: Wire.text(2, "now")),
    Duplicate(
      testDescription: "bytes", message: AnyMessage(Baton__V1__Register.self),
      bytes: Wire.bytes(6, [1, 2]) + Wire.bytes(6, [3]), kept: Wire.bytes(6, [3])),
    Duplicate(
      testDescription: "packed numbers and single ones", message: AnyMessage(Baton__V1__DrainResponse.self),
      bytes: Wire.bytes(1, [1, 2]) + Wire.number(1, 3) + Wire.bytes(1, [4]),
      kept: Wire.bytes(1, [1, 2, 3, 4])),
    // Elsewhere the number would be 7: protobuf-c joins texts and submessages only. Nobody's encoder splits one.
    Duplicate(
      testDescription: "a submessage", message: AnyMessage(Baton__V1__Runner.self),
      bytes: Wire.bytes(12, Wire.number(1, 7) + Wire.text(4, "a")) + Wire.bytes(12, Wire.number(2, 8)),
      kept: Wire.bytes(12, Wire.number(2, 8) + Wire.text(4, "a"))),
    Duplicate(
      testDescription: "members of a oneof", message: AnyMessage(Baton__V1__DrainRequest.self),
      bytes: Wire.bytes(2, Wire.text(2, "web")) + Wire.number(1, 7) + Wire.bytes(3, Wire.text(2, "api")),
      kept: Wire.bytes(3, Wire.text(2, "api"))),
    Duplicate(
      testDescription: "a map's key is left for the bounds to refuse",
      message: AnyMessage(Baton__V1__Register.self),
      bytes: Wire.pair(8, "a", "1") + Wire.pair(8, "a", "2"),
      kept: Wire.pair(8, "a", "1") + Wire.pair(8, "a", "2")),
  ])
  func fieldGivenTwice(_ duplicate: Duplicate) throws {
    #expect(try recode(duplicate.bytes, as: duplicate.message.descriptor).get() == duplicate.kept)
  }

  @Test func numberOfAnEnumThatNobodyKnowsIsKept() throws {
    for value in [77, UInt64(bitPattern: -1)] {
      let bytes = Wire.number(8, value)
      #expect(try recode(bytes, as: Baton__V1__Runner.descriptor).get() == bytes)
    }
  }

  // MARK: - Arena

  @Test func limitIsExactAndOfOneMessage() {
    let arena = Arena()
    arena.reset(limitBytes: 64)
    #expect(arena.take(33) != nil)
    #expect(arena.takenBytes == 48)
    #expect(arena.take(17) == nil)
    #expect(arena.isExhausted)
    #expect(arena.take(16) != nil)
    #expect(arena.take(0) != nil)
    #expect(arena.take(1) == nil)
    arena.reset(limitBytes: 64)
    #expect(!arena.isExhausted)
    #expect(arena.take(64) != nil)
  }

  @Test(arguments: [-1, Int.min, Int.max, Int.max - 15])
  func sizeThatNoMachineHasIsRefused(_ size: Int) {
    let arena = Arena()
    arena.reset(limitBytes: 1 << 40)
    #expect(arena.take(size) == nil)
    #expect(arena.isExhausted)
  }

  /// Memory from one chunk or several never overlaps, and all of it may be written.
  @Test func everythingTakenIsApart() {
    let arena = Arena()
    for round in 0..<3 {
      arena.reset()
      var taken: [(memory: UnsafeMutableRawPointer, size: Int, mark: UInt8)] = []
      for (index, size) in [1, 16, 65_536, 17, 40_000, 3_000_000, 5, 65_520, 16].enumerated() {
        guard let memory = arena.take(size) else {
          Issue.record("\(size) bytes failed in round \(round)")
          return
        }
        #expect(Int(bitPattern: memory) % 16 == 0)
        memory.initializeMemory(as: UInt8.self, repeating: UInt8(index), count: size)
        taken.append((memory, size, UInt8(index)))
      }
      for (memory, size, mark) in taken {
        #expect(UnsafeRawBufferPointer(start: memory, count: size).allSatisfy { $0 == mark })
      }
    }
  }

  /// A failed decode leaves nothing behind that the next one could trip over.
  @Test func failedDecodeIsForgotten() throws {
    let arena = Arena()
    let bomb = Wire.repeated([0x08, 0x01], 2 << 20)
    let good = Wire.number(1, 1) + Wire.number(2, 300)
    for _ in 0..<3 {
      #expect(fault(bomb, as: Baton__V1__Heartbeat.descriptor, in: arena) != nil)
      #expect(try recode(good, as: Baton__V1__Heartbeat.descriptor, in: arena).get() == good)
    }
  }

  @Test func stringsAndBytesAreCopiedWhole() {
    let arena = Arena()
    for text in ["", "a", String(repeating: "é", count: 50_000)] {
      #expect(Read.string(arena.string(text)) == text)
      #expect(Read.bytes(arena.bytes(Array(text.utf8))) == Array(text.utf8))
    }
    #expect(Read.string(nil) == "")
    #expect(arena.array([UInt64]()) == nil)
    #expect(Read.numbers(3, arena.array([1, 2, 3] as [UInt64])) == [1, 2, 3])
  }

  @Test func encodesIntoABufferOfItsSize() {
    let arena = Arena()
    let message = arena.make(Baton__V1__Heartbeat.self)
    message.pointee.sequence = 300
    let size = Codec.encodedSize(message)
    #expect(size == 3)
    withUnsafeTemporaryAllocation(byteCount: size, alignment: 1) { buffer in
      #expect(Codec.encode(message, into: buffer) == size)
      #expect(Array(buffer) == Wire.number(1, 300))
    }
  }
}
