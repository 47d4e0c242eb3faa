import Handover

/// What becomes of the runner that holds a newcomer's key.
enum KeySettlement {
  case free
  /// It is attached and older: it is drained gracefully.
  case supersede(RunnerRecord)
  /// It is detached and not newer: it is lost.
  case take(RunnerRecord)
}

/// A key is held by whoever is ready with it, attached or not.
extension SQLiteStore {
  func settleKey(
    _ registration: Registration, _ pool: PoolRecord
  ) throws(DatabaseError) -> Result<KeySettlement, Refusal> {
    guard let key = registration.key, let holder = try holder(of: key, in: pool) else {
      return .success(.free)
    }
    let held =
      "key \(key) of pool \(pool.name) is held by runner \(holder.id) "
      + "(version \(holder.version), pid \(holder.peer.pid), \(holder.isAttached ? "attached" : "detached"))"
    let verdict = KeyRule.verdict(
      newcomer: registration.version, holder: holder.version, holderIsAttached: holder.isAttached,
      pin: pool.control.pin?.version)
    switch verdict {
    case .supersede, .take: break
    case .sameVersion:
      return .refused(
        .alreadyExists, "\(held): stop that process first, start a newer version, or take another key")
    case .holderIsNewer:
      return .refused(
        .failedPrecondition,
        "\(held), which is newer than \(registration.version): start that version or a newer one, or take another key"
      )
    case .holderIsPinned:
      return .refused(
        .failedPrecondition,
        "\(held), whose version is pinned: start that version, set another target (baton pin), or take another key"
      )
    }
    let uid = registration.peer.uid
    guard uid == holder.peer.uid || pool.isAuthorized(uid, daemonUID: daemonUID) else {
      return .refused(
        .permissionDenied,
        "\(held), which uid \(uid) may not replace: its user (uid \(holder.peer.uid)), the pool's owner, "
          + "the daemon's own user or root may; take another key")
    }
    return .success(holder.isAttached ? .supersede(holder) : .take(holder))
  }

  /// Who is ready under this key; a runner that gave none has its id for one.
  func holder(of key: String, in pool: PoolRecord) throws(DatabaseError) -> RunnerRecord? {
    if let named = try statements.findKey.first(pool.id, key, read: { RunnerRecord($0) }) { return named }
    guard let id = Int64(key), String(id) == key else { return nil }
    guard let runner = try statements.findRunner.first(id, read: { RunnerRecord($0) }),
      runner.key == nil, runner.poolID == pool.id, !runner.isDraining
    else { return nil }
    return runner
  }

  /// The answer is the runner that was superseded.
  func carryOut(
    _ settlement: KeySettlement, for newcomer: RunnerRecord, _ pool: PoolRecord
  ) throws(DatabaseError) -> RunnerID? {
    switch settlement {
    case .free:
      return nil
    case .take(let holder):
      try end(holder, of: pool, phase: .lost, .keyTaken)
      return nil
    case .supersede(let holder):
      let terms = newTerms(
        pool, cause: .superseded,
        reason: "version \(newcomer.version) registered with its key \(newcomer.shownKey)",
        graceMilliseconds: 0)
      let order = try self.order(holder, of: pool, terms: terms, who: newcomer.peer)
      work.consequences.append(
        .stopsOrdered(
          pool: pool.name, order.terms, [StopAcknowledgement(runner: holder.id, order: order.id)]))
      return holder.id
    }
  }
}
