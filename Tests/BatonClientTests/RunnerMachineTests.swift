import BatonAPI
import Handover
import Testing
import Ttrpc

@testable import BatonClient

/// What no table shows: what is remembered from one state to the next, and what time does.
@Suite struct RunnerMachineTests {
  // MARK: - Coming back

  @Test func anAttachmentThatHardlyBeganIsOneMoreFailedAttempt() {
    // A daemon that lets everyone in and drops them at once was asked again in a loop, a commit each time.
    var harness = MachineHarness.at("registering")
    harness.fire(.registered)
    #expect(harness.fire(.disconnected) == ["hangUp", "cutOff"])
    #expect(harness.machine.state.letter == "W")
  }

  @Test func pausesGrowToTwoSecondsAndAreDrawnFromTheirUpperHalf() {
    var harness = MachineHarness.at("connecting")
    var longest: Int64 = 50_000_000
    for _ in 0..<12 {
      harness.fire(.passingConnect)
      guard case .waiting(let until) = harness.machine.state else {
        Issue.record("it does not wait: \(harness.machine.state)")
        return
      }
      #expect((longest / 2...longest).contains(until - harness.now))
      harness.now = until
      #expect(harness.tick() == ["connect"])
      longest = min(2 * longest, 2 * second)
    }
  }

  @Test func manyRunnersOfOneDaemonDoNotComeBackTogether() {
    let moments = Set(
      (UInt64(1)...50).map { seed in
        var machine = RunnerMachine(randomness: seed &* 0x9E37_79B9_7F4A_7C15, giveUpAt: .max)
        _ = machine.start()
        _ = machine.connectFailed(.passing, Status(.unavailable, ""), now: 0)
        return machine.nextTick
      })
    #expect(moments.count > 45)
  }

  @Test func aRegisterThatIsNeverAnsweredIsGivenUpAndRepeated() {
    var harness = MachineHarness.at("registering")
    harness.now += 10 * second - 1
    #expect(harness.tick() == [])
    harness.now += 1
    #expect(harness.machine.nextTick == harness.now)
    #expect(harness.tick() == ["hangUp"])
    #expect(harness.machine.state.letter == "W")
  }

  // MARK: - The first time

  @Test(arguments: [MachineEvent.refusedConnect, .passingConnect, .lastingConnect])
  func patienceThatIsUsedUpEndsIt(_ event: MachineEvent) {
    var harness = MachineHarness(giveUpAt: 100 * second)
    _ = harness.machine.start()
    #expect(harness.fire(event) == ["hangUp", "unreachable"])
  }

  @Test(arguments: [MachineEvent.disconnected, .unavailable, .closeStopping])
  func aDaemonThatLetsNobodyInIsNotAskedForEver(_ event: MachineEvent) {
    // start() never returned when the daemon dropped every connection, or its disk was full.
    var harness = MachineHarness(giveUpAt: 100 * second)
    _ = harness.machine.start()
    harness.fire(.connected)
    #expect(harness.fire(event) == ["hangUp", "unreachable"])
  }

  @Test func patienceIsForTheFirstTimeOnly() {
    var harness = MachineHarness(giveUpAt: 100 * second)
    _ = harness.machine.start()
    harness.fire(.connected)
    harness.fire(.registered)
    harness.now += 2 * second
    harness.fire(.disconnected)
    #expect(harness.fire(.refusedConnect) == ["hangUp"])
  }

  // MARK: - Heartbeats and the fence

  @Test func theFenceCountsFromSendingTheLastHeartbeatThatWasAcknowledged() {
    var harness = MachineHarness.at("registering")
    harness.now += second
    harness.fire(.registered)
    // From sending Register, not from its answer.
    #expect(harness.machine.fenceAt == 112 * second)
    harness.now = 104 * second
    #expect(harness.tick() == ["heartbeat1"])
    harness.now = 107 * second
    #expect(harness.tick() == ["heartbeat2"])
    harness.fire(.ack)
    #expect(harness.machine.fenceAt == 116 * second)
    harness.now = 110 * second
    #expect(harness.tick() == ["heartbeat3"])
    harness.now = 116 * second - 1
    #expect(harness.tick() == ["heartbeat4"])
    harness.now += 1
    #expect(harness.machine.nextTick == harness.now)
    #expect(harness.tick() == ["hangUp", "fenced"])
  }

