import Handover

extension SQLiteReader {
  func explain(_ subject: ExplainSubject, _ now: Moment) throws(DatabaseError) -> QueryAnswer.Content {
    .refused(Refusal(.failedPrecondition, "explain"))
  }
}
