import Handover
import Testing

/// `order` is its state, then what became of its way back.
private let verdicts = """
  cause           | order               | verdict
  version_upgrade | ordered             | cancel
  version_upgrade | delivered           | offer
  version_upgrade | acked               | offer
  version_upgrade | delivered offered   | awaitAnswer
  version_upgrade | acked tooLate       | refuse(tooLate)
  operator        | ordered             | cancel
  operator        | acked               | offer
  superseded      | ordered             | refuse(superseded)
  superseded      | acked               | refuse(superseded)
  self            | acked               | refuse(leavesByItself)
  version_upgrade | completed           | refuse(hasEnded completed)
  operator        | cancelled           | refuse(hasEnded cancelled)
  superseded      | forced tooLate      | refuse(hasEnded forced)
  """

private let answers = """
  order               | answer   | consequence
  delivered offered   | resumed  | cancelled
  acked offered       | resumed  | cancelled
  ordered offered     | resumed  | cancelled
  acked offered       | tooLate  | goesOn
  acked               | resumed  | ignored
  acked               | tooLate  | ignored
  acked tooLate       | resumed  | ignored
  cancelled           | tooLate  | beginsOwnDrain
  cancelled offered   | tooLate  | beginsOwnDrain
  cancelled           | resumed  | ignored
  completed           | tooLate  | ignored
  forced offered      | resumed  | ignored
  runnerLost offered  | tooLate  | ignored
  """

private let keys = """
  newcomer | holder      | pin | verdict
  2        | 1 attached  | -   | supersede
  2        | 1 detached  | -   | take
  1        | 1 attached  | -   | sameVersion
  1        | 1 detached  | -   | take
  1        | 2 attached  | -   | holderIsNewer
  1        | 2 detached  | -   | holderIsNewer
  1        | 2 attached  | 1   | supersede
  1        | 2 detached  | 1   | take
  2        | 1 attached  | 1   | holderIsPinned
  2        | 1 detached  | 1   | holderIsPinned
  1        | 1 attached  | 1   | sameVersion
  3        | 2 attached  | 1   | supersede
  2        | 3 attached  | 1   | holderIsNewer
  """

private func order(_ text: String) -> (state: DrainState, wayBack: WayBack?) {
  let words = text.split(separator: " ").map(String.init)
  return (
    DrainState.allCases.first { "\($0)" == words[0] }!,
    words.count > 1 ? WayBack.allCases.first { "\($0)" == words[1] }! : nil
  )
}

private func spell(_ verdict: Undo.Verdict) -> String {
  switch verdict {
  case .refuse(.hasEnded(let state)): "refuse(hasEnded \(state))"
  case .refuse(let obstacle): "refuse(\(obstacle))"
  case .cancel, .offer, .awaitAnswer: "\(verdict)"
  }
}

@Test(arguments: rows(of: verdicts)) func takingBackAnOrder(cells: [String]) {
  let order = order(cells[1])
  let causes: [String: DrainCause] = [
    "version_upgrade": .versionUpgrade, "operator": .operator, "superseded": .superseded, "self": .self,
  ]
  let verdict = Undo.verdict(cause: causes[cells[0]]!, state: order.state, wayBack: order.wayBack)
  #expect(spell(verdict) == cells[2])
}

@Test(arguments: rows(of: answers)) func answeringThatAnOrderIsTakenBack(cells: [String]) {
  let order = order(cells[0])
  let answer = Undo.Answer.allCases.first { "\($0)" == cells[1] }!
  #expect("\(Undo.consequence(of: answer, state: order.state, wayBack: order.wayBack))" == cells[2])
}

@Test(arguments: rows(of: keys)) func whoGetsAKey(cells: [String]) {
  let holder = cells[1].split(separator: " ")
  let verdict = KeyRule.verdict(
    newcomer: Version(UInt32(cells[0])!)!, holder: Version(UInt32(holder[0])!)!,
    holderIsAttached: holder[1] == "attached", pin: UInt32(cells[2]).flatMap { Version($0) })
  #expect("\(verdict)" == cells[3])
}
