import Handover
import Testing

/// The specification of an actor's life: what follows from what, in every state. A row that is not there says that nothing
/// follows: neither state nor anything else changes.
///
/// `state`: `30s` is when something happens by itself, `woken` that a wake is kept. `happens`: what it says itself, what clients
/// want, what becomes of its runner; `error` is a stop with an error, `, restart` under that crash policy only (all else is
/// the same under each). `follows`: `took` and `freed` are slots, `command` a new one for its runner, `drop` that its runner
/// must end it at once; then its place in the queue, its own or behind all. `remembers`: the failure, and how often it
/// has been tried again. `said` is what the log of events says of it.
private let table = """
  state             | happens         | becomes                     | follows               | remembers                 | said

  Waits
  queued            | allocated       | starting 30s                | took command          | -                         | generation 4
  queued            | no slot         | queued                      | -                     | no_capacity               | -
  queued            | sleep           | sleeping                    | -                     | -                         | sleep
  queued            | destroy         | destroyed                   | -                     | -                         | destroy
  queued            | sets alarm      | queued alarm 60s            | -                     | -                         | -
  backoff 2s        | due             | queued                      | behind all            | -                         | backoff
  backoff 2s        | sleep           | sleeping                    | -                     | -                         | sleep
  backoff 2s        | destroy         | destroyed                   | -                     | -                         | destroy
  backoff 2s        | sets alarm      | backoff 2s alarm 60s        | -                     | -                         | -

  Has a slot
  starting 30s      | running         | running                     | -                     | -                         | -
  starting 30s      | ok              | destroyed                   | freed                 | -                         | finished
  starting 30s      | error, restart  | queued                      | freed behind all      | crashed 1                 | crashed
  starting 30s      | error, sleep    | sleeping                    | freed                 | crashed                   | crashed
  starting 30s      | error, destroy  | destroyed                   | freed                 | crashed                   | crashed
  starting 30s      | refused         | queued                      | freed own place       | -                         | start_refused
  starting 30s      | sleep intent    | sleep 1800s                 | command               | -                         | sleep
  starting 30s      | stop intent     | stop 1800s                  | command               | -                         | stop
  starting 30s      | sets alarm      | starting 30s alarm 60s      | -                     | -                         | -
  starting 30s      | sleep           | sleep 1800s                 | command               | -                         | sleep
  starting 30s      | destroy         | destroy 1800s               | command               | -                         | destroy
  starting 30s      | runner drains   | going_away                  | command               | -                         | going_away
  starting 30s      | runner lost     | queued                      | freed own place       | runner_lost 1             | runner_lost
  starting 30s      | runner forced   | queued                      | freed own place       | runner_draining_timeout 1 | runner_draining_timeout
  starting 30s      | runner detached | queued                      | freed own place       | runner_lost 1             | runner_lost
  starting 30s      | due             | queued                      | drop freed behind all | runner_no_response 1      | runner_no_response

  Runs
  running           | ok              | destroyed                   | freed                 | -                         | finished
  running           | error, restart  | queued                      | freed behind all      | crashed 1                 | crashed
  running           | error, sleep    | sleeping                    | freed                 | crashed                   | crashed
  running           | error, destroy  | destroyed                   | freed                 | crashed                   | crashed
  running           | sleep intent    | sleep 1800s                 | command               | -                         | sleep
  running           | stop intent     | stop 1800s                  | command               | -                         | stop
  running           | sets alarm      | running alarm 60s           | -                     | -                         | -
  running           | sleep           | sleep 1800s                 | command               | -                         | sleep
  running           | destroy         | destroy 1800s               | command               | -                         | destroy
  running           | runner drains   | going_away                  | command               | -                         | going_away
  running           | runner lost     | queued                      | freed own place       | runner_lost 1             | runner_lost
  running           | runner forced   | queued                      | freed own place       | runner_draining_timeout 1 | runner_draining_timeout
  running           | runner detached | queued                      | freed own place       | runner_lost 1             | runner_lost

  Is drained: never a crash
  going_away        | ok              | queued                      | freed own place       | -                         | going_away
  going_away        | error           | queued                      | freed own place       | -                         | going_away
  going_away        | refused         | queued                      | freed own place       | -                         | going_away
  going_away        | sleep intent    | sleep 1800s                 | -                     | -                         | sleep
  going_away        | stop intent     | stop 1800s                  | -                     | -                         | stop
  going_away        | sets alarm      | going_away alarm 60s        | -                     | -                         | -
  going_away        | sleep           | sleep 1800s                 | -                     | -                         | sleep
  going_away        | destroy         | destroy 1800s               | -                     | -                         | destroy
  going_away        | drain cancelled | going_away 1800s            | -                     | -                         | -
  going_away        | runner lost     | queued                      | freed own place       | runner_lost               | going_away
  going_away        | runner forced   | queued                      | freed own place       | runner_draining_timeout   | going_away
  going_away        | runner detached | queued                      | freed own place       | -                         | going_away

  Goes to sleep
  sleep 1800s       | ok              | sleeping                    | freed                 | -                         | sleep
  sleep 1800s       | error           | sleeping                    | freed                 | -                         | sleep
  sleep 1800s       | refused         | sleeping                    | freed                 | -                         | sleep
  sleep 1800s       | stop intent     | stop 1800s                  | -                     | -                         | stop
  sleep 1800s       | sets alarm      | sleep 1800s alarm 60s       | -                     | -                         | -
  sleep 1800s       | wake            | sleep 1800s woken           | -                     | -                         | -
  sleep 1800s       | destroy         | destroy 1800s               | -                     | -                         | destroy
  sleep 1800s       | runner lost     | sleeping                    | freed                 | runner_lost               | sleep
  sleep 1800s       | runner forced   | sleeping                    | freed                 | runner_draining_timeout   | sleep
  sleep 1800s       | runner detached | sleeping                    | freed                 | -                         | sleep
  sleep 1800s       | due             | sleeping                    | drop freed            | runner_no_response        | sleep

  Goes to sleep and was woken: not forgotten, and taken back by another sleep
  sleep 1800s woken | ok              | queued                      | freed behind all      | -                         | wake
  sleep 1800s woken | error           | queued                      | freed behind all      | -                         | wake
  sleep 1800s woken | refused         | queued                      | freed behind all      | -                         | wake
  sleep 1800s woken | stop intent     | stop 1800s                  | -                     | -                         | stop
  sleep 1800s woken | sets alarm      | sleep 1800s woken alarm 60s | -                     | -                         | -
  sleep 1800s woken | sleep           | sleep 1800s                 | -                     | -                         | -
  sleep 1800s woken | destroy         | destroy 1800s               | -                     | -                         | destroy
  sleep 1800s woken | runner lost     | queued                      | freed behind all      | runner_lost               | wake
  sleep 1800s woken | runner forced   | queued                      | freed behind all      | runner_draining_timeout   | wake
  sleep 1800s woken | runner detached | queued                      | freed behind all      | -                         | wake
  sleep 1800s woken | due             | queued                      | drop freed behind all | runner_no_response        | wake

  Ends: nothing takes it back
  stop 1800s        | ok              | destroyed                   | freed                 | -                         | stop
  stop 1800s        | error           | destroyed                   | freed                 | -                         | stop
  stop 1800s        | refused         | destroyed                   | freed                 | -                         | stop
  stop 1800s        | sets alarm      | stop 1800s alarm 60s        | -                     | -                         | -
  stop 1800s        | destroy         | destroy 1800s               | -                     | -                         | destroy
  stop 1800s        | runner lost     | destroyed                   | freed                 | runner_lost               | stop
  stop 1800s        | runner forced   | destroyed                   | freed                 | runner_draining_timeout   | stop
  stop 1800s        | runner detached | destroyed                   | freed                 | -                         | stop
  stop 1800s        | due             | destroyed                   | drop freed            | runner_no_response        | stop
  destroy 1800s     | ok              | destroyed                   | freed                 | -                         | destroy
  destroy 1800s     | error           | destroyed                   | freed                 | -                         | destroy
  destroy 1800s     | refused         | destroyed                   | freed                 | -                         | destroy
  destroy 1800s     | sets alarm      | destroy 1800s alarm 60s     | -                     | -                         | -
  destroy 1800s     | runner lost     | destroyed                   | freed                 | runner_lost               | destroy
  destroy 1800s     | runner forced   | destroyed                   | freed                 | runner_draining_timeout   | destroy
  destroy 1800s     | runner detached | destroyed                   | freed                 | -                         | destroy
  destroy 1800s     | due             | destroyed                   | drop freed            | runner_no_response        | destroy

  Sleeps
  sleeping alarm 9s | wake            | queued alarm 9s             | behind all            | -                         | wake
  sleeping alarm 9s | due             | queued                      | behind all            | -                         | alarm
  sleeping alarm 9s | sets alarm      | sleeping alarm 60s          | -                     | -                         | -
  sleeping alarm 9s | takes it back   | sleeping                    | -                     | -                         | -
  sleeping alarm 9s | destroy         | destroyed                   | -                     | -                         | destroy
  """

