import Handover
import Protobuf
import Testing
import Ttrpc

@testable import BatonAPI

@Suite struct StatusTests {
  @Test func whatCannotBeDecodedIsTheCallersMistake() {
    for problem: DecodeError.Problem in [.tooLarge] {
      #expect(Status(DecodeError(field: "x", problem: problem)).code == .resourceExhausted)
    }
    let status = Status(FieldViolation(field: "name", requirement: "must be there"))
    #expect(status.code == .invalidArgument && status.message == "name must be there")
  }

  @Test(arguments: Refusal.Code.allCases)
  func aRefusalKeepsItsCodeAndItsWords(_ code: Refusal.Code) {
    let status = Status(Refusal(code, "because"))
    #expect("\(status.code)" == "\(code)")
    #expect(status.message == "because")
  }

  @Test func aStoreThatFailsMayBeAskedAgain() {
    #expect(Status(StoreFailure.unavailable("the disk is full")).code == .unavailable)
    #expect(Status(StoreFailure.unavailable("the disk is full")).message.contains("the disk is full"))
    #expect(Status(StoreFailure.fatal("damage")).code == .unavailable)
  }
}

@Suite struct WordTests {
  /// Every word reads back as what it was said of, and no two are the same.
  @Test func wordsAreOneToOne() {
    check(RunnerPhase.self, Words.word)
    check(RunnerLink.self, Words.word)
    check(RunnerEnd.self, Words.word)
    check(DrainCause.self, Words.word)
    check(DrainState.self, Words.word)
    check(TargetCause.self, Words.word)
    check(Decision.Config.self, Words.word)
    check(Decision.Upgrade.self, Words.word)
    check(Decision.Standing.self, Words.word)
    check(EventKind.self, Words.word)
  }

  private func check<Case: CaseIterable & Equatable>(_ type: Case.Type, _ spell: (Case) -> String) {
    #expect(Set(Case.allCases.map(spell)).count == Case.allCases.count)
    for one in Case.allCases {
      #expect(Words.case(spell(one), spell) == one)
      #expect(spell(one).wholeMatch(of: /[a-z_]+/) != nil)
    }
    let unknown: Case? = Words.case("no such word", spell)
    #expect(unknown == nil)
  }
}
