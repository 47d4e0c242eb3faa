import BatonClient
import Glibc
import Linux
import Options
import Synchronization

/// One program under `baton run`: waits, on the main thread, for signals, for the program's end, and for what the runner
/// says; what happened first decides the exit code.
final class RunSupervisor {
  /// Why the program is being stopped.
  private enum Reason {
    /// A Stop: its successor takes over.
    case drained
    /// A supervisor's signal to this wrapper.
    case told
    /// The daemon gives its work to others.
    case givenUp
  }

  private let options: Runner.Options
  private let program: [String]
  private let environment: [String: String]
  private let isQuiet: Bool
  private let inbox: Inbox<RunnerNews>
  private let signals: SignalSource
  private var runner: Runner?
  private var child: ChildProcess?
  private var reason: Reason?
  private var killAt: Int64?
  private var wasKilled = false
  private var signalsSeen = 0
  /// Whether the program has its SIGTERM.
  private var isAsked = false

  init(
    _ options: Runner.Options, _ program: [String], _ environment: [String: String], isQuiet: Bool
  ) throws(Errno) {
    self.options = options
    self.program = program
    self.environment = environment
    self.isQuiet = isQuiet
    inbox = try Inbox()
    // Before any thread: each inherits the signals that are blocked.
    signals = try SignalSource([SIGTERM, SIGINT, SIGHUP])
    ignoreSIGPIPE()
  }

  func run() throws(Errno) -> Int32 {
    register()
    while true {
      wait()
      if let code = try takeSignals() { return code }
      for item in inbox.take() {
        if let code = try take(item) { return code }
      }
      if let status = try child?.reap() { return try finished(status) }
      if let killAt, Int64(Clock.boottimeNanoseconds()) >= killAt { try kill() }
    }
  }

  private func wait() {
    var descriptors = [signals.rawValue, inbox.wake.rawValue].map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    if let child { descriptors.append(pollfd(fd: child.rawValue, events: Int16(POLLIN), revents: 0)) }
    let left = killAt.map { ($0 - Int64(Clock.boottimeNanoseconds())) / 1_000_000 + 1 }
    _ = poll(&descriptors, nfds_t(descriptors.count), left.map { Int32(clamping: max(0, $0)) } ?? -1)
    inbox.wake.drain()
  }

  private func say(_ text: String) {
    guard !isQuiet else { return }
    LogLine.write("baton run: \(options.name) v\(options.version): \(text)")
  }

  // MARK: - The runner

  private func register() {
    let inbox = inbox
    RunnerNews.follow(options) { inbox.put($0) }
  }

  /// An exit code when it is over.
  private func take(_ item: RunnerNews) throws(Errno) -> Int32? {
    switch item {
    case .registered(let runner):
      self.runner = runner
      return try start(runner)
    case .refused(let error): return RunCommand.refused(error)
    case .event(let event): try take(event)
    case .ended(.finished): break
    case .ended(.fenced(let why)):
      // Somebody else may get its work from now on, so no time can be given.
      guard child != nil, reason != .givenUp else { return nil }
      say("given up: \(why)")
      reason = .givenUp
      try kill()
    }
    return nil
  }

  private func take(_ event: Runner.Event) throws(Errno) {
    switch event {
    case .attached(let id, let isResumed, _):
      say(isResumed ? "resumed as runner \(id)" : "registered as runner \(id)")
    case .cutOff: say("cut off from the daemon; the program works on")
    case .stop(let stop):
      say(stop.sentence)
      try stopProgram(stop.cause == "self" ? .told : .drained, within: stop.remainingMilliseconds)
    case .deadlineMoved(let stop):
      say(stop.deadlineSentence)
      killAt = RunCommand.killTime(within: stop.remainingMilliseconds)
    // A program that has its SIGTERM cannot be told to stay, so no Stop that came here is taken back.
    case .stopCancelled: break
    }
  }

  private func start(_ runner: Runner) throws(Errno) -> Int32? {
    guard signalsSeen == 0 else {
      leave(exitCode: nil, "told to stop before the program began")
      return ExitCode.ok
    }
    var variables = environment
    variables["BATON_RUNNER_ID"] = String(runner.id)
    do throws(Errno) {
      child = try ChildProcess(
        arguments: program, environment: variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
      return nil
    } catch {
      BatonCommand.complain("run: \(error)")
      let code = error.code == ENOENT ? RunCommand.Exit.notFound : RunCommand.Exit.notExecutable
      leave(exitCode: code, "the program could not be started")
      return code
    }
  }

  /// Tells the daemon, which has ten seconds to hear it; then it notices by itself.
  private func leave(exitCode: Int32?, _ text: String) {
    guard let runner else { return }
    let inbox = inbox
    Task.detached {
      await runner.finish(exitCode: exitCode, reason: text)
      inbox.put(.ended(.finished))
    }
    while true {
      var descriptors = [pollfd(fd: inbox.wake.rawValue, events: Int16(POLLIN), revents: 0)]
      _ = poll(&descriptors, 1, -1)
      inbox.wake.drain()
      if inbox.take().contains(where: { if case .ended = $0 { true } else { false } }) { return }
    }
  }

  // MARK: - The program

  private func stopProgram(_ why: Reason, within milliseconds: Int64) throws(Errno) {
    reason = reason ?? why
    killAt = RunCommand.killTime(within: milliseconds)
    try askProgram()
  }

  /// Once: many a program takes a second SIGTERM for "at once", and that is for its people to say. The Stop that answers
  /// our own drain is no second word.
  private func askProgram() throws(Errno) {
    guard !isAsked, let child else { return }
    isAsked = true
    try child.signalGroup(SIGTERM)
  }

  private func kill() throws(Errno) {
    killAt = nil
    guard let child, try child.signalGroup(SIGKILL) else { return }
    wasKilled = true
    say("the program did not end in time and was killed")
  }

  private func takeSignals() throws(Errno) -> Int32? {
    while let signal = try signals.next() {
      signalsSeen += 1
      if signalsSeen == 1, let runner {
        say("told to stop: beginning its own drain")
        runner.beginDrain(reason: "the supervisor sent signal \(signal)")
        reason = reason ?? .told
        try askProgram()
      } else if let child {
        try child.signalGroup(signal)
      } else if runner == nil {
        return ExitCode.ok
      }
    }
    return nil
  }

  /// The program has ended; what its children still do ends with it.
  private func finished(_ status: ChildProcess.ExitStatus) throws(Errno) -> Int32 {
    if let child, try child.groupIsAlive() { try child.signalGroup(SIGKILL) }
    let code = status.shellCode
    if reason != .givenUp { leave(exitCode: code, "the program ended with \(code)") }
    switch reason {
    case nil: return code
    case .drained: return wasKilled ? RunCommand.Exit.killed : RunCommand.Exit.drained
    case .told: return wasKilled ? RunCommand.Exit.killed : ExitCode.ok
    case .givenUp: return RunCommand.Exit.givenUp
    }
  }
}

/// Lines to standard error, whole.
enum LogLine {
  static func write(_ text: String) {
    let bytes = Array((Table.printable(text) + "\n").utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
