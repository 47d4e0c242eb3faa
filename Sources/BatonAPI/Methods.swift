import CBatonProto
import CProtobufC
import Glibc
import Protobuf
import Ttrpc

/// Every method that the daemon serves. protobuf-c's service descriptors know no streaming, hence this table; a test
/// holds it against the schema.
package enum Method: Int, CaseIterable, Sendable {
  case hello, ping, cancel, listServices
  case attach
  case getStatus, getMetrics
  case createNamespace, listNamespaces
  case putRunnerConfig, getRunnerConfig, listRunnerConfigs, deleteRunnerConfig
  case listRunners, getRunner, listPools, getPool
  case drain, listDrains, getDrain
  case watch
  case setTargetVersion, cordon, cancelDrain, changeDeadline, planUpgrade, explain, listHistory
  case createActor, getOrCreateActor, getActor, listActors, wakeActor, sleepActor, destroyActor, watchActor
  case healthCheck, healthWatch

  package struct Description {
    package var service: String
    package var name: String
    package var shape: CallShape
    package var request: UnsafePointer<ProtobufCMessageDescriptor>
    package var response: UnsafePointer<ProtobufCMessageDescriptor>

    package var fullName: String { "\(service)/\(name)" }
  }

  package var description: Description { Self.descriptions[rawValue] }
  package var shape: CallShape { Self.descriptions[rawValue].shape }

  /// The method of a Request frame.
  package static func find(_ name: MethodName) -> Method? {
    var index = 0
    for known in names {
      if known.service.count == name.service.count, known.method.count == name.method.count,
        isSame(known.method, name.method), isSame(known.service, name.service)
      {
        return Method(rawValue: index)
      }
      index += 1
    }
    return nil
  }

  /// Both have the same length.
  private static func isSame(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    one.count == 0 || memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0
  }

  /// What a person types: the full name, or the bare one where it is the only of its kind; either in any case.
  package static func find(typed: String) -> Method? {
    let wanted = typed.lowercased()
    let matches = allCases.filter {
      $0.description.fullName.lowercased() == wanted || $0.description.name.lowercased() == wanted
    }
    if matches.count > 1 { return matches.first { $0.description.service.hasPrefix("baton.") } }
    return matches.first
  }

  private nonisolated(unsafe) static let descriptions: [Description] = allCases.map { $0.makeDescription() }
  /// In the order of `rawValue`, and as bytes for ever: a call is looked up without an allocation.
  private nonisolated(unsafe) static let names = allCases.map { method in
    MethodName(service: kept(method.description.service), method: kept(method.description.name))
  }

  private static func kept(_ text: String) -> UnsafeRawBufferPointer {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    bytes.copyBytes(from: text.utf8)
    return UnsafeRawBufferPointer(bytes)
  }

  private func makeDescription() -> Description {
    let connection = "baton.v1.ConnectionService"
    let health = "grpc.health.v1.Health"
    return switch self {
    case .hello:
      describe(connection, "Hello", .unary, Baton__V1__HelloRequest.self, Baton__V1__HelloResponse.self)
    case .ping:
      describe(connection, "Ping", .unary, Baton__V1__PingRequest.self, Baton__V1__PingResponse.self)
    case .cancel:
      describe(connection, "Cancel", .unary, Baton__V1__CancelRequest.self, Baton__V1__CancelResponse.self)
    case .listServices:
      describe(
        connection, "ListServices", .unary, Baton__V1__ListServicesRequest.self,
        Baton__V1__ListServicesResponse.self)
    case .attach:
      describe(
        "baton.v1.RunnerService", "Attach", .bidirectional, Baton__V1__AttachRequest.self,
        Baton__V1__AttachResponse.self)
    case .getStatus, .getMetrics, .createNamespace, .listNamespaces, .putRunnerConfig, .getRunnerConfig,
      .listRunnerConfigs, .deleteRunnerConfig, .listRunners, .getRunner, .listPools, .getPool, .drain,
      .listDrains, .getDrain, .watch:
      fleetDescription()
    case .setTargetVersion, .cordon, .cancelDrain, .changeDeadline, .planUpgrade, .explain, .listHistory:
      controlDescription()
    case .createActor, .getOrCreateActor, .getActor, .listActors, .wakeActor, .sleepActor, .destroyActor,
      .watchActor:
      actorDescription()
    case .healthCheck:
      describe(
        health, "Check", .unary, Grpc__Health__V1__HealthCheckRequest.self,
        Grpc__Health__V1__HealthCheckResponse.self)
    case .healthWatch:
      describe(
        health, "Watch", .serverStreaming, Grpc__Health__V1__HealthCheckRequest.self,
        Grpc__Health__V1__HealthCheckResponse.self)
    }
  }

  private func fleetDescription() -> Description {
    let fleet = "baton.v1.FleetService"
    return switch self {
    case .getStatus:
      describe(
        fleet, "GetStatus", .unary, Baton__V1__GetStatusRequest.self, Baton__V1__GetStatusResponse.self)
    case .getMetrics:
      describe(
        fleet, "GetMetrics", .unary, Baton__V1__GetMetricsRequest.self, Baton__V1__GetMetricsResponse.self)
    case .createNamespace:
      describe(
        fleet, "CreateNamespace", .unary, Baton__V1__CreateNamespaceRequest.self,
        Baton__V1__CreateNamespaceResponse.self)
    case .listNamespaces:
      describe(
        fleet, "ListNamespaces", .unary, Baton__V1__ListNamespacesRequest.self,
        Baton__V1__ListNamespacesResponse.self)
    case .putRunnerConfig:
      describe(
        fleet, "PutRunnerConfig", .unary, Baton__V1__PutRunnerConfigRequest.self,
        Baton__V1__PutRunnerConfigResponse.self)
    case .getRunnerConfig:
      describe(
        fleet, "GetRunnerConfig", .unary, Baton__V1__GetRunnerConfigRequest.self,
        Baton__V1__GetRunnerConfigResponse.self)
    case .listRunnerConfigs:
      describe(
        fleet, "ListRunnerConfigs", .unary, Baton__V1__ListRunnerConfigsRequest.self,
        Baton__V1__ListRunnerConfigsResponse.self)
    case .deleteRunnerConfig:
      describe(
        fleet, "DeleteRunnerConfig", .unary, Baton__V1__DeleteRunnerConfigRequest.self,
        Baton__V1__DeleteRunnerConfigResponse.self)
    case .listRunners:
      describe(
        fleet, "ListRunners", .unary, Baton__V1__ListRunnersRequest.self, Baton__V1__ListRunnersResponse.self)
    case .getRunner:
      describe(
        fleet, "GetRunner", .unary, Baton__V1__GetRunnerRequest.self, Baton__V1__GetRunnerResponse.self)
    case .listPools:
      describe(
        fleet, "ListPools", .unary, Baton__V1__ListPoolsRequest.self, Baton__V1__ListPoolsResponse.self)
    case .getPool:
      describe(fleet, "GetPool", .unary, Baton__V1__GetPoolRequest.self, Baton__V1__GetPoolResponse.self)
    case .drain: describe(fleet, "Drain", .unary, Baton__V1__DrainRequest.self, Baton__V1__DrainResponse.self)
    case .listDrains:
      describe(
        fleet, "ListDrains", .unary, Baton__V1__ListDrainsRequest.self, Baton__V1__ListDrainsResponse.self)
    case .getDrain:
      describe(fleet, "GetDrain", .unary, Baton__V1__GetDrainRequest.self, Baton__V1__GetDrainResponse.self)
    case .watch:
      describe(fleet, "Watch", .serverStreaming, Baton__V1__WatchRequest.self, Baton__V1__WatchResponse.self)
    default:
      preconditionFailure("\(self) is no method of the fleet")
    }
  }

  private func controlDescription() -> Description {
    let fleet = "baton.v1.FleetService"
    return switch self {
    case .setTargetVersion:
      describe(
        fleet, "SetTargetVersion", .unary, Baton__V1__SetTargetVersionRequest.self,
        Baton__V1__SetTargetVersionResponse.self)
    case .cordon:
      describe(fleet, "Cordon", .unary, Baton__V1__CordonRequest.self, Baton__V1__CordonResponse.self)
    case .cancelDrain:
      describe(
        fleet, "CancelDrain", .unary, Baton__V1__CancelDrainRequest.self, Baton__V1__CancelDrainResponse.self)
    case .changeDeadline:
      describe(
        fleet, "ChangeDeadline", .unary, Baton__V1__ChangeDeadlineRequest.self,
        Baton__V1__ChangeDeadlineResponse.self)
    case .planUpgrade:
      describe(
        fleet, "PlanUpgrade", .unary, Baton__V1__PlanUpgradeRequest.self, Baton__V1__PlanUpgradeResponse.self)
    case .explain:
      describe(fleet, "Explain", .unary, Baton__V1__ExplainRequest.self, Baton__V1__ExplainResponse.self)
    case .listHistory:
      describe(
        fleet, "ListHistory", .unary, Baton__V1__ListHistoryRequest.self, Baton__V1__ListHistoryResponse.self)
    default: preconditionFailure("\(self) controls no upgrade")
    }
  }

  private func actorDescription() -> Description {
    let actors = "baton.v1.ActorService"
    return switch self {
    case .createActor:
      describe(
        actors, "CreateActor", .unary, Baton__V1__CreateActorRequest.self, Baton__V1__CreateActorResponse.self
      )
    case .getOrCreateActor:
      describe(
        actors, "GetOrCreateActor", .unary, Baton__V1__CreateActorRequest.self,
        Baton__V1__CreateActorResponse.self)
    case .getActor:
      describe(actors, "GetActor", .unary, Baton__V1__GetActorRequest.self, Baton__V1__GetActorResponse.self)
    case .listActors:
      describe(
        actors, "ListActors", .unary, Baton__V1__ListActorsRequest.self, Baton__V1__ListActorsResponse.self)
    case .wakeActor:
      describe(
        actors, "WakeActor", .unary, Baton__V1__WakeActorRequest.self, Baton__V1__WakeActorResponse.self)
    case .sleepActor:
      describe(
        actors, "SleepActor", .unary, Baton__V1__SleepActorRequest.self, Baton__V1__SleepActorResponse.self)
    case .destroyActor:
      describe(
        actors, "DestroyActor", .unary, Baton__V1__DestroyActorRequest.self,
        Baton__V1__DestroyActorResponse.self)
    case .watchActor:
      describe(
        actors, "WatchActor", .serverStreaming, Baton__V1__WatchActorRequest.self,
        Baton__V1__WatchActorResponse.self)
    default: preconditionFailure("\(self) is no method of actors")
    }
  }

  private func describe<Request: CMessage, Response: CMessage>(
    _ service: String, _ name: String, _ shape: CallShape, _ request: Request.Type,
    _ response: Response.Type
  ) -> Description {
    Description(
      service: service, name: name, shape: shape, request: Request.descriptor, response: Response.descriptor
    )
  }
}
