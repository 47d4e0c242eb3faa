import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// The daemon's limits and versions, as it says hello.
public struct HelloInfo: Hashable, Sendable {
  /// The daemon's version.
  public var daemonVersion: String
  /// The protocol version that both know.
  public var protocolVersion: UInt32
  /// Which fleet this is: ids of another one mean nothing here.
  public var fleet: UInt64
  /// The largest frame body, in bytes.
  public var maxFrameBytes: UInt32
  /// How many calls may be open on one connection.
  public var maxStreams: UInt32
  /// How many bytes may wait for one call's slow reader.
  public var maxStreamQueueBytes: UInt32
}

/// How the daemon is and what it holds.
public struct StatusInfo: Hashable, Sendable {
  /// The daemon's version.
  public var daemonVersion: String
  /// Its process.
  public var pid: Int32
  /// Milliseconds since 1970.
  public var startedAtMilliseconds: Int64
  /// Where it listens.
  public var socketPath: String
  /// Where its database is.
  public var stateDirectory: String
  /// Which fleet this is.
  public var fleet: UInt64
  /// The latest revision: a watch from it, begun before any list is read, misses nothing.
  public var revision: Int64
  /// Why the store takes no changes; nil when it does.
  public var storeError: String?
  /// Connections now.
  public var connections: Int
  /// How many of each there are.
  public var namespaces, pools, runnersReady, runnersDraining, runnersDetached, runnersEnded, openDrains: Int
  /// Actors that are not destroyed.
  public var actors: ActorCountsInfo
  /// Size of the write-ahead log.
  public var walBytes: Int64
  /// How often a runner sends a heartbeat, when it gets no new actors, when it is lost, how long a drain may take.
  public var heartbeatIntervalMilliseconds, silentThresholdMilliseconds, lostThresholdMilliseconds,
    defaultGraceMilliseconds: Int64

  init(_ status: Baton__V1__GetStatusResponse) {
    daemonVersion = Read.string(status.daemon_version)
    pid = status.pid
    startedAtMilliseconds = Int64(clamping: status.started_at_ms)
    socketPath = Read.string(status.socket_path)
    stateDirectory = Read.string(status.state_dir)
    fleet = status.fleet_id
    revision = Int64(clamping: status.revision)
    storeError = status.store_healthy != 0 ? nil : Read.string(status.store_error)
    connections = Int(status.connections)
    namespaces = Int(clamping: status.namespaces)
    pools = Int(clamping: status.pools)
    runnersReady = Int(clamping: status.runners_ready)
    runnersDraining = Int(clamping: status.runners_draining)
    runnersDetached = Int(clamping: status.runners_detached)
    runnersEnded = Int(clamping: status.runners_ended)
    openDrains = Int(clamping: status.open_drains)
    actors = ActorCountsInfo(Decode.actorCounts(status.actors))
    walBytes = Int64(clamping: status.wal_bytes)
    heartbeatIntervalMilliseconds = Int64(status.heartbeat_interval_ms)
    silentThresholdMilliseconds = Int64(status.silent_threshold_ms)
    lostThresholdMilliseconds = Int64(status.lost_threshold_ms)
    defaultGraceMilliseconds = Int64(clamping: status.default_drain_grace_ms)
  }
}

extension FleetClient {
  /// Presents this program (at most 128 bytes) to the daemon's log, and learns its limits. Optional.
  public func hello(_ program: String) async throws -> HelloInfo {
    try await call(
      .hello,
      { (request: UnsafeMutablePointer<Baton__V1__HelloRequest>, arena) in
        request.pointee.client = arena.string(program)
        request.pointee.protocol_version = 1
      }
    ) { (response: UnsafeMutablePointer<Baton__V1__HelloResponse>) in
      let hello = response.pointee
      return HelloInfo(
        daemonVersion: Read.string(hello.daemon_version), protocolVersion: hello.protocol_version,
        fleet: hello.fleet_id, maxFrameBytes: hello.max_frame_bytes, maxStreams: hello.max_streams,
        maxStreamQueueBytes: hello.max_stream_queue_bytes)
    }
  }

  /// Every method of the daemon, as package.Service/Method.
  public func methods() async throws -> [String] {
    try await call(.listServices, { (_: UnsafeMutablePointer<Baton__V1__ListServicesRequest>, _) in }) {
      (response: UnsafeMutablePointer<Baton__V1__ListServicesResponse>) in
      Read.messages(response.pointee.n_services, response.pointee.services).flatMap { service in
        Read.messages(service.pointee.n_methods, service.pointee.methods).map {
          Read.string(service.pointee.name) + "/" + Read.string($0.pointee.name)
        }
      }
    }
  }

  /// How the daemon is and what it holds.
  public func status() async throws -> StatusInfo {
    try await call(.getStatus, { (_: UnsafeMutablePointer<Baton__V1__GetStatusRequest>, _) in }) {
      (response: UnsafeMutablePointer<Baton__V1__GetStatusResponse>) in StatusInfo(response.pointee)
    }
  }

  /// How long a call there and back takes, in nanoseconds.
  public func ping() async throws -> Int64 {
    let start = ContinuousClock.now
    try await call(.ping, { (_: UnsafeMutablePointer<Baton__V1__PingRequest>, _) in }) {
      (_: UnsafeMutablePointer<Baton__V1__PingResponse>) in
    }
    return Int64((ContinuousClock.now - start) / .nanoseconds(1))
  }

  /// Whether the daemon takes changes.
  public func isServing() async throws -> Bool {
    try await call(.healthCheck, { (_: UnsafeMutablePointer<Grpc__Health__V1__HealthCheckRequest>, _) in }) {
      (response: UnsafeMutablePointer<Grpc__Health__V1__HealthCheckResponse>) in
      response.pointee.status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
    }
  }

  /// Counters and histograms, as Prometheus text.
  public func metrics() async throws -> String {
    try await call(.getMetrics, { (_: UnsafeMutablePointer<Baton__V1__GetMetricsRequest>, _) in }) {
      (response: UnsafeMutablePointer<Baton__V1__GetMetricsResponse>) in Read.string(response.pointee.text)
    }
  }
}
