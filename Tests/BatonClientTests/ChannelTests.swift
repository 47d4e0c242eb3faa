import BatonAPI
import Glibc
import Linux
import Synchronization
import Testing
import Ttrpc

@testable import BatonClient

/// A channel against servers that do what real ones should not, too.
@Suite(.timeLimit(.minutes(1))) struct ChannelTests {
  /// How a call fails; nil when it does not.
  private func failure(
    _ channel: Channel, _ method: BatonAPI.Method, within milliseconds: Int64? = nil
  ) async -> BatonError.Code? {
    do {
      _ = try await channel.unary(method, [], timeoutMilliseconds: milliseconds)
      return nil
    } catch {
      return (error as? BatonError)?.code
    }
  }

  @Test func answersFindTheirCallersInWhateverOrderTheyCome() async throws {
    // The server keeps the first call waiting until the second has come, and answers the second first.
    let server = try ScriptedServer { arrival in
      switch arrival {
      case .call(.ping, _): [.reply([1])]
      case .call: []
      case .connected, .said, .cancel, .end: []
      }
    }
    let channel = try await Channel.connect(path: server.path)
    async let first = failure(channel, .getStatus)
    _ = await server.first { $0 == .call(.getStatus, stream: 1) }
    #expect(try await channel.unary(.ping, []) == [1])
    channel.close()
    #expect(await first == .unavailable)
  }

  @Test(arguments: [0, 1, 2])
  func aUnaryCallThatIsAnsweredWithAStreamFailsOnce(_ shape: Int) async throws {
    // A second answer resumed the caller twice, which is the end of the process; an end without one never resumed it.
    let answers: [[ScriptedServer.Action]] = [
      [.message([1]), .message([2]), .reply([])], [.finish], [.message([1]), .finish],
    ]
    let server = try ScriptedServer { arrival in
      switch arrival {
      case .call(.ping, _): [.reply([])]
      case .call: answers[shape]
      case .connected, .said, .cancel, .end: []
      }
    }
    let channel = try await Channel.connect(path: server.path)
    #expect(await failure(channel, .getStatus) == .internal)
    #expect(try await channel.unary(.ping, []) == [])
  }

  @Test func whenTheConnectionEndsEveryCallEnds() async throws {
    let calls = Atomic(0)
    let server = try ScriptedServer { arrival in
      if case .call = arrival, calls.add(1, ordering: .relaxed).newValue == 3 { return [.hangUp] }
      return []
    }
    let channel = try await Channel.connect(path: server.path)
    let errors = await withTaskGroup(of: BatonError?.self) { group in
      for _ in 0..<3 {
        group.addTask {
          await #expect(throws: BatonError.self) { try await channel.unary(.getStatus, []) }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(errors.allSatisfy { $0?.code == .unavailable && $0?.isConnectionFailure == true })
    let later = await #expect(throws: BatonError.self) { try await channel.unary(.ping, []) }
    #expect(later?.isConnectionFailure == true)
  }

  @Test func whoIsTurnedAwayIsToldWhy() async throws {
    // The reason comes before the first call, on the stream that it will have; it was dropped as nobody's.
    let server = try ScriptedServer { arrival in
      arrival == .connected ? [.fail(Status(.permissionDenied, "uid 7 is not served here")), .hangUp] : []
    }
    let channel = try await Channel.connect(path: server.path)
    let error = await #expect(throws: BatonError.self) { try await channel.unary(.getStatus, []) }
    #expect(error?.code == .permissionDenied)
    #expect(error?.message == "uid 7 is not served here")

    var options = Runner.Options(name: "w", version: 1)
    options.socketPath = server.path
    let given = options
    let refused = await #expect(throws: BatonError.self) { try await Runner.start(given) }
    #expect(refused?.code == .permissionDenied)
  }

  @Test func aServerThatIsNoneIsSaidToBeNone() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.raw(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))] }
      return []
    }
    let channel = try await Channel.connect(path: server.path)
    #expect(await failure(channel, .ping) == .internal)
  }

  // MARK: - Giving up

  @Test func aCallThatIsNotAnsweredInTimeIsGivenUpOnBothSides() async throws {
    let server = try ScriptedServer { _ in [] }
    let channel = try await Channel.connect(path: server.path)
    #expect(
      await failure(channel, .getStatus, within: 1) == .deadlineExceeded)
    #expect(await server.first { $0 == .cancel(stream: 1) } != nil)
  }

  @Test(arguments: [0, -1, Int64.min]) func noTimeIsNoCall(_ milliseconds: Int64) async throws {
    // 0 was sent as 0, which is for ever.
    let server = try ScriptedServer { _ in [.reply([])] }
    let channel = try await Channel.connect(path: server.path)
    #expect(
      await failure(channel, .getStatus, within: milliseconds)
        == .deadlineExceeded)
    _ = try await channel.unary(.ping, [])
    #expect(await server.first { $0 != .connected } == .call(.ping, stream: 1))
  }

  @Test func aTimeBeyondAllClocksIsForEver() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.reply([7])] }
      return []
    }
    let channel = try await Channel.connect(path: server.path)
    #expect(try await channel.unary(.ping, [], timeoutMilliseconds: .max) == [7])
  }

  @Test func aCancelledTaskCancelsItsCallAtTheServer() async throws {
    let server = try ScriptedServer { _ in [] }
    let channel = try await Channel.connect(path: server.path)
    let task = Task { await failure(channel, .getStatus) }
    #expect(await server.first { $0 == .call(.getStatus, stream: 1) } != nil)
    task.cancel()
    #expect(await task.value == .cancelled)
    #expect(await server.first { $0 == .cancel(stream: 1) } != nil)
  }

  @Test func aTaskThatWasCancelledBeforeCallsNobody() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.reply([])] }
      return []
    }
    let channel = try await Channel.connect(path: server.path)
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return await failure(channel, .getStatus)
    }
    #expect(await task.value == .cancelled)
    _ = try await channel.unary(.ping, [])
    #expect(await server.first { $0 != .connected } == .call(.ping, stream: 1))
  }

  @Test func closingHangsUpAtOnce() async throws {
    let server = try ScriptedServer { _ in [] }
    let channel = try await Channel.connect(path: server.path)
    channel.close()
    #expect(await server.first { $0 == .end } != nil)
    #expect(await failure(channel, .ping) == .unavailable)
  }

  // MARK: - Streams

  @Test func aStreamGivesItsMessagesInOrderAndThenItsEnd() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.message([1]), .message([]), .message([3]), .finish] }
      return []
    }
    // Nobody holds the channel but the stream.
    let stream = try await Channel.connect(path: server.path).stream(.watch, [])
    var messages: [[UInt8]] = []
    for try await message in stream { messages.append(message) }
    #expect(messages == [[1], [], [3]])
  }

  @Test func aStreamsErrorComesAfterItsMessages() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return [.message([1]), .fail(Status(.outOfRange, "the oldest kept is 9"))] }
      return []
    }
    var messages = try await Channel.connect(path: server.path).stream(.watch, []).makeAsyncIterator()
    #expect(try await messages.next() == [1])
    let error = await #expect(throws: BatonError.self) { try await messages.next() }
    #expect(error?.code == .outOfRange)
  }

  @Test func whoReadsTooSlowlyIsToldSoAndTheCallIsGivenUp() async throws {
    let server = try ScriptedServer { arrival in
      if case .call = arrival { return (0..<10).map { .message([$0]) } }
      return []
    }
    let channel = try await Channel.connect(path: server.path)
    let stream = channel.stream(.watch, [], buffered: 4)
    #expect(await server.first { $0 == .cancel(stream: 1) } != nil)
    var count = 0
    let error = await #expect(throws: BatonError.self) { for try await _ in stream { count += 1 } }
    #expect(count == 4)
    #expect(error?.code == .resourceExhausted)
  }

  @Test func aStreamThatIsLetGoIsCancelledAndItsChannelToo() async throws {
    let server = try ScriptedServer { _ in [] }
    do {
      let stream = try await Channel.connect(path: server.path).stream(.watch, [])
      #expect(await server.first { $0 == .call(.watch, stream: 1) } != nil)
      _ = stream
    }
    #expect(await server.first { $0 == .end } != nil)
  }

  // MARK: - Connecting

  @Test(arguments: [
    (ENOENT, BatonError.Code.unavailable, "there is no such socket; start batond --socket /s"),
    (ECONNREFUSED, .unavailable, "nobody listens; start batond --socket /s"),
    (EAGAIN, .resourceExhausted, "try again soon"), (EACCES, .permissionDenied, "--allow-uid"),
    (ENAMETOOLONG, .invalidArgument, "too long"), (ENETDOWN, .unavailable, "/s"),
  ]) func whyThereIsNoConnectionIsSaid(_ number: Int32, _ code: BatonError.Code, _ text: String) {
    let error = BatonError(
      connecting: "/s", Errno(code: number, operation: "connect", context: "/s"))
    #expect(error.code == code)
    #expect(error.message.contains(text))
    #expect(error.isConnectionFailure)
  }

  @Test func connectingIsTriedAgainUntilSomebodyListens() async throws {
    let path = try {
      let server = try ScriptedServer { _ in [] }
      return server.path
    }()
    async let late = Channel.connect(path: path, retry: RetryPolicy(totalMilliseconds: .max))
    let task = Task { try await Channel.connect(path: path, retry: RetryPolicy(totalMilliseconds: .max)) }
    task.cancel()
    let error = await #expect(throws: BatonError.self) { try await task.value }
    #expect(error?.code == .cancelled)
    try #require(mkdir(String(path.dropLast(2)), 0o700) == 0)
    let listener = try Listener.bind(path: path)
    #expect(try await late.path == listener.path)
    unlink(path)
    unlink(path + ".lock")
    rmdir(String(path.dropLast(2)))
  }
}
