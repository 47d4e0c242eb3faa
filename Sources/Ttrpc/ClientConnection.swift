import Protobuf

/// The client's side of one ttrpc connection: the mirror of `ServerConnection`.
package struct ClientConnection: ~Copyable {
  package enum Event {
    /// The input is used up.
    case needMore
    /// A call has ended: a unary one with its reply, any other with an error. The payload lives until the next
    /// event is asked for.
    case response(stream: UInt32, Status, payload: UnsafeRawBufferPointer)
    /// One message of a streaming call.
    case message(stream: UInt32, payload: UnsafeRawBufferPointer)
    /// A streaming call has ended well.
    case finished(stream: UInt32)
    /// The bytes make no sense any more: close the connection.
    case protocolError
  }

  private var parser = FrameParser()
  private var nextStream: UInt32 = 1
  private var streams: Set<UInt32> = []
  private var finishedNext: UInt32?

  package init() {}

  package var openStreams: Set<UInt32> { streams }

  /// Begins a call and returns its stream id; nil when this connection has used up its ids or its queue is full.
  /// A bidirectional call's payload, if not empty, is its first message.
  package mutating func open(
    service: String, method: String, shape: CallShape, payload: UnsafeRawBufferPointer,
    timeoutNanoseconds: Int64 = 0, now: Int64, arena: Arena, output: inout OutboundQueue
  ) -> UInt32? {
    guard nextStream <= .max - 2 else { return nil }
    let request = Envelope.makeRequest(
      service: service, method: method, payload: payload, timeoutNanoseconds: timeoutNanoseconds, in: arena)
    let size = Codec.encodedSize(request)
    guard size <= FrameHeader.maxBodyBytes else { return nil }
    let flags: FrameFlags =
      switch shape {
      case .unary: []
      case .serverStreaming: .remoteClosed
      case .bidirectional: .remoteOpen
      }
    let stream = nextStream
    let header = FrameHeader(bodyBytes: size, stream: stream, type: .request, flags: flags)
    guard output.append(header, now: now, { _ = Codec.encode(request, into: $0) }) == .queued else {
      return nil
    }
    nextStream += 2
    streams.insert(stream)
    return stream
  }

  /// One more message of a bidirectional call.
  package func send(
    _ stream: UInt32, _ payload: UnsafeRawBufferPointer, now: Int64, output: inout OutboundQueue
  ) -> OutboundQueue.Admission {
    let header = FrameHeader(bodyBytes: payload.count, stream: stream, type: .data)
    return output.append(header, now: now) { $0.copyMemory(from: payload) }
  }

  /// Nothing more will be sent on this call.
  package func closeSend(_ stream: UInt32, now: Int64, output: inout OutboundQueue) -> OutboundQueue.Admission
  {
    let header = FrameHeader(bodyBytes: 0, stream: stream, type: .data, flags: [.remoteClosed, .noData])
    return output.append(header, now: now)
  }

  /// Gives a call up: what still comes for it is dropped. (`ConnectionService.Cancel` tells the server.)
  package mutating func forget(_ stream: UInt32) { streams.remove(stream) }

  /// Takes the next event off the front of `input`.
  package mutating func next(_ input: inout UnsafeRawBufferPointer, arena: Arena) -> Event {
    if let stream = finishedNext {
      finishedNext = nil
      if streams.remove(stream) != nil { return .finished(stream: stream) }
    }
    while true {
      switch parser.next(&input) {
      case .needMore: return .needMore
      case .protocolError, .oversize: return .protocolError
      case .frame(let header, let body):
        guard streams.contains(header.stream) else { continue }
        switch header.type {
        case .response:
          streams.remove(header.stream)
          guard let (status, payload) = try? Envelope.decodeResponse(body, in: arena) else {
            return .protocolError
          }
          return .response(stream: header.stream, status, payload: payload)
        case .data:
          let isLast = header.flags.contains(.remoteClosed)
          if header.flags.contains(.noData) {
            guard isLast else { continue }
            streams.remove(header.stream)
            return .finished(stream: header.stream)
          }
          if isLast { finishedNext = header.stream }
          return .message(stream: header.stream, payload: body)
        default: continue
        }
      }
    }
  }
}
