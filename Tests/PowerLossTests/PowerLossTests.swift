import Seeded
import Glibc
import Handover
import PowerLoss
import Testing

@testable import Registry

/// The power fails at any moment, and the disk keeps what was synced and any part of the rest.
@Suite struct PowerLossTests {
  /// Goes through the record of a run and looks at what a power loss would leave at `points` of them, `images` times each.
  /// The answer is what was found wrong.
  static func crash(
    _ run: CrashingStore, seed: UInt64, points: Int, images: Int, from start: Int = 0
  ) -> [String] {
    let end = run.disk.position
    var random = SeededRandom(seed: seed)
    let chosen = (0..<points).map { _ in Int.random(in: start...end, using: &random) }.sorted()
    var crashes = CrashImages(of: run.disk, random: random)
    let directory = Disk()
    var problems: [String] = []
    for point in chosen {
      crashes.advance(to: point)
      for image in 0..<images {
        let path = "\(directory.directory)/image"
        precondition(mkdir(path, 0o700) == 0)
        crashes.write(to: path)
        if let problem = run.problem(at: point, in: path) {
          problems.append("SEED=\(seed), point \(point) of \(end), image \(image): \(problem)")
        }
        Disk.remove(path)
      }
    }
    return problems
  }

  @Test(arguments: 1...8) func whatWasAcknowledgedIsThereAndNothingIsHalfDone(seed: UInt64) throws {
    let run = try CrashingStore(seed: seed)
    try run.run(batches: 25)
    run.close()
    try run.open()
    try run.run(batches: 15)
    #expect(Self.crash(run, seed: seed, points: 140, images: 2) == [])
  }

  /// A start that the power loss cuts off leaves a file that the next start takes.
  @Test(arguments: 101...104) func firstStartIsAllOrNothing(seed: UInt64) throws {
    let run = try CrashingStore(seed: seed)
    #expect(Self.crash(run, seed: seed, points: 60, images: 2) == [])
  }

  /// The test above finds what it is there for: a store that does not wait for the disk loses what it acknowledged.
  @Test(arguments: ["OFF", "NORMAL"]) func storeThatDoesNotSyncIsFound(synchronous: String) throws {
    let run = try CrashingStore(seed: 1) { store in
      try store.database.execute("PRAGMA synchronous = \(synchronous)")
    }
    try run.run(batches: 25)
    let problems = Self.crash(run, seed: 1, points: 40, images: 2)
    #expect(problems.contains { $0.contains(": acknowledged ") }, "\(problems)")
    // Without any sync the file itself is damaged too; with those around a checkpoint it is only old.
    let isDamaged = problems.contains { $0.contains(": damaged") || $0.contains("cannot be opened") }
    #expect(isDamaged == (synchronous == "OFF"), "\(problems)")
  }
}
