import BatonAPI
import Handover
import Testing

@testable import BatonClient

/// A roster with a clock, told in words and answering in words: `1/2` is generation 2 of actor 1, `1/2.3` its third command
/// or report.
private struct RosterHarness {
  var roster: ActorRoster
  var now: Int64 = 100 * second

  init(prepares: Bool) {
    roster = ActorRoster(prepares: prepares)
    roster.attached()
  }

  /// What it does, then what it acknowledges (`+`), then what it reports.
  mutating func fire(_ line: String) -> String {
    let words = line.split(separator: " ").map(String.init)
    let checkpoint = words.count > 1 ? Self.checkpoint(words[1]) : Self.checkpoint("0/0")
    var said = apply(words, checkpoint).map(Self.word)
    while let acks = roster.nextAcks() { said += acks.map { "+\(Self.word($0))" } }
    while let reports = roster.nextReports(now: now) { said += reports.map(Self.word) }
    return said.joined(separator: ", ")
  }

  private mutating func apply(_ words: [String], _ checkpoint: ActorCheckpoint) -> [ActorRoster.Effect] {
    let (actor, generation) = (checkpoint.actor, checkpoint.generation)
    switch words[0] {
    case "start":
      return receive(checkpoint, .start(namespace: "n", name: "a", key: "", input: []))
    case "stop": return receive(checkpoint, .stop(.goingAway))
    case "putaway": return receive(checkpoint, .stop(.sleep))
    case "drop": return receive(checkpoint, .drop)
    case "newer": return receive(checkpoint, nil)
    case "ready": return roster.prepared(actor, generation)
    case "ok": return roster.ended(actor, generation, isOK: true, message: "")
    case "fail": return roster.ended(actor, generation, isOK: false, message: "oh\u{7}")
    case "sleep": roster.wishes(actor, generation, .sleepIntent, now: now)
    case "alarm": roster.wishes(actor, generation, .setAlarm(afterMilliseconds: 5000), now: now)
    case "noalarm": roster.wishes(actor, generation, .setAlarm(afterMilliseconds: nil), now: now)
    case "acked": return roster.answered(acked: [checkpoint], refused: [])
    case "refused": return roster.answered(acked: [], refused: [checkpoint])
    case "attach": roster.attached()
    case "cut": roster.cutOff()
    case "close": roster.closes()
    case "open": roster.opens()
    case "moved":
      return roster.deadlineMoved(remainingMilliseconds: Int64(words[1]) ?? 0, now: now)
    case "end": return roster.runnerEnded()
    case "after":
      now += (Int64(words[1]) ?? 0) * 1_000_000
      return roster.tick(now: now)
    default: preconditionFailure("no event \(words[0])")
    }
    return []
  }

  /// Every command leaves a second.
  private mutating func receive(
    _ checkpoint: ActorCheckpoint, _ kind: ActorCommand.Kind?
  ) -> [ActorRoster.Effect] {
    roster.received(
      [DaemonMessage.Command(checkpoint: checkpoint, kind: kind, remainingMilliseconds: 1000)], now: now)
  }

  private static func checkpoint(_ word: String) -> ActorCheckpoint {
    let numbers = word.split { "/.".contains($0) }.compactMap { Int64($0) }
    return ActorCheckpoint(
      actor: ActorID(numbers[0]), generation: numbers.count > 1 ? numbers[1] : 0,
      index: numbers.count > 2 ? numbers[2] : 1)
  }

  private static func word(_ checkpoint: ActorCheckpoint) -> String {
    "\(checkpoint.actor)/\(checkpoint.generation).\(checkpoint.index)"
  }

  private static func word(_ effect: ActorRoster.Effect) -> String {
    switch effect {
    case .prepare(let assignment): "prepare \(assignment.actor)/\(assignment.generation)"
    case .run(let assignment): "run \(assignment.actor)/\(assignment.generation)"
    case .stop(let actor, let reason, let remaining): "stop \(actor) \(Words.word(reason)) \(remaining)"
    case .cancel(let actor): "cancel \(actor)"
    }
  }

  private static func word(_ report: ActorReport) -> String {
    let kind =
      switch report.kind {
      case .running: "running"
      case .stopped(let isOK, let message): isOK ? "stopped" : "failed '\(message)'"
      case .startRefused: "refuses"
      case .sleepIntent: "sleep"
      case .stopIntent: "finish"
      case .setAlarm(let after): "alarm \(after ?? 0)"
      case .held: "held"
      }
    return "\(word(report.checkpoint)) \(kind)"
  }
}

/// Stories: each line is an event and, after `->`, everything that follows from it.
struct RosterStory: Sendable, CustomTestStringConvertible {
  var name: String
  var prepares = false
  var text: String
  var testDescription: String { name }

