import Protobuf
import Testing

@testable import Ttrpc

/// Frames by hand: an oracle that shares nothing with the code under test.
private func frame(_ stream: UInt32, _ type: UInt8, _ flags: UInt8, _ body: [UInt8] = [], length: Int? = nil)
  -> [UInt8]
{
  let count = UInt32(length ?? body.count)
  return [
    UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255),
    UInt8(stream >> 24),
    UInt8(stream >> 16 & 255), UInt8(stream >> 8 & 255), UInt8(stream & 255), type, flags,
  ] + body
}

private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
  [number << 3 | 2, UInt8(bytes.count)] + bytes
}

private func request(_ method: String, payload: [UInt8] = [], service: String = "s", more: [UInt8] = [])
  -> [UInt8]
{
  field(1, Array(service.utf8)) + field(2, Array(method.utf8)) + (payload.isEmpty ? [] : field(3, payload))
    + more
}

/// -1 as a protobuf int64 in field 4.
private let negativeTimeout: [UInt8] = [0x20] + Array(repeating: 0xFF, count: 9) + [0x01]

/// A server of three methods that notes what happens: `u` answers at once, `b` and `s` stay open.
private struct Harness: ~Copyable {
  var server = ServerConnection(maxStreams: 3)
  var output = OutboundQueue()
  var happened: [String] = []
  let arena = Arena()

  mutating func feed(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { all in
      var input = all
      while true {
        let event = server.next(&input, now: 0, arena: arena, output: &output) { name in
          switch String(decoding: name.method, as: UTF8.self) {
          case "u": ResolvedMethod(index: 0, shape: .unary)
          case "b": ResolvedMethod(index: 1, shape: .bidirectional)
          case "s": ResolvedMethod(index: 2, shape: .serverStreaming)
          default: nil
          }
        }
        switch event {
        case .needMore: return
        case .protocolError:
          happened.append("close")
          return
        case .outputFull:
          happened.append("full")
          return
        case .call(let stream, let method, let payload, let deadline):
          happened.append("call \(stream) \(method) \(payload.map(Array.init) ?? []) \(deadline ?? 0)")
          if method == 0 {
            let reply: [UInt8] = [9]
            _ = reply.withUnsafeBytes { server.reply(stream, $0, now: 0, arena: arena, output: &output) }
          }
        case .message(let stream, let payload): happened.append("message \(stream) \(Array(payload))")
        case .remoteClosed(let stream): happened.append("closed \(stream)")
        }
      }
    }
  }

  /// Each frame that was answered: its stream, type, flags and, in an error, the code.
  var answers: [String] {
    let bytes = output.withUnwritten { Array($0) }
    var found: [String] = []
    var at = 0
    while at < bytes.count {
      let length = Int(bytes[at + 1]) << 16 | Int(bytes[at + 2]) << 8 | Int(bytes[at + 3])
      let body = bytes[(at + 10)..<(at + 10 + length)]
      // A Response with a status begins with its field 1, whose first field is the code.
      let code = body.count > 3 && body.first == 0x0A ? "code \(body[body.startIndex + 3])" : "ok"
      found.append("\(bytes[at + 7]) type \(bytes[at + 8]) \(code)")
      at += 10 + length
    }
    return found
  }
}

private struct Case: Sendable, CustomTestStringConvertible {
  var what: String
  var bytes: [UInt8]
  var happened: [String] = []
  var answers: [String] = []
  var testDescription: String { what }
}

private let alive = frame(99, 1, 0, request("u"))
private let aliveHappened = "call 99 0 [] 0"
private let aliveAnswer = "99 type 2 ok"

