import BatonAPI
import Glibc
import Handover
import Linux
import Protobuf
import Synchronization
import Ttrpc

/// The thread behind a runner: it carries out what `RunnerMachine` wants. A thread of its own, so that heartbeats go
/// out however busy the program's tasks are.
final class RunnerLoop: Sendable {
  private struct Shared {
    var commands: [@Sendable (inout RunnerMachine) -> [RunnerMachine.Effect]] = []
    var endBy: Int64?
    var isAbandoned = false
    var runnerID: Int64 = 0
    var registration: Result<Void, BatonError>?
    var waitingForRegistration: [CheckedContinuation<Void, any Error>] = []
    var ending: Runner.Ending?
    var waitingForEnd: [CheckedContinuation<Runner.Ending, Never>] = []
    var actorHappenings: [ActorHost.Happening] = []
    var holdsActors = false
    /// What still runs after the end.
    var actorTasks: [Task<Void, Never>] = []
    var waitingForActors: [CheckedContinuation<Void, Never>] = []
    var commitments: [Commitment] = []
  }

  /// Somebody wants to leave by an order, if that still stands.
  struct Commitment {
    var order: DrainOrderID
    var answer: CheckedContinuation<Bool, Never>
  }

  private let shared = Locked(Shared())
  private let wake: EventSignal
  private let stops: AsyncStream<Runner.Stop>.Continuation
  private let events: AsyncStream<Runner.Event>.Continuation

  init(
    path: String, options: Runner.Options, stops: AsyncStream<Runner.Stop>.Continuation,
    events: AsyncStream<Runner.Event>.Continuation
  ) throws(Errno) {
    wake = try EventSignal()
    self.stops = stops
    self.events = events
    _ = try WorkerThread(name: "baton-runner") { [self] in
      RunnerThread(loop: self, wake: wake, path: path, options: options).run()
    }
  }

  // MARK: - For tasks

  var runnerID: Int64 { shared.withLock { $0.runnerID } }

  func perform(
    endingWithin milliseconds: Int64? = nil,
    _ command: @escaping @Sendable (inout RunnerMachine) -> [RunnerMachine.Effect]
  ) {
    shared.withLock { shared in
      shared.commands.append(command)
      if let milliseconds { shared.endBy = Clock.boottimeNanoseconds(afterMilliseconds: milliseconds) }
    }
    wake.signal()
  }

  func abandon() {
    shared.withLock { $0.isAbandoned = true }
    wake.signal()
  }

