import Simulator
import Testing

private func run(_ seed: UInt64, _ bug: PlantedBug = .none, minutes: Int64 = 10) -> Simulation.Outcome {
  Simulation.run(seed: seed, bug: bug, minutes: minutes)
}

@Suite(.serialized) struct SimulatorTests {
  @Test(arguments: UInt64(1)...10) func everyInvariantHolds(seed: UInt64) {
    #expect(run(seed).violations == [])
  }

  /// Seeds that once found a mistake, each with its story.
  @Test(arguments: [
    // A client that hung, was given up, and woke to find the daemon dead, worked on.
    UInt64(1735),
    // Whoever took the key of a runner that was cut off had its actors moved while its process still ran them.
    233, 437, 445,
  ])
  func whatASeedFoundStaysFixed(seed: UInt64) {
    #expect(run(seed).violations == [])
  }

  @Test func theSameSeedIsTheSameRun() {
    let first = run(3)
    let second = run(3)
    #expect(first.traceHash == second.traceHash)
    #expect(first.events == second.events)
    #expect(run(4).traceHash != first.traceHash)
  }

  /// Each planted bug with a seed that finds it. What catches it is in its own words in the violation.
  @Test(arguments: [
    (PlantedBug.stopForgotten, UInt64(1), "invariant 4"),
    (.deadlineIgnored, 2, "invariant 4"),
    (.deadlineLostAtRestart, 2, "invariant 4"),
    (.eventSkipped, 1, "invariant 8"),
    (.eventRepeated, 1, "invariant 8"),
    (.tokenForgotten, 1, "came back as"),
    (.historyCutShort, 3, "is gone"),
    (.stopNotResent, 2, "invariant 4"),
    (.drainedApart, 2, "invariant 7"),
    (.edgeTriggeredPlanner, 4, "invariant 7"),
    (.lossIgnored, 1, "died long ago"),
    (.acknowledgedBeforeCommit, 6, "invariant 5"),
    (.failureSwallowed, 2, "attached in the books"),
    (.connectionGenerationIgnored, 2, "detached in the books"),
    (.detachIgnored, 1, "attached in the books"),
    (.silenceIgnored, 3, "silent in the books"),
    (.fenceIgnored, 1, "invariant 1"),
    (.actorTimesIgnored, 1, "beyond its time"),
    (.commandsForgotten, 3, "should have come to rest"),
    (.reportForgotten, 3, "runs in the books and nowhere else"),
    (.offerForgotten, 4, "was never told"),
    (.healthTakenForGranted, 8, "invariant 9"),
    (.answerForgotten, 22, "nothing came of it"),
    (.dropForgotten, 253, "runs twice"),
  ])
  func aPlantedBugIsFound(bug: PlantedBug, seed: UInt64, finding: String) {
    let violations = run(seed, bug).violations
    #expect(violations.contains { $0.contains(finding) }, "\(violations)")
    #expect(run(seed).violations == [])
  }
}
