import Seeded

/// Which kinds of trouble a run has; drawn from its seed, whole kinds switched off at random.
package struct Faults: Sendable {
  package var commitMilliseconds: Int64 = 3
  /// What a socket's buffers take before the writer must wait.
  package var linkBytes = 200 << 10
  package var kills = false
  package var linkCuts = false
  package var stalls = false
  package var suspends = false
  package var wallJumps = false
  package var reboots = false

  // The store.
  package var diesAroundCommits = false
  /// At any statement, in the middle of any write, before any sync; while it starts as well.
  package var diesInBatches = false
  package var statementsFail = false
  package var writesFail = false
  package var syncsFail = false
  package var diskFills = false
  package var readsFail = false

  // Who connects.
  package var runnersHang = false
  package var runnersCrash = false
  package var runnersIgnoreStops = false
  package var oldTokensComeBack = false
  package var slowReaders = false
  package var strangers = false
  /// Builds that die soon after they have started.
  package var badVersions = false

  /// Not a fault: somebody pins, cordons, takes back and forces.
  package var steers = false

  static func drawn(_ random: inout SeededRandom) -> Faults {
    var faults = Faults()
    faults.commitMilliseconds = [1, 5, 50].randomElement(using: &random)!
    faults.linkBytes = [1 << 10, 200 << 10].randomElement(using: &random)!
    faults.kills = random.oneIn(2)
    faults.linkCuts = random.oneIn(2)
    faults.stalls = random.oneIn(3)
    faults.suspends = random.oneIn(4)
    faults.wallJumps = random.oneIn(3)
    faults.reboots = random.oneIn(6)
    faults.diesAroundCommits = random.oneIn(3)
    faults.diesInBatches = random.oneIn(2)
    faults.statementsFail = random.oneIn(3)
    faults.writesFail = random.oneIn(3)
    faults.syncsFail = random.oneIn(4)
    faults.diskFills = random.oneIn(3)
    faults.readsFail = random.oneIn(4)
    faults.runnersHang = random.oneIn(2)
    faults.runnersCrash = random.oneIn(2)
    faults.runnersIgnoreStops = random.oneIn(2)
    faults.oldTokensComeBack = random.oneIn(3)
    faults.slowReaders = random.oneIn(3)
    faults.strangers = random.oneIn(3)
    faults.badVersions = random.oneIn(3)
    faults.steers = random.oneIn(2)
    return faults
  }
}
