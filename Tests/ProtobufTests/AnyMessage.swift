import CBatonProto
import CProtobufC
import Protobuf
import Testing

/// A message of the schema, known by its description only.
struct AnyMessage: CustomTestStringConvertible, @unchecked Sendable {
  let descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  /// As Swift spells it.
  let typeName: String

  init(_ type: any CMessage.Type) {
    descriptor = type.descriptor
    typeName = "\(type)"
  }

  /// As the schema spells it.
  var name: String { String(cString: descriptor.pointee.name) }
  var testDescription: String { name }

  /// Every message of the schema, to run a test over all of them.
  static let all: [AnyMessage] =
    ([
      Baton__V1__HelloRequest.self,
      Baton__V1__HelloResponse.self,
      Baton__V1__PingRequest.self,
      Baton__V1__PingResponse.self,
      Baton__V1__CancelRequest.self,
      Baton__V1__CancelResponse.self,
      Baton__V1__ListServicesRequest.self,
      Baton__V1__ListServicesResponse__Method.self,
      Baton__V1__ListServicesResponse__Service.self,
      Baton__V1__ListServicesResponse.self,
      Baton__V1__GetStatusRequest.self,
      Baton__V1__GetStatusResponse.self,
      Baton__V1__GetMetricsRequest.self,
      Baton__V1__GetMetricsResponse.self,
      Baton__V1__CreateNamespaceRequest.self,
      Baton__V1__CreateNamespaceResponse.self,
      Baton__V1__ListNamespacesRequest.self,
      Baton__V1__ListNamespacesResponse.self,
      Baton__V1__PutRunnerConfigRequest.self,
      Baton__V1__PutRunnerConfigResponse.self,
      Baton__V1__GetRunnerConfigRequest.self,
      Baton__V1__GetRunnerConfigResponse.self,
      Baton__V1__ListRunnerConfigsRequest.self,
      Baton__V1__ListRunnerConfigsResponse__Entry.self,
      Baton__V1__ListRunnerConfigsResponse.self,
      Baton__V1__DeleteRunnerConfigRequest.self,
      Baton__V1__DeleteRunnerConfigResponse.self,
      Baton__V1__ListRunnersRequest.self,
      Baton__V1__ListRunnersResponse.self,
      Baton__V1__GetRunnerRequest.self,
      Baton__V1__GetRunnerResponse.self,
      Baton__V1__ListPoolsRequest.self,
      Baton__V1__ListPoolsResponse.self,
      Baton__V1__GetPoolRequest.self,
      Baton__V1__GetPoolResponse.self,
      Baton__V1__DrainRequest__PoolSelector.self,
      Baton__V1__DrainRequest.self,
      Baton__V1__DrainResponse.self,
      Baton__V1__ListDrainsRequest.self,
      Baton__V1__ListDrainsResponse.self,
      Baton__V1__GetDrainRequest.self,
      Baton__V1__GetDrainResponse.self,
      Baton__V1__WatchRequest.self,
      Baton__V1__WatchResponse.self,
      Baton__V1__Peer.self,
      Baton__V1__Runner__MetadataEntry.self,
      Baton__V1__Runner.self,
      Baton__V1__DrainOrder.self,
      Baton__V1__RunnerConfig__MetadataEntry.self,
      Baton__V1__RunnerConfig.self,
      Baton__V1__NormalRunners.self,
      Baton__V1__ServerlessRunners.self,
      Baton__V1__VersionSummary.self,
      Baton__V1__TargetChange.self,
      Baton__V1__Pool.self,
      Baton__V1__Namespace.self,
      Baton__V1__Decision.self,
      Baton__V1__Held.self,
      Baton__V1__Event.self,
      Baton__V1__AttachRequest.self,
      Baton__V1__AttachResponse.self,
      Baton__V1__Register__MetadataEntry.self,
      Baton__V1__Register.self,
      Baton__V1__Heartbeat.self,
      Baton__V1__StopAck.self,
      Baton__V1__Stopping.self,
      Baton__V1__Detach.self,
      Baton__V1__Registered.self,
      Baton__V1__HeartbeatAck.self,
      Baton__V1__Stop.self,
      Baton__V1__Close.self,
      Google__Protobuf__Any.self,
      Google__Rpc__Status.self,
      Grpc__Health__V1__HealthCheckRequest.self,
      Grpc__Health__V1__HealthCheckResponse.self,
      Ttrpc__Request.self,
      Ttrpc__Response.self,
      Ttrpc__KeyValue.self,
    ] as [any CMessage.Type]).map { AnyMessage($0) }
}