  static let all = [
    RosterStory(
      name: "it runs and finishes",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        ok 1/1 -> 1/1.2 stopped
        acked 1/1.2 ->
        attach ->
        """),
    RosterStory(
      name: "it runs and fails",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        fail 1/1 -> 1/1.2 failed 'oh '
        ok 1/1 ->
        """),
    RosterStory(
      name: "it is prepared first", prepares: true,
      text: """
        start 1/1 -> prepare 1/1, +1/1.1
        ready 1/1 -> run 1/1, 1/1.1 running
        ready 1/1 ->
        after 5000 ->
        ok 1/1 -> 1/1.2 stopped
        """),
    RosterStory(
      name: "its preparation fails", prepares: true,
      text: """
        start 1/1 -> prepare 1/1, +1/1.1
        fail 1/1 -> 1/1.1 failed 'oh '
        """),
    RosterStory(
      name: "its preparation takes too long", prepares: true,
      text: """
        start 1/1 -> prepare 1/1, +1/1.1
        after 999 ->
        after 1 -> cancel 1
        ready 1/1 -> 1/1.1 failed 'it was not started in time'
        """),
    RosterStory(
      name: "it is told to stop while it prepares", prepares: true,
      text: """
        start 1/1 -> prepare 1/1, +1/1.1
        stop 1/1.2 -> stop 1 going_away 1000, +1/1.2
        ready 1/1 -> 1/1.1 stopped
        """),
    RosterStory(
      name: "it is told to stop, and its time is up",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        after 5000 ->
        stop 1/1.2 -> stop 1 going_away 1000, +1/1.2
        after 999 ->
        after 1 -> cancel 1
        fail 1/1 -> 1/1.2 failed 'oh '
        """),
    RosterStory(
      name: "commands that come again are acknowledged again, and not done twice",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 1/1 -> +1/1.1
        stop 1/1.2 -> stop 1 going_away 1000, +1/1.2
        start 1/1 -> +1/1.1
        stop 1/1.2 -> +1/1.2
        ok 1/1 -> 1/1.2 stopped
        start 1/1 -> +1/1.1
        stop 1/1.2 -> +1/1.2
        """),
    RosterStory(
      name: "what is not acknowledged is said again at a resume, in order, and what is held",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 2/7 -> run 2/7, +2/7.1, 2/7.1 running
        start 3/1 -> run 3/1, +3/1.1, 3/1.1 running
        acked 1/1.1 ->
        cut ->
        sleep 2/7 ->
        ok 3/1 ->
        attach -> 1/1.0 held, 2/7.1 running, 2/7.2 sleep, 2/7.0 held, 3/1.1 running, 3/1.2 stopped
        acked 2/7.1 ->
        cut ->
        attach -> 1/1.0 held, 2/7.2 sleep, 2/7.0 held, 3/1.1 running, 3/1.2 stopped
        """),
    RosterStory(
      name: "what was said twice before the answer came is forgotten at the first answer",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        cut ->
        attach -> 1/1.1 running, 1/1.0 held
        ok 1/1 -> 1/1.2 stopped
        acked 1/1.2 ->
        start 1/1 -> +1/1.1
        stop 1/1.2 -> +1/1.2
        start 1/2 -> run 1/2, +1/2.1, 1/2.1 running
        """),
    RosterStory(
      name: "an alarm is counted from when it is said, and the latest counts",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        alarm 1/1 -> 1/1.2 alarm 5000
        noalarm 1/1 -> 1/1.3 alarm 0
        alarm 1/1 -> 1/1.4 alarm 5000
        acked 1/1.1 ->
        cut ->
        after 2000 ->
        attach -> 1/1.4 alarm 3000, 1/1.0 held
        cut ->
        after 9000 ->
        attach -> 1/1.4 alarm 1, 1/1.0 held
        """),
    RosterStory(
      name: "a wish is said once",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        sleep 1/1 -> 1/1.2 sleep
        sleep 1/1 ->
        acked 1/1.2 ->
        sleep 1/1 -> 1/1.3 sleep
        ok 1/1 -> 1/1.4 stopped
        sleep 1/1 ->
        """),
    RosterStory(
      name: "what is refused is ended and forgotten, and says nothing more",
      text: """
        start 1/3 -> run 1/3, +1/3.1, 1/3.1 running
        refused 1/2.1 ->
        refused 1/3.1 -> cancel 1
        sleep 1/3 ->
        fail 1/3 ->
        attach ->
        """),
    RosterStory(
      name: "what is dropped is ended and forgotten",
      text: """
        start 1/3 -> run 1/3, +1/3.1, 1/3.1 running
        drop 1/2.0 ->
        drop 1/3.0 -> cancel 1
        drop 2/1.0 ->
        ok 1/3 ->
        attach ->
        """),
    RosterStory(
      name: "a newer generation waits for the code of the older one",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 1/2 -> cancel 1, +1/2.1
        fail 1/1 -> run 1/2, 1/2.1 running
        ok 1/1 ->
        ok 1/2 -> 1/2.2 stopped
        start 1/1 -> +1/1.1
        """),
    RosterStory(
      name: "a newer generation does not wait for ever",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 1/2 -> cancel 1, +1/2.1
        after 1000 -> 1/2.1 failed 'it was not started in time'
        fail 1/1 ->
        """),
    RosterStory(
      name: "a newer generation is stopped while it waits",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 1/2 -> cancel 1, +1/2.1
        stop 1/2.2 -> +1/2.2, 1/2.1 stopped
        fail 1/1 ->
        """),
    RosterStory(
      name: "a stop for what is not here is answered",
      text: """
        stop 1/4.2 -> +1/4.2, 1/4.1 stopped
        start 1/4.1 -> +1/4.1
        acked 1/4.1 ->
        """),
    RosterStory(
      name: "a stop of a newer generation takes the older one away",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        stop 1/2.2 -> cancel 1, +1/2.2, 1/2.1 stopped
        """),
    RosterStory(
      name: "a start that crossed the runner's stop is refused",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        close ->
        start 2/1 -> +2/1.1, 2/1.1 refuses
        cut ->
        attach -> 1/1.1 running, 1/1.0 held, 2/1.1 refuses
        start 2/1 -> +2/1.1
        acked 2/1.1 ->
        stop 1/1.2 -> stop 1 going_away 1000, +1/1.2
        """),
    RosterStory(
      name: "when the runner's stop is taken back it takes what is new, and what was told to stop does so",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        close ->
        stop 1/1.2 -> stop 1 going_away 1000, +1/1.2
        start 2/1 -> +2/1.1, 2/1.1 refuses
        open ->
        acked 2/1.1 ->
        start 2/2 -> run 2/2, +2/2.1, 2/2.1 running
        after 1000 -> cancel 1
        fail 1/1 -> 1/1.2 failed 'oh '
        start 1/2 -> run 1/2, +1/2.1, 1/2.1 running
        """),
    RosterStory(
      name: "the deadline of the runner's stop is that of the actors that go away with it",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 2/1 -> run 2/1, +2/1.1, 2/1.1 running
        start 3/1 -> run 3/1, +3/1.1, 3/1.1 running
        stop 1/1.2 -> stop 1 going_away 1000, +1/1.2
        putaway 2/1.2 -> stop 2 sleep 1000, +2/1.2
        moved 5000 -> stop 1 going_away 5000
        after 1000 -> cancel 2
        after 3999 ->
        after 1 -> cancel 1
        moved 5000 ->
        ok 3/1 -> 3/1.2 stopped
        moved 5000 ->
        """),
    RosterStory(
      name: "at the runner's end all is taken away",
      text: """
        start 1/1 -> run 1/1, +1/1.1, 1/1.1 running
        start 2/1 -> run 2/1, +2/1.1, 2/1.1 running
        ok 2/1 -> 2/1.2 stopped
        end -> cancel 1
        ok 1/1 ->
        """),
    RosterStory(
      name: "a command that is not known is left to who knows it", text: "newer 1/1 ->"),
  ]
}

@Suite struct ActorRosterTests {
  @Test(arguments: RosterStory.all) func goesAsTold(_ story: RosterStory) {
    var harness = RosterHarness(prepares: story.prepares)
    for line in story.text.split(separator: "\n") {
      let parts = line.split(separator: "->", omittingEmptySubsequences: false).map {
        $0.split(separator: " ").joined(separator: " ")
      }
      #expect(harness.fire(parts[0]) == parts[1], "\(line)")
    }
  }

  @Test func itHoldsAnActorUntilItsCodeHasEnded() {
    var harness = RosterHarness(prepares: false)
    let holds = { (harness: RosterHarness) in harness.roster.holdsAny }
    for (event, expected) in [
      ("start 1/1", true), ("start 2/1", true), ("ok 2/1", true), ("refused 1/1", true), ("ok 1/1", false),
      ("start 1/2", true), ("fail 1/2", false), ("stop 3/1", false), ("start 4/1", true),
      ("start 4/2", true), ("drop 4/2", true), ("ok 4/1", false), ("start 5/1", true), ("end", true),
      ("ok 5/1", false),
    ] {
      _ = harness.fire(event)
      #expect(holds(harness) == expected, "\(event)")
    }
  }

  @Test func whatIsSaidAtOnceFitsItsMessages() {
    var harness = RosterHarness(prepares: false)
    for actor in 1...300 { _ = harness.fire("start \(actor)/1") }
    harness.roster.attached()
    var counts: [Int] = []
    while let reports = harness.roster.nextReports(now: 0) { counts.append(reports.count) }
    #expect(counts == [128, 128, 128, 128, 88])
  }
}