private let states: [(text: String, state: ActorLife.State, alarm: Int64?)] = [
  ("queued", .pending(.init(retryAt: nil)), nil),
  ("backoff 2s", .pending(.init(retryAt: Story.at(2))), nil),
  ("starting 30s", .starting(.init(runner: Story.runner, deadline: Story.at(30))), nil),
  ("running", .running(.init(runner: Story.runner, since: Story.at(-5))), nil),
  ("going_away", Story.stopping(.goingAway), nil),
  ("sleep 1800s", Story.stopping(.sleep), nil),
  ("sleep 1800s woken", Story.stopping(.sleep, isWoken: true), nil),
  ("stop 1800s", Story.stopping(.stop), nil),
  ("destroy 1800s", Story.stopping(.destroy), nil),
  ("sleeping alarm 9s", .sleeping, 9),
  ("destroyed", .destroyed, nil),
]

private let happenings: [(text: String, all: [ActorLife.Happening])] = [
  ("allocated", [.allocated(Story.runner)]), ("running", [.running]), ("ok", [.stopped(isOK: true)]),
  ("error", [.stopped(isOK: false)]), ("refused", [.startRefused]), ("sleep intent", [.sleepIntent]),
  ("stop intent", [.stopIntent]), ("sets alarm", [.alarm(Story.alarm(60))]), ("takes it back", [.alarm(nil)]),
  ("wake", [.wake]), ("sleep", [.sleep]), ("destroy", [.destroy]), ("runner drains", [.runnerDrains]),
  ("drain cancelled", [.drainCancelled]),
  (
    "runner lost",
    RunnerEnd.allCases.filter { $0 != .forced && $0 != .detached }.map { .runnerEnded($0) }
  ),
  ("runner forced", [.runnerEnded(.forced)]), ("runner detached", [.runnerEnded(.detached)]),
  ("due", [.due]), ("no slot", [.noCapacity]),
]