  func registered() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let result = shared.withLock { shared in
        if shared.registration == nil { shared.waitingForRegistration.append(continuation) }
        return shared.registration
      }
      if let result { continuation.resume(with: result.mapError { $0 as any Error }) }
    }
  }

  func ended() async -> Runner.Ending {
    await withCheckedContinuation { continuation in
      let ending = shared.withLock { shared in
        if shared.ending == nil { shared.waitingForEnd.append(continuation) }
        return shared.ending
      }
      if let ending { continuation.resume(returning: ending) }
    }
  }

  func commit(to order: Int64) async -> Bool {
    await withCheckedContinuation { continuation in
      let isOver = shared.withLock { shared in
        guard shared.ending == nil else { return true }
        shared.commitments.append(Commitment(order: DrainOrderID(order), answer: continuation))
        return false
      }
      if isOver { continuation.resume(returning: true) }
      wake.signal()
    }
  }

  /// Something happened to an actor's code. Nobody wants to know after the runner's end.
  func perform(_ happening: @escaping ActorHost.Happening) {
    shared.withLock { shared in
      if shared.ending == nil { shared.actorHappenings.append(happening) }
    }
    wake.signal()
  }

  func actorsEnded() async {
    await withCheckedContinuation { continuation in
      let mustWait = shared.withLock { shared in
        guard shared.holdsActors, shared.ending == nil else { return false }
        shared.waitingForActors.append(continuation)
        return true
      }
      if !mustWait { continuation.resume() }
    }
    for task in shared.withLock({ $0.actorTasks }) { await task.value }
  }

  // MARK: - For the thread

  func tell(holdsActors: Bool) {
    let waiting = shared.withLock { shared in
      shared.holdsActors = holdsActors
      guard !holdsActors else { return [CheckedContinuation<Void, Never>]() }
      defer { shared.waitingForActors = [] }
      return shared.waitingForActors
    }
    for continuation in waiting { continuation.resume() }
  }

  struct Orders {
    var actorHappenings: [ActorHost.Happening]
    var commands: [@Sendable (inout RunnerMachine) -> [RunnerMachine.Effect]]
    var commitments: [Commitment]
    var endBy: Int64?
    var isAbandoned: Bool
  }

  func takeOrders() -> Orders {
    shared.withLock { shared in
      defer {
        shared.commands = []
        shared.commitments = []
        shared.actorHappenings = []
      }
      return Orders(
        actorHappenings: shared.actorHappenings, commands: shared.commands, commitments: shared.commitments,
        endBy: shared.endBy, isAbandoned: shared.isAbandoned)
    }
  }

  func endBy() -> Int64? { shared.withLock { $0.endBy } }

  func tellRegistered(_ message: DaemonMessage.Registered) {
    let waiting = shared.withLock { shared in
      shared.runnerID = message.runner.rawValue
      shared.registration = .success(())
      defer { shared.waitingForRegistration = [] }
      return shared.waitingForRegistration
    }
    events.yield(
      .attached(
        runner: message.runner.rawValue, isResumed: message.isResumed,
        decision: message.decision.map(DecisionInfo.init)))
    for continuation in waiting { continuation.resume() }
  }

  func tellCutOff() { events.yield(.cutOff) }

  func tell(_ notice: DaemonMessage.StopNotice) {
    let stop = Runner.Stop(notice)
    stops.yield(stop)
    events.yield(.stop(stop))
  }

  func tellDeadline(_ notice: DaemonMessage.StopNotice) { events.yield(.deadlineMoved(Runner.Stop(notice))) }

  func tellCancelled(_ order: DrainOrderID, reason: String) {
    events.yield(.stopCancelled(order: order.rawValue, reason: reason))
  }

  func tellEnded(
    _ ending: Runner.Ending, refusal: BatonError? = nil, actorTasks: [Task<Void, Never>]
  ) {
    let (registrations, ends, actors, commitments) = shared.withLock { shared in
      if shared.registration == nil {
        shared.registration = .failure(
          refusal ?? BatonError(.cancelled, "the runner ended before it was registered"))
      }
      shared.ending = ending
      shared.actorTasks = actorTasks
      shared.actorHappenings = []
      defer {
        shared.waitingForRegistration = []
        shared.waitingForEnd = []
        shared.waitingForActors = []
        shared.commitments = []
      }
      return (
        shared.waitingForRegistration, shared.waitingForEnd, shared.waitingForActors, shared.commitments
      )
    }
    stops.finish()
    events.finish()
    for continuation in registrations {
      continuation.resume(
        throwing: refusal ?? BatonError(.cancelled, "the runner ended before it was registered"))
    }
    for continuation in ends { continuation.resume(returning: ending) }
    for continuation in actors { continuation.resume() }
    for commitment in commitments { commitment.answer.resume(returning: true) }
  }
}

extension Runner.Stop {
  /// Its time is counted from now.
  fileprivate init(_ notice: DaemonMessage.StopNotice) {
    self.init(
      order: notice.order.rawValue, cause: notice.cause.map(Words.word) ?? "unknown", reason: notice.reason,
      targetVersion: notice.target?.number, remainingMilliseconds: notice.remainingMilliseconds,
      deadline: .now + .milliseconds(notice.remainingMilliseconds))
  }
}

/// What only the thread touches.
private final class RunnerThread {
  private let loop: RunnerLoop
  private let wake: EventSignal
  private let path: String
  private let options: Runner.Options
  private let token: RegistrationToken
  private var machine: RunnerMachine
  private let actors: ActorHost
  private var socket: FileDescriptor?
  private var connection = ClientConnection()
  private var output = OutboundQueue()
  private var stream: UInt32 = 0
  private let arena = Arena()
  private let envelopes = Arena()
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
  private var isDone = false
  /// What the machine is told once all effects of the event before have been carried out.
  private var happenings: [Happening] = []
  /// Which connection it is: bytes of an earlier one are never taken for its own.
  private var connectionNumber = 0
  /// A Detach, which comes after all that is to be said of actors.
  private var detach: (exitCode: Int32?, reason: String)?
  /// So much of reports may wait for the daemon to read; the others wait their turn.
  private static let reportBytes = 256 << 10

  private enum Happening {
    case connectWanted
    case connectionLost
  }

