import Handover
import PowerLoss
import Testing

@testable import Registry

/// A sync that fails: what it was for may never reach the disk, though whoever reads the file sees it.
@Suite struct SyncFailureTests {
  /// Nothing of a transaction is acknowledged whose sync failed, and nothing after it: the store has failed for good, and
  /// asks for no second sync.
  @Test(arguments: 1...3) func failedSyncEndsTheStore(nth: Int) throws {
    let run = try CrashingStore(seed: 1)
    try run.run(batches: 5)
    run.disk.fail(.syncError, nth: nth, times: 1)
    var failure: StoreFailure?
    while failure == nil {
      let batch = run.workload.batch()
      do throws(StoreFailure) {
        run.workload.learn(batch, try run.store.apply(batch, at: run.workload.now))
      } catch {
        failure = error
      }
    }
    guard case .fatal(let text)? = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(text.contains("the disk did not take what was written"))
    // The disk is sound again, and the store still does not touch it.
    let syncs = run.disk.count(.syncs)
    let writes = run.disk.count(.writes)
    for batch in [[], run.workload.batch()] {
      #expect(throws: failure!) { _ = try run.store.apply(batch, at: run.workload.now) }
    }
    run.close()
    #expect(run.disk.count(.syncs) == syncs)
    #expect(run.disk.count(.writes) == writes)
  }

  /// After a failed sync the kernel calls the pages clean that it could not write: they are read as if they were there, no
  /// later sync writes them, and they are gone when the power fails. A daemon that is started again on such a log, and only
  /// adds to it, would acknowledge changes that follow a hole: so it first writes the log anew.
  @Test(arguments: 1...10) func nothingIsLostAfterARestartUponAFailedSync(seed: UInt64) throws {
    let run = try CrashingStore(seed: seed)
    try run.run(batches: 6 + Int(seed))
    run.disk.fail(.syncError, nth: 1 + Int(seed) % 4, times: 1)
    #expect(throws: StoreFailure.self) {
      while true { _ = try run.store.apply(run.workload.batch(), at: run.workload.now) }
    }
    run.close()
    try run.open()
    let start = run.disk.position
    try run.run(batches: 12)
    #expect(PowerLossTests.crash(run, seed: seed, points: 30, images: 2, from: start) == [])
  }
}
