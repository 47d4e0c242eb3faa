import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// What becomes of an actor that fails.
public enum ActorCrashPolicy: String, Sendable, CaseIterable {
  /// It is started again: at once the first time, then after longer and longer pauses.
  case restart
  /// It sleeps until it is woken.
  case sleep
  /// It is destroyed.
  case destroy

  var value: CrashPolicy {
    switch self {
    case .restart: .restart
    case .sleep: .sleep
    case .destroy: .destroy
    }
  }
}

/// What a new actor is.
public struct NewActor: Hashable, Sendable {
  /// What kind of actor it is.
  public var name: String
  /// The pool whose runners may hold it.
  public var runnerName: String
  /// The pool's namespace.
  public var namespace = "default"
  /// Unique among the namespace's actors of its name that are not destroyed.
  public var key: String?
  /// What its runner is given at every start; at most 65536 bytes.
  public var input: [UInt8] = []
  /// What becomes of it when it fails.
  public var crashPolicy = ActorCrashPolicy.restart
  /// The same id of the same user in the same namespace is the same actor, so that asking again is safe; at most 128 bytes. nil:
  /// one is made up for each call.
  public var requestID: String?

  /// An actor of a kind, for the runners of a pool.
  public init(name: String, runnerName: String) {
    self.name = name
    self.runnerName = runnerName
  }
}

/// Which actors a list has; what is nil is every one.
public struct ActorsFilter: Hashable, Sendable {
  /// Of this namespace.
  public var namespace: String?
  /// Of this pool.
  public var runnerName: String?
  /// Of this kind.
  public var name: String?
  /// With this key.
  public var key: String?
  /// In this state: pending, starting, running, stopping, sleeping or destroyed.
  public var state: String?
  /// Held by this runner.
  public var runner: Int64?
  /// Those that are destroyed too.
  public var includeDestroyed = false

  /// Every actor that is not destroyed.
  public init() {}
}

extension FleetClient {
  /// Creates an actor, durably. When the connection breaks before the answer comes, it is asked for once more on a new one, which
  /// creates no second actor.
  public func createActor(_ actor: NewActor) async throws -> ActorInfo {
    try await create(.createActor, actor).actor
  }

  /// The actor of a name and key, created when there is none.
  public func getOrCreateActor(_ actor: NewActor) async throws -> (actor: ActorInfo, isCreated: Bool) {
    try await create(.getOrCreateActor, actor)
  }

  private func create(
    _ method: Method, _ actor: NewActor
  ) async throws -> (actor: ActorInfo, isCreated: Bool) {
    var actor = actor
    if actor.requestID == nil {
      var random = SystemRandomNumberGenerator()
      actor.requestID = [random.next(), random.next()].map { String($0, radix: 16) }.joined(separator: "-")
    }
    do {
      return try await createOnce(method, actor)
    } catch let error as BatonError where error.isConnectionFailure && !Task.isCancelled {
      let retry = RetryPolicy(totalMilliseconds: min(timeoutMilliseconds ?? 30_000, 30_000))
      var anew = FleetClient(try await Channel.connect(path: channel.path, retry: retry))
      anew.timeoutMilliseconds = timeoutMilliseconds
      return try await anew.createOnce(method, actor)
    }
  }

  private func createOnce(
    _ method: Method, _ actor: NewActor
  ) async throws -> (actor: ActorInfo, isCreated: Bool) {
    try await call(
      method,
      { (request: UnsafeMutablePointer<Baton__V1__CreateActorRequest>, arena) in
        request.pointee.namespace_ = arena.string(actor.namespace)
        request.pointee.runner_name = arena.string(actor.runnerName)
        request.pointee.name = arena.string(actor.name)
        request.pointee.key = arena.string(actor.key ?? "")
        request.pointee.input = arena.bytes(actor.input)
        request.pointee.crash_policy = .init(rawValue: UInt32(actor.crashPolicy.value.rawValue))
        request.pointee.request_id = arena.string(actor.requestID ?? "")
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__CreateActorResponse>) in
      (try Self.info(response.pointee.actor), response.pointee.created != 0)
    }
  }

  static func info(_ message: UnsafeMutablePointer<Baton__V1__Actor>?) throws -> ActorInfo {
    guard let actor = Decode.actor(message) else {
      throw BatonError(.internal, "the daemon's answer has no actor that this client knows how to read")
    }
    return ActorInfo(actor)
  }

  /// One actor, destroyed or not.
  public func actor(_ id: Int64) async throws -> ActorInfo {
    try await call(
      .getActor,
      { (request: UnsafeMutablePointer<Baton__V1__GetActorRequest>, _) in
        request.pointee.actor_id = UInt64(clamping: id)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__GetActorResponse>) in
      try Self.info(response.pointee.actor)
    }
  }

