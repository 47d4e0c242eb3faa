import Handover

/// Actors as clients and runners change them.
extension SQLiteStore {
  /// An actor, destroyed or not.
  func actor(_ id: ActorID) throws(DatabaseError) -> ActorRecord? {
    if let known = work.actors[id] { return known }
    let read = try actors.find.first(id.rawValue) { ActorRecord($0) }
    work.actors[id] = read
    return read
  }

  /// Makes something happen to an actor, and whatever follows from it but the next slot: that is for `settleActors`.
  func happen(
    _ happening: ActorLife.Happening, to actor: ActorRecord, of pool: PoolRecord
  ) throws(DatabaseError) {
    let before = actor.life
    let effects = actor.life.on(
      happening, id: actor.id, settings: pool.config?.actorSettings ?? ActorSettings(), now: work.now)
    guard actor.life != before else { return }
    changed(actor)
    pool.recount(actor: before, to: actor.life)
    for effect in effects { try carryOut(effect, on: actor, before: before, of: pool) }
  }

  func changed(_ actor: ActorRecord) {
    guard !actor.isChanged else { return }
    actor.isChanged = true
    work.changedActors.insert(actor.id)
    work.unwritten.append(actor)
  }

  private func carryOut(
    _ effect: ActorLife.Effect, on actor: ActorRecord, before: ActorLife, of pool: PoolRecord
  ) throws(DatabaseError) {
    switch effect {
    case .slotTaken(let runner): try countSlot(of: runner, taken: true, in: pool)
    case .slotFreed(let runner): try countSlot(of: runner, taken: false, in: pool)
    case .command(let runner):
      work.ledger.lastCommand += 1
      actor.commandSequence = work.ledger.lastCommand
      work.commanded.insert(runner)
    case .drop(let runner, let generation):
      work.consequences.append(
        .actorDropped(runner, ActorCheckpoint(actor: actor.id, generation: generation, index: 0)))
    case .wantsSlot(let keepsPlace):
      if !keepsPlace { actor.place = nextPlace() }
      work.wanting[pool.id, default: []].append(actor)
    case .entered(let state, let after):
      actor.times.entered(state, at: work.now.wallMilliseconds)
      if state == .destroyed {
        try actors.deleteInput.run(actor.id.rawValue)
        work.ledger.destroyedActors += 1
      }
      try event(
        EventKind(entered: state), of: pool, runner: actor.life.runner ?? before.runner,
        detail: after.isEmpty ? nil : after, actor: actor.id, generation: actor.life.generation)
    }
  }

  private func nextPlace() -> Int64 {
    work.ledger.lastPlace += 1
    return work.ledger.lastPlace
  }

  private func countSlot(of runner: RunnerID, taken: Bool, in pool: PoolRecord) throws(DatabaseError) {
    let living = try actors.readStanding.first(runner.rawValue) { row in
      (
        version: row.version(0),
        standing: Standing(
          phase: row.int(1) == RunnerPhase.draining.rawValue ? .draining : .ready,
          isAttached: row.int(2) == RunnerLink.attached.rawValue, isAuthorized: row.bool(3),
          totalSlots: row.uint32(4), usedSlots: row.int64(5), isSilent: row.bool(6), isCordoned: row.bool(7),
          isExempt: !row.isNull(8) && row.optionalInt64(8) == pool.targetChangeID, isRecallable: row.bool(9),
          takesActors: row.bool(10))
      )
    }
    if taken {
      try actors.takeSlot.run(work.now.nanoseconds, runner.rawValue)
    } else {
      try actors.freeSlot.run(runner.rawValue)
    }
    // A runner that has ended counts nowhere any more.
    guard let living else { return }
    var after = living.standing
    after.usedSlots += taken ? 1 : -1
    pool.recount(living.version, from: living.standing, to: after)
  }

  // MARK: - Clients

  func create(_ creation: ActorCreation) throws(DatabaseError) -> Result<(ActorRecord, Bool), Refusal> {
    let identity = creation.identity
    guard let namespace = try namespaceID(identity.pool.namespace) else {
      return .failure(Self.noNamespace(identity.pool.namespace))
    }
    let request = creation.requestID.isEmpty ? nil : Self.digest(of: creation, namespace: namespace)
    if let request,
      let known = try actors.findRequest.first(request.high, request.low, read: { ActorID($0.int64(0)) }),
      let actor = try actor(known)
    {
      return try repeated(creation, actor)
    }
    let found = try pool(named: identity.pool)
    if let found, let refusal = mayNotChange(found, creation.who) { return .failure(refusal) }
    if let key = identity.key,
      let holder = try actors.findKey.first(namespace, identity.name, key, read: { ActorID($0.int64(0)) }),
      let actor = try actor(holder)
    {
      return try existing(creation, actor)
    }
    let pool: PoolRecord
    if let found { pool = found } else { pool = try makePool(identity.pool, namespaceID: namespace) }
    _ = try prepare(pool, for: creation.who)
    work.ledger.lastActor += 1
    let actor = ActorRecord(
      new: ActorID(work.ledger.lastActor), poolID: pool.id, namespaceID: namespace, place: nextPlace(),
      creation,
      request: request, at: work.now.wallMilliseconds)
    work.actors[actor.id] = actor
    changed(actor)
    pool.recount(actor: nil, to: actor.life)
    work.wanting[pool.id, default: []].append(actor)
    if !creation.input.isEmpty { try actors.insertInput.run(actor.id.rawValue, creation.input) }
    try event(
      .actorCreated, of: pool, detail: identity.key.map { "\(identity.name) \($0)" } ?? identity.name,
      who: creation.who, actor: actor.id)
    return .success((actor, true))
  }

