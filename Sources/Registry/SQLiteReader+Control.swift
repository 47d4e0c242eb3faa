import Handover

/// Plans that are only shown, explanations, and who did what.
extension SQLiteReader {
  func plan(
    _ name: PoolName, _ supposition: Supposition?, _ page: Page, _ now: Moment
  ) throws(DatabaseError) -> QueryAnswer.Content { .refused(Refusal(.failedPrecondition, "plan")) }

  func explain(_ subject: ExplainSubject, _ now: Moment) throws(DatabaseError) -> QueryAnswer.Content {
    .refused(Refusal(.failedPrecondition, "explain"))
  }

  func history(_ namespace: String?, _ name: String?, _ page: Page) throws(DatabaseError)
    -> QueryAnswer.Content
  {
    .refused(Refusal(.failedPrecondition, "history"))
  }
}
