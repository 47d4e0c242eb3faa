import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// Upgrades as operators see, hold, hasten and undo them: what the store is asked, and its answers.
extension Service {
  func controlMutation(_ call: Call, _ payload: UnsafeRawBufferPointer) throws -> Mutation {
    let who = call.connection.peer
    switch call.method {
    case .setTargetVersion: return try Requests.target(decode(payload), who: who)
    case .cordon: return try Requests.cordon(decode(payload), who: who)
    case .cancelDrain: return try Requests.cancelDrain(decode(payload), who: who)
    case .changeDeadline: return try Requests.changeDeadline(decode(payload), who: who)
    default: preconditionFailure("\(call.method) changes no upgrade")
    }
  }

  func controlQuery(
    _ method: Method, _ payload: UnsafeRawBufferPointer, _ now: Moment
  ) throws -> Query {
    switch method {
    case .planUpgrade: return try Requests.plan(decode(payload), now: now)
    case .explain: return try Requests.explanation(decode(payload), now: now)
    case .listHistory: return try Requests.history(decode(payload))
    default: preconditionFailure("\(method) asks nothing of an upgrade")
    }
  }

  func answerControl(_ call: Call, _ outcome: MutationOutcome, _ now: Moment) {
    switch (outcome, call.method) {
    case (.targetSet(let decision, let pin, let revision), .setTargetVersion):
      let response = replyArena.make(Baton__V1__SetTargetVersionResponse.self)
      response.pointee.decision = Encode.decision(decision, replyArena)
      response.pointee.pinned_version = pin?.number ?? 0
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case (.cordoned(let runner, let revision), .cordon):
      let response = replyArena.make(Baton__V1__CordonResponse.self)
      response.pointee.runner = Encode.runner(runner, replyArena)
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case (.drainChanged(let order, let revision), .cancelDrain):
      let response = replyArena.make(Baton__V1__CancelDrainResponse.self)
      response.pointee.drain = Encode.drain(order, now: now, replyArena)
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    case (.drainChanged(let order, let revision), .changeDeadline):
      let response = replyArena.make(Baton__V1__ChangeDeadlineResponse.self)
      response.pointee.drain = Encode.drain(order, now: now, replyArena)
      response.pointee.revision = UInt64(revision.rawValue)
      reply(call, response, now)
    default: preconditionFailure("\(call.method) was answered with \(outcome)")
    }
  }

  func answerControl(_ call: Call, _ answer: QueryAnswer, _ now: Moment) {
    let revision = UInt64(answer.revision.rawValue)
    switch answer.content {
    case .plan(let view):
      let response = Encode.plan(view, now: now, replyArena)
      response.pointee.revision = revision
      reply(call, response, now)
    case .explanation(let explanation):
      let response = Encode.explanation(explanation, now: now, replyArena)
      response.pointee.revision = revision
      reply(call, response, now)
    case .history(let page):
      let response = Encode.history(page, replyArena)
      response.pointee.revision = revision
      reply(call, response, now)
    default: preconditionFailure("\(call.method) was answered with \(answer.content)")
    }
  }
}
