import Handover

/// Connections that come and go, silence, and the ends of runners.
extension SQLiteStore {
  /// A living runner.
  func runner(_ id: RunnerID) throws(DatabaseError) -> RunnerRecord? {
    try statements.findRunner.first(id.rawValue) { RunnerRecord($0) }
  }

  /// The living runner whose attachment this is; nil when news of it come too late.
  private func current(_ attachment: Attachment) throws(DatabaseError) -> RunnerRecord? {
    guard let runner = try runner(attachment.runner), runner.attachment == attachment.id else { return nil }
    return runner
  }

  /// Why there is no living runner of this id.
  func absent(_ id: RunnerID) throws(DatabaseError) -> Refusal {
    let ended = try statements.findEndedRunner.first(id.rawValue) {
      RunnerPhase(rawValue: $0.int(1)) ?? .lost
    }
    guard let ended else { return Refusal(.notFound, "runner \(id) does not exist") }
    return Refusal(
      .failedPrecondition, "runner \(id) has ended already (\(ended.word)): nothing is left to do")
  }

  /// The living runner that speaks on this attachment, or why it is not heard.
  func attached(_ attachment: Attachment) throws(DatabaseError) -> Result<RunnerRecord, Refusal> {
    guard let runner = try runner(attachment.runner) else { return .failure(try absent(attachment.runner)) }
    guard runner.attachment == attachment.id else {
      return .refused(.aborted, "runner \(runner.id) has been resumed on a later connection; that one counts")
    }
    return .success(runner)
  }

  func detach(_ attachments: [Attachment]) throws(DatabaseError) -> Outcome {
    var applied = 0
    for attachment in attachments {
      guard let runner = try current(attachment), runner.isAttached else { continue }
      let pool = try pool(runner.poolID)
      var detached = runner
      detached.isAttached = false
      try statements.detachRunner.run(work.now.wallMilliseconds, runner.id.rawValue)
      detached.isSilent = false
      pool.recount(runner.version, from: runner.standing(in: pool), to: detached.standing(in: pool))
      try event(.runnerDetached, of: pool, runner: runner.id, version: runner.version)
      applied += 1
    }
    return .success(.applied(applied))
  }

  func setSilent(_ isSilent: Bool, _ attachments: [Attachment]) throws(DatabaseError) -> Outcome {
    var applied = 0
    for attachment in attachments {
      guard let runner = try current(attachment), runner.isAttached, runner.isSilent != isSilent else {
        continue
      }
      let pool = try pool(runner.poolID)
      var changed = runner
      changed.isSilent = isSilent
      try statements.setSilent.run(isSilent, runner.id.rawValue)
      pool.recount(runner.version, from: runner.standing(in: pool), to: changed.standing(in: pool))
      try event(
        isSilent ? .runnerSilent : .runnerHeard, of: pool, runner: runner.id, version: runner.version)
      applied += 1
    }
    return .success(.applied(applied))
  }

  func leave(
    _ attachment: Attachment, exitCode: Int32?, reason: String
  ) throws(DatabaseError) -> Outcome {
    let runner: RunnerRecord
    switch try attached(attachment) {
    case .failure(let refusal):
      return try hasLeft(attachment) ? .success(.left) : .failure(refusal)
    case .success(let found): runner = found
    }
    let pool = try pool(runner.poolID)
    try end(runner, of: pool, phase: .stopped, .detached, exitCode: exitCode, reason: reason)
    return .success(.left)
  }

  /// The same Detach once more is answered as the first one was.
  private func hasLeft(_ attachment: Attachment) throws(DatabaseError) -> Bool {
    try statements.findEndedRunner.first(attachment.runner.rawValue) { row in
      row.int64(0) == attachment.id.rawValue && row.int(2) == RunnerEnd.detached.rawValue
    } ?? false
  }

  func lose(_ attachments: [Attachment], _ end: RunnerEnd) throws(DatabaseError) -> Outcome {
    var applied = 0
    for attachment in attachments {
      guard let runner = try current(attachment) else { continue }
      try self.end(runner, of: pool(runner.poolID), phase: .lost, end)
      applied += 1
    }
    return .success(.applied(applied))
  }
}
