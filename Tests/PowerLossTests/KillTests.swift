import Handover
import PowerLoss
import Testing

@testable import Registry

/// The process dies at any statement, in the middle of any write, before any sync: the next one finds what was
/// acknowledged, and of the batch under way all or nothing.
@Suite struct KillTests {
  @Test(arguments: [Disk.Operation.statements, .writes, .syncs])
  func everyOperationIsTheLast(operation: Disk.Operation) throws {
    var nth = 1
    var halfway = 0
    while true {
      let run = try CrashingStore(seed: 8)
      run.disk.setRecording(false)
      run.disk.crash(at: operation, nth: nth)
      var batch: [Mutation] = []
      while !run.disk.hasCrashed, run.acknowledged.count < 9 {
        batch = run.workload.batch()
        do {
          try run.apply(batch)
        } catch {
          #expect(run.disk.hasCrashed, "\(operation) \(nth): \(error)")
        }
      }
      let hasCrashed = run.disk.hasCrashed
      let last = run.acknowledged.last!.state
      run.disk.heal()
      run.disk.kill()
      run.close()
      try run.open()
      // As it was found, before the start changed it.
      let found = run.acknowledged[run.acknowledged.count - 2].state
      if found != last {
        // Then it is there whole: the same batch upon what was acknowledged gives the same.
        halfway += 1
        #expect(
          try Self.reached(upTo: run.acknowledged.count - 3, then: batch) == found, "\(operation) \(nth)")
      }
      #expect(try run.store.verifyCounters() == [], "\(operation) \(nth)")
      #expect(try SQLiteReader(path: run.path).findDamage() == [], "\(operation) \(nth)")
      guard hasCrashed else { break }
      nth += operation == .syncs ? 1 : 3
    }
    #expect(nth > 10)
    // What was written and not yet synced outlives a process.
    if operation == .syncs { #expect(halfway > 0) }
  }

  /// The state after the same run and that batch, without a crash.
  private static func reached(upTo batches: Int, then batch: [Mutation]) throws -> String {
    let run = try CrashingStore(seed: 8)
    while run.acknowledged.count <= batches { try run.apply(run.workload.batch()) }
    // Its own random numbers have come to the same batch.
    let same = run.workload.batch()
    #expect(same == batch)
    try run.apply(same)
    return run.acknowledged.last!.state
  }
}
