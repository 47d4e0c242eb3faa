import Handover
import Testing

/// The specification of gates, pace, order, demotion, undo and pins: a row a rule.
///
/// `policy`: `-` is immediate. `pool`: `onN` the target, `pinN`, `wasN` slots when the pool was settled, `struckN/K` demoted K
/// times, `stuckN/Ks` held back on the way to N for K s, `abandonedN`. `runners`: `3x1:4/2` is three of version 1 with
/// 4 slots and 2 actors each; then `@5s` the version is healthy for 5 s (else for long), `-` detached, `?` its word does
/// not count, `x` exempt, `d` draining by an upgrade's order, `o` draining otherwise. `#N` is the Nth runner of the row.
/// `remembers` is written like `pool`; `wake` is when the plan may be another one.
private let table = """
  rule                                       | policy                | pool                | runners                       | move       | ordered  | held             | back | remembers                     | wake

  No gate
  no gate at all                             | -                     | on1                 | 3x1:4/2 2:4/0                 | promoted 2 | all 3    | -                | -    | -                             | -
  drain is off                               | off                   | on1                 | 3x1:4/2 2:4/0                 | promoted 2 | -        | -                | -    | -                             | -

  min_healthy
  healthy for long enough                    | healthy=5s            | on1                 | 2x1:4/2 2:4/0@5s              | promoted 2 | all 2    | -                | -    | -                             | -
  not yet                                    | healthy=5s            | on1                 | 2x1:4/2 2:4/0@3s              | =          | -        | min_healthy 2    | -    | stuck2/0s                     | 2s
  not attached: the clock stands             | healthy=5s            | on1                 | 2x1:4/2 2:4/0-                | =          | -        | -                | -    | -                             | -
  the first target waits for nobody          | healthy=5s            | -                   | 1:4/0@0s                      | first 1    | -        | -                | -    | -                             | -
  the greatest healthy one, the next waits   | healthy=5s            | on1                 | 1:4/0 2:4/0@6s 3:4/0@1s       | promoted 2 | all 1    | min_healthy 1    | -    | stuck3/0s                     | 4s
  an old one late, target healthy            | healthy=5s            | on2                 | 2:4/0 1:4/0@0s                | =          | all 1    | -                | -    | -                             | -
  an old one late, target not healthy        | healthy=5s            | on2                 | 2:4/0@2s 1:4/0@0s             | =          | -        | min_healthy 1    | -    | stuck2/0s                     | 3s
  a foreign word is not waited for           | healthy=5s            | on1                 | 1:4/0 2:4/0?@1s               | =          | -        | -                | -    | -                             | -
  disabled: only the target waits            | off healthy=5s        | on1                 | 1:4/0 2:4/0@3s                | =          | -        | -                | -    | -                             | 2s
  serverless has no gates                    | serverless            | on1                 | 1:4/0 2:4/0@3s                | promoted 2 | -        | -                | -    | -                             | -

  Capacity
  all the slots there were, canary of one    | wait                  | on1 was20           | 20x1:1/0 2:1/0                | promoted 2 | #1       | min_available 19 | -    | was20                         | -
  all the slots there were, room for all     | wait                  | on1 was8            | 2x1:4/0 2:8/0                 | promoted 2 | #1 #2    | -                | -    | was8                          | -
  a number that must stay                    | wait=6                | on1 was8            | 2x1:4/0 2:4/0                 | promoted 2 | #1       | min_available 1  | -    | was8                          | -
  percent rounds up (50% of 5 is 3)          | wait=50%              | on1 was5            | 5x1:1/0 2:1/0                 | promoted 2 | #1 #2 #3 | min_available 2  | -    | was5                          | -
  who is gone does not come back by it       | wait=4                | on1 was8            | 1:4/0 1:4/0- 2:1/0            | promoted 2 | -        | min_available 2  | -    | stuck2/0s was8                | -
  an old one late goes at once               | wait                  | on2 was8            | 2:8/0 1:4/0                   | =          | #2       | -                | -    | was8                          | -
  target without free slots                  | wait=0                | on1 was8            | 2x1:4/3 2:4/0                 | promoted 2 | #1       | free_slots 1     | -    | was8                          | -
  free slots are kept for who drains         | wait=0                | on2 was8            | 1:4/3 1:4/3d 2:4/0            | =          | -        | free_slots 1     | -    | stuck2/0s was8                | -
  an idle one needs no free slot             | wait=0                | on2 was8            | 1:4/0 1:4/3d 2:4/4            | =          | #1       | -                | -    | was8                          | -
  nobody overtakes who is held               | wait=5                | on1 was9            | 1:8/0 1:1/1 2:4/0             | promoted 2 | #1       | min_available 1  | -    | was9                          | -
  settled: it remembers its slots            | wait                  | on1 was8            | 3x1:4/1                       | =          | -        | -                | -    | was12                         | -
  proceed remembers nothing                  | -                     | on1 was8            | 3x1:4/1                       | =          | -        | -                | -    | -                             | -

  Pace and order
  two at a time                              | drain=2               | on1                 | 5x1:4/1 2:4/0                 | promoted 2 | #1 #2    | max_draining 3   | -    | -                             | -
  percent of the living, rounded down        | drain=50%             | on1                 | 4x1:4/1 2:4/0                 | promoted 2 | #1 #2    | max_draining 2   | -    | -                             | -
  at least one                               | drain=1%              | on1                 | 3x1:4/1 2:4/0                 | promoted 2 | #1       | max_draining 2   | -    | -                             | -
  who drains for another cause counts        | drain=2               | on1                 | 3x1:4/1 1:4/4o 2:4/0          | promoted 2 | #1       | max_draining 2   | -    | -                             | -
  enough drain already                       | drain=2               | on2                 | 3x1:4/1 2x1:4/4d 2:4/0        | =          | -        | max_draining 3   | -    | -                             | -
  the pace lets all go                       | drain=5               | on1                 | 2x1:4/1 2:4/0                 | promoted 2 | all 2    | -                | -    | -                             | -
  oldest version first                       | drain=2               | on2                 | 2:4/0 1:4/4 2:4/1 1:4/3 3:9/0 | promoted 3 | #4 #2    | max_draining 2   | -    | -                             | -
  then fewest actors                         | drain=2               | on1                 | 1:4/3 1:4/1 1:4/2 2:4/0       | promoted 2 | #2 #3    | max_draining 1   | -    | -                             | -
  then least id                              | drain=1               | on1                 | 1:4/1 1:4/1 2:4/0             | promoted 2 | #1       | max_draining 1   | -    | -                             | -
  pace and capacity, the nearer one holds    | drain=2 wait=4        | on1 was12           | 3x1:4/0 2:1/0                 | promoted 2 | #1 #2    | max_draining 1   | -    | was12                         | -

  The preset
  careful, canary                            | careful               | on1 was20           | 5x1:4/2 2:4/0@10s             | =          | -        | min_healthy 5    | -    | stuck2/0s was20               | 20s
  careful, healthy, room for one             | careful               | on1 was20           | 5x1:4/2 2:4/0@30s             | promoted 2 | #1       | max_draining 4   | -    | was20                         | -
  careful, room for all                      | careful               | on1 was20           | 5x1:4/2 5x2:4/0@30s           | promoted 2 | #1 #2    | max_draining 3   | -    | was20                         | -

  hold_timeout
  patience begins                            | healthy=5s hold=60s   | on1                 | 1:4/0 2:4/0@1s                | =          | -        | min_healthy 1    | -    | stuck2/0s                     | 4s
  patience ends                              | wait hold=60s         | on2 was8 stuck2/60s | 2x1:4/4 2:4/4                 | =          | -        | abandoned 2      | -    | abandoned2 was12              | -
  abandoned                                  | wait hold=60s         | on2 was8 abandoned2 | 2x1:4/4 5x2:4/0               | =          | -        | abandoned 2      | -    | abandoned2 was28              | -
  abandoned before its health                | healthy=5s hold=60s   | on1 stuck2/60s      | 1:4/0 2:4/0@1s                | =          | -        | abandoned 1      | -    | abandoned2                    | -
  abandoned: healthy later is no matter      | healthy=5s hold=60s   | on1 abandoned2      | 1:4/0 2:4/0                   | =          | -        | abandoned 1      | -    | abandoned2                    | -
  cut off on the way: the same upgrade       | healthy=5s wait hold=60s | on1 was8 stuck2/9s  | 2x1:4/4 2:4/0-             | =          | -        | -                | -    | stuck2/9s was8                | -
  lost, and only a foreign one is left       | healthy=5s wait hold=60s | on1 was8 stuck2/9s  | 2x1:4/4 2:4/0?             | =          | -        | -                | -    | was12                         | -
  abandoned, and cut off                     | healthy=5s hold=60s   | on1 abandoned2      | 1:4/0 2:4/0-                  | =          | -        | -                | -    | abandoned2                    | -
  another version is another upgrade         | wait hold=60s         | on1 was8 abandoned2 | 2x1:4/4 2:4/0 3x3:4/0         | promoted 3 | #1 #2 #3 | -                | -    | was8                          | -
  what moves is not stuck                    | drain=1 wait hold=60s | on2 was8 stuck2/59s | 2x1:4/1 3x2:4/0               | =          | #1       | max_draining 1   | -    | was8                          | -
  pace is not stuck                          | drain=1 wait hold=60s | on2 was8 stuck2/99s | 1:4/1 1:4/1d 3x2:4/0          | =          | -        | max_draining 1   | -    | was8                          | -

  Demotion
  last ready one gone                        | healthy=5s            | on2                 | 2x1:4/1 2:4/1o                | demoted 1  | -        | -                | -    | struck2/1                     | 86400s
  struck: twice as long                      | healthy=5s            | on1 struck2/1       | 2x1:4/1 2:4/0@6s              | =          | -        | min_healthy 2    | -    | stuck2/0s struck2/1           | 4s
  struck: it has been                        | healthy=5s            | on1 struck2/1       | 2x1:4/1 2:4/0@10s             | promoted 2 | all 2    | -                | -    | struck2/1                     | 590s
  struck three times                         | healthy=5s            | on1 struck2/3       | 2x1:4/1 2:4/0@10s             | =          | -        | min_healthy 2    | -    | stuck2/0s struck2/3           | 30s
  forgiven after ten minutes                 | healthy=5s            | on2 struck2/3       | 2:4/0@600s                    | =          | -        | -                | -    | -                             | -
  a version that is struck keeps the slots   | wait                  | on1 was8 struck2/1  | 1:4/1                         | =          | -        | -                | -    | was8 struck2/1                | 82800s
  no gate, no strike                         | -                     | on2                 | 2x1:4/1 2:4/1o                | demoted 1  | -        | -                | -    | -                             | -
  before one in doubt, an older one          | healthy=5s            | on3 struck2/1       | 1:4/0 2:4/0@1s 3:4/0o         | demoted 1  | -        | min_healthy 1    | -    | stuck2/0s struck2/1 struck3/1 | 9s
  nobody else: one in doubt is better        | healthy=5s            | on1 struck2/1       | 1:4/0d 2:4/0@1s               | promoted 2 | -        | -                | -    | struck2/1                     | 599s
  in doubt, it sends nobody away             | healthy=5s            | on2 struck2/1       | 1:4/0 2:4/0@1s                | =          | -        | min_healthy 1    | -    | stuck2/0s struck2/1           | 9s

  Undo
  nobody ready: those who can come back      | -                     | on2                 | 2x1:4/1d 2:4/1o               | demoted 1  | -        | -                | 1    | -                             | -
  target back to the old: orders too         | -                     | on1                 | 1:4/1 1:4/1d 2:4/1d           | =          | -        | -                | 1 2  | -                             | -
  other orders stay                          | -                     | on1                 | 1:4/1 1:4/1o                  | =          | -        | -                | -    | -                             | -
  what is still older goes on                | -                     | on2                 | 1:4/1d 2:4/1 2:4/1d           | =          | -        | -                | 2    | -                             | -
  exempt from this target                    | -                     | on2                 | 1:4/1x 1:4/1 2:4/0            | =          | all 1    | exempt 1         | -    | -                             | -
  exempt, under pace                         | drain=1               | on2                 | 1:4/1x 1:4/1 2:4/0            | =          | all 1    | exempt 1         | -    | -                             | -
  exempt ends with the next target           | -                     | on2                 | 1:4/1x 2:4/0 3:4/0            | promoted 3 | all 2    | -                | -    | -                             | -

  Pin and rollback
  pinned: the newer go                       | -                     | on2 pin1            | 2x1:4/1 2:4/0 3:4/0           | pinned 1   | all 2    | -                | -    | -                             | -
  pinned: newer ones that come late          | -                     | on1 pin1            | 1:4/1 2:4/0                   | =          | all 1    | -                | -    | -                             | -
  pinned: under the same pace, oldest first  | drain=1               | on2 pin2            | 2:4/0 3:4/0 1:4/1             | =          | #3       | max_draining 1   | -    | -                             | -
  pinned: under the same gates               | healthy=5s            | on2 pin1            | 1:4/1@1s 2:4/0                | =          | -        | min_healthy 1    | -    | stuck1/0s                     | 4s
  pinned: no runner of it yet                | -                     | on2 pin3            | 1:4/1 2:4/0                   | =          | -        | no_runner 2      | -    | -                             | -
  pinned: its last one is gone               | healthy=5s            | on1 pin1            | 1:4/1o 2:4/0                  | demoted 2  | -        | no_runner 1      | -    | struck1/1                     | 86400s
  pinned: nobody is sent away for nobody     | -                     | on1 pin1            | 1:4/1o 2:4/0?                 | =          | -        | no_runner 1      | -    | -                             | -
  pinned, drain off: it is a word            | off                   | on2 pin1            | 1:4/1 2:4/0                   | pinned 1   | all 1    | -                | -    | -                             | -
  pinned, serverless: nobody drains          | serverless            | on2 pin1            | 1:4/1 2:4/0                   | pinned 1   | -        | -                | -    | -                             | -
  rolled back in the middle                  | -                     | on2 pin1            | 1:4/1 2x1:4/2d 2:4/0          | pinned 1   | all 1    | -                | 1    | -                             | -
  rolled back with nobody ready: called back | -                     | on2 pin1            | 2x1:4/2d 2:4/0                | =          | -        | no_runner 1      | 1    | -                             | -
  automatic again: the greatest              | -                     | on1                 | 1:4/1 2:4/0 2:4/0d            | promoted 2 | all 1    | -                | 2    | -                             | -
  """

private struct Row: Sendable, CustomTestStringConvertible {
  var cells: [String]
  var testDescription: String { cells[0] }
  var fleet: Fleet { Fleet(policy: cells[1], pool: cells[2], runners: cells[3]) }
}

private let specification = rows(of: table).map { Row(cells: $0) }

@Test(arguments: specification)
private func upgrade(row: Row) {
  #expect(row.fleet.row(of: row.fleet.plan) == Array(row.cells.dropFirst(4)))
}
