import CBatonProto
import Protobuf
import Ttrpc

/// Introspection: what `ListServices` answers.
package enum Services {
  package static func response(
    _ arena: Arena
  ) -> UnsafeMutablePointer<Baton__V1__ListServicesResponse> {
    var names: [String] = []
    for method in Method.allCases where !names.contains(method.description.service) {
      names.append(method.description.service)
    }
    let services = names.map { name in
      let service = arena.make(Baton__V1__ListServicesResponse__Service.self)
      service.pointee.name = arena.string(name)
      let methods = Method.allCases.map(\.description).filter { $0.service == name }.map { entry in
        let method = arena.make(Baton__V1__ListServicesResponse__Method.self)
        method.pointee.name = arena.string(entry.name)
        method.pointee.request_type = arena.string(String(cString: entry.request.pointee.name))
        method.pointee.response_type = arena.string(String(cString: entry.response.pointee.name))
        method.pointee.client_streaming = entry.shape == .bidirectional ? 1 : 0
        method.pointee.server_streaming = entry.shape == .unary ? 0 : 1
        return method
      }
      service.pointee.n_methods = methods.count
      service.pointee.methods = arena.messages(methods)
      return service
    }
    let response = arena.make(Baton__V1__ListServicesResponse.self)
    response.pointee.n_services = services.count
    response.pointee.services = arena.messages(services)
    response.pointee.file_descriptor_set = arena.data(
      UnsafeRawBufferPointer(start: baton_descriptor_set_bytes(), count: baton_descriptor_set_length()))
    return response
  }
}
