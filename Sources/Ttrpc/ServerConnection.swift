import Protobuf

/// How a method is called. The method's own shape routes a call; the flags of its Request are a hint.
package enum CallShape: Hashable, Sendable {
  case unary
  case serverStreaming
  case bidirectional
}

/// What a server's method table answers: which method, and its shape.
package struct ResolvedMethod: Hashable, Sendable {
  package var index: Int
  package var shape: CallShape
  package init(index: Int, shape: CallShape) {
    self.index = index
    self.shape = shape
  }
}

/// What a Request asks for, as it came: looked up in the method table without a copy.
package struct MethodName: CustomStringConvertible {
  package var service: UnsafeRawBufferPointer
  package var method: UnsafeRawBufferPointer

  package init(service: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer) {
    self.service = service
    self.method = method
  }

  package var description: String {
    "\(String(decoding: service, as: UTF8.self))/\(String(decoding: method, as: UTF8.self))"
  }
}

/// The server's side of one ttrpc connection: which streams there are and what may happen on them. Bytes in, events
/// out one by one; what the peer did wrong is answered here.
package struct ServerConnection: ~Copyable {
  package enum Event {
    /// The input is used up.
    case needMore
    /// A call has begun. For a bidirectional one the payload is its first message, nil when there is none yet.
    /// Payloads live until the next event is asked for.
    case call(stream: UInt32, method: Int, payload: UnsafeRawBufferPointer?, deadline: Int64?)
    /// One more message of a bidirectional call.
    case message(stream: UInt32, payload: UnsafeRawBufferPointer)
    /// The peer sends nothing more on this call.
    case remoteClosed(stream: UInt32)
    /// The bytes make no sense any more: close the connection.
    case protocolError
    /// The peer reads nothing: close the connection.
    case outputFull
  }

  private struct Stream {
    var id: UInt32
    var shape: CallShape
    var isRemoteClosed: Bool
  }

  private let maxStreams: Int
  private var parser: FrameParser
  private var streams: [Stream] = []
  private var latestIndex = 0
  private var greatestStream: UInt32 = 0
  /// A half that a frame with both a payload and an end leaves for the next event.
  private var closedNext: UInt32?

  package init(maxStreams: Int, maxBodyBytes: Int = FrameHeader.maxBodyBytes) {
    self.maxStreams = maxStreams
    parser = FrameParser(maxBodyBytes: maxBodyBytes)
  }

  package var openStreams: [UInt32] { streams.map(\.id) }
  package var hasStreams: Bool { !streams.isEmpty }
  /// Whether a frame has begun and not ended, and how many have begun: together they tell a slow frame.
  package var isInsideFrame: Bool { parser.isInsideFrame }
  package var framesBegun: UInt64 { parser.framesBegun }

  /// Takes the next event off the front of `input`. `resolve` is the method table.
  package mutating func next(
    _ input: inout UnsafeRawBufferPointer, now: Int64, arena: Arena, output: inout OutboundQueue,
    resolve: (MethodName) -> ResolvedMethod?
  ) -> Event {
    if let stream = closedNext {
      closedNext = nil
      return .remoteClosed(stream: stream)
    }
    while true {
      switch parser.next(&input) {
      case .needMore: return .needMore
      case .protocolError: return .protocolError
      case .oversize(let header):
        guard header.type == .request || header.type == .data else { continue }
        remove(header.stream)
        let status = Status(
          .resourceExhausted,
          "a frame body of \(header.bodyBytes) bytes is over the limit of \(FrameHeader.maxBodyBytes)")
        if header.type == .request { greatestStream = max(greatestStream, header.stream) }
        guard fail(header.stream, status, now: now, arena: arena, output: &output) else { return .outputFull }
        // The call that the body belonged to is over.
        return .remoteClosed(stream: header.stream)
      case .frame(let header, let body):
        let event: Event?
        switch header.type {
        case .request: event = request(header, body, now: now, arena: arena, output: &output, resolve)
        case .data: event = data(header, body, now: now, arena: arena, output: &output)
        default: event = nil
        }
        if let event { return event }
      }
    }
  }

  // MARK: - Input

  private mutating func request(
    _ header: FrameHeader, _ body: UnsafeRawBufferPointer, now: Int64, arena: Arena,
    output: inout OutboundQueue, _ resolve: (MethodName) -> ResolvedMethod?
  ) -> Event? {
    func refuse(_ code: StatusCode, _ text: String) -> Event? {
      fail(header.stream, Status(code, text), now: now, arena: arena, output: &output) ? nil : .outputFull
    }
    guard header.stream % 2 == 1 else {
      return refuse(.invalidArgument, "stream id \(header.stream) is even; a client's are odd")
    }
    guard header.stream > greatestStream else {
      return refuse(
        .invalidArgument, "stream id \(header.stream) is not greater than the last one, \(greatestStream)")
    }
    greatestStream = header.stream
    let decoded: Envelope.Request
    do throws(DecodeError) {
      decoded = try Envelope.decodeRequest(body, in: arena)
    } catch {
      return refuse(
        error.problem == .tooLarge ? .resourceExhausted : .invalidArgument, "the ttrpc.Request: \(error)")
    }
    guard let method = resolve(decoded.name) else {
      return refuse(.unimplemented, "no method \(decoded.name); ListServices names them all")
    }
    guard streams.count < maxStreams else {
      return refuse(.resourceExhausted, "\(maxStreams) calls are open on this connection, which is its limit")
    }
    guard decoded.timeoutNanoseconds >= 0 else {
      return refuse(.deadlineExceeded, "the call's timeout had passed when it came")
    }
    let isClosed = header.flags.contains(.remoteClosed) || method.shape != .bidirectional
    streams.append(Stream(id: header.stream, shape: method.shape, isRemoteClosed: isClosed))
    let isFirstMessage = method.shape != .bidirectional || !decoded.payload.isEmpty
    if isClosed, method.shape == .bidirectional { closedNext = header.stream }
    return .call(
      stream: header.stream, method: method.index, payload: isFirstMessage ? decoded.payload : nil,
      deadline: deadline(decoded.timeoutNanoseconds, now))
  }

  private func deadline(_ timeoutNanoseconds: Int64, _ now: Int64) -> Int64? {
    guard timeoutNanoseconds > 0 else { return nil }
    let (deadline, overflow) = now.addingReportingOverflow(timeoutNanoseconds)
    return overflow ? .max : deadline
  }

  private mutating func data(
    _ header: FrameHeader, _ body: UnsafeRawBufferPointer, now: Int64, arena: Arena,
    output: inout OutboundQueue
  ) -> Event? {
    guard let index = index(of: header.stream), streams[index].shape == .bidirectional,
      !streams[index].isRemoteClosed
    else {
      let why = "stream \(header.stream) takes no data: it is unknown, has ended or is unary"
      return fail(header.stream, Status(.invalidArgument, why), now: now, arena: arena, output: &output)
        ? nil : .outputFull
    }
    let isClosed = header.flags.contains(.remoteClosed)
    if isClosed { streams[index].isRemoteClosed = true }
    let isMessage = !header.flags.contains(.noData)
    if isMessage {
      if isClosed { closedNext = header.stream }
      return .message(stream: header.stream, payload: body)
    }
    return isClosed ? .remoteClosed(stream: header.stream) : nil
  }

  // MARK: - Output

  /// Answers a unary call with its reply; the call is over.
  package mutating func reply(
    _ stream: UInt32, _ payload: UnsafeRawBufferPointer, now: Int64, arena: Arena, output: inout OutboundQueue
  ) -> Bool {
    guard remove(stream) else { return true }
    let response = Envelope.makeResponse(Status(.ok, ""), payload: payload, in: arena)
    let size = Codec.encodedSize(response)
    guard size <= FrameHeader.maxBodyBytes else {
      return fail(
        stream,
        Status(.resourceExhausted, "the answer of \(size) bytes is over the limit; ask for a smaller page"),
        now: now, arena: arena, output: &output)
    }
    let header = FrameHeader(bodyBytes: size, stream: stream, type: .response)
    switch output.append(header, now: now, { _ = Codec.encode(response, into: $0) }) {
    case .queued: return true
    case .connectionFull: return false
    case .streamFull:
      return fail(
        stream, Status(.resourceExhausted, "the answer is over the queue's limit; ask for a smaller page"),
        now: now, arena: arena, output: &output)
    }
  }

  /// Queues one message of a streaming call; `fill` writes its `count` bytes.
  package func send(
    _ stream: UInt32, count: Int, urgent: Bool = false, mark: UInt64 = 0, now: Int64,
    output: inout OutboundQueue, _ fill: (UnsafeMutableRawBufferPointer) -> Void
  ) -> OutboundQueue.Admission {
    output.append(
      FrameHeader(bodyBytes: count, stream: stream, type: .data), urgent: urgent, mark: mark, now: now, fill)
  }

  /// Ends a streaming call well.
  package mutating func finish(_ stream: UInt32, now: Int64, output: inout OutboundQueue) -> Bool {
    guard remove(stream) else { return true }
    let header = FrameHeader(bodyBytes: 0, stream: stream, type: .data, flags: [.remoteClosed, .noData])
    return output.append(header, urgent: true, now: now) != .connectionFull
  }

  /// Ends a call with an error. False when not even that fits: close the connection.
  package mutating func fail(
    _ stream: UInt32, _ status: Status, now: Int64, arena: Arena, output: inout OutboundQueue
  ) -> Bool {
    remove(stream)
    let response = Envelope.makeResponse(
      status, payload: UnsafeRawBufferPointer(start: nil, count: 0), in: arena)
    let size = Codec.encodedSize(response)
    let header = FrameHeader(bodyBytes: size, stream: stream, type: .response)
    return output.append(header, urgent: true, now: now) { _ = Codec.encode(response, into: $0) } == .queued
  }

  /// Forgets a call without a word to the peer, which has given it up itself.
  @discardableResult
  package mutating func remove(_ stream: UInt32) -> Bool {
    guard let index = index(of: stream) else { return false }
    streams.remove(at: index)
    latestIndex = 0
    if closedNext == stream { closedNext = nil }
    return true
  }

  /// Most frames belong to the stream that the last one belonged to.
  private mutating func index(of stream: UInt32) -> Int? {
    if latestIndex < streams.count, streams[latestIndex].id == stream { return latestIndex }
    guard let index = streams.firstIndex(where: { $0.id == stream }) else { return nil }
    latestIndex = index
    return index
  }
}