/// One actor to which one thing happens.
private enum Story {
  static let now = Moment(nanoseconds: 1_000_000_000_000, wallMilliseconds: 1_790_000_000_000)
  static let runner = RunnerID(7)
  static let id = ActorID(5)

  static func at(_ seconds: Int64) -> Int64 { now.nanoseconds + seconds * 1_000_000_000 }

  static func alarm(_ seconds: Int64) -> ActorLife.Alarm {
    ActorLife.Alarm(
      nanoseconds: at(seconds), wallMilliseconds: now.wallMilliseconds + seconds * 1000)
  }

  static func stopping(_ reason: ActorStopReason, isWoken: Bool = false) -> ActorLife.State {
    .stopping(
      .init(
        runner: runner, reason: reason, deadline: reason == .goingAway ? nil : at(1800), ranSince: at(-5),
        isWakeWanted: isWoken))
  }

  static func life(
    _ state: ActorLife.State, alarm seconds: Int64? = nil, policy: CrashPolicy = .restart, retries: Int = 0
  ) -> ActorLife {
    ActorLife(
      state: state, generation: 3, commandIndex: 1, commandAcked: 0, reportIndex: 2,
      alarm: seconds.map { alarm($0) }, retries: retries, failure: nil, failedAtMilliseconds: nil,
      crashPolicy: policy)
  }

