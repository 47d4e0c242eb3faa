import Handover
import Testing

/// The specification of an upgrade, a row a rule. Versions are `vN:RrAaGgDd`: R ready, of those A attached, of those G whose
/// word counts, and D draining. `->` names the target's move, `=` its staying.
private let table = """
  rule                            | config   | target | versions                      | move         | upgrade        | ordered
  nothing there                   | on       | -      |                               | =            | none_older     | 0
  nothing there, disabled         | off      | -      |                               | =            | disabled       | 0
  first runner                    | on       | -      | v1:1r1a1g0d                   | first 1      | none_older     | 0
  drain enabled                   | on       | 1      | v2:1r1a1g0d v1:3r3a3g0d       | promoted 2   | applied        | 3
  disabled                        | off      | 1      | v2:1r1a1g0d v1:3r3a3g0d       | promoted 2   | disabled       | 0
  config absent (automatic)       | absent   | 1      | v2:1r1a1g0d v1:3r3a3g0d       | promoted 2   | disabled       | 0
  not normal                      | serverless | 1    | v2:1r1a1g0d v1:3r3a3g0d       | promoted 2   | not_normal     | 0
  none older                      | on       | 2      | v2:4r4a4g0d                   | =            | none_older     | 0
  several older versions          | on       | 3      | v4:1r1a1g0d v3:2r2a2g0d v1:5r0a0g1d | promoted 4 | applied      | 7
  equal versions                  | on       | 2      | v2:9r9a9g0d                   | =            | none_older     | 0
  an old version that comes late  | on       | 2      | v2:1r1a1g0d v1:1r1a1g3d       | =            | applied        | 1
  older ones drain already        | on       | 2      | v2:1r1a1g0d v1:0r0a0g3d       | =            | none_older     | 0
  turned on later                 | on       | 2      | v2:2r2a2g0d v1:2r2a2g0d       | =            | applied        | 2
  newer one detached              | on       | 1      | v2:1r0a0g0d v1:3r3a3g0d       | =            | none_older     | 0
  not authorized                  | on       | 1      | v2:1r1a0g0d v1:3r3a3g0d       | =            | not_authorized | 0
  target gone, older one there    | on       | 3      | v3:0r0a0g2d v2:1r1a1g0d       | demoted 2    | none_older     | 0
  target gone, two older          | on       | 4      | v3:1r1a1g0d v2:1r1a1g0d       | demoted 3    | applied        | 1
  target detached is not gone     | on       | 3      | v3:1r0a0g0d v2:1r1a1g0d       | =            | applied        | 1
  target gone, stranger newer     | on       | 3      | v4:1r1a0g0d v2:1r1a1g0d       | demoted 2    | not_authorized | 0
  greatest versions compare right | on       | 2147483648 | v4294967294:1r1a1g0d v2147483648:1r1a1g0d | promoted 4294967294 | applied | 1
  """

private struct Row: Sendable, CustomTestStringConvertible {
  var rule: String
  var state: PoolState
  var move: String
  var upgrade: String
  var ordered: Int
  var testDescription: String { rule }
}

private let rows: [Row] = table.split(separator: "\n").dropFirst().map { line in
  let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
    $0.split(separator: " ").joined(separator: " ")
  }
  let kind: RunnerConfig.Kind =
    switch cells[1] {
    case "on": .normal(.init(drainOnVersionUpgrade: true))
    case "off": .normal(.init(drainOnVersionUpgrade: false))
    case "absent": RunnerConfig.automatic.kind
    default: .serverless
    }
  let versions = cells[3].split(separator: " ").map { text in
    let numbers = text.dropFirst().split { !$0.isNumber }.map { Int($0)! }
    return VersionSummary(
      version: Version(UInt32(numbers[0]))!, ready: numbers[1], readyAttached: numbers[2],
      readyAttachedAuthorized: numbers[3], draining: numbers[4], totalSlots: Int64(numbers[1]),
      remainingSlots: Int64(numbers[1]))
  }
  return Row(
    rule: cells[0],
    state: PoolState(
      config: RunnerConfig(kind: kind), target: UInt32(cells[2]).flatMap { Version($0) }, versions: versions),
    move: cells[4], upgrade: cells[5], ordered: Int(cells[6])!)
}

private func words(_ plan: Plan) -> (move: String, upgrade: String) {
  let upgrade =
    switch plan.upgrade {
    case .notNormal: "not_normal"
    case .disabled: "disabled"
    case .notAuthorized: "not_authorized"
    case .noneOlder: "none_older"
    case .applied: "applied"
    }
  return (plan.targetMove.map { "\($0.cause) \($0.version)" } ?? "=", upgrade)
}

@Test(arguments: rows)
private func planner(row: Row) {
  let plan = Planner.plan(row.state, now: 0)
  #expect(words(plan).move == row.move)
  #expect(words(plan).upgrade == row.upgrade)
  #expect(plan.retired == row.ordered)
}

@Test(arguments: rows)
private func aPlanCarriedOutLeavesNothingToDo(row: Row) {
  let plan = Planner.plan(row.state, now: 0)
  var after = row.state
  after.target = plan.target
  for index in after.versions.indices
  where after.versions[index].version < plan.target! && plan.retirement != nil {
    after.versions[index].draining += after.versions[index].ready
    after.versions[index].ready = 0
    after.versions[index].readyAttached = 0
    after.versions[index].readyAttachedAuthorized = 0
  }
  let again = Planner.plan(after, now: 0)
  #expect(again.targetMove == nil)
  #expect(again.retirement == nil)
  after.versions.reverse()
  #expect(Planner.plan(after, now: 0) == again)
}

@Test(arguments: [UInt32(0), .max]) func versionZeroAndMaximumAreRefused(number: UInt32) {
  #expect(throws: FieldViolation(field: "version", requirement: "must be 1 to 4294967294, is \(number)")) {
    try Bounds.version(number, field: "version")
  }
}

@Test(arguments: ["", "-a", "a b", "é", "a\u{0}", String(repeating: "a", count: 129)])
func namesOfAnotherFormAreRefused(name: String) {
  #expect(throws: FieldViolation.self) { try Bounds.name(name, field: "name") }
}

@Test func deadlinesComeInOrderAndFirstInFirstOutAmongEquals() {
  var heap = DeadlineHeap<Int>()
  for (index, deadline) in [5, 1, 5, 3, 1, 5].enumerated() { heap.add(index, at: Int64(deadline)) }
  var taken: [Int] = []
  while let next = heap.takeDue(at: 10) { taken.append(next) }
  #expect(taken == [1, 4, 3, 0, 2, 5])
  #expect(heap.takeDue(at: 10) == nil)
}
