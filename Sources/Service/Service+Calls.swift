import BatonAPI
import CProtobufC
import Handover
import Protobuf
import Ttrpc

/// Calls, whichever way they came: frames or lines.
extension Service {
  func receiveFrames(_ connection: Connection, _ bytes: UnsafeRawBufferPointer, _ now: Moment) {
    var input = bytes
    while !connection.isDropped {
      let event = connection.server.next(
        &input, now: now.nanoseconds, arena: envelopeArena, output: &connection.output,
        resolve: Self.resolve)
      switch event {
      case .needMore:
        noteSlowFrame(connection, now)
        if !connection.output.isEmpty { host.outputReady(connection.id) }
        return
      case .message(let stream, let payload):
        guard let call = connection.call(on: stream) as? AttachCall else { continue }
        runnerSaid(call, payload, now)
      case .call(let stream, let index, let payload, let deadline):
        guard let method = Method(rawValue: index) else { preconditionFailure("no method \(index)") }
        begin(method, connection, stream, payload, deadline, now)
      case .remoteClosed(let stream):
        if let call = connection.call(on: stream) as? AttachCall { endAttach(call, now) }
      case .protocolError:
        // What was asked before is answered still; what follows cannot be told apart from rubbish.
        host.log(LogRecord(.debug, "not ttrpc", Self.fields(connection)))
        return close(connection)
      case .outputFull: return dropUnread(connection, now)
      }
    }
  }

  private static func resolve(_ name: MethodName) -> ResolvedMethod? {
    guard let method = Method.find(name) else { return nil }
    return ResolvedMethod(index: method.rawValue, shape: method.shape)
  }

  private func noteSlowFrame(_ connection: Connection, _ now: Moment) {
    guard connection.server.isInsideFrame else {
      connection.slowFrame = nil
      return
    }
    guard connection.slowFrame?.number != connection.server.framesBegun else { return }
    connection.slowFrame = (connection.server.framesBegun, now.nanoseconds)
    timed.insert(connection.id)
  }

  /// A call has come; its payload is decoded before anything is answered.
  func begin(
    _ method: Method, _ connection: Connection, _ stream: UInt32, _ payload: UnsafeRawBufferPointer?,
    _ deadline: Int64?, _ now: Moment
  ) {
    connection.hasCalled = true
    let call: Call
    if method == .attach {
      // The first message of a conversation is due like the first call of a connection.
      let due = now.nanoseconds + settings.firstCallMilliseconds * 1_000_000
      call = AttachCall(
        connection: connection, stream: stream, startedAt: now.nanoseconds,
        deadline: min(due, deadline ?? .max), settings: settings)
    } else {
      call = Call(
        connection: connection, stream: stream, method: method, startedAt: now.nanoseconds,
        deadline: deadline)
    }
    connection.calls.append(call)
    if let deadline = call.deadline { callDeadlines.add(call, at: deadline) }
    guard !isShuttingDown else {
      return fail(call, Status(.unavailable, "the daemon is shutting down: try again soon"), now)
    }
    if let attach = call as? AttachCall {
      if let payload { runnerSaid(attach, payload, now) }
    } else {
      handle(call, payload ?? UnsafeRawBufferPointer(start: nil, count: 0), now)
    }
  }

  // MARK: - Answers

  /// Answers a unary call.
  func reply<Message: CMessage>(_ call: Call, _ message: UnsafeMutablePointer<Message>, _ now: Moment) {
    guard !call.isOver else { return }
    let connection = call.connection
    end(call)
    metrics.callsByStatus.add(.ok)
    switch connection.mode {
    case .rpc:
      // Beside the message itself, which is done with when this returns.
      let fits = connection.server.reply(
        call.stream, Codec.encode(message, in: replyArena), now: now.nanoseconds, arena: envelopeArena,
        output: &connection.output)
      written(connection, fits, now)
    case .console, .undecided:
      print(connection, JSONEncode.text(Codec.base(message)) + "\nOK\n", now)
      runConsole(connection, now)
    }
    closeIfDone(connection)
  }

