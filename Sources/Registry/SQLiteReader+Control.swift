import Handover

/// Plans that are only shown.
extension SQLiteReader {
  func plan(
    _ name: PoolName, _ supposition: Supposition?, _ page: Page, _ now: Moment
  ) throws(DatabaseError) -> QueryAnswer.Content {
    let list = "plan \(name) \(supposition.map { "\($0)" } ?? "")"
    let after: Candidate?
    switch place(page, list: list) {
    case .failure(let refusal): return .refused(refusal)
    case .success(let last): after = last
    }
    guard let pool = try pool(name, now), let config = pool.config else {
      return .refused(.noConfig(name))
    }
    if case .pin? = supposition, case .serverless = config.kind { return .refused(.noTarget(name)) }

    let state = supposition.map { pool.state.supposing($0, now: now.nanoseconds) } ?? pool.state
    let newcomer = supposition?.newcomer
    var plan = try statements.planning.plan(pool, as: state, newcomer: newcomer, now: now.nanoseconds)
    let leaving = plan.leaving
    let size = Self.size(page)
    let candidates = try statements.planning.candidates(
      of: pool, 0...UInt32.max, after: after, newcomer: newcomer, limit: size + 1)
    let shown = self.page(candidates, size, list: list) { Self.place(of: $0) }
    let fates = shown.elements.map { candidate in
      PlanView.RunnerFate(
        runner: Self.shown(candidate.id, newcomer), version: candidate.version,
        usedSlots: candidate.usedSlots,
        fate: plan.fate(
          of: candidate.id, version: candidate.version, isExempt: candidate.isExempt, among: leaving))
    }
    if case .runners(let ids)? = plan.retirement {
      plan.retirement = .runners(ids.map { Self.shown($0, newcomer) })
    }
    return .plan(PlanView(plan: plan, runners: PageOf(elements: fates, next: shown.next)))
  }

  /// As it is in this snapshot; nil when there has never been one.
  func pool(_ name: PoolName, _ now: Moment) throws(DatabaseError) -> PoolRecord? {
    guard let id = try statements.planning.poolID(name) else { return nil }
    return try statements.planning.pool(id, now: now.nanoseconds)
  }

  /// Who has no id yet is shown as 0.
  private static func shown(_ id: RunnerID, _ newcomer: Candidate?) -> RunnerID {
    id == newcomer?.id ? RunnerID(0) : id
  }

  private static func place(of candidate: Candidate) -> [String] {
    [
      String(candidate.version.number), String(candidate.usedSlots), String(candidate.id.rawValue),
    ]
  }

  /// After which runner a page of them begins; nil is before the first.
  private func place(_ page: Page, list: String) -> Result<Candidate?, Refusal> {
    do throws(Refusal) {
      guard let key = try PageToken.key(in: page.token, list: list, columns: 3) else { return .success(nil) }
      guard let number = UInt32(key[0]), let version = Version(number), let usedSlots = Int64(key[1]),
        let id = Int64(key[2])
      else { return .failure(PageToken.noToken) }
      return .success(
        Candidate(id: RunnerID(id), version: version, totalSlots: 0, usedSlots: usedSlots))
    } catch {
      return .failure(error)
    }
  }
}

extension Refusal {
  static func noConfig(_ name: PoolName) -> Refusal {
    Refusal(
      .notFound,
      "pool \(name) does not exist; it comes with its config (baton config put) or its first runner")
  }

  static func noTarget(_ name: PoolName) -> Refusal {
    Refusal(
      .failedPrecondition,
      "pool \(name) is serverless: its runners end by themselves, no target drains them")
  }
}