  init(loop: RunnerLoop, wake: EventSignal, path: String, options: Runner.Options) {
    self.loop = loop
    self.wake = wake
    self.path = path
    self.options = options
    actors = ActorHost(loop: loop, options: options)
    var random = SystemRandomNumberGenerator()
    token = RegistrationToken(high: random.next(), low: random.next() | 1)
    machine = RunnerMachine(
      randomness: random.next(),
      giveUpAt: Clock.boottimeNanoseconds(afterMilliseconds: options.connectTimeoutMilliseconds),
      canStay: options.canStay)
  }

  deinit { buffer.deallocate() }

  private var now: Int64 { Int64(Clock.boottimeNanoseconds()) }

  func run() {
    perform(machine.start())
    while !isDone {
      waitForSomething()
      let orders = loop.takeOrders()
      for happening in orders.actorHappenings { happening(actors, now) }
      for command in orders.commands { perform(command(&machine)) }
      for commitment in orders.commitments {
        commitment.answer.resume(returning: machine.commit(to: commitment.order))
      }
      if orders.isAbandoned || orders.endBy.map({ now >= $0 }) == true {
        // The daemon could not be told in time; it will notice by itself.
        if !isDone { finish(.fenced("the daemon could not be told that it finished")) }
        break
      }
      if !isDone, let due = machine.nextTick, due <= now { perform(machine.tick(now: now)) }
      if !isDone, let due = actors.nextTick, due <= now { actors.on { $0.tick(now: now) } }
      sendActors()
      perform([])
    }
    socket = nil
  }

  private func waitForSomething() {
    var descriptors = [pollfd(fd: wake.rawValue, events: Int16(POLLIN), revents: 0)]
    if let fd = socket?.rawValue {
      descriptors.append(
        pollfd(fd: fd, events: Int16(POLLIN | (output.isEmpty ? 0 : POLLOUT)), revents: 0))
    }
    var next = min(machine.nextTick ?? .max, actors.nextTick ?? .max)
    if let endBy = loop.endBy() { next = min(next, endBy) }
    let timeout = next == .max ? -1 : Int32(clamping: max(0, (next - now) / 1_000_000 + 1))
    _ = poll(&descriptors, nfds_t(descriptors.count), timeout)
    wake.drain()
    guard descriptors.count > 1, socket != nil else { return }
    if descriptors[1].revents & Int16(POLLOUT) != 0 { flush() }
    if descriptors[1].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { receive() }
  }

  // MARK: - Effects

  /// Never called while effects are being carried out: what they bring about waits its turn.
  private func perform(_ effects: [RunnerMachine.Effect]) {
    carryOut(effects)
    while !happenings.isEmpty, !isDone {
      switch happenings.removeFirst() {
      case .connectWanted: carryOut(connect())
      case .connectionLost: carryOut(machine.disconnected(now: now))
      }
    }
  }

  private func carryOut(_ effects: [RunnerMachine.Effect]) {
    for effect in effects {
      switch effect {
      case .connect: happenings.append(.connectWanted)
      case .hangUp: socket = nil
      case .sendRegister: sendRegister()
      case .sendHeartbeat(let sequence, let roundTrip):
        send { AttachRequests.heartbeat(sequence: sequence, roundTripMicroseconds: roundTrip, $0) }
      case .sendStopAck(let order): send { AttachRequests.stopAck(order, $0) }
      case .sendStopCancelledAnswer(let order, let answer):
        send { AttachRequests.stopCancelledAnswer(order, answer, $0) }
      case .sendStopping(let reason, let grace):
        actors.closes()
        send { AttachRequests.stopping(reason: reason, graceMilliseconds: grace, $0) }
      case .sendDetach(let code, let reason):
        actors.closes()
        detach = (code, reason)
      case .registered(let message):
        actors.attached()
        loop.tellRegistered(message)
      case .cutOff:
        actors.cutOff()
        loop.tellCutOff()
      case .stop(let stop):
        actors.closes()
        loop.tell(stop)
      case .stopDeadline(let stop):
        actors.on { $0.deadlineMoved(remainingMilliseconds: stop.remainingMilliseconds, now: now) }
        loop.tellDeadline(stop)
      case .stopCancelled(let order, let reason):
        actors.opens()
        loop.tellCancelled(order, reason: reason)
      case .actorCommands(let commands): actors.on { $0.received(commands, now: now) }
      case .actorEventsAnswered(let acked, let refused):
        actors.on { $0.answered(acked: acked, refused: refused) }
      case .ended(let ending): ended(ending)
      }
    }
  }

