import Glibc
import Synchronization
import Testing

@testable import Linux

// The bodies are synchronous throughout: a child ends with the thread that started it.
@Suite struct ChildProcessTests {
  private func run(_ script: String, environment: [String] = []) throws -> ChildProcess {
    try ChildProcess(arguments: ["/bin/sh", "-c", script], environment: environment)
  }

  private func status(_ child: ChildProcess) throws -> ChildProcess.ExitStatus? {
    _ = try waitUntilReadable(child.rawValue)
    return try child.reap()
  }

  @Test(arguments: [
    ("exit 0", ChildProcess.ExitStatus.exited(0), 0), ("exit 75", .exited(75), 75),
    ("kill -9 $$", .signalled(9), 137),
    ("test \"$A=$B\" = '1=x y' || exit 3", .exited(0), 0),
    // A group of its own, and of descriptors the three usual ones with the one that `ls` opens.
    ("test \"$(cut -d ' ' -f 5 /proc/$$/stat)\" = $$ || exit 4", .exited(0), 0),
    ("test \"$(ls /proc/self/fd | wc -l)\" = 4 || exit 5", .exited(0), 0),
  ]) func childrenEndAsTheyDo(script: String, expected: ChildProcess.ExitStatus, shellCode: Int32) throws {
    let leaked = open("/dev/null", O_RDONLY)
    defer { close(leaked) }
    let path = getenv("PATH").map { "PATH=" + String(cString: $0) } ?? "PATH=/bin:/usr/bin"
    let child = try run(script, environment: ["A=1", "B=x y", path])
    let found = try status(child)
    #expect(found == expected)
    #expect(found?.shellCode == shellCode)
    #expect(try child.reap() == expected)
    #expect(try child.groupIsAlive() == false)
  }

  @Test func aCommandThatIsMissingIsNotFound() throws {
    let missing = failure { () throws(Errno) in
      _ = try ChildProcess(arguments: ["no-such-command-here"], environment: [])
    }
    #expect(missing?.code == ENOENT)
    #expect(missing?.description == "run no-such-command-here: command not found")
    let noProgram = failure { () throws(Errno) in
      _ = try ChildProcess(arguments: ["/etc/passwd"], environment: [])
    }
    #expect(noProgram?.code == EACCES)
    #expect(
      failure { () throws(Errno) in _ = try ChildProcess(arguments: [""], environment: []) }?.code == ENOENT)
    let nul = failure { () throws(Errno) in _ = try ChildProcess(arguments: ["a\0b"], environment: []) }
    #expect(nul?.code == EINVAL)
  }

  @Test func aSignalReachesTheWholeGroup() throws {
    let child = try run("sleep 1000 & sleep 1000 & wait")
    #expect(try child.reap() == nil)
    #expect(try child.groupIsAlive())
    #expect(try child.signalGroup(SIGKILL))
    #expect(try status(child) == .signalled(SIGKILL))
  }

  @Test func childrenOfAChildAreKnownToGoOn() throws {
    let directory = TemporaryDirectory()
    let child = try run("sleep 1000 & echo $! > \(directory.file("pid")); exit 7")
    #expect(try status(child) == .exited(7))
    #expect(try child.groupIsAlive())
    let pid = try #require(Int32(startOfFile(directory.file("pid")).prefix { $0.isNumber }))
    let grandchild = try PidWatch(pid: pid)
    #expect(try child.signalGroup(SIGTERM))
    _ = try waitUntilReadable(grandchild.rawValue)
  }

  @Test(arguments: [0, 5, 65_536]) func itReadsItsInputThenTheEnd(byteCount: Int) throws {
    let child = try ChildProcess(
      arguments: ["/bin/sh", "-c", "test $(wc -c) = \(byteCount)"], environment: ["PATH=/bin:/usr/bin"],
      input: [UInt8](repeating: 7, count: byteCount))
    #expect(try status(child) == .exited(0))
  }

  @Test(arguments: [SIGTERM, SIGKILL])
  func aChildEndsWithTheThreadThatStartedIt(_ signal: Int32) throws {
    let pid = Mutex<pid_t>(0)
    let thread = try WorkerThread(name: "starter") {
      let child = try? ChildProcess(arguments: ["sleep", "1000"], environment: [], deathSignal: signal)
      pid.withLock { $0 = child?.processID ?? 0 }
    }
    thread.join()
    let started = pid.withLock { $0 }
    try #require(started > 0)
    let watch = try PidWatch(pid: started)
    _ = try waitUntilReadable(watch.rawValue)
    var code: Int32 = 0
    #expect(waitpid(started, &code, 0) == started)
    #expect(code & 0x7f == signal)
  }

  @Test func signalsAreAtTheirDefaults() async {
    await #expect(processExitsWith: .success) {
      // What a service does at its start must not reach what it starts.
      ignoreSIGPIPE()
      let source = try SignalSource([SIGTERM, SIGINT])
      let child = try ChildProcess(
        arguments: [
          "/bin/sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status | grep -vE '0{7}[01][08]0{7}$'",
        ],
        environment: ["PATH=/bin:/usr/bin"])
      _ = try waitUntilReadable(child.rawValue)
      // grep finds no line that is not zero, 32 and 33 aside: the C library keeps those to itself.
      guard try child.reap() == .exited(1), try source.next() == nil else { exit(2) }
    }
  }

  @Test func aWatchSeesTheEndAndSignalsThatProcessOnly() throws {
    let child = try ChildProcess(arguments: ["sleep", "1000"], environment: [])
    let watch = try PidWatch(pid: child.processID)
    #expect(processName(child.processID) == "sleep")
    try watch.send(SIGTERM)
    _ = try waitUntilReadable(watch.rawValue)
    #expect(try child.reap() == .signalled(SIGTERM))
    #expect(failure { () throws(Errno) in try watch.send(SIGTERM) }?.code == ESRCH)
    let pid = child.processID
    #expect(failure { () throws(Errno) in _ = try PidWatch(pid: pid) }?.code == ESRCH)
    #expect(processName(pid) == nil)
  }

  /// A pid may be another process's by the time it is looked up; the descriptor of the socket's peer is never.
  @Test func thePeersDescriptorIsItsProcess() throws {
    let directory = TemporaryDirectory()
    let listener = try Listener.bind(path: directory.file("s"))
    let client = try UnixSocket.connect(path: listener.path)
    guard case .accepted(let connection) = try listener.accept() else {
      Issue.record("nobody waits")
      return
    }
    if let pidfd = try peerPidfd(of: connection) {
      let info = try startOfFile("/proc/self/fdinfo/\(pidfd.rawValue)")
      #expect(info.contains("\nPid:\t\(getpid())\n"))
    }
    withExtendedLifetime(client.rawValue) {}
  }
}
