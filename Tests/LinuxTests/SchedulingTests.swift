import Testing

@testable import Linux

@Test func aThreadAsksForShortSlicesForItselfAlone() throws {
  let usual = Scheduling.sliceNanoseconds
  let asked = Locked<Int64?>(nil)
  let thread = try WorkerThread(name: "short") {
    Scheduling.askForShortSlices()
    asked.withLock { $0 = Scheduling.sliceNanoseconds }
  }
  thread.join()
  // A kernel that does not say how long a slice is (before 6.12) takes no notice either.
  if let usual {
    #expect(asked.withLock { $0 } == Int64(min(Scheduling.shortSliceNanoseconds, UInt64(usual))))
  }
  #expect(Scheduling.sliceNanoseconds == usual)
}