  /// Actors, by id.
  public func actors(_ filter: ActorsFilter = ActorsFilter()) async throws -> [ActorInfo] {
    let state: ActorState? = try filter.state.map { word in
      guard let state = Words.case(word, { (state: ActorState) in Words.word(state) }) else {
        throw BatonError(.invalidArgument, "an actor is never \(word)")
      }
      return state
    }
    return try await pages { token in
      try await call(
        .listActors,
        { (request: UnsafeMutablePointer<Baton__V1__ListActorsRequest>, arena) in
          request.pointee.namespace_ = arena.string(filter.namespace ?? "")
          request.pointee.runner_name = arena.string(filter.runnerName ?? "")
          request.pointee.name = arena.string(filter.name ?? "")
          request.pointee.key = arena.string(filter.key ?? "")
          request.pointee.state = .init(rawValue: UInt32(state?.rawValue ?? 0))
          request.pointee.runner_id = UInt64(clamping: filter.runner ?? 0)
          request.pointee.include_destroyed = filter.includeDestroyed ? 1 : 0
          request.pointee.page_size = UInt32(Bounds.pageSize)
          request.pointee.page_token = arena.string(token)
        }
      ) { (response: UnsafeMutablePointer<Baton__V1__ListActorsResponse>) in
        (
          Read.messages(response.pointee.n_actors, response.pointee.actors)
            .compactMap { Decode.actor($0).map(ActorInfo.init) },
          Read.string(response.pointee.next_page_token)
        )
      }
    }
  }

  /// Brings a sleeping actor back; one on its way to sleep comes back when it has stopped.
  @discardableResult
  public func wakeActor(_ id: Int64) async throws -> ActorInfo {
    try await call(
      .wakeActor,
      { (request: UnsafeMutablePointer<Baton__V1__WakeActorRequest>, _) in
        request.pointee.actor_id = UInt64(clamping: id)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__WakeActorResponse>) in
      try Self.info(response.pointee.actor)
    }
  }

  /// Stops an actor and keeps it, without a slot, until it is woken.
  @discardableResult
  public func sleepActor(_ id: Int64) async throws -> ActorInfo {
    try await call(
      .sleepActor,
      { (request: UnsafeMutablePointer<Baton__V1__SleepActorRequest>, _) in
        request.pointee.actor_id = UInt64(clamping: id)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__SleepActorResponse>) in
      try Self.info(response.pointee.actor)
    }
  }

  /// Stops an actor for good.
  @discardableResult
  public func destroyActor(_ id: Int64) async throws -> ActorInfo {
    try await call(
      .destroyActor,
      { (request: UnsafeMutablePointer<Baton__V1__DestroyActorRequest>, _) in
        request.pointee.actor_id = UInt64(clamping: id)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__DestroyActorResponse>) in
      try Self.info(response.pointee.actor)
    }
  }

  /// An actor as it is, then again each time it has changed; changes close together may be told as one. Ends once it is
  /// destroyed, and with an error when the connection does: watch again, nothing but what lay between is missed.
  public func watchActor(_ id: Int64) -> ActorWatch { ActorWatch(channel: channel, actor: id) }

  /// Waits until an actor runs. One that is destroyed, or sleeps, never does by itself: that throws FAILED_PRECONDITION.
  public func awaitRunning(_ id: Int64) async throws -> ActorInfo {
    for try await actor in watchActor(id) {
      switch actor.state {
      case "running": return actor
      case "destroyed", "sleeping":
        throw BatonError(.failedPrecondition, "actor \(id) is \(actor.state): it does not run by itself")
      default: continue
      }
    }
    throw BatonError(.unavailable, "the daemon ended the watch", isConnectionFailure: true)
  }
}

/// An actor each time it has changed. The watch begins with its iterator, whose `next` throws `BatonError`.
public struct ActorWatch: AsyncSequence, Sendable {
  /// The actor as it then was.
  public typealias Element = ActorInfo

  let channel: Channel
  let actor: Int64

  /// Begins the watch.
  public func makeAsyncIterator() -> Iterator {
    let arena = Arena()
    let request = arena.make(Baton__V1__WatchActorRequest.self)
    request.pointee.actor_id = UInt64(clamping: actor)
    return Iterator(messages: channel.stream(.watchActor, Codec.encode(request)).makeAsyncIterator())
  }

  /// Where one reader is.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate var messages: AsyncThrowingStream<[UInt8], any Error>.Iterator

    /// The next; nil when the actor is destroyed.
    public mutating func next() async throws -> ActorInfo? {
      guard let bytes = try await messages.next() else { return nil }
      let arena = Arena()
      do {
        let message = try bytes.withUnsafeBytes { bytes in
          try Codec.decode(Baton__V1__WatchActorResponse.self, bytes, in: arena)
        }
        return try FleetClient.info(message.pointee.actor)
      } catch let error as DecodeError {
        throw BatonError(.internal, "the daemon's answer: \(error)")
      }
    }
  }
}
