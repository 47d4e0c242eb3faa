import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// What operators, deploy scripts and dashboards ask of the daemon, typed. Every function throws `BatonError`.
public struct FleetClient: Sendable {
  /// The connection that it calls on.
  public let channel: Channel
  /// How long each call may take; nil waits for ever.
  public var timeoutMilliseconds: Int64? = 30_000

  /// A client that calls on this channel.
  public init(_ channel: Channel) { self.channel = channel }

  /// Connects and makes a client.
  public static func connect(path: String? = nil, retry: RetryPolicy = .none) async throws -> FleetClient {
    FleetClient(try await Channel.connect(path: path, retry: retry))
  }

  func call<Request: CMessage, Response: CMessage, R>(
    _ method: Method, _ make: (UnsafeMutablePointer<Request>, Arena) -> Void,
    _ read: (UnsafeMutablePointer<Response>) throws -> R
  ) async throws -> R {
    let arena = Arena()
    let request = arena.make(Request.self)
    make(request, arena)
    let reply = try await channel.unary(
      method, Codec.encode(request), timeoutMilliseconds: timeoutMilliseconds)
    let replyArena = Arena()
    do {
      let message = try reply.withUnsafeBytes { bytes in
        try Codec.decode(Response.self, bytes, in: replyArena)
      }
      return try read(message)
    } catch let error as DecodeError {
      throw BatonError(.internal, "the daemon's answer: \(error)")
    }
  }

  /// One call by JSON: what `baton call` does. Answers JSON too.
  package func call(_ method: Method, json: String) async throws -> String {
    let request = try Self.request(method, json)
    let reply = try await channel.unary(method, request, timeoutMilliseconds: timeoutMilliseconds)
    return try Self.text(method, reply)
  }

  /// A streaming call by JSON: each message as JSON.
  package func stream(_ method: Method, json: String) throws -> AsyncThrowingStream<[UInt8], any Error> {
    channel.stream(method, try Self.request(method, json))
  }

  private static func request(_ method: Method, _ json: String) throws -> [UInt8] {
    do throws(JSONError) {
      return try JSONDecode.bytes(json, as: method.description.request, in: Arena())
    } catch {
      throw BatonError(.invalidArgument, "the request's JSON: \(error)")
    }
  }

  package static func text(_ method: Method, _ reply: [UInt8]) throws -> String {
    let arena = Arena()
    do {
      let message = try reply.withUnsafeBytes { bytes in
        try Codec.decode(method.description.response, bytes, in: arena)
      }
      return JSONEncode.text(message)
    } catch let error as DecodeError {
      throw BatonError(.internal, "the daemon's answer: \(error)")
    }
  }

  // MARK: - Namespaces and configs

  /// Creates a namespace.
  public func createNamespace(_ name: String) async throws {
    try await call(
      .createNamespace,
      { (request: UnsafeMutablePointer<Baton__V1__CreateNamespaceRequest>, arena) in
        request.pointee.name = arena.string(name)
      }
    ) { (_: UnsafeMutablePointer<Baton__V1__CreateNamespaceResponse>) in }
  }

  /// Every namespace.
  public func namespaces() async throws -> [String] {
    try await pages { token in
      try await call(
        .listNamespaces,
        { (request: UnsafeMutablePointer<Baton__V1__ListNamespacesRequest>, arena) in
          request.pointee.page_size = UInt32(Bounds.pageSize)
          request.pointee.page_token = arena.string(token)
        }
      ) { (response: UnsafeMutablePointer<Baton__V1__ListNamespacesResponse>) in
        (
          Read.messages(response.pointee.n_namespaces, response.pointee.namespaces).map {
            Read.string($0.pointee.name)
          },
          Read.string(response.pointee.next_page_token)
        )
      }
    }
  }

  /// Stores a pool's config, whole. Turning draining on drains the older runners at once. `reason` is kept in the history.
  @discardableResult
  public func putConfig(
    _ config: PoolConfig, name: String, namespace: String = "default", reason: String = ""
  ) async throws -> DecisionInfo {
    let value = config.value
    return try await call(
      .putRunnerConfig,
      { (request: UnsafeMutablePointer<Baton__V1__PutRunnerConfigRequest>, arena) in
        request.pointee.namespace_ = arena.string(namespace)
        request.pointee.name = arena.string(name)
        request.pointee.config = Encode.config(value, arena)
        request.pointee.reason = arena.string(reason)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__PutRunnerConfigResponse>) in
      guard let decision = Decode.decision(response.pointee.decision) else {
        throw BatonError(.internal, "the daemon's answer has no decision")
      }
      return DecisionInfo(decision)
    }
  }

  /// One pool's config.
  public func config(name: String, namespace: String = "default") async throws -> PoolConfig {
    try await call(
      .getRunnerConfig,
      { (request: UnsafeMutablePointer<Baton__V1__GetRunnerConfigRequest>, arena) in
        request.pointee.namespace_ = arena.string(namespace)
        request.pointee.name = arena.string(name)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__GetRunnerConfigResponse>) in
      guard let config = Decode.config(response.pointee.config) else {
        throw BatonError(.internal, "the daemon knows a kind of config that this client does not")
      }
      return PoolConfig(config)
    }
  }

  /// Every pool that has a config, by namespace and name.
  public func configs(
    namespace: String? = nil
  ) async throws -> [(namespace: String, name: String, config: PoolConfig)] {
    try await pages { token in
      try await call(
        .listRunnerConfigs,
        { (request: UnsafeMutablePointer<Baton__V1__ListRunnerConfigsRequest>, arena) in
          request.pointee.namespace_ = arena.string(namespace ?? "")
          request.pointee.page_size = UInt32(Bounds.pageSize)
          request.pointee.page_token = arena.string(token)
        }
      ) { (response: UnsafeMutablePointer<Baton__V1__ListRunnerConfigsResponse>) in
        (
          Read.messages(response.pointee.n_configs, response.pointee.configs).compactMap { entry in
            Decode.config(entry.pointee.config).map {
              (
                namespace: Read.string(entry.pointee.namespace_), name: Read.string(entry.pointee.name),
                config: PoolConfig($0)
              )
            }
          },
          Read.string(response.pointee.next_page_token)
        )
      }
    }
  }

  /// Deletes a pool's config; refused while a runner of it lives. `reason` is kept in the history.
  public func deleteConfig(
    name: String, namespace: String = "default", reason: String = ""
  ) async throws {
    try await call(
      .deleteRunnerConfig,
      { (request: UnsafeMutablePointer<Baton__V1__DeleteRunnerConfigRequest>, arena) in
        request.pointee.namespace_ = arena.string(namespace)
        request.pointee.name = arena.string(name)
        request.pointee.reason = arena.string(reason)
      }
    ) { (_: UnsafeMutablePointer<Baton__V1__DeleteRunnerConfigResponse>) in }
  }

  /// Follows the pages of a list to its end.
  func pages<Element>(
    _ page: (String) async throws -> ([Element], String)
  ) async throws -> [Element] {
    var elements: [Element] = []
    var token = ""
    repeat {
      let (more, next) = try await page(token)
      elements += more
      token = next
    } while !token.isEmpty
    return elements
  }
}
