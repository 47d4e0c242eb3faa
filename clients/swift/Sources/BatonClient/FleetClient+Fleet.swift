import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// Who must leave.
public enum DrainTarget: Hashable, Sendable {
  /// One runner.
  case runner(Int64)
  /// A pool's ready runners below a version; nil is its target version.
  case olderVersions(name: String, namespace: String = "default", below: UInt32? = nil)
  /// All of a pool's ready runners.
  case pool(name: String, namespace: String = "default")
}

/// Orders that a drain made or found.
public struct DrainResult: Hashable, Sendable {
  /// Made by this call.
  public var ordered: [Int64]
  /// Of runners that were draining already.
  public var existing: [Int64]
}

extension FleetClient {
  /// Runners, by id; those that have ended only when asked for.
  public func runners(
    name: String? = nil, namespace: String? = nil, includeEnded: Bool = false
  ) async throws -> [RunnerInfo] {
    try await pages { token in
      try await call(
        .listRunners,
        { (request: UnsafeMutablePointer<Baton__V1__ListRunnersRequest>, arena) in
          request.pointee.namespace_ = arena.string(namespace ?? "")
          request.pointee.name = arena.string(name ?? "")
          request.pointee.include_ended = includeEnded ? 1 : 0
          request.pointee.page_size = UInt32(Bounds.pageSize)
          request.pointee.page_token = arena.string(token)
        }
      ) { (response: UnsafeMutablePointer<Baton__V1__ListRunnersResponse>) in
        (
          Read.messages(response.pointee.n_runners, response.pointee.runners)
            .compactMap { Decode.runner($0).map(RunnerInfo.init) },
          Read.string(response.pointee.next_page_token)
        )
      }
    }
  }

  /// One runner, ended or not.
  public func runner(_ id: Int64) async throws -> RunnerInfo {
    try await call(
      .getRunner,
      { (request: UnsafeMutablePointer<Baton__V1__GetRunnerRequest>, _) in
        request.pointee.runner_id = UInt64(clamping: id)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__GetRunnerResponse>) in
      guard let runner = response.pointee.runner.flatMap({ Decode.runner($0) }) else {
        throw BatonError(.internal, "the daemon's answer has no runner")
      }
      return RunnerInfo(runner)
    }
  }

  /// Pools, by namespace and name.
  public func pools(namespace: String? = nil) async throws -> [PoolInfo] {
    try await pages { token in
      try await call(
        .listPools,
        { (request: UnsafeMutablePointer<Baton__V1__ListPoolsRequest>, arena) in
          request.pointee.namespace_ = arena.string(namespace ?? "")
          request.pointee.page_size = UInt32(Bounds.pageSize)
          request.pointee.page_token = arena.string(token)
        }
      ) { (response: UnsafeMutablePointer<Baton__V1__ListPoolsResponse>) in
        (
          Read.messages(response.pointee.n_pools, response.pointee.pools).map { PoolInfo(Decode.pool($0)) },
          Read.string(response.pointee.next_page_token)
        )
      }
    }
  }

  /// One pool, with the history of its target: latest first, at most 100.
  public func pool(
    name: String, namespace: String = "default"
  ) async throws -> (pool: PoolInfo, history: [TargetInfo]) {
    try await call(
      .getPool,
      { (request: UnsafeMutablePointer<Baton__V1__GetPoolRequest>, arena) in
        request.pointee.namespace_ = arena.string(namespace)
        request.pointee.name = arena.string(name)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__GetPoolResponse>) in
      guard let pool = response.pointee.pool else {
        throw BatonError(.internal, "the daemon's answer has no pool")
      }
      return (
        PoolInfo(Decode.pool(pool)),
        Read.messages(response.pointee.n_target_history, response.pointee.target_history)
          .compactMap { Decode.target($0).map(TargetInfo.init) }
      )
    }
  }

  /// Orders runners to leave. A grace of nil is the pool's.
  public func drain(
    _ target: DrainTarget, graceMilliseconds: Int64? = nil, reason: String = ""
  ) async throws -> DrainResult {
    try await call(
      .drain,
      { (request: UnsafeMutablePointer<Baton__V1__DrainRequest>, arena) in
        func selector(_ name: String, _ namespace: String, _ below: UInt32?) -> UnsafeMutablePointer<
          Baton__V1__DrainRequest__PoolSelector
        > {
          let selector = arena.make(Baton__V1__DrainRequest__PoolSelector.self)
          selector.pointee.namespace_ = arena.string(namespace)
          selector.pointee.name = arena.string(name)
          selector.pointee.below_version = below ?? 0
          return selector
        }
        switch target {
        case .runner(let id):
          request.pointee.target_case = BATON__V1__DRAIN_REQUEST__TARGET_RUNNER_ID
          request.pointee.runner_id = UInt64(clamping: id)
        case .olderVersions(let name, let namespace, let below):
          request.pointee.target_case = BATON__V1__DRAIN_REQUEST__TARGET_OLDER_VERSIONS
          request.pointee.older_versions = selector(name, namespace, below)
        case .pool(let name, let namespace):
          request.pointee.target_case = BATON__V1__DRAIN_REQUEST__TARGET_WHOLE_POOL
          request.pointee.whole_pool = selector(name, namespace, nil)
        }
        request.pointee.grace_ms = UInt64(clamping: graceMilliseconds ?? 0)
        request.pointee.reason = arena.string(reason)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__DrainResponse>) in
      DrainResult(
        ordered: Read.numbers(response.pointee.n_order_ids, response.pointee.order_ids)
          .map { Int64(clamping: $0) },
        existing: Read.numbers(response.pointee.n_existing_order_ids, response.pointee.existing_order_ids)
          .map { Int64(clamping: $0) })
    }
  }

  /// Drain orders, by id; those that have ended only when asked for.
  public func drains(
    name: String? = nil, namespace: String? = nil, runner: Int64? = nil, includeEnded: Bool = false
  ) async throws -> [DrainInfo] {
    try await pages { token in
      try await call(
        .listDrains,
        { (request: UnsafeMutablePointer<Baton__V1__ListDrainsRequest>, arena) in
          request.pointee.namespace_ = arena.string(namespace ?? "")
          request.pointee.name = arena.string(name ?? "")
          request.pointee.include_ended = includeEnded ? 1 : 0
          request.pointee.runner_id = UInt64(clamping: runner ?? 0)
          request.pointee.page_size = UInt32(Bounds.pageSize)
          request.pointee.page_token = arena.string(token)
        }
      ) { (response: UnsafeMutablePointer<Baton__V1__ListDrainsResponse>) in
        (
          Read.messages(response.pointee.n_drains, response.pointee.drains)
            .compactMap { Decode.drain($0).map(DrainInfo.init) },
          Read.string(response.pointee.next_page_token)
        )
      }
    }
  }

  /// One drain order.
  public func drain(order id: Int64) async throws -> DrainInfo {
    try await call(
      .getDrain,
      { (request: UnsafeMutablePointer<Baton__V1__GetDrainRequest>, _) in
        request.pointee.order_id = UInt64(clamping: id)
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__GetDrainResponse>) in
      try Self.info(response.pointee.drain)
    }
  }

  static func info(_ message: UnsafeMutablePointer<Baton__V1__DrainOrder>?) throws -> DrainInfo {
    guard let order = message.flatMap({ Decode.drain($0) }) else {
      throw BatonError(.internal, "the daemon's answer has no order")
    }
    return DrainInfo(order)
  }
}
