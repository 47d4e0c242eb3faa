import Handover
import Protobuf
import Ttrpc

/// The one place where what went wrong becomes a gRPC status.
extension Status {
  package init(_ error: DecodeError) {
    self.init(error.problem == .tooLarge ? .resourceExhausted : .invalidArgument, error.description)
  }

  package init(_ violation: FieldViolation) { self.init(.invalidArgument, violation.description) }

  package init(_ refusal: Refusal) {
    let code: StatusCode =
      switch refusal.code {
      case .invalidArgument: .invalidArgument
      case .notFound: .notFound
      case .alreadyExists: .alreadyExists
      case .permissionDenied: .permissionDenied
      case .resourceExhausted: .resourceExhausted
      case .failedPrecondition: .failedPrecondition
      case .aborted: .aborted
      case .outOfRange: .outOfRange
      }
    self.init(code, refusal.message)
  }

  package init(_ failure: StoreFailure) {
    switch failure {
    case .unavailable(let text): self.init(.unavailable, "the store takes no changes now: \(text)")
    case .fatal(let text): self.init(.unavailable, "the store has failed and the daemon is ending: \(text)")
    }
  }
}
