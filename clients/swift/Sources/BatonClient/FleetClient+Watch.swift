import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// Events in order and without a gap. Read slowly, it waits in a bounded buffer; read too slowly, it fails (`watch`) or
/// begins again where it was (`follow`).
public struct WatchSequence: AsyncSequence, Sendable {
  /// One answer: events, and the revision up to which everything has been told.
  public typealias Element = FleetClient.WatchAnswer

  let client: FleetClient
  var revision: Int64?
  let name: String?
  let namespace: String?
  /// How long to look for a daemon that is gone; nil: end with the error.
  let retry: RetryPolicy?

  /// Begins the watch at the first `next`.
  public func makeAsyncIterator() -> Iterator { Iterator(watch: self) }

  /// Where one reader is.
  public struct Iterator: AsyncIteratorProtocol {
    private var watch: WatchSequence
    private var client: FleetClient
    private var messages: AsyncThrowingStream<[UInt8], any Error>.Iterator?
    /// How often it began anew since the last answer.
    private var attempts = 0

    init(watch: WatchSequence) {
      self.watch = watch
      client = watch.client
    }

    /// The next answer; throws `BatonError`.
    public mutating func next() async throws -> Element? {
      while true {
        do {
          if messages == nil {
            messages = client.watchMessages(from: watch.revision, watch.name, watch.namespace)
              .makeAsyncIterator()
          }
          if let bytes = try await messages?.next() {
            let answer = try FleetClient.answer(bytes)
            attempts = 0
            watch.revision = answer.revision
            return answer
          }
          if Task.isCancelled || watch.retry == nil { return nil }
          try await again(after: BatonError(.unavailable, "the daemon ended the watch"))
        } catch let error as BatonError {
          try await again(after: error)
        }
      }
    }

    /// Gets ready to go on from the latest revision, or throws the error.
    private mutating func again(after error: BatonError) async throws {
      messages = nil
      // Slow readers and ending daemons; anything else would be the same again.
      let isPassing =
        error.isConnectionFailure || error.code == .unavailable || error.code == .resourceExhausted
      guard let retry = watch.retry, isPassing, attempts < 10, !Task.isCancelled else { throw error }
      attempts += 1
      if attempts > 1 {
        do {
          try await Task.sleep(
            nanoseconds: UInt64.random(in: 10_000_000...20_000_000) << UInt64(attempts / 2))
        } catch {
          throw BatonError(.cancelled, "the task was cancelled")
        }
      }
      if error.code == .resourceExhausted, !error.isConnectionFailure { return }
      var anew = FleetClient(try await Channel.connect(path: client.channel.path, retry: retry))
      anew.timeoutMilliseconds = client.timeoutMilliseconds
      client = anew
    }
  }
}

extension FleetClient {
  /// One answer of a watch: events, in order, and the revision up to which everything has been told.
  public struct WatchAnswer: Hashable, Sendable {
    /// What happened.
    public var events: [FleetEvent]
    /// Resume from here.
    public var revision: Int64
  }

  /// Events after a revision (nil: from now on; 0: from the first one kept), without a gap. It ends with an error
  /// when the connection does: watch again from the last answer's revision, or use `follow`.
  public func watch(
    from revision: Int64? = nil, name: String? = nil, namespace: String? = nil
  ) -> WatchSequence {
    WatchSequence(client: self, revision: revision, name: name, namespace: namespace, retry: nil)
  }

  /// As `watch`, and goes on by itself when the daemon comes back within `retry`, or when it was read too slowly. Throws
  /// OUT_OF_RANGE when what comes next is not kept any more.
  public func follow(
    from revision: Int64? = nil, name: String? = nil, namespace: String? = nil,
    retry: RetryPolicy = RetryPolicy(totalMilliseconds: 60_000)
  ) -> WatchSequence {
    WatchSequence(client: self, revision: revision, name: name, namespace: namespace, retry: retry)
  }

  func watchMessages(
    from revision: Int64?, _ name: String?, _ namespace: String?
  ) -> AsyncThrowingStream<[UInt8], any Error> {
    let arena = Arena()
    let request = arena.make(Baton__V1__WatchRequest.self)
    if let revision {
      request.pointee.from_revision_presence_case =
        BATON__V1__WATCH_REQUEST__FROM_REVISION_PRESENCE_FROM_REVISION
      request.pointee.from_revision = UInt64(clamping: revision)
    }
    request.pointee.namespace_ = arena.string(namespace ?? "")
    request.pointee.name = arena.string(name ?? "")
    return channel.stream(.watch, Codec.encode(request))
  }

  static func answer(_ bytes: [UInt8]) throws -> WatchAnswer {
    let arena = Arena()
    do {
      let message = try bytes.withUnsafeBytes { bytes in
        try Codec.decode(Baton__V1__WatchResponse.self, bytes, in: arena)
      }
      return WatchAnswer(
        events: Read.messages(message.pointee.n_events, message.pointee.events)
          .compactMap { Decode.event($0).map(FleetEvent.init) },
        revision: Int64(clamping: message.pointee.revision))
    } catch let error as DecodeError {
      throw BatonError(.internal, "the daemon's answer: \(error)")
    }
  }
}