  static func text(_ life: ActorLife) -> String {
    func left(_ due: Int64?) -> String { due.map { " \(($0 - now.nanoseconds) / 1_000_000_000)s" } ?? "" }
    var text =
      switch life.state {
      case .pending(let pending): pending.retryAt == nil ? "queued" : "backoff\(left(pending.retryAt))"
      case .starting(let starting): "starting\(left(starting.deadline))"
      case .running: "running"
      case .stopping(let stopping):
        word(stopping.reason) + left(stopping.deadline) + (stopping.isWakeWanted ? " woken" : "")
      case .sleeping: "sleeping"
      case .destroyed: "destroyed"
      }
    if let alarm = life.alarm { text += " alarm\(left(alarm.nanoseconds))" }
    return text
  }

  static func word(_ reason: ActorStopReason) -> String {
    switch reason {
    case .sleep: "sleep"
    case .stop: "stop"
    case .destroy: "destroy"
    case .goingAway: "going_away"
    }
  }

  static func memory(_ life: ActorLife) -> String {
    let failure: String? =
      switch life.failure {
      case .noCapacity: "no_capacity"
      case .runnerNoResponse: "runner_no_response"
      case .runnerLost: "runner_lost"
      case .runnerDrainingTimeout: "runner_draining_timeout"
      case .crashed: "crashed"
      case nil: nil
      }
    #expect((failure == nil) == (life.failedAtMilliseconds == nil))
    let words = [failure, life.retries == 0 ? nil : "\(life.retries)"].compactMap { $0 }
    return words.isEmpty ? "-" : words.joined(separator: " ")
  }

  /// The effects in their order, and what is said of the state that was entered.
  static func follows(_ effects: [ActorLife.Effect], of life: ActorLife) -> (follows: String, said: String) {
    var words: [String] = []
    var said = "-"
    for effect in effects {
      switch effect {
      case .slotTaken(runner): words.append("took")
      case .slotFreed(runner): words.append("freed")
      case .command(runner): words.append("command")
      case .drop(runner, generation: 3): words.append("drop")
      case .wantsSlot(let keepsPlace): words.append(keepsPlace ? "own place" : "behind all")
      case .entered(let state, let after):
        #expect(state == life.actorState)
        if !after.isEmpty { said = after }
      default: words.append("\(effect)")
      }
    }
    return (words.isEmpty ? "-" : words.joined(separator: " "), said)
  }
}

@Suite struct ActorLifeTests {
  /// Each cell of states x happenings x crash policies.
  @Test(arguments: states.indices, CrashPolicy.allCases)
  func everythingInEveryState(_ index: Int, _ policy: CrashPolicy) {
    let specification = rows(of: table)
    let given = states[index]
    for (text, all) in happenings {
      let row =
        specification.first { $0[0] == given.text && $0[1] == "\(text), \(policy)" }
        ?? specification.first { $0[0] == given.text && $0[1] == text }
      // Only who is in the queue is ever given a slot.
      if text == "allocated", given.text != "queued" { continue }
      for happening in all {
        let before = Story.life(given.state, alarm: given.alarm, policy: policy)
        var life = before
        var now = Story.now
        if text == "due", let due = before.due { now.nanoseconds = due }
        let effects = life.on(happening, id: Story.id, settings: ActorSettings(), now: now)
        guard let row else {
          #expect(effects == [] && life == before, "\(given.text), \(happening): \(Story.text(life))")
          continue
        }
        let (follows, said) = Story.follows(effects, of: life)
        #expect([Story.text(life), follows, Story.memory(life), said] == Array(row[2...]), "\(row[0...1])")
      }
    }
  }

  @Test func everyRowIsOfAStateAndAHappening() {
    for row in rows(of: table) {
      #expect(states.contains { $0.text == row[0] }, "\(row)")
      #expect(happenings.contains { $0.text == row[1].split(separator: ",")[0] }, "\(row)")
      #expect(rows(of: table).count { $0[0] == row[0] && $0[1] == row[1] } == 1, "\(row)")
    }
  }