private let cases: [Case] = [
  Case(
    what: "a unary call", bytes: frame(1, 1, 0, request("u", payload: [7])), happened: ["call 1 0 [7] 0"],
    answers: ["1 type 2 ok"]),
  Case(what: "an even stream id", bytes: frame(2, 1, 0, request("u")), answers: ["2 type 2 code 3"]),
  Case(what: "stream id zero", bytes: frame(0, 1, 0, request("u")), answers: ["0 type 2 code 3"]),
  Case(
    what: "a stream id used again", bytes: frame(1, 1, 0, request("u")) + frame(1, 1, 0, request("u")),
    happened: ["call 1 0 [] 0"], answers: ["1 type 2 ok", "1 type 2 code 3"]),
  Case(
    what: "a lower stream id", bytes: frame(5, 1, 0, request("u")) + frame(3, 1, 0, request("u")),
    happened: ["call 5 0 [] 0"], answers: ["5 type 2 ok", "3 type 2 code 3"]),
  Case(what: "a Request that does not parse", bytes: frame(1, 1, 0, [0xFF]), answers: ["1 type 2 code 3"]),
  Case(
    what: "a method that is not UTF-8", bytes: frame(1, 1, 0, field(1, [115]) + field(2, [0xC3])),
    answers: ["1 type 2 code 3"]),
  Case(what: "an unknown method", bytes: frame(1, 1, 0, request("x")), answers: ["1 type 2 code 12"]),
  Case(
    what: "a timeout that is over", bytes: frame(1, 1, 0, request("u", more: negativeTimeout)),
    answers: ["1 type 2 code 4"]),
  Case(what: "an unknown frame type", bytes: frame(1, 77, 0, [1, 2])),
  Case(what: "a Response from a client", bytes: frame(1, 2, 0, [])),
  Case(what: "data on an unknown stream", bytes: frame(1, 3, 0, [1]), answers: ["1 type 2 code 3"]),
  Case(
    what: "data on a unary stream that has ended", bytes: frame(1, 1, 0, request("u")) + frame(1, 3, 0, [1]),
    happened: ["call 1 0 [] 0"], answers: ["1 type 2 ok", "1 type 2 code 3"]),
  Case(
    what: "a conversation whose Request has a payload",
    bytes: frame(1, 1, 2, request("b", payload: [7])) + frame(1, 3, 0, [8]) + frame(1, 3, 5),
    happened: ["call 1 1 [7] 0", "message 1 [8]", "closed 1"]),
  Case(
    what: "the Rust client's open with no data", bytes: frame(1, 1, 6, request("b")) + frame(1, 3, 0, []),
    happened: ["call 1 1 [] 0", "message 1 []"]),
  Case(
    what: "a last message and the end in one frame",
    bytes: frame(1, 1, 2, request("b")) + frame(1, 3, 1, [8]),
    happened: ["call 1 1 [] 0", "message 1 [8]", "closed 1"]),
  Case(
    what: "one call too many",
    bytes: [1, 3, 5, 7].flatMap { frame($0, 1, 2, request("b")) },
    happened: [1, 3, 5].map { "call \($0) 1 [] 0" }, answers: ["7 type 2 code 8"]),
]

@Test(arguments: cases)
private func wrongInput(row: Case) {
  // The connection lives on after each of them, however the bytes are cut.
  let bytes = row.bytes + (row.happened.count < 3 ? alive : [])
  let happened = row.happened + (row.happened.count < 3 ? [aliveHappened] : [])
  let answers = row.answers + (row.happened.count < 3 ? [aliveAnswer] : [])
  for cut in [[bytes], bytes.map { [$0] }]
    + (1..<bytes.count).map({ [Array(bytes[..<$0]), Array(bytes[$0...])] })
  {
    var harness = Harness()
    for piece in cut { harness.feed(piece) }
    #expect(harness.happened == happened)
    #expect(harness.answers == answers)
  }
}

@Test func aBodyOverFourMebibytesIsDiscardedAndTheConnectionLives() {
  var harness = Harness()
  let size = FrameHeader.maxBodyBytes + 1
  harness.feed(frame(1, 1, 0, length: size))
  for _ in 0..<(size / 65_536) { harness.feed(Array(repeating: 1, count: 65_536)) }
  harness.feed(Array(repeating: 1, count: size % 65_536))
  harness.feed(alive)
  #expect(harness.answers == ["1 type 2 code 8", aliveAnswer])
}

@Test func aLaterFrameThatDoesNotBeginWithZeroEndsTheConnection() {
  var harness = Harness()
  harness.feed(alive)
  harness.feed([0x47])
  #expect(harness.happened == [aliveHappened, "close"])
}

@Test func whatIsCutOffByTheEndIsDropped() {
  var harness = Harness()
  harness.feed(alive + frame(101, 1, 0, request("u")).dropLast())
  #expect(harness.happened == [aliveHappened])
  let isInside = harness.server.isInsideFrame
  #expect(isInside)
}

@Test func aMarkComesBackWhenItsLastByteIsTakenAndNotBefore() {
  var output = OutboundQueue()
  let body = FrameHeader(bodyBytes: 4, stream: 1, type: .data)
  let admissions = [output.append(body, now: 0), output.append(body, mark: 7, now: 0)]
  #expect(admissions == [.queued, .queued])
  var marks: [UInt64] = []
  for _ in 0..<27 { output.wrote(1, now: 0) { marks.append($0) } }
  #expect(marks == [])
  output.wrote(1, now: 0) { marks.append($0) }
  #expect(marks == [7])
  let isBack = output.isEmpty && output.byteCount(stream: 1) == 0 && output.waitingSince == nil
  #expect(isBack)
}

@Test func aSlowStreamIsBoundedAloneAndUrgentFramesStillFit() {
  var limits = OutboundQueue.Limits()
  limits.streamBytes = 30
  limits.connectionBytes = 50
  limits.reservedBytes = 20
  var output = OutboundQueue(limits: limits)
  let ten = FrameHeader(bodyBytes: 10, stream: 1, type: .data)
  let admissions = [
    output.append(ten, now: 0), output.append(ten, now: 0),
    output.append(FrameHeader(bodyBytes: 10, stream: 3, type: .data), now: 0),
    output.append(FrameHeader(bodyBytes: 10, stream: 5, type: .data), now: 0),
    output.append(ten, urgent: true, now: 0), output.append(ten, urgent: true, now: 0),
  ]
  #expect(admissions == [.queued, .streamFull, .queued, .connectionFull, .queued, .connectionFull])
}
