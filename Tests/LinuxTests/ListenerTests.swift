import Glibc
import Synchronization
import Testing

@testable import Linux

@Suite struct ListenerTests {
  let directory = TemporaryDirectory()
  var path: String { directory.file("baton.sock") }

  private func accepted(_ listener: Listener) throws -> FileDescriptor {
    _ = try waitUntilReadable(listener.rawValue)
    guard case .accepted(let connection) = try listener.accept() else {
      throw Errno(code: EPROTO, operation: "accept", explanation: "nobody waits")
    }
    return connection
  }

  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  @Test func clientsConnectAndAreWhoTheyAre() throws {
    let listener = try Listener.bind(path: path)
    guard case .wouldBlock = try listener.accept() else {
      Issue.record("accepted nobody")
      return
    }
    let client = try UnixSocket.connect(path: path)
    let connection = try accepted(listener)
    #expect(try send("hi", to: client) == .bytes(2))
    #expect(try receive(connection).1 == Array("hi".utf8))
    let peer = try PeerCredentials(of: connection)
    #expect(peer.processID == getpid())
    #expect(peer.userID == geteuid())
    #expect(peer.groupID == getegid())
    let groupCount = getgroups(0, nil)
    #expect(peer.groups.count == groupCount)
  }

  /// Between bind and chmod, a socket made with the usual umask of 022 can be connected to by everybody who can read it, and
  /// with a umask of 0 by everybody.
  @Test func theSocketIsPrivateFromItsFirstMoment() async {
    await #expect(processExitsWith: .success) {
      umask(0)
      let directory = TemporaryDirectory()
      let path = directory.file("s")
      // What is seen without any chmod afterwards is what it was at first.
      let listener = try Listener.bind(path: path)
      var status = stat()
      guard lstat(listener.path, &status) == 0, status.st_mode & 0o7777 == 0o600 else { exit(2) }
    }
  }

  @Test func theModeIsWidenedWhenAsked() throws {
    let listener = try Listener.bind(path: path, mode: 0o666)
    #expect(mode(listener.path) == 0o666)
  }

  @Test func aMissingDirectoryIsMadeForUsAlone() throws {
    let deep = directory.file("a/b/baton.sock")
    let listener = try Listener.bind(path: deep)
    #expect(mode(directory.file("a/b")) == 0o700)
    #expect(mode(directory.file("a")) == 0o700)
    _ = try UnixSocket.connect(path: listener.path)
  }

  @Test func aStaleSocketIsReplacedAndStaysAtTheEnd() throws {
    do { _ = try Listener.bind(path: path) }
    #expect(mode(path) == 0o600)
    #expect(failure { () throws(Errno) in _ = try UnixSocket.connect(path: path) }?.code == ECONNREFUSED)
    let listener = try Listener.bind(path: path)
    _ = try UnixSocket.connect(path: path)
    _ = try accepted(listener)
  }

  @Test(arguments: ["file", "symlink", "dangling", "directory"]) func whatIsNoSocketIsNeverRemoved(
    kind: String
  ) throws {
    let other = directory.file("other")
    do { _ = try Listener.bind(path: other) }
    switch kind {
    case "file": _ = try FileDescriptor.open(path, O_CREAT | O_RDWR)
    case "symlink": #expect(symlink(other, path) == 0)
    case "dangling": #expect(symlink("/nowhere", path) == 0)
    default: #expect(mkdir(path, 0o700) == 0)
    }
    var before = stat()
    #expect(lstat(path, &before) == 0)
    let error = failure { () throws(Errno) in _ = try Listener.bind(path: path) }
    #expect(error?.code == EEXIST)
    #expect(error?.description == "bind \(path): something is there that is not a socket")
    var after = stat()
    #expect(lstat(path, &after) == 0)
    #expect(after.st_ino == before.st_ino)
    // The refusal let go of the lock: once the thing is gone a listener can begin.
    #expect(remove(path) == 0)
    _ = try Listener.bind(path: path)
  }

  @Test(.enabled(if: geteuid() == 0)) func whatBelongsToOthersIsRefused() throws {
    do { _ = try Listener.bind(path: path) }
    #expect(lchown(path, 12_345, 12_345) == 0)
    let socket = failure { () throws(Errno) in _ = try Listener.bind(path: path) }
    #expect(socket?.code == EEXIST)
    #expect(socket?.description.contains("uid 12345") == true)

    let theirs = directory.file("theirs")
    #expect(mkdir(theirs, 0o700) == 0)
    #expect(chown(theirs, 12_345, 12_345) == 0)
    let parent = failure { () throws(Errno) in _ = try Listener.bind(path: theirs + "/s") }
    #expect(parent?.code == EPERM)
    #expect(parent?.description.contains("uid 12345") == true)
  }

  @Test func aDirectoryThatEverybodyWritesToIsRefused() throws {
    let open = directory.file("open")
    #expect(mkdir(open, 0o700) == 0)
    #expect(chmod(open, 0o777) == 0)
    #expect(failure { () throws(Errno) in _ = try Listener.bind(path: open + "/s") }?.code == EPERM)
    #expect(chmod(open, 0o1777) == 0)
    _ = try Listener.bind(path: open + "/s")
  }

  @Test func aPathTooLongSaysTheLimit() throws {
    let long = directory.file(String(repeating: "x", count: 107 - directory.path.utf8.count))
    #expect(long.utf8.count == 108)
    let error = failure { () throws(Errno) in _ = try Listener.bind(path: long) }
    #expect(error?.code == ENAMETOOLONG)
    #expect(error?.description == "socket \(long): a socket's path has at most 107 bytes, this one has 108")
    #expect(failure { () throws(Errno) in _ = try UnixSocket.connect(path: long) } == error)
    let fits = String(long.dropLast())
    let listener = try Listener.bind(path: fits)
    _ = try UnixSocket.connect(path: fits)
    _ = try accepted(listener)
  }

  @Test(arguments: ["", "\0abstract", "/tmp/a\0b"]) func anAbstractOrBrokenPathIsRefused(path: String) {
    #expect(failure { () throws(Errno) in _ = try UnixSocket.connect(path: path) }?.code == EINVAL)
    #expect(failure { () throws(Errno) in _ = try Listener.bind(path: path) }?.code == EINVAL)
  }

  @Test func aMissingSocketIsToldFromARefusal() {
    #expect(failure { () throws(Errno) in _ = try UnixSocket.connect(path: path) }?.code == ENOENT)
  }

  /// Two services that start at once must not both believe that they are the one.
  @Test func ofAHundredOneBindsAndTheRestNameIt() throws {
    let path = path
    let outcome = Mutex<(listeners: [Listener], errors: [Errno])>(([], []))
    let threads = try (0..<100).map { index in
      try WorkerThread(name: "bind-\(index)") {
        do throws(Errno) {
          let listener = try Listener.bind(path: path)
          outcome.withLock { $0.listeners.append(listener) }
        } catch {
          outcome.withLock { $0.errors.append(error) }
        }
      }
    }
    for thread in threads { thread.join() }
    let (listeners, errors) = outcome.withLock { $0 }
    #expect(listeners.count == 1)
    #expect(errors.count == 99)
    #expect(errors.allSatisfy { $0.code == EADDRINUSE })
    let holder = "(pid \(getpid()))"
    #expect(errors.allSatisfy { $0.description.hasSuffix(holder) }, "\(Set(errors.map(\.description)))")
    _ = try UnixSocket.connect(path: path)
  }

  @Test func aStateDirectoryHasOneOwnerAtATime() throws {
    let state = directory.file("state")
    do {
      let lock = try StateLock(directory: state)
      #expect(mode(state) == 0o700)
      let error = failure { () throws(Errno) in _ = try StateLock(directory: state) }
      #expect(error?.code == EADDRINUSE)
      #expect(error?.description.contains("(pid \(getpid()))") == true)
      withExtendedLifetime(lock) {}
    }
    _ = try StateLock(directory: state)
  }

  /// A peer that sends descriptors fills the table of the service, and can make it wait at the close of one.
  @Test func aClientCannotHandOverDescriptors() throws {
    let listener = try Listener.bind(path: path)
    let client = try UnixSocket.connect(path: path)
    let connection = try accepted(listener)
    if let refused = sendDescriptors([client.rawValue], through: client.rawValue) {
      #expect(refused == EPERM)
      #expect(try receive(connection).0 == .wouldBlock)
    } else {
      #expect(try receive(connection).0 == .descriptorsReceived)
    }
  }

  /// An accept that fails for want of descriptors leaves the client in the queue: a level-triggered loop then spins, 77,803
  /// failures in 0.2 s.
  @Test func withoutDescriptorsClientsAreTurnedAwayAndLaterServed() async {
    await #expect(processExitsWith: .success) {
      let directory = TemporaryDirectory()
      let listener = try Listener.bind(path: directory.file("s"))
      let poller = try Poller()
      try poller.add(listener.rawValue, token: 1, for: .readable)
      let first = try UnixSocket.connect(path: listener.path)
      let second = try UnixSocket.connect(path: listener.path)
      var limit = rlimit(rlim_cur: 64, rlim_max: 4_096)
      guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(2) }
      var taken: [Int32] = []
      while true {
        let fd = dup(listener.rawValue)
        if fd == -1 { break }
        taken.append(fd)
      }
      guard errno == EMFILE else { exit(3) }
      for _ in 0..<2 {
        guard case .exhausted = try listener.accept() else { exit(4) }
      }
      // Both were turned away, so the loop has nothing to spin on.
      guard try poller.wait(timeoutMilliseconds: 0, body: { _, _ in }) == 0 else { exit(5) }
      guard case .wouldBlock = try listener.accept() else { exit(6) }
      guard try receive(first).0 == .end, try receive(second).0 == .end else { exit(7) }
      for fd in taken { close(fd) }
      let third = try UnixSocket.connect(path: listener.path)
      guard case .accepted(let connection) = try listener.accept() else { exit(8) }
      guard try send("x", to: third) == .bytes(1), try receive(connection).0 == .bytes(1) else { exit(9) }
    }
  }
}
