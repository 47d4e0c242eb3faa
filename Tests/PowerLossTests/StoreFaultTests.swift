import Handover
import PowerLoss
import Testing

@testable import Registry

/// A disk that refuses: nothing that was acknowledged is lost, what failed has not happened, and it goes on when it can.
@Suite struct StoreFaultTests {
  private static func failure(_ body: () throws -> Void) -> StoreFailure? {
    do {
      try body()
      return nil
    } catch {
      return error as? StoreFailure
    }
  }

  /// What a person reads of it.
  private static func words(_ fault: Disk.Fault) -> String {
    switch fault {
    case .full: "the disk is full"
    case .readError, .writeError, .mapError, .interrupt: "cannot be written or read for now"
    case .syncError: "the disk did not take what was written"
    }
  }

  /// Every operation of a run fails in turn, once or for a while. The batch that it hits is refused whole; tried again on
  /// the healed disk it succeeds, on the same store.
  @Test(arguments: [Disk.Fault.writeError, .full, .readError, .interrupt], [1, 40])
  func everyOperationFailsInTurn(fault: Disk.Fault, times: Int) throws {
    var nth = 1
    while true {
      let run = try CrashingStore(seed: 5)
      run.disk.setRecording(false)
      run.disk.fail(fault, nth: nth, times: times)
      for _ in 0..<7 {
        let batch = run.workload.batch()
        let failure = Self.failure { try run.apply(batch) }
        guard let failure else { continue }
        guard case .unavailable(let text) = failure else {
          Issue.record("\(fault) at \(nth): \(failure)")
          return
        }
        #expect(text.contains(Self.words(fault)), "\(text)")
        run.disk.heal()
        try Self.expectLastState(of: run, "\(fault) at \(nth)")
        try run.apply(batch)
      }
      // A checkpoint that failed fails nothing else.
      let hasFailed = run.disk.failures(fault.operation) > 0
      run.disk.heal()
      try Self.expectLastState(of: run, "\(fault) at \(nth), at the end")
      run.close()
      try run.open()
      #expect(
        run.acknowledged[run.acknowledged.count - 2].state
          == run.acknowledged[run.acknowledged.count - 3].state)
      #expect(try SQLiteReader(path: run.path).findDamage() == [])
      guard hasFailed else { break }
      nth += times == 1 ? 1 : 5
    }
    #expect(nth > (fault == .readError ? 1 : 100), "only \(nth) operations")
  }

  private static func expectLastState(of run: CrashingStore, _ story: String) throws {
    #expect(!run.store.database.isInTransaction, "\(story)")
    #expect(try CrashingStore.state(of: run.store.database) == run.acknowledged.last!.state, "\(story)")
    #expect(try run.store.verifyCounters() == [], "\(story)")
  }

  /// The same while a new database is made and started: the next start makes it.
  ///
  /// A story: the disk failed as the new file was given its write-ahead log, which went unnoticed since nobody asked how that
  /// statement ended; the daemon then said that somebody had taken the log away.
  @Test(arguments: Disk.Fault.allCases) func everyOperationOfAStartFailsInTurn(fault: Disk.Fault) throws {
    var nth = 1
    while true {
      let disk = Disk()
      let path = disk.directory + "/baton.db"
      let now = Moment(nanoseconds: 1, wallMilliseconds: 1)
      disk.fail(fault, nth: nth, times: 1)
      let failure = Self.failure { _ = try CrashingStore.openStore(path).start(at: now) }
      let hasFailed = disk.failures(fault.operation) > 0
      disk.heal()
      if let failure {
        switch failure {
        case .unavailable(let text), .fatal(let text):
          #expect(text.contains("(") && text.count > 40, "\(text)")
        }
      }
      do {
        let store = try CrashingStore.openStore(path)
        #expect(try store.start(at: now).runners == [], "\(fault) at \(nth)")
        #expect(try store.verifyCounters() == [], "\(fault) at \(nth)")
        #expect(try SQLiteReader(path: path).findDamage() == [], "\(fault) at \(nth)")
      }
      guard hasFailed else { break }
      nth += 1
    }
    #expect(nth > 1)
  }

  /// The same while a store is started on what a killed one left: nothing that was acknowledged is lost by it.
  @Test(arguments: Disk.Fault.allCases) func everyOperationOfARestartFailsInTurn(fault: Disk.Fault) throws {
    var nth = 1
    while true {
      let run = try CrashingStore(seed: 6)
      try run.run(batches: 6)
      // Its end touches nothing, as if it had been killed.
      run.store.database.abandon()
      run.close()
      run.disk.fail(fault, nth: nth, times: 1)
      var restarted: SQLiteStore?
      let failure = Self.failure {
        restarted = try CrashingStore.openStore(run.path)
        _ = try restarted?.start(at: run.workload.now)
      }
      let hasFailed = run.disk.failures(fault.operation) > 0
      run.disk.heal()
      restarted = nil
      if failure == nil { #expect(!hasFailed || fault != .syncError, "\(fault) at \(nth)") }
      // The start itself changes the fleet; what it was before must be all there.
      let last = run.acknowledged.last!.state
      try run.open()
      let found = run.acknowledged[run.acknowledged.count - 2].state
      if failure != nil, fault != .syncError { #expect(found == last, "\(fault) at \(nth)") }
      #expect(try run.store.verifyCounters() == [], "\(fault) at \(nth)")
      #expect(try SQLiteReader(path: run.path).findDamage() == [], "\(fault) at \(nth)")
      guard hasFailed else { break }
      nth += 1
    }
    #expect(nth > 1)
  }

  /// The shared memory of the log grows with it, every 4,096 pages; when there is no room for that, the transaction lies in
  /// the log whole, and has still failed.
  @Test func logThatOutgrowsItsIndex() throws {
    let run = try CrashingStore(seed: 3)
    run.disk.setRecording(false)
    run.store.checkpointPages = .max / 8
    run.disk.fail(.mapError)
    var failed: [Mutation] = []
    while failed.isEmpty {
      let mutation = run.workload.registration()
      let failure = Self.failure { _ = try run.store.apply([mutation], at: run.workload.now) }
      guard let failure else {
        // All that is compared is the last one before the failure.
        if run.store.database.logPages > 4000 { try run.acknowledge() }
        continue
      }
      guard case .unavailable = failure else {
        Issue.record("\(failure)")
        return
      }
      failed = [mutation]
    }
    run.disk.heal()
    try Self.expectLastState(of: run, "after the failure")
    try run.apply(failed)
    run.close()
    try run.open()
    #expect(try SQLiteReader(path: run.path).findDamage() == [])
  }

  /// A disk was full, and all that came afterwards was refused for other reasons: that it succeeded, without a write, was
  /// taken for a sign that there was room again.
  @Test func successAfterAFailureProvesThatTheDiskTakesChanges() throws {
    let run = try CrashingStore(seed: 4)
    let nothing = Mutation.force([DrainOrderID(77)])
    run.disk.fail(.full)
    #expect(Self.failure { _ = try run.store.apply([nothing], at: run.workload.now) } == nil)
    #expect(Self.failure { try run.apply([run.workload.registration()]) } != nil)
    let writes = run.disk.count(.writes)
    #expect(Self.failure { _ = try run.store.apply([nothing], at: run.workload.now) } != nil)
    #expect(Self.failure { _ = try run.store.apply([], at: run.workload.now) } != nil)
    run.disk.heal()
    #expect(Self.failure { _ = try run.store.apply([], at: run.workload.now) } == nil)
    #expect(run.disk.count(.writes) > writes)
    let after = run.disk.count(.writes)
    #expect(Self.failure { _ = try run.store.apply([], at: run.workload.now) } == nil)
    #expect(run.disk.count(.writes) == after)
    try Self.expectLastState(of: run, "healed")
  }
}
