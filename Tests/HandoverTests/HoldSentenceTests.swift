import Testing

@testable import Handover

private let now: Int64 = 1000 * 1_000_000_000

private func hold(
  _ gate: Gate, _ count: Int = 3, inSeconds: Int64? = nil, missing: Int64 = 0, isPossible: Bool = false
) -> Hold {
  Hold(
    gate, goal: Version(8)!, count: count, untilNanoseconds: inSeconds.map { now + $0 * 1_000_000_000 },
    missingSlots: missing, isPossible: isPossible)
}

private let sentences: [(Hold, String)] = [
  (
    hold(.minHealthy, inSeconds: 12, isPossible: true),
    "3 runners stay until version 8 has had an attached ready runner for long enough (min_healthy): 12 s more"
  ),
  (
    hold(.minHealthy, 1, isPossible: true),
    "1 runner stays until version 8 has an attached ready runner, and has had one for long enough (min_healthy)"
  ),
  (
    hold(.minAvailable, missing: 4),
    "3 runners stay: without the next one the pool would have 4 slots too few (min_available); "
      + "it takes as many more of version 8, or a lower min_available"
  ),
  (
    hold(.minAvailable, missing: 1, isPossible: true),
    "3 runners stay: without the next one the pool would have 1 slot too few (min_available), "
      + "until runners with as many that are detached, silent or cordoned count again"
  ),
  (
    hold(.freeSlots, missing: 2, isPossible: true),
    "3 runners stay: version 8 has 2 slots too few for the actors of the next one and of those that wait or leave, "
      + "until some become free"
  ),
  (
    hold(.freeSlots, missing: 2),
    "3 runners stay: version 8 has 2 slots too few for the actors of the next one, "
      + "even when all of its slots are free; it takes as many more of version 8"
  ),
  (hold(.maxDraining, 1), "1 runner waits for its turn: no more may drain at once (max_draining)"),
  (hold(.maxDraining), "3 runners wait for their turn: no more may drain at once (max_draining)"),
  (
    hold(.noRunner),
    "3 runners stay: version 8, which is pinned, has no attached ready runner; start one, or set another target"
  ),
  (
    hold(.abandoned),
    "3 runners stay: the upgrade to version 8 was held back for hold_timeout and is abandoned; "
      + "a new config or pin tries it again"
  ),
  (
    hold(.exempt, 1),
    "1 runner stays: somebody cancelled the order to leave for version 8; that holds until there is another target"
  ),
]

@Test(arguments: sentences) func aHoldSaysWhoStaysAndWhatOpensIt(hold: Hold, sentence: String) {
  #expect(hold.sentence(now: now) == sentence)
}

@Test func everyGateHasASentence() {
  #expect(Set(sentences.map(\.0.gate)) == Set(Gate.allCases))
}

@Test(
  arguments: [
    (-5, "0 s"), (0, "0 s"), (1, "1 s"), (1000, "1 s"), (1001, "2 s"), (60_000, "1 min"),
    (61_000, "1 min 1 s"), (3_600_000, "1 h"), (3_661_000, "1 h 1 min"), (90_000_000, "1 d 1 h"),
  ] as [(Int64, String)])
func durationsAreSaidInTheirTwoGreatestUnits(milliseconds: Int64, words: String) {
  #expect(Spoken.duration(milliseconds: milliseconds) == words)
}
