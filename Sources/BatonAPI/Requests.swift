import CBatonProto
import Handover
import Protobuf

/// Requests to what the store is asked, each field checked; what is wrong with one is thrown with its name and
/// bounds.
package enum Requests {
  /// Where one thing is named, no namespace is the default one.
  package static func pool(
    _ namespace: UnsafePointer<CChar>?, _ name: UnsafePointer<CChar>?, prefix: String = ""
  ) throws(FieldViolation) -> PoolName {
    PoolName(
      namespace: try self.namespace(namespace, field: prefix + "namespace"),
      name: try Bounds.name(Read.string(name), field: prefix + "name"))
  }

  package static func namespace(
    _ namespace: UnsafePointer<CChar>?, field: String
  ) throws(FieldViolation) -> String {
    let text = Read.string(namespace)
    return text.isEmpty ? "default" : try Bounds.name(text, field: field)
  }

  /// In a list, nothing is everything.
  package static func filter(_ text: UnsafePointer<CChar>?, field: String) throws(FieldViolation) -> String? {
    let text = Read.string(text)
    return text.isEmpty ? nil : try Bounds.name(text, field: field)
  }

  package static func page(
    _ size: UInt32, _ token: UnsafePointer<CChar>?
  ) throws(FieldViolation) -> Page {
    let token = Read.string(token)
    guard token.utf8.count <= 512 else {
      throw FieldViolation(field: "page_token", requirement: "must be the last answer's next_page_token")
    }
    return Page(size: try Bounds.pageSize(size, field: "page_size"), token: token)
  }

  package static func registration(
    _ message: UnsafeMutablePointer<Baton__V1__Register>, peer: Peer, attachment: AttachmentID
  ) throws(FieldViolation) -> Registration {
    let register = message.pointee
    let key = Read.string(register.key)
    return Registration(
      pool: try pool(register.namespace_, register.name, prefix: "register."),
      key: key.isEmpty ? nil : try Bounds.name(key, field: "register.key"),
      version: try Bounds.version(register.version, field: "register.version"),
      totalSlots: try Bounds.totalSlots(register.total_slots, field: "register.total_slots"),
      token: try token(Read.bytes(register.token)),
      endsWithProcess: register.ends_with_process != 0, takesActors: register.takes_actors != 0,
      metadata: try metadata(
        Read.messages(register.n_metadata, register.metadata).map {
          ($0.pointee.key, $0.pointee.value)
        }, field: "register.metadata"),
      peer: peer, attachment: attachment)
  }

  package static func token(_ bytes: [UInt8]) throws(FieldViolation) -> RegistrationToken {
    guard bytes.count == 16, bytes.contains(where: { $0 != 0 }) else {
      throw FieldViolation(
        field: "register.token", requirement: "must be 16 random bytes, not all zero; has \(bytes.count)")
    }
    let high = bytes[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let low = bytes[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return RegistrationToken(high: high, low: low)
  }

  private static func metadata(
    _ pairs: [(UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<CChar>?)], field: String
  ) throws(FieldViolation) -> [MetadataPair] {
    try Bounds.metadata(
      pairs.map { MetadataPair(key: Read.string($0.0), value: Read.string($0.1)) }, field: field)
  }

  package static func config(
    _ message: UnsafeMutablePointer<Baton__V1__RunnerConfig>?
  ) throws(FieldViolation) -> RunnerConfig {
    guard let config = Decode.config(message) else {
      throw FieldViolation(field: "config.kind", requirement: "must be normal or serverless")
    }
    if case .normal = config.kind, let normal = message?.pointee.normal?.pointee {
      _ = try Bounds.grace(normal.drain_grace_period_ms, field: "config.normal.drain_grace_period_ms")
      for (value, allowed, field) in [
        (normal.actor_start_threshold_ms, Bounds.actorStartMilliseconds, "actor_start_threshold_ms"),
        (normal.actor_stop_threshold_ms, Bounds.actorStopMilliseconds, "actor_stop_threshold_ms"),
        (normal.actor_retry_backoff_ms, Bounds.actorRetryBackoffMilliseconds, "actor_retry_backoff_ms"),
        (normal.actor_retry_reset_ms, Bounds.actorRetryResetMilliseconds, "actor_retry_reset_ms"),
      ] {
        _ = try Bounds.milliseconds(value, in: allowed, field: "config.normal." + field)
      }
      try checkUpgrade(normal)
    }
    _ = try Bounds.metadata(config.metadata, field: "config.metadata")
    guard config.encoded.count <= 256 << 10 else {
      throw FieldViolation(
        field: "config", requirement: "must be at most 262144 bytes, is \(config.encoded.count)")
    }
    return config
  }

  package static func drain(
    _ message: UnsafeMutablePointer<Baton__V1__DrainRequest>, who: Peer
  ) throws(FieldViolation) -> DrainCommand {
    let request = message.pointee
    let target: DrainCommand.Target
    switch request.target_case {
    case BATON__V1__DRAIN_REQUEST__TARGET_RUNNER_ID:
      target = .runner(RunnerID(try id(request.runner_id, field: "runner_id")))
    case BATON__V1__DRAIN_REQUEST__TARGET_OLDER_VERSIONS:
      let selector = request.older_versions.pointee
      let below = selector.below_version
      target = .olderVersions(
        try pool(selector.namespace_, selector.name, prefix: "older_versions."),
        belowVersion: below == 0 ? nil : try Bounds.version(below, field: "older_versions.below_version"))
    case BATON__V1__DRAIN_REQUEST__TARGET_WHOLE_POOL:
      let selector = request.whole_pool.pointee
      target = .wholePool(try pool(selector.namespace_, selector.name, prefix: "whole_pool."))
    default:
      throw FieldViolation(field: "target", requirement: "must be runner_id, older_versions or whole_pool")
    }
    return DrainCommand(
      target: target, graceMilliseconds: try Bounds.grace(request.grace_ms, field: "grace_ms"),
      reason: try Bounds.reason(Read.string(request.reason), field: "reason"), who: who)
  }

  package static func id(_ value: UInt64, field: String) throws(FieldViolation) -> Int64 {
    guard let id = Int64(exactly: value), id > 0 else {
      throw FieldViolation(field: field, requirement: "must be 1 to 9223372036854775807, is \(value)")
    }
    return id
  }

  package static func runners(
    _ message: UnsafeMutablePointer<Baton__V1__ListRunnersRequest>
  ) throws(FieldViolation) -> Query {
    let request = message.pointee
    let phase = try choice(request.phase.rawValue, RunnerPhase.self, field: "phase")
    return .runners(
      RunnerFilter(
        namespace: try filter(request.namespace_, field: "namespace"),
        name: try filter(request.name, field: "name"), phase: phase,
        // Naming an ended phase asks for ended ones.
        includeEnded: request.include_ended != 0 || phase?.hasEnded == true),
      try page(request.page_size, request.page_token))
  }

  package static func drains(
    _ message: UnsafeMutablePointer<Baton__V1__ListDrainsRequest>
  ) throws(FieldViolation) -> Query {
    let request = message.pointee
    let state = try choice(request.state.rawValue, DrainState.self, field: "state")
    return .drains(
      DrainFilter(
        namespace: try filter(request.namespace_, field: "namespace"),
        name: try filter(request.name, field: "name"), state: state,
        includeEnded: request.include_ended != 0 || state?.isOpen == false,
        runner: request.runner_id == 0
          ? nil : RunnerID(try id(request.runner_id, field: "runner_id"))),
      try page(request.page_size, request.page_token))
  }

  /// nil of an order that cannot be.
  package static func stopCancelledAnswer(
    _ message: UnsafeMutablePointer<Baton__V1__StopCancelledAnswer>
  ) throws(FieldViolation) -> (order: DrainOrderID, answer: Undo.Answer)? {
    guard let answer = try choice(message.pointee.answer.rawValue, Undo.Answer.self, field: "answer") else {
      throw FieldViolation(field: "stop_cancelled_answer.answer", requirement: "must be RESUMED or TOO_LATE")
    }
    return Int64(exactly: message.pointee.order_id).map { (DrainOrderID($0), answer) }
  }

  /// 0 is none; a number that names no case is the caller's mistake, not silently everything.
  static func choice<Case: RawRepresentable>(
    _ value: UInt32, _ type: Case.Type, field: String
  ) throws(FieldViolation) -> Case? where Case.RawValue == Int {
    guard value != 0 else { return nil }
    guard let choice = Case(rawValue: Int(value)) else {
      throw FieldViolation(field: field, requirement: "has no value \(value)")
    }
    return choice
  }
}