  /// Sends one message of a streaming call. False when the call or its connection had to be ended for it.
  @discardableResult
  func push<Message: CMessage>(
    _ call: Call, _ message: UnsafeMutablePointer<Message>, urgent: Bool = false, mark: UInt64 = 0,
    _ now: Moment
  ) -> Bool {
    guard !call.isOver else { return false }
    let connection = call.connection
    guard connection.mode == .rpc else {
      print(connection, JSONEncode.text(Codec.base(message)) + "\n", now)
      return !connection.isDropped
    }
    let admission = connection.server.send(
      call.stream, count: Codec.encodedSize(message), urgent: urgent, mark: mark, now: now.nanoseconds,
      output: &connection.output
    ) { _ = Codec.encode(message, into: $0) }
    switch admission {
    case .queued:
      host.outputReady(connection.id)
      return true
    case .streamFull:
      fail(
        call,
        Status(
          .resourceExhausted, "you read too slowly: \(settings.maxStreamQueueBytes) bytes wait for this call"),
        now)
      return false
    case .connectionFull:
      dropUnread(connection, now)
      return false
    }
  }

  /// Ends a streaming call well.
  func finish(_ call: Call, _ now: Moment) {
    guard !call.isOver else { return }
    let connection = call.connection
    end(call)
    metrics.callsByStatus.add(.ok)
    switch connection.mode {
    case .rpc:
      written(
        connection, connection.server.finish(call.stream, now: now.nanoseconds, output: &connection.output),
        now)
    case .console, .undecided:
      print(connection, "OK\n", now)
      runConsole(connection, now)
    }
    closeIfDone(connection)
  }

  /// Ends a call with an error.
  func fail(_ call: Call, _ status: Status, _ now: Moment) {
    guard !call.isOver else { return }
    let connection = call.connection
    if let attach = call as? AttachCall { detach(attach, now) }
    end(call)
    metrics.callsByStatus.add(status.code == .internal || status.code == .unavailable ? .failed : .refused)
    host.log(
      LogRecord(
        .debug, "call refused",
        [
          ("method", .text(call.method.description.fullName)), ("code", .text(status.code.name)),
          ("text", .text(status.message)),
        ] + Self.fields(connection)))
    switch connection.mode {
    case .rpc:
      let fits = connection.server.fail(
        call.stream, status, now: now.nanoseconds, arena: envelopeArena, output: &connection.output)
      written(connection, fits, now)
    case .console, .undecided:
      printError(connection, status, now)
      runConsole(connection, now)
    }
    closeIfDone(connection)
  }

  private func written(_ connection: Connection, _ fits: Bool, _ now: Moment) {
    if fits { host.outputReady(connection.id) } else { dropUnread(connection, now) }
  }

  /// A peer that reads nothing gets no more room.
  func dropUnread(_ connection: Connection, _ now: Moment) {
    host.log(
      LogRecord(
        .warning, "closed: the peer does not read",
        [("queued_bytes", .number(Int64(connection.output.byteCount)))] + Self.fields(connection)))
    drop(connection, now)
  }

  /// Takes a call off its connection.
  private func end(_ call: Call) {
    call.isOver = true
    call.connection.remove(call)
    switch call {
    case let watch as WatchCall: watchers.removeAll { $0 === watch }
    case let health as HealthCall: healthWatchers.removeAll { $0 === health }
    case let actor as WatchActorCall: forget(actor)
    default: break
    }
  }

  /// The peer of this call is gone, or has given it up: nobody is told.
  func abandon(_ call: Call, _ now: Moment) {
    guard !call.isOver else { return }
    if let attach = call as? AttachCall { detach(attach, now) }
    call.connection.server.remove(call.stream)
    end(call)
  }
}
