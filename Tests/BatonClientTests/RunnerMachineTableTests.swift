import Testing

@testable import BatonClient

/// What each event does in each state: effects in order, then the state after them (Idle, Connecting, Waiting, Registering,
/// Attached, Ended). An empty cell: nothing at all.
///
/// `resuming` is registering again with its token; resuming and all that follow have seen order 1, which can be taken back where it
/// is not committed to; leaving has said Detach.
private let table = """
  event              | connecting            | waiting | registering        | resuming                 | attached                 | committed                | leaving
  connected          | register >R           |         |                    |                          |                          |                          |
  refusedConnect     | hangUp >W             |         |                    |                          |                          |                          |
  passingConnect     | hangUp >W             |         |                    |                          |                          |                          |
  lastingConnect     | hangUp unreachable >E |         |                    |                          |                          |                          |
  disconnected       |                       |         | hangUp >W          | hangUp >W                | hangUp cutOff connect >C | hangUp cutOff connect >C | hangUp cutOff connect >C
  unavailable        |                       |         | hangUp >W          | hangUp >W                | hangUp cutOff >W         | hangUp cutOff >W         | hangUp cutOff >W
  failedPrecondition |                       |         | hangUp refused >E  | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E         | hangUp finished >E
  registered         |                       |         | registered >A      | registered >A            |                          |                          |
  registeredReady    |                       |         | registered >A      | registered cancelled1 >A |                          |                          |
  ack                |                       |         |                    |                          |                          |                          |
  ackOfSeen          |                       |         |                    |                          | ack1 >A                  | ack1 >A                  | ack1 >A
  ackOfUnseen        |                       |         |                    |                          | hangUp cutOff connect >C | hangUp cutOff connect >C | hangUp cutOff connect >C
  stop               |                       |         |                    |                          | ack2 stop2 >A            | ack2 stop2 >A            | ack2 stop2 >A
  sameStop           |                       |         |                    |                          | ack1 deadline1 >A        | ack1 deadline1 >A        | ack1 deadline1 >A
  stopCancelled      |                       |         |                    |                          | cancelled1 resumed1 >A   | tooLate1 >A              | tooLate1 >A
  otherCancelled     |                       |         |                    |                          | resumed2 >A              | tooLate2 >A              | tooLate2 >A
  actorCommands      |                       |         |                    |                          | commands >A              | commands >A              | commands >A
  actorAcks          |                       |         |                    |                          | answered >A              | answered >A              | answered >A
  unknown            |                       |         |                    |                          |                          |                          |
  closeStopping      |                       |         | hangUp >W          | hangUp >W                | hangUp cutOff >W         | hangUp cutOff >W         | hangUp cutOff >W
  closeOther         |                       |         | hangUp >W          | hangUp >W                | hangUp cutOff >W         | hangUp cutOff >W         | hangUp cutOff >W
  closeElsewhere     |                       |         | hangUp fenced >E   | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E
  closeForced        |                       |         | hangUp fenced >E   | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E
  closeLost          |                       |         | hangUp fenced >E   | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E         | hangUp fenced >E
  closeDetached      |                       |         | hangUp finished >E | hangUp finished >E       | hangUp finished >E       | hangUp finished >E       | hangUp finished >E
  beginDrain         |                       |         |                    |                          |                          |                          |
  finish             |                       |         |                    |                          | detach >A                | detach >A                |
  earlyTick          |                       |         |                    |                          |                          |                          |
  """

struct MachineCase: CustomTestStringConvertible, Sendable {
  var event: MachineEvent
  var column: String
  var expected: String
  var testDescription: String { "\(event.rawValue) while \(column)" }

  static let all: [MachineCase] = {
    let lines = table.split(separator: "\n").map { line in
      line.split(separator: "|", omittingEmptySubsequences: false).map { cell in
        String(cell.split(separator: " ").joined(separator: " "))
      }
    }
    return lines.dropFirst().flatMap { cells in
      zip(lines[0], cells).dropFirst().map { column, cell in
        guard let event = MachineEvent(rawValue: cells[0]) else {
          preconditionFailure("no event \(cells[0])")
        }
        return MachineCase(event: event, column: column, expected: cell)
      }
    }
  }()
}

@Suite struct RunnerMachineTableTests {
  @Test func theTableHasEveryEventInEveryState() {
    #expect(MachineCase.all.count == MachineEvent.allCases.count * 7)
    #expect(Set(MachineCase.all.map(\.event)).count == MachineEvent.allCases.count)
  }

  @Test(arguments: MachineCase.all) func doesWhatTheTableSays(_ row: MachineCase) {
    var harness = MachineHarness.at(row.column)
    let before = ">" + harness.machine.state.letter
    #expect(harness.cell(row.event) == (row.expected.isEmpty ? before : row.expected))
  }

  @Test(arguments: ["idle", "ended"], MachineEvent.allCases)
  func nothingHappensBeforeTheStartAndAfterTheEnd(_ column: String, _ event: MachineEvent) {
    var harness = MachineHarness.at(column)
    let state = harness.machine.state
    #expect(harness.fire(event) == [])
    #expect(harness.machine.state == state)
    #expect(harness.machine.nextTick == nil)
  }
}
