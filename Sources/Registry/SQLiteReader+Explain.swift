import Handover

extension SQLiteReader {
  func explain(_ subject: ExplainSubject, _ now: Moment) throws(DatabaseError) -> QueryAnswer.Content {
    .refused(Refusal(.failedPrecondition, "explain"))
  }

  func history(
    _ namespace: String?, _ name: String?, _ page: Page
  ) throws(DatabaseError) -> QueryAnswer.Content {
    .refused(Refusal(.failedPrecondition, "history"))
  }
}