  @Test func nothingIsDueBeforeItsTime() {
    for (_, state, alarm) in states {
      let before = Story.life(state, alarm: alarm)
      guard let due = before.due else { continue }
      var (life, now) = (before, Story.now)
      now.nanoseconds = due - 1
      #expect(life.on(.due, id: Story.id, settings: ActorSettings(), now: now) == [])
      #expect(life == before)
    }
  }

  @Test func aStartBeginsAGeneration() {
    var life = Story.life(.pending(.init(retryAt: nil)))
    _ = life.on(.allocated(Story.runner), id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(life.generation == 4 && life.commandIndex == 1 && life.commandAcked == 0 && life.reportIndex == 0)
    // What was passed over does not count any more.
    let counted = [1, 1, 4, 3].map { life.counts(report: $0) }
    #expect(counted == [true, false, true, false])
    // To run is to have the start.
    _ = life.on(.running, id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(life.commandAcked == 1)
    _ = life.on(.sleep, id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(life.commandIndex == 2 && life.commandAcked == 1)
    let acknowledged = [9, 2].map { life.acknowledged(command: $0) }
    #expect(acknowledged == [true, false] && life.commandAcked == 2, "no further than what was told")
  }

  @Test func aPoolsOwnTimesCount() {
    var settings = ActorSettings()
    settings.startThresholdMilliseconds = 4000
    settings.stopThresholdMilliseconds = 8000
    var life = Story.life(.pending(.init(retryAt: nil)))
    _ = life.on(.allocated(Story.runner), id: Story.id, settings: settings, now: Story.now)
    #expect(Story.text(life) == "starting 4s")
    _ = life.on(.destroy, id: Story.id, settings: settings, now: Story.now)
    #expect(Story.text(life) == "destroy 8s")
  }

  // MARK: - Tries

  /// First at once, then after 2 s, twice as long each time, 256-fold at the most; up to a quarter of 2 s is added.
  @Test(
    arguments: [
      (0, 0), (1, 2000), (2, 4000), (3, 8000), (4, 16_000), (5, 32_000), (6, 64_000), (7, 128_000),
      (8, 256_000), (9, 512_000), (10, 512_000), (1000, 512_000),
    ] as [(Int, Int64)])
  func pauses(_ retries: Int, _ base: Int64) {
    var pauses: Set<Int64> = []
    for id: Int64 in 1...200 {
      let pause = ActorRetry.pauseMilliseconds(
        retries: retries, backoff: 2000, id: ActorID(id), generation: 3)
      #expect(pause >= base && pause <= base + (base == 0 ? 0 : 500))
      #expect(
        pause
          == ActorRetry.pauseMilliseconds(retries: retries, backoff: 2000, id: ActorID(id), generation: 3))
      pauses.insert(pause)
    }
    #expect(base == 0 ? pauses == [0] : pauses.count > 100, "many that failed together come back apart")
  }

  @Test(
    arguments: [
      (5, "backoff"), (599, "backoff"), (600, "queued"), (86_400, "queued"),
    ] as [(Int64, String)])
  func tenMinutesOfHealthForgetTheTries(_ seconds: Int64, _ becomes: String) {
    var life = Story.life(
      .running(.init(runner: Story.runner, since: Story.at(-seconds))), retries: 3)
    _ = life.on(.stopped(isOK: false), id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(Story.text(life).hasPrefix(becomes))
    #expect(life.retries == (becomes == "queued" ? 1 : 4))
  }

  /// To have been asleep is to begin anew.
  @Test(arguments: [ActorLife.Happening.wake, .due])
  func wakingForgetsTheTries(_ happening: ActorLife.Happening) {
    var life = Story.life(.sleeping, alarm: 0, retries: 3)
    _ = life.on(happening, id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(life.isQueued && life.retries == 0)
  }

  /// An alarm that passed while it ran is due the moment that it sleeps.
  @Test func anAlarmThatPassedIsDueAtOnce() {
    var life = Story.life(Story.stopping(.sleep), alarm: -3)
    #expect(life.due == Story.at(1800))
    _ = life.on(.stopped(isOK: true), id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(life.due == Story.at(-3))
    _ = life.on(.due, id: Story.id, settings: ActorSettings(), now: Story.now)
    #expect(life.isQueued && life.alarm == nil)
  }
}