  /// Enough of a request to know it again: whose, where, which.
  private static func digest(of creation: ActorCreation, namespace: Int64) -> TokenDigest {
    TokenDigest("\(namespace) \(creation.who.uid) \(creation.requestID)")
  }

  /// The same request once more: the same answer.
  private func repeated(
    _ creation: ActorCreation, _ actor: ActorRecord
  ) throws(DatabaseError) -> Result<(ActorRecord, Bool), Refusal> {
    let identity = creation.identity
    guard actor.name == identity.name, actor.key == identity.key, try pool(actor.poolID).name == identity.pool
    else {
      return .refused(
        .alreadyExists,
        "request_id was used for another actor, \(actor.id) (\(actor.name)): a new request needs a new id")
    }
    return .success((actor, true))
  }

  private func existing(
    _ creation: ActorCreation, _ actor: ActorRecord
  ) throws(DatabaseError) -> Result<(ActorRecord, Bool), Refusal> {
    let pool = try pool(actor.poolID)
    if let refusal = mayNotChange(pool, creation.who) { return .failure(refusal) }
    guard creation.mayExist, pool.name == creation.identity.pool else {
      return .refused(
        .alreadyExists,
        "actor \(actor.id) of pool \(pool.name) has the key \(actor.key ?? "") already (\(actor.life.actorState.word)); "
          + "destroy it first, or take another key")
    }
    // Who asks for it to be there would be given one that is as good as gone.
    guard !actor.life.isDoomed else {
      return .refused(
        .aborted,
        "actor \(actor.id), which has the key \(actor.key ?? ""), is being destroyed: ask again when it is gone"
      )
    }
    return .success((actor, false))
  }

  func change(
    _ id: ActorID, _ wish: ActorWish, who: Peer
  ) throws(DatabaseError) -> Result<ActorRecord, Refusal> {
    guard let actor = try actor(id) else { return .refused(.notFound, "actor \(id) does not exist") }
    let pool = try pool(actor.poolID)
    if let refusal = mayNotChange(pool, who) { return .failure(refusal) }
    if wish != .destroy, actor.life.isDoomed {
      let what = actor.life.actorState == .destroyed ? "is destroyed" : "is being destroyed"
      return .refused(.failedPrecondition, "actor \(id) \(what): create another one")
    }
    let happening: ActorLife.Happening =
      switch wish {
      case .wake: .wake
      case .sleep: .sleep
      case .destroy: .destroy
      }
    try happen(happening, to: actor, of: pool)
    return .success(actor)
  }

  /// What a client is shown of it, as the transaction has it now.
  func view(_ actor: ActorRecord) throws(DatabaseError) -> Actor {
    try writeActors()
    guard let view = try actors.one.first(actor.id.rawValue, read: { Actor($0) }) else {
      throw DatabaseError(code: .corrupt, message: "actor \(actor.id) was just written and is not there")
    }
    return view
  }

  // MARK: - Runners

  func report(_ attachment: Attachment, _ reports: [ActorReport]) throws(DatabaseError) -> Outcome {
    let runner: RunnerRecord
    switch try attached(attachment) {
    case .failure(let refusal): return .failure(refusal)
    case .success(let found): runner = found
    }
    let pool = try pool(runner.poolID)
    var acked: [ActorCheckpoint] = []
    var refused: [ActorCheckpoint] = []
    for report in reports {
      guard let actor = try actor(report.checkpoint.actor), actor.life.runner == runner.id,
        actor.life.generation == report.checkpoint.generation
      else {
        refused.append(report.checkpoint)
        continue
      }
      guard report.kind != .held else { continue }
      acked.append(report.checkpoint)
      guard actor.life.counts(report: report.checkpoint.index) else { continue }
      changed(actor)
      if case .stopped(_, let message) = report.kind { actor.stopMessage = message }
      try happen(happening(report.kind), to: actor, of: pool)
    }
    return .success(.reported(acked: acked, refused: refused))
  }

  private func happening(_ kind: ActorReport.Kind) -> ActorLife.Happening {
    switch kind {
    case .running: .running
    case .stopped(let isOK, _): .stopped(isOK: isOK)
    case .startRefused: .startRefused
    case .sleepIntent: .sleepIntent
    case .stopIntent: .stopIntent
    case .setAlarm(let after):
      .alarm(
        after.map { milliseconds in
          ActorLife.Alarm(
            nanoseconds: work.now.nanoseconds + milliseconds * 1_000_000,
            wallMilliseconds: work.now.wallMilliseconds + milliseconds)
        })
    case .held: preconditionFailure("nothing happens to an actor that is held")
    }
  }

  func acknowledge(_ runner: RunnerID, _ commands: [ActorCheckpoint]) throws(DatabaseError) -> Outcome {
    var applied = 0
    for command in commands {
      guard let actor = try actor(command.actor), actor.life.runner == runner,
        actor.life.generation == command.generation, actor.life.acknowledged(command: command.index)
      else { continue }
      changed(actor)
      applied += 1
    }
    return .success(.applied(applied))
  }

  /// Whatever a runner holds is told to stop, or has lost it.
  func happen(
    _ happening: ActorLife.Happening, toThoseOf runner: RunnerID, of pool: PoolRecord
  ) throws(DatabaseError) {
    try writeActors()
    for id in try actors.held.all(runner.rawValue, read: { ActorID($0.int64(0)) }) {
      guard let actor = try actor(id) else { continue }
      try happen(happening, to: actor, of: pool)
    }
  }
}
