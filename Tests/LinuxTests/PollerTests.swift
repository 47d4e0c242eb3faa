import Glibc
import Synchronization
import Testing

@testable import Linux

@Suite struct PollerTests {
  struct Event: Equatable {
    var token: UInt64
    var readiness: Readiness
  }

  private func events(_ poller: borrowing Poller, timeoutMilliseconds: Int32 = -1) throws -> [Event] {
    var found: [Event] = []
    let count = try poller.wait(timeoutMilliseconds: timeoutMilliseconds) {
      found.append(Event(token: $0, readiness: $1))
    }
    #expect(count == found.count)
    return found
  }

  @Test func readinessComesWithTheTokenUntilItIsDealtWith() throws {
    let poller = try Poller()
    try UnixSocket.socketPair().take { first, second in
      try poller.add(second.rawValue, token: .max, for: .readable)
      #expect(try events(poller, timeoutMilliseconds: 0) == [])
      _ = try send("x", to: first)
      for _ in 0..<2 { #expect(try events(poller) == [Event(token: .max, readiness: .readable)]) }
      try poller.modify(second.rawValue, token: 5, for: .writable)
      #expect(try events(poller) == [Event(token: 5, readiness: .writable)])
      try poller.remove(second.rawValue)
      #expect(try events(poller, timeoutMilliseconds: 0) == [])
    }
  }

  @Test func aPeerThatClosesIsSeenWithoutReading() throws {
    let poller = try Poller()
    try UnixSocket.socketPair().take { first, second in
      try poller.add(second.rawValue, token: 1, for: .peerClosed)
      _ = consume first
      #expect(try events(poller) == [Event(token: 1, readiness: [.peerClosed, .hangup])])
    }
  }

  @Test func theBodyMayChangeWhatIsWatched() throws {
    let signals = try (0..<3).map { _ in try EventSignal() }
    let poller = try Poller()
    for (index, signal) in signals.enumerated() {
      try poller.add(signal.rawValue, token: UInt64(index), for: .readable)
      signal.signal()
    }
    var removed = 0
    try poller.wait(timeoutMilliseconds: -1) { token, _ in
      guard (try? poller.remove(signals[Int(token)].rawValue)) != nil else { return }
      removed += 1
    }
    #expect(removed == 3)
    #expect(try events(poller, timeoutMilliseconds: 0) == [])
  }

  @Test func moreThanOneBufferFullComesInSeveralWaits() throws {
    let signals = try (0..<300).map { _ in try EventSignal() }
    let poller = try Poller()
    for (index, signal) in signals.enumerated() {
      try poller.add(signal.rawValue, token: UInt64(index), for: .readable)
      signal.signal()
    }
    var found: Set<UInt64> = []
    while found.count < 300 {
      for event in try events(poller) {
        found.insert(event.token)
        signals[Int(event.token)].drain()
      }
    }
    #expect(try events(poller, timeoutMilliseconds: 0) == [])
  }

  @Test func aSignalFromAnotherThreadWakes() throws {
    let signal = try EventSignal()
    #expect(signal.drain() == false)
    let thread = try WorkerThread(name: "a name longer than 15 bytes") {
      signal.signal()
      signal.signal()
    }
    _ = try waitUntilReadable(signal.rawValue)
    thread.join()
    thread.join()
    #expect(signal.drain())
    #expect(signal.drain() == false)
  }

  @Test func aThreadBearsItsName() throws {
    let name = Mutex("")
    let thread = try WorkerThread(name: "reactor-of-baton") {
      let text = try? startOfFile("/proc/thread-self/comm")
      name.withLock { $0 = text ?? "" }
    }
    thread.join()
    #expect(name.withLock { $0 } == "reactor-of-bato\n")
  }

  @Test func signalsAreRead() async {
    await #expect(processExitsWith: .success) {
      let source = try SignalSource([SIGTERM, SIGUSR1])
      guard try source.next() == nil else { exit(2) }
      pthread_kill(pthread_self(), SIGUSR1)
      pthread_kill(pthread_self(), SIGTERM)
      guard try waitUntilReadable(source.rawValue) == .readable else { exit(3) }
      let both = try [source.next(), source.next()]
      guard Set(both) == [SIGUSR1, SIGTERM], try source.next() == nil else { exit(4) }
    }
  }

  @Test func aBrokenPipeDoesNotEndTheProcess() async {
    await #expect(processExitsWith: .success) {
      ignoreSIGPIPE()
      var ends: [Int32] = [0, 0]
      guard pipe(&ends) == 0 else { exit(2) }
      close(ends[0])
      guard write(ends[1], "x", 1) == -1, errno == EPIPE else { exit(3) }
    }
  }
}