  private func ended(_ ending: RunnerMachine.Ending) {
    switch ending {
    case .finished: finish(.finished)
    case .fenced(let text): finish(.fenced(text))
    case .refused(let status): finish(.fenced(status.message), refusal: BatonError(status))
    case .unreachable(let status):
      var error = BatonError(status)
      error.isConnectionFailure = true
      finish(.fenced(status.message), refusal: error)
    }
  }

  private func finish(_ ending: Runner.Ending, refusal: BatonError? = nil) {
    isDone = true
    socket = nil
    loop.tellEnded(ending, refusal: refusal, actorTasks: actors.runnerEnded())
  }

  private func connect() -> [RunnerMachine.Effect] {
    do throws(Errno) {
      socket = try UnixSocket.connect(path: path)
    } catch {
      let failure = BatonError(connecting: path, error)
      return machine.connectFailed(Self.kind(of: error), failure.status, now: now)
    }
    connectionNumber += 1
    connection = ClientConnection()
    output = OutboundQueue()
    detach = nil
    return machine.connected(now: now)
  }

  private static func kind(of error: Errno) -> RunnerMachine.ConnectFailure {
    switch error.code {
    case ECONNREFUSED: .nobodyListens
    case ENOENT, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM: .passing
    default: .lasting
    }
  }

  private func sendRegister() {
    arena.reset()
    let pairs = options.metadata.sorted { $0.key < $1.key }.map { MetadataPair(key: $0.key, value: $0.value) }
    let register = AttachRequests.register(
      pool: PoolName(namespace: options.namespace, name: options.name), key: options.key ?? "",
      version: options.version, totalSlots: options.slots, token: token,
      endsWithProcess: options.endsWithProcess, takesActors: options.actors != nil, metadata: pairs, arena)
    let description = Method.attach.description
    let opened = Codec.encode(register).withUnsafeBytes { bytes in
      connection.open(
        service: description.service, method: description.name, shape: .bidirectional, payload: bytes,
        now: now,
        arena: envelopes, output: &output)
    }
    guard let opened else {
      return carryOut(machine.refused(Status(.invalidArgument, "the registration is too large"), now: now))
    }
    stream = opened
    flush()
  }

  private func send(_ make: (Arena) -> AttachRequests.Message) {
    guard socket != nil else { return }
    arena.reset()
    let bytes = Codec.encode(make(arena))
    let admission = bytes.withUnsafeBytes { connection.send(stream, $0, now: now, output: &output) }
    guard admission == .queued else {
      // A daemon that reads nothing for so long is as good as gone.
      return lose()
    }
    flush()
  }

  /// At the end of each turn, so that what happened together is said in one message.
  private func sendActors() {
    while socket != nil, output.byteCount(stream: stream) < Self.reportBytes {
      if let acks = actors.nextAcks() {
        send { AttachRequests.ackCommands(acks, $0) }
      } else if let reports = actors.nextReports(now: now) {
        send { AttachRequests.actorEvents(reports, $0) }
      } else {
        guard let detach else { return }
        self.detach = nil
        return send { AttachRequests.detach(exitCode: detach.exitCode, reason: detach.reason, $0) }
      }
    }
  }

  private func flush() {
    while !output.isEmpty {
      let written: Int? = output.withUnwritten { bytes in
        guard case .bytes(let count)?? = try? socket?.send(bytes) else { return nil }
        return count
      }
      // A broken connection shows when it is read.
      guard let written else { return }
      output.wrote(written, now: now) { _ in }
    }
  }

  private func receive() {
    let result: FileDescriptor.ReceiveResult? = (try? socket?.recv(into: buffer)).flatMap { $0 }
    switch result {
    case .bytes(let count): deliver(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    case .wouldBlock: break
    case .end, .descriptorsReceived, nil: lose()
    }
    perform([])
  }

  private func lose() {
    guard socket != nil else { return }
    socket = nil
    happenings.append(.connectionLost)
  }

  private func deliver(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    let number = connectionNumber
    // Any effect may have ended the connection that these bytes came on, and begun another.
    while socket != nil, connectionNumber == number {
      switch connection.next(&input, arena: envelopes) {
      case .needMore: return
      case .message(_, let payload):
        guard let message = try? DaemonMessage(payload, in: arena) else { return lose() }
        perform(machine.received(message, now: now))
      case .response(_, let status, _): perform(machine.refused(status, now: now))
      case .finished, .protocolError: return lose()
      }
    }
  }
}
