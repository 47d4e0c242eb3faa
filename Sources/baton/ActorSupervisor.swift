import BatonClient
import Glibc
import Linux
import Options

/// A program for each actor under `baton run --per-actor`. The actors' tasks ask, the main thread starts, stops and reaps: the
/// kernel ties each program to the thread that started it.
final class ActorSupervisor {
  /// One actor, as its task and the main thread know it.
  private final class Job: Sendable {
    let actor: HeldActor
    /// Its program must not be started any more.
    let isDoomed = Locked(false)
    private let waiting: Locked<CheckedContinuation<String?, Never>?>

    init(_ actor: HeldActor) {
      self.actor = actor
      waiting = Locked(nil)
    }

    func waits(_ continuation: CheckedContinuation<String?, Never>) {
      waiting.withLock { $0 = continuation }
    }

    /// Its program has ended: nil when all went well.
    func ended(_ failure: String?) {
      let continuation = waiting.withLock { waiting in
        defer { waiting = nil }
        return waiting
      }
      continuation?.resume(returning: failure)
    }
  }

  private struct Failure: Error, CustomStringConvertible { var description: String }

  private enum Item: Sendable {
    case runner(RunnerNews)
    case start(Job)
    case stop(Job, within: Int64)
    case kill(Job)
  }

  private struct Child {
    var job: Job
    var process: ChildProcess
    var killAt: Int64?
    /// Whether it has its SIGTERM.
    var isAsked = false
  }

  private enum Reason {
    case drained
    case told
    case givenUp
  }

