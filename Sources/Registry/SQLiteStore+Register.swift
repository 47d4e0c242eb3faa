import Handover

/// Registration: the one transaction that admits a runner, settles its key, moves the target and orders who
/// must leave.
extension SQLiteStore {
  func register(_ registration: Registration) throws(DatabaseError) -> Outcome {
    let digest = TokenDigest(registration.token)
    if let known = try statements.findLivingToken.first(digest.high, digest.low, read: { RunnerRecord($0) }) {
      return try resume(known, registration)
    }
    if let refusal = try fenced(digest, registration) { return .failure(refusal) }
    return try admit(registration, digest)
  }

  // MARK: - A known token

  /// A runner that was declared gone must not go on as if nothing had been.
  private func fenced(
    _ digest: TokenDigest, _ registration: Registration
  ) throws(DatabaseError) -> Refusal? {
    let ended = try statements.findEndedToken.first(digest.high, digest.low) { row in
      (id: row.int64(0), uid: row.uint32(1), phase: row.int(2), end: row.int(3))
    }
    guard let ended else { return nil }
    guard ended.uid == registration.peer.uid else { return Self.foreignToken }
    let phase = RunnerPhase(rawValue: ended.phase) ?? .lost
    let end = RunnerEnd(rawValue: ended.end).map { " (\($0.word))" } ?? ""
    return Refusal(
      .failedPrecondition,
      "fenced: runner \(ended.id) of this token is \(phase.word)\(end); "
        + "stop what it still runs, make up a new token and register anew")
  }

  private static let foreignToken = Refusal(
    .permissionDenied, "this token is another user's; make up a new token and register anew")

  private func resume(
    _ known: RunnerRecord, _ registration: Registration
  ) throws(DatabaseError) -> Outcome {
    guard known.peer.uid == registration.peer.uid else { return .failure(Self.foreignToken) }
    guard registration.attachment >= known.attachment else {
      return .refused(
        .aborted, "runner \(known.id) has been resumed on a later connection; that one counts")
    }
    let pool = try pool(known.poolID)
    if let difference = difference(known, pool, registration) {
      return .refused(
        .failedPrecondition,
        "this token is runner \(known.id)'s, which has \(difference); "
          + "a runner that is another makes up a new token and registers anew")
    }
    let metadata = MetadataCoding.encode(registration.metadata)
    var resumed = known
    resumed.isAttached = true
    resumed.isSilent = false
    resumed.isAuthorized = pool.isAuthorized(registration.peer.uid, daemonUID: daemonUID)
    resumed.totalSlots = registration.totalSlots
    resumed.attachment = registration.attachment
    resumed.endsWithProcess = registration.endsWithProcess
    resumed.peer = registration.peer
    resumed.metadata = metadata
    resumed.takesActors = registration.takesActors

    let before = known.standing(in: pool)
    // The same Register once more on the same connection: the same answer, and nothing new to tell.
    let isNews =
      known.attachment != registration.attachment || !known.isAttached || known.isSilent
      || known.totalSlots != resumed.totalSlots || known.metadata != metadata
      || known.endsWithProcess != resumed.endsWithProcess || known.takesActors != resumed.takesActors
    if isNews { try write(attached: resumed) }
    pool.recount(known.version, from: before, to: resumed.standing(in: pool))
    let plan = try plan(pool)
    var decision = plan.decision(
      config: .found,
      fate: plan.fate(of: known.id, version: known.version, isExempt: resumed.isExempt(in: pool)))
    if known.isDraining { decision.standing = .draining }
    if isNews {
      try event(
        .runnerResumed, of: pool, runner: known.id, version: known.version, detail: decision.detail,
        who: registration.peer)
    }
    work.consequences.append(.decided(pool.name, version: known.version, runner: known.id, decision))
    var order = try carryOut(plan, on: pool, actor: registration.peer, newcomer: resumed)
    if known.isDraining {
      order = try statements.findOpenOrder.first(known.id.rawValue) { OrderRecord($0).open }
    }
    return .success(
      .registered(
        Admission(
          runner: known.id, key: known.shownKey, isResumed: true, decision: decision, openOrder: order)))
  }