  @Test func oneAckAnswersAllBeforeItAndNoneAfter() {
    var harness = MachineHarness.at("registering")
    harness.fire(.registered)
    for beat in 1...3 {
      harness.now += 3 * second
      #expect(harness.tick() == ["heartbeat\(beat)"])
    }
    _ = harness.machine.received(.heartbeatAck(sequence: 2, openOrder: nil), now: harness.now)
    #expect(harness.machine.fenceAt == 118 * second)
    harness.fire(.ack)
    #expect(harness.machine.fenceAt == 118 * second)
  }

  @Test func acksOfHeartbeatsThatACutLostVouchForNothing() {
    var harness = MachineHarness.at("resuming")
    // Registered was sent at 105 s on the new connection, heartbeat 1 at 103 s on the old one.
    harness.fire(.registered)
    harness.fire(.ack)
    #expect(harness.machine.fenceAt == 117 * second)
  }

  @Test func theFenceFallsInEveryStateThatIsCutOff() {
    for events: [MachineEvent] in [[], [.disconnected, .passingConnect], [.disconnected, .connected]] {
      var harness = MachineHarness.at("attached")
      for event in events { harness.fire(event) }
      harness.now = 112 * second
      #expect(harness.tick() == ["hangUp", "fenced"], "after \(events)")
    }
  }

  @Test func theClockStandsStillWhileConnectIsRefused() {
    var harness = MachineHarness.at("attached")
    harness.now = 106 * second
    harness.fire(.disconnected)
    harness.fire(.refusedConnect)
    // An hour without a daemon: six seconds were left, and are left.
    while harness.now < 3700 * second {
      harness.now = harness.machine.nextTick!
      #expect(harness.tick() == ["connect"])
      #expect(harness.fire(.refusedConnect) == ["hangUp"])
    }
    #expect(harness.machine.fenceAt == harness.now + 6 * second)
  }

  @Test func whatPassesAfterTheLastRefusalCounts() {
    // A runner that slept while the daemon came back believed that its clock had stood still all the while.
    var harness = MachineHarness.at("attached")
    harness.now = 106 * second
    harness.fire(.disconnected)
    harness.fire(.refusedConnect)
    harness.now += 60 * second
    // First it asks whether anybody is there.
    #expect(harness.tick() == ["connect"])
    #expect(harness.fire(.connected) == ["hangUp", "fenced"])
  }

  @Test func aSleeperWhoFindsNobodyThereKeepsWhatWasLeft() {
    var harness = MachineHarness.at("attached")
    harness.now = 106 * second
    harness.fire(.disconnected)
    harness.fire(.refusedConnect)
    // Shorter than any daemon needs to give it up.
    harness.now += 11 * second
    #expect(harness.tick() == ["connect"])
    #expect(harness.fire(.refusedConnect) == ["hangUp"])
    #expect(harness.machine.fenceAt == harness.now + 6 * second)
  }

  @Test func aLongSleeperWhoFindsNobodyThereIsFenced() {
    // A daemon may have come, given it up, and gone again, all while it slept.
    var harness = MachineHarness.at("attached")
    harness.now = 106 * second
    harness.fire(.disconnected)
    harness.fire(.refusedConnect)
    harness.now += 60 * second
    #expect(harness.tick() == ["connect"])
    #expect(harness.fire(.refusedConnect) == ["hangUp", "fenced"])
  }

  @Test func whoWasGivenUpBeforeTheDaemonWentIsFencedByTheFirstRefusal() {
    // Seed 705: a runner hung, was given up, and woke to find the daemon dead; it took the refusal for
    // "nobody counts my time" and worked on.
    var harness = MachineHarness.at("attached")
    harness.now = 119 * second
    #expect(harness.fire(.disconnected) == ["hangUp", "cutOff", "connect"])
    #expect(harness.fire(.refusedConnect) == ["hangUp", "fenced"])
  }

  @Test(arguments: [MachineEvent.passingConnect, .lastingConnect])
  func aSocketThatIsGoneOrClosedToUsStopsNoClock(_ event: MachineEvent) {
    // A removed socket file says nothing about the daemon that had it open.
    var harness = MachineHarness.at("attached")
    harness.now = 106 * second
    harness.fire(.disconnected)
    harness.fire(event)
    #expect(harness.machine.fenceAt == 112 * second)
  }