  private var options: Runner.Options
  private let program: [String]
  private let environment: [String: String]
  private let isQuiet: Bool
  private let inbox: Inbox<Item>
  private let signals: SignalSource
  private var runner: Runner?
  private var children: [ObjectIdentifier: Child] = [:]
  private var reason: Reason?
  private var isOver = false
  private var anyWasKilled = false
  private var signalsSeen = 0

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
    let inbox = inbox
    options.actors = { try await Self.run($0, inbox) }
    // A Stop ends nothing here: each actor has its own from the daemon.
    options.canStay = true
    RunnerNews.follow(options) { inbox.put(.runner($0)) }
    while true {
      for child in wait() { try reap(child) }
      if let code = try takeSignals() { return code }
      for item in inbox.take() {
        if let code = try take(item) { return code }
      }
      try killWhoIsLate()
      if isOver, children.isEmpty { return exitCode }
    }
  }

  /// The task of one actor: as long as its program.
  private static func run(_ actor: HeldActor, _ inbox: Inbox<Item>) async throws {
    let job = Job(actor)
    let failure = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        job.waits(continuation)
        inbox.put(.start(job))
        Task.detached {
          for await stop in actor.stops { inbox.put(.stop(job, within: stop.remainingMilliseconds)) }
        }
      }
    } onCancel: {
      job.isDoomed.withLock { $0 = true }
      inbox.put(.kill(job))
    }
    if let failure { throw Failure(description: failure) }
  }

  /// Those whose program has ended.
  private func wait() -> [Child] {
    var descriptors = [signals.rawValue, inbox.wake.rawValue].map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    let watched = Array(children.values)
    descriptors += watched.map { pollfd(fd: $0.process.rawValue, events: Int16(POLLIN), revents: 0) }
    let left = watched.compactMap(\.killAt).min().map {
      ($0 - Int64(Clock.boottimeNanoseconds())) / 1_000_000 + 1
    }
    _ = poll(&descriptors, nfds_t(descriptors.count), left.map { Int32(clamping: max(0, $0)) } ?? -1)
    inbox.wake.drain()
    return zip(watched, descriptors.dropFirst(2)).filter { $1.revents != 0 }.map(\.0)
  }

  private func say(_ text: String) {
    guard !isQuiet else { return }
    LogLine.write("baton run: \(options.name) v\(options.version): \(text)")
  }

  // MARK: - The runner

  private func take(_ item: Item) throws(Errno) -> Int32? {
    switch item {
    case .runner(let news): return try take(news)
    case .start(let job): start(job)
    case .stop(let job, let milliseconds):
      guard let child = children[ObjectIdentifier(job)] else { return nil }
      children[ObjectIdentifier(job)]?.killAt = RunCommand.killTime(within: milliseconds)
      // Only its time has moved: many a program takes a second SIGTERM for "at once".
      guard !child.isAsked else { return nil }
      children[ObjectIdentifier(job)]?.isAsked = true
      try child.process.signalGroup(SIGTERM)
    case .kill(let job):
      if let child = children[ObjectIdentifier(job)] { try kill(child) }
    }
    return nil
  }

  private func take(_ news: RunnerNews) throws(Errno) -> Int32? {
    switch news {
    case .registered(let runner):
      self.runner = runner
      guard signalsSeen == 0 else { return ExitCode.ok }
    case .refused(let error): return RunCommand.refused(error)
    case .event(let event): take(event)
    case .ended(.finished): isOver = true
    case .ended(.fenced(let why)):
      isOver = true
      // All had stopped, and only the goodbye was not heard.
      if reason != nil, children.isEmpty { return nil }
      say("given up: \(why)")
      reason = .givenUp
      for child in children.values { try kill(child) }
    }
    return nil
  }

  private func take(_ event: Runner.Event) {
    switch event {
    case .attached(let id, let isResumed, _):
      say(isResumed ? "resumed as runner \(id)" : "registered as runner \(id)")
    case .cutOff: say("cut off from the daemon; the actors run on")
    case .stop(let stop):
      say(stop.sentence)
      reason = reason ?? (stop.cause == "self" ? .told : .drained)
      leaveWhenEmpty(stop)
    case .deadlineMoved(let stop): say(stop.deadlineSentence)
    case .stopCancelled(let order, let why):
      say("stop, order \(order), is taken back: \(why)")
      reason = nil
    }
  }

  /// Each actor has its own stop from the daemon; the runner leaves with the last, unless its Stop was taken back before that.
  private func leaveWhenEmpty(_ stop: Runner.Stop) {
    guard let runner else { return }
    Task.detached {
      await runner.actorsEnded()
      guard await runner.commit(to: stop) else { return }
      await runner.finish(exitCode: 0, reason: "all its actors have stopped")
    }
  }

  private var exitCode: Int32 {
    switch reason {
    case .givenUp: RunCommand.Exit.givenUp
    case .drained: anyWasKilled ? RunCommand.Exit.killed : RunCommand.Exit.drained
    case .told, nil: anyWasKilled ? RunCommand.Exit.killed : ExitCode.ok
    }
  }

  private func takeSignals() throws(Errno) -> Int32? {
    while let signal = try signals.next() {
      signalsSeen += 1
      guard let runner else { return ExitCode.ok }
      guard signalsSeen == 1 else {
        // Nothing is said of the actors, so that they go on elsewhere.
        for child in children.values { try kill(child) }
        return RunCommand.Exit.killed
      }
      // Only the daemon's stop tells an actor that moves from one that ends, so its program is asked by that.
      say("told to stop: beginning its own drain")
      reason = reason ?? .told
      runner.beginDrain(reason: "the supervisor sent signal \(signal)")
    }
    return nil
  }

  // MARK: - Programs

  private func start(_ job: Job) {
    guard !isOver, !job.isDoomed.withLock({ $0 }) else { return job.ended("it was taken away") }
    do throws(Errno) {
      let process = try ChildProcess(
        arguments: program,
        environment: variables(job.actor).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
        input: job.actor.input,
        // With this process the daemon gives its actors to others: nothing may go on.
        deathSignal: SIGKILL)
      children[ObjectIdentifier(job)] = Child(job: job, process: process)
    } catch {
      say("actor \(job.actor.id): \(error)")
      job.ended("its program could not be started: \(error)")
    }
  }

  private func variables(_ actor: HeldActor) -> [String: String] {
    var variables = environment
    variables["BATON_RUNNER_ID"] = String(actor.runner)
    variables["BATON_ACTOR_ID"] = String(actor.id)
    variables["BATON_ACTOR_NAMESPACE"] = actor.namespace
    variables["BATON_ACTOR_NAME"] = actor.name
    variables["BATON_ACTOR_KEY"] = actor.key ?? ""
    variables["BATON_ACTOR_GENERATION"] = String(actor.generation)
    let isText = actor.input.count <= 32 << 10 && !actor.input.contains(0)
    variables["BATON_ACTOR_INPUT"] = isText ? String(validating: actor.input, as: UTF8.self) : nil
    return variables
  }

  private func kill(_ child: Child) throws(Errno) {
    children[ObjectIdentifier(child.job)]?.killAt = nil
    try child.process.signalGroup(SIGKILL)
  }

  private func killWhoIsLate() throws(Errno) {
    let now = Int64(Clock.boottimeNanoseconds())
    for child in children.values where child.killAt.map({ $0 <= now }) == true {
      say("actor \(child.job.actor.id) did not stop in time and was killed")
      anyWasKilled = true
      try kill(child)
    }
  }

  private func reap(_ child: Child) throws(Errno) {
    guard let status = try child.process.reap() else { return }
    children[ObjectIdentifier(child.job)] = nil
    // What its children still do ends with it.
    if try child.process.groupIsAlive() { try child.process.signalGroup(SIGKILL) }
    switch status {
    case .exited(0): child.job.ended(nil)
    case .exited(let code): child.job.ended("exit status \(code)")
    case .signalled(let signal): child.job.ended("ended by signal \(signal)")
    }
  }
}