  private func write(attached runner: RunnerRecord) throws(DatabaseError) {
    work.ledger.lastAttachment = max(work.ledger.lastAttachment, runner.attachment.rawValue)
    let peer = runner.peer
    try statements.attachRunner.run(
      runner.isAuthorized, runner.totalSlots, runner.attachment.rawValue, runner.endsWithProcess, peer.uid,
      peer.gid, peer.pid, peer.program, work.now.wallMilliseconds,
      runner.metadata.isEmpty ? nil : runner.metadata, runner.takesActors, runner.id.rawValue)
  }

  private func difference(
    _ known: RunnerRecord, _ pool: PoolRecord, _ registration: Registration
  ) -> String? {
    if pool.name != registration.pool { return "pool \(pool.name) and not \(registration.pool)" }
    if known.version != registration.version {
      return "version \(known.version) and not \(registration.version)"
    }
    // The key that was shown may be given explicitly at a resume; it is the same place.
    if registration.key != known.key, registration.key != known.shownKey {
      return "key \(known.shownKey) and not \(registration.key ?? "none")"
    }
    return nil
  }

  // MARK: - A new runner

  private func admit(
    _ registration: Registration, _ digest: TokenDigest
  ) throws(DatabaseError) -> Outcome {
    var found = try pool(named: registration.pool)
    let settlement: KeySettlement
    if let found {
      switch try settleKey(registration, found) {
      case .failure(let refusal): return .failure(refusal)
      case .success(let settled): settlement = settled
      }
    } else {
      guard let namespace = try namespaceID(registration.pool.namespace) else {
        return .failure(Self.noNamespace(registration.pool.namespace))
      }
      settlement = .free
      found = try makePool(registration.pool, namespaceID: namespace)
    }
    guard let pool = found else { preconditionFailure("pool \(registration.pool) was just made") }

    // From here on it writes, and is not refused any more.
    let config = try prepare(pool, for: registration.peer)
    let runner = try newRunner(registration, pool)
    let superseded = try carryOut(settlement, for: runner, pool)
    pool.recount(runner.version, from: nil, to: runner.standing(in: pool))
    try write(new: runner, digest)
    let plan = try plan(pool)
    let decision = plan.decision(
      config: config, superseded: superseded, fate: plan.fate(of: runner.id, version: runner.version))
    try event(
      .runnerRegistered, of: pool, runner: runner.id, version: runner.version, detail: decision.detail,
      who: registration.peer)
    work.consequences.append(.decided(pool.name, version: runner.version, runner: runner.id, decision))
    let order = try carryOut(plan, on: pool, actor: registration.peer, newcomer: runner)
    return .success(
      .registered(
        Admission(
          runner: runner.id, key: runner.shownKey, isResumed: false, decision: decision, openOrder: order)))
  }

  static func noNamespace(_ name: String) -> Refusal {
    Refusal(
      .notFound, "namespace \(name) does not exist; create it first (baton namespaces create \(name))")
  }

  /// A pool's first runner or actor makes its user the owner, and gives it a config where it has none.
  func prepare(_ pool: PoolRecord, for peer: Peer) throws(DatabaseError) -> Decision.Config {
    if pool.ownerUID == nil { pool.ownerUID = peer.uid }
    guard pool.config == nil else { return .found }
    pool.config = .automatic
    try event(.configPut, of: pool, detail: "created", who: daemon)
    return .created
  }

  private func newRunner(
    _ registration: Registration, _ pool: PoolRecord
  ) throws(DatabaseError) -> RunnerRecord {
    var id = work.ledger.lastRunner + 1
    // Without a key of its own the id is its key: an id that somebody has given as key is passed over.
    if registration.key == nil {
      while try statements.findKey.first(pool.id, String(id), read: { _ in true }) != nil { id += 1 }
    }
    work.ledger.lastRunner = id
    return RunnerRecord(
      id: RunnerID(id), poolID: pool.id, registration,
      isAuthorized: pool.isAuthorized(registration.peer.uid, daemonUID: daemonUID))
  }

  private func write(new runner: RunnerRecord, _ digest: TokenDigest) throws(DatabaseError) {
    work.ledger.lastAttachment = max(work.ledger.lastAttachment, runner.attachment.rawValue)
    let peer = runner.peer
    try statements.insertRunner.run(
      runner.id.rawValue, runner.poolID, runner.key, runner.version.number, runner.isAuthorized,
      runner.totalSlots, runner.attachment.rawValue, runner.endsWithProcess, peer.uid, peer.gid, peer.pid,
      peer.program, digest.high, digest.low, work.now.wallMilliseconds,
      runner.metadata.isEmpty ? nil : runner.metadata, runner.takesActors)
  }
}