  @Test func thereIsAnAttemptShortlyBeforeTheFence() {
    var harness = MachineHarness.at("attached")
    harness.now = 106 * second
    harness.fire(.disconnected)
    var latest = harness.now
    while harness.fire(.passingConnect) == ["hangUp"] {
      latest = harness.now
      harness.now = harness.machine.nextTick!
      if harness.tick() != ["connect"] { break }
    }
    #expect(harness.now == 112 * second)
    #expect(harness.now - latest <= 20_000_000)
  }

  @Test func aRunnerThatHasFinishedIsNotFenced() {
    var harness = MachineHarness.at("leaving")
    #expect(harness.machine.fenceAt == nil)
    harness.now += 3600 * second
    #expect(harness.tick() == ["heartbeat2"])
  }

  @Test func aDaemonsZerosDoNotMakeAFlood() {
    var harness = MachineHarness.at("registering")
    var registered = RunnerMachine.registration()
    registered.heartbeatIntervalMilliseconds = 0
    _ = harness.machine.received(.registered(registered), now: harness.now)
    #expect(harness.machine.nextTick == harness.now + second / 10)
  }

  @Test func moreHeartbeatsThanCanBeRememberedVouchForTheirOldest() {
    var harness = MachineHarness.at("registering")
    var registered = RunnerMachine.registration()
    registered.lostThresholdMilliseconds = 3_600_000
    _ = harness.machine.received(.registered(registered), now: harness.now)
    for _ in 0..<200 {
      harness.now += 3 * second
      _ = harness.tick()
    }
    _ = harness.machine.received(.heartbeatAck(sequence: 200, openOrder: nil), now: harness.now)
    #expect(harness.machine.fenceAt == (100 + 64 * 3 + 2880) * second)
  }

  // MARK: - Stops, drains and the end

  @Test func aStopThatNeverCameIsAskedForByOneResume() {
    var harness = MachineHarness.at("attached")
    #expect(harness.fire(.ackOfUnseen) == ["hangUp", "cutOff", "connect"])
    harness.fire(.connected)
    harness.fire(.registered)
    #expect(harness.fire(.ackOfUnseen) == [])
    #expect(harness.fire(.stop) == ["ack2", "stop2"])
    #expect(harness.fire(.ackOfUnseen) == ["ack2"])
  }

  @Test func whatItWantedToSayIsSaidAtTheResume() {
    var harness = MachineHarness.at("registering")
    harness.fire(.registered)
    #expect(harness.fire(.beginDrain) == ["stopping"])
    harness.now += 2 * second
    harness.fire(.disconnected)
    harness.fire(.finish)
    harness.fire(.connected)
    #expect(harness.fire(.registered) == ["registered", "stopping", "detach"])
  }

  @Test func aDrainThatHasItsStopIsNotBegunAgain() {
    var harness = MachineHarness.at("registering")
    harness.fire(.registered)
    harness.fire(.beginDrain)
    harness.fire(.stop)
    harness.now += 2 * second
    harness.fire(.disconnected)
    harness.fire(.connected)
    #expect(harness.fire(.registered) == ["registered"])
    #expect(harness.fire(.beginDrain) == [])
  }

  @Test(arguments: [(true, "cancelled1"), (false, "stopping")])
  func theOrdersOfAnotherFleetAreOthers(canStay: Bool, follows: String) {
    // After the state was replaced, order 1 of the new fleet was taken for the one seen before: acked, and never told.
    var harness = MachineHarness.at("resuming", canStay: canStay)
    let registered = RunnerMachine.registration(runner: 1, fleet: 2)
    let effects = harness.machine.received(.registered(registered), now: harness.now)
    // The new one cannot know that it was leaving.
    #expect(effects.map(\.word) == ["registered", follows])
    #expect(harness.fire(.sameStop) == ["ack1", "stop1"])
  }

  // MARK: - Deadlines that move, and Stops that are taken back

