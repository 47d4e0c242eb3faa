import Protobuf
import Seeded
import Testing

@testable import Ttrpc

/// The client's and the server's machine speak to each other through pieces of any size: whatever the one says arrives
/// whole, once and in order at the other.
private struct Twins: ~Copyable {
  var client = ClientConnection()
  var server = ServerConnection(maxStreams: 8)
  var fromClient = OutboundQueue()
  var fromServer = OutboundQueue()
  let arena = Arena()
  var random: SeededRandom
  /// What ended each call, by stream.
  var ended: [UInt32: String] = [:]
  /// What each streaming call heard.
  var heard: [UInt32: [[UInt8]]] = [:]
  private var toServer: [UInt8] = []
  private var toClient: [UInt8] = []

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// One piece in each direction.
  mutating func exchange() {
    Self.take(&fromClient, into: &toServer, Int(random.next() % 40) + 1)
    Self.take(&fromServer, into: &toClient, Int(random.next() % 40) + 1)
    let (request, response) = (toServer, toClient)
    (toServer, toClient) = ([], [])
    request.withUnsafeBytes { serve($0) }
    response.withUnsafeBytes { listen($0) }
  }

  private static func take(_ queue: inout OutboundQueue, into bytes: inout [UInt8], _ count: Int) {
    guard !queue.isEmpty else { return }
    let piece = queue.withUnwritten { Array($0.prefix(count)) }
    bytes += piece
    queue.wrote(piece.count, now: 0) { _ in }
  }

  /// "unary" echoes, "stream" answers with as many messages as its payload has bytes, "both" echoes each message.
  private mutating func serve(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    while true {
      let event = server.next(&input, now: 0, arena: arena, output: &fromServer) { name in
        switch String(decoding: name.method, as: UTF8.self) {
        case "unary": ResolvedMethod(index: 0, shape: .unary)
        case "stream": ResolvedMethod(index: 1, shape: .serverStreaming)
        case "both": ResolvedMethod(index: 2, shape: .bidirectional)
        default: nil
        }
      }
      switch event {
      case .needMore: return
      case .protocolError, .outputFull: preconditionFailure("the twin is not hostile: \(event)")
      case .call(let stream, 0, let payload, _):
        let echo = payload.map(Array.init) ?? []
        echo.withUnsafeBytes {
          _ = server.reply(stream, $0, now: 0, arena: arena, output: &fromServer)
        }
      case .call(let stream, 1, let payload, _):
        for byte in payload.map(Array.init) ?? [] { say([byte], on: stream) }
        _ = server.finish(stream, now: 0, output: &fromServer)
      case .call(let stream, _, let payload, _):
        if let payload, !payload.isEmpty { say(Array(payload), on: stream) }
      case .message(let stream, let payload): say(Array(payload), on: stream)
      case .remoteClosed(let stream): _ = server.finish(stream, now: 0, output: &fromServer)
      }
    }
  }

  private mutating func say(_ bytes: [UInt8], on stream: UInt32) {
    _ = server.send(stream, count: bytes.count, now: 0, output: &fromServer) { $0.copyBytes(from: bytes) }
  }

  private mutating func listen(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    while true {
      switch client.next(&input, arena: arena) {
      case .needMore: return
      case .protocolError: preconditionFailure("the twin is not hostile")
      case .response(let stream, let status, let payload): ended[stream] = "\(status.code) \(Array(payload))"
      case .message(let stream, let payload): heard[stream, default: []].append(Array(payload))
      case .finished(let stream): ended[stream] = "finished"
      }
    }
  }

  mutating func open(_ method: String, _ shape: CallShape, _ payload: [UInt8]) -> UInt32? {
    payload.withUnsafeBytes {
      client.open(
        service: "s", method: method, shape: shape, payload: $0, now: 0, arena: arena, output: &fromClient)
    }
  }
}

@Test(arguments: UInt64(1)...50)
func twinsUnderstandEachOther(_ seed: UInt64) throws {
  var twins = Twins(seed: seed)
  var expectedEnd: [UInt32: String] = [:]
  var expectedWords: [UInt32: [[UInt8]]] = [:]
  var conversations: [UInt32] = []
  for _ in 0..<200 {
    let payload = (0..<Int.random(in: 1...30, using: &twins.random)).map { _ in
      UInt8.random(in: 0...255, using: &twins.random)
    }
    let busy = expectedEnd.keys.count { twins.ended[$0] == nil } + conversations.count
    switch Int.random(in: 0..<6, using: &twins.random) {
    case 0 where busy < 8:
      let opened = twins.open("unary", .unary, payload)
      let stream = try #require(opened)
      expectedEnd[stream] = "\(StatusCode.ok) \(payload)"
    case 1 where busy < 8:
      let opened = twins.open("stream", .serverStreaming, payload)
      let stream = try #require(opened)
      expectedWords[stream] = payload.map { [$0] }
      expectedEnd[stream] = "finished"
    case 2 where busy < 8:
      let opened = twins.open("both", .bidirectional, [])
      let stream = try #require(opened)
      expectedWords[stream] = []
      conversations.append(stream)
    case 3:
      guard let stream = conversations.randomElement(using: &twins.random) else { continue }
      #expect(
        payload.withUnsafeBytes { twins.client.send(stream, $0, now: 0, output: &twins.fromClient) }
          == .queued)
      expectedWords[stream]?.append(payload)
    case 4:
      guard let stream = conversations.popLast() else { continue }
      let admission = twins.client.closeSend(stream, now: 0, output: &twins.fromClient)
      #expect(admission == .queued)
      expectedEnd[stream] = "finished"
    default: twins.exchange()
    }
  }
  for stream in conversations {
    _ = twins.client.closeSend(stream, now: 0, output: &twins.fromClient)
    expectedEnd[stream] = "finished"
  }
  var rounds = 0
  while twins.ended.count < expectedEnd.count, rounds < 100_000 {
    rounds += 1
    twins.exchange()
  }
  #expect(twins.ended == expectedEnd)
  for (stream, words) in expectedWords { #expect(twins.heard[stream] ?? [] == words) }
  #expect(twins.client.openStreams.isEmpty && !twins.server.hasStreams)
}
