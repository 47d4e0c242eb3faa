import Glibc
import Testing

@testable import Linux

@Suite struct FileDescriptorTests {
  @Test func anErrorSaysWhichCallOnWhatAndWhy() {
    let error = failure { () throws(Errno) in _ = try FileDescriptor.open("/nowhere/at/all", O_RDONLY) }
    #expect(error?.code == ENOENT)
    #expect(error?.description == "open /nowhere/at/all: No such file or directory")
    #expect(Errno(code: 9_999, operation: "call").description == "call: error 9999")
    #expect(
      Errno(code: EPERM, operation: "bind", context: "p", explanation: "ours").description == "bind p: ours")
  }

  @Test func aLostDescriptorTraps() async {
    await #expect(processExitsWith: .failure) {
      var status = stat()
      _ = try syscall("fstat") { fstat(1_000_000, &status) }
    }
  }

  @Test func bytesGoBothWaysAndTheEndIsSeen() throws {
    try UnixSocket.socketPair().take { first, second in
      #expect(try receive(first).0 == .wouldBlock)
      #expect(try send("hello", to: first) == .bytes(5))
      let (result, bytes) = try receive(second)
      #expect(result == .bytes(5))
      #expect(bytes == Array("hello".utf8))
      _ = consume first
      #expect(try receive(second).0 == .end)
    }
  }

  @Test func aWriteToAPeerThatIsGoneIsAnError() throws {
    try UnixSocket.socketPair().take { first, second in
      _ = consume second
      #expect(throws: Errno(code: EPIPE, operation: "send")) { try send("x", to: first) }
    }
  }

  @Test func aFullSocketWouldBlock() throws {
    try UnixSocket.socketPair().take { first, second in
      let text = String(repeating: "x", count: 65_536)
      var sent = 0
      while case .bytes(let count) = try send(text, to: first) { sent += count }
      #expect(sent > 0)
      #expect(try receive(second, limit: 100).0 == .bytes(100))
    }
  }

  @Test(arguments: [1, 3, 253]) func descriptorsOfAPeerAreDetectedAndClosed(count: Int) throws {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    let reader = FileDescriptor(owning: ends[0])
    try UnixSocket.socketPair().take { sender, receiver throws in
      #expect(sendDescriptors(Array(repeating: ends[1], count: count), through: sender.rawValue) == nil)
      #expect(close(ends[1]) == 0)
      #expect(try receive(receiver).0 == .descriptorsReceived)
      // The pipe ends when the last of its writers is closed.
      #expect(try waitUntilReadable(reader.rawValue).contains(.hangup))
      // What comes after it is read as ever, should the caller want to.
      #expect(try send("x", to: sender) == .bytes(1))
      #expect(try receive(receiver).0 == .bytes(1))
    }
  }

  @Test func aReleasedDescriptorStaysOpen() throws {
    let file = try FileDescriptor.open("/dev/null", O_RDONLY)
    let raw = file.release()
    let again = FileDescriptor(owning: raw)
    var bytes: [UInt8] = [0]
    #expect(try bytes.withUnsafeMutableBytes { buffer in try again.read(into: buffer) } == .end)
  }

  @Test func theClocksGoOn() throws {
    let first = Clock.boottimeNanoseconds()
    #expect(Clock.boottimeNanoseconds() >= first)
    #expect(Clock.wallMilliseconds() > 1_700_000_000_000)
    #expect(try Clock.bootID().count == 36)
    #expect(try Clock.bootID() == Clock.bootID())
  }
}
