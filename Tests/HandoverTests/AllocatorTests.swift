import Handover
import Testing

/// Which runner gets the next actor. `#3 v2:4@9` is runner 3 of version 2 with 4 free slots, last given work at 9.
private let table = """
  rule                                 | runners                       | target | others may | gets

  nobody there                         | -                             | 2      | no         | -
  the target's                         | #1 v1:9@0 #2 v2:1@5           | 2      | no         | #2
  the target's, be it the lesser       | #1 v1:1@5 #2 v2:9@0           | 1      | no         | #1
  the target is full                   | #1 v1:9@0 #2 v2:0@0           | 2      | no         | -
  the target is full, others may       | #1 v1:9@0 #2 v2:0@0           | 2      | yes        | #1
  a target with less is before others  | #1 v1:9@0 #2 v2:1@5           | 2      | yes        | #2
  of the others the greatest           | #1 v1:9@0 #2 v3:1@5 #3 v2:9@0 | 4      | yes        | #2
  greater than the target is an other  | #1 v3:9@0 #2 v1:1@0           | 2      | no         | -
  no target yet                        | #1 v3:9@0 #2 v1:1@0           | -      | no         | -
  no target yet, others may            | #1 v1:9@0 #2 v3:1@0           | -      | yes        | #2
  most free slots                      | #1 v1:2@0 #2 v1:3@9           | 1      | no         | #2
  longest without work                 | #1 v1:3@5 #2 v1:3@4           | 1      | no         | #2
  never had work                       | #1 v1:3@5 #2 v1:3@0           | 1      | no         | #2
  least id                             | #2 v1:3@5 #1 v1:3@5           | 1      | no         | #1
  a resume offered less than is in use | #1 v1:-2@0 #2 v1:0@0          | 1      | yes        | -
  """

private func candidates(_ text: String) -> [Allocator.Candidate] {
  guard text != "-" else { return [] }
  return text.split(separator: "#").map { entry in
    let numbers = entry.split { !$0.isNumber && $0 != "-" }.map { Int64($0)! }
    return Allocator.Candidate(
      runner: RunnerID(numbers[0]), version: Version(UInt32(numbers[1]))!, freeSlots: numbers[2],
      lastWorkNanoseconds: numbers[3])
  }
}

@Suite struct AllocatorTests {
  @Test(arguments: rows(of: table))
  func choice(_ row: [String]) {
    let (candidates, target) = (candidates(row[1]), UInt32(row[2]).flatMap { Version($0) })
    // In whatever order they are looked at.
    for candidates in [candidates, candidates.reversed()] {
      let chosen = Allocator.choose(candidates, target: target, fallsBack: row[3] == "yes")
      #expect((chosen.map { "#\($0)" } ?? "-") == row[4], "\(row[0])")
    }
  }

  @Test func theOrderOfTheVersions() {
    let versions = [1, 2, 3, 4].map { Version($0)! }
    func order(_ target: UInt32?, _ fallsBack: Bool) -> [UInt32] {
      Allocator.order(versions, target: target.flatMap { Version($0) }, fallsBack: fallsBack).map(\.number)
    }
    #expect(order(3, false) == [3])
    #expect(order(3, true) == [3, 2, 1, 4])
    #expect(order(9, false) == [])
    #expect(order(9, true) == [4, 3, 2, 1])
    #expect(order(nil, false) == [])
    #expect(order(nil, true) == [4, 3, 2, 1])
  }
}