  @Test func aDeadlineThatHasMovedIsToldAndTheSameOneIsNot() {
    var harness = MachineHarness.at("registering")
    harness.fire(.registered)
    func stop(_ remaining: Int64) -> [String] {
      let notice = RunnerMachine.notice(1, remainingMilliseconds: remaining)
      return harness.machine.received(.stop(notice), now: harness.now).map(\.word)
    }
    #expect(stop(60_000) == ["ack1", "stop1"])
    harness.now += 2 * second
    // A little longer on its way.
    #expect(stop(57_901) == ["ack1"])
    #expect(stop(57_900) == ["ack1", "deadline1"])
    // Compared with what was told, so that many small steps are one that is seen.
    #expect(stop(57_950) == ["ack1"])
    #expect(stop(90_000) == ["ack1", "deadline1"])
    #expect(stop(1000) == ["ack1", "deadline1"])
    #expect(stop(.max) == ["ack1", "deadline1"])
  }

  @Test func whoCannotStayHasBegunToLeaveOnceItIsTold() {
    var harness = MachineHarness.at("registering", canStay: false)
    harness.fire(.registered)
    // Not told: nothing was begun.
    #expect(harness.fire(.stopCancelled) == ["resumed1"])
    #expect(harness.fire(.sameStop) == ["ack1", "stop1"])
    #expect(harness.fire(.stopCancelled) == ["tooLate1"])
    #expect(harness.fire(.stopCancelled) == ["tooLate1"])
  }

  @Test func eachQuestionIsAnsweredAndAStopAfterItIsANewOne() {
    var harness = MachineHarness.at("attached")
    #expect(harness.fire(.stopCancelled) == ["cancelled1", "resumed1"])
    #expect(harness.fire(.stopCancelled) == ["resumed1"])
    // Its place was taken while the answer was on its way, so the very order stands again.
    #expect(harness.fire(.sameStop) == ["ack1", "stop1"])
    #expect(harness.fire(.stopCancelled) == ["cancelled1", "resumed1"])
    #expect(harness.fire(.stop) == ["ack2", "stop2"])
    // The answer to another order says nothing of this one.
    #expect(harness.fire(.stopCancelled) == ["resumed1"])
    #expect(harness.commit(2) == "leaves")
    #expect(harness.fire(.otherCancelled) == ["tooLate2"])
  }

  @Test func theLastWordIsWhoeversCameFirst() {
    var harness = MachineHarness.at("attached")
    harness.fire(.stopCancelled)
    #expect(harness.commit(1) == "stays")
    harness.fire(.sameStop)
    #expect(harness.commit(2) == "stays")
    #expect(harness.commit(1) == "leaves")
    #expect(harness.fire(.stopCancelled) == ["tooLate1"])
    // There is one end only, by whatever order it was begun.
    #expect(harness.commit(2) == "leaves")
    harness.fire(.closeForced)
    #expect(harness.commit(3) == "leaves")
  }

  @Test(arguments: [MachineEvent.beginDrain, .finish]) func itsOwnWordIsNotTakenBack(_ event: MachineEvent) {
    var harness = MachineHarness.at("attached")
    harness.fire(event)
    #expect(harness.fire(.stopCancelled) == ["tooLate1"])
  }

  @Test func aReadyStandingTakesBackWhatWasCancelledWhileItWasAway() {
    var harness = MachineHarness.at("resuming")
    #expect(harness.fire(.registeredReady) == ["registered", "cancelled1"])
    #expect(harness.commit(1) == "stays")
    // A Stop that did not reach it is none that is taken back.
    harness.now += 2 * second
    harness.fire(.disconnected)
    harness.fire(.connected)
    #expect(harness.fire(.registeredReady) == ["registered"])
  }

  @Test func whoCannotStayTellsADaemonThatHasNoOrderForIt() {
    var harness = MachineHarness.at("committed")
    harness.now += 2 * second
    harness.fire(.disconnected)
    harness.fire(.connected)
    #expect(harness.fire(.registeredReady) == ["registered", "stopping"])
    #expect(harness.fire(.stop) == ["ack2", "stop2"])
    // Where its order stands there is nothing to say.
    harness.now += 2 * second
    harness.fire(.disconnected)
    harness.fire(.connected)
    let draining = RunnerMachine.registration(isResumed: true, standing: .draining)
    #expect(
      harness.machine.received(.registered(draining), now: harness.now).map(\.word) == ["registered"])
  }
}
