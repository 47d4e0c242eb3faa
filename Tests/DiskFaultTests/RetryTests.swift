import BatonAPI
import Handover
import Protobuf
import Service
import Testing
import Ttrpc

/// A host that keeps what the service hands to the store, and answers as the test says.
private final class ScriptedHost: ServiceHost {
  var submitted: [(mutation: Mutation, ticket: Ticket)] = []

  func outputReady(_ connection: ConnectionID) {}
  func abort(_ connection: ConnectionID) {}
  func submit(_ mutation: Mutation, _ ticket: Ticket) { submitted.append((mutation, ticket)) }
  func query(_ query: Query, _ ticket: Ticket) {}
  func watchProcess(of connection: ConnectionID, for runner: RunnerID) {}
  func forgetProcess(of runner: RunnerID) {}
  func log(_ record: LogRecord) {}

  /// What was handed over since the last time.
  func take() -> [(mutation: Mutation, ticket: Ticket)] {
    defer { submitted = [] }
    return submitted
  }
}

/// One runner on one connection to a service whose store is the test.
private final class Scene {
  let host = ScriptedHost()
  let service: Service
  let link = ConnectionID(slot: 0, generation: 1)
  let attachment = Attachment(runner: RunnerID(1), id: AttachmentID(1))
  var now = Moment(nanoseconds: 1_000_000_000, wallMilliseconds: 1)
  private let arena = Arena()
  private var client = ClientConnection()
  private var output = OutboundQueue()
  private var stream: UInt32 = 0
  private var sequence: UInt64 = 0

  init() {
    let snapshot = FleetSnapshot(
      fleetID: 7, revision: Revision(1), nextAttachment: attachment.id, runners: [], openOrders: [])
    service = Service(settings: ServiceSettings(), snapshot: snapshot, host: host, now: now)
    service.opened(link, peer: Peer(uid: 0, gid: 0, pid: 1, program: "worker"), now: now)
  }

  func register() {
    let message = AttachRequests.register(
      pool: PoolName(namespace: "default", name: "web"), key: "", version: 1, totalSlots: 1,
      token: RegistrationToken(high: 1, low: 1), endsWithProcess: false, metadata: [], arena)
    let method = Method.attach.description
    Codec.encode(message).withUnsafeBytes { bytes in
      stream = client.open(
        service: method.service, method: method.name, shape: .bidirectional, payload: bytes,
        now: now.nanoseconds, arena: Arena(), output: &output)!
    }
    deliver()
    let decision = Decision(config: .found, upgrade: .noneOlder, standing: .ready)
    commit(
      host.take(),
      .registered(
        Admission(
          runner: attachment.runner, key: "1", isResumed: false, decision: decision, openOrder: nil)))
  }

  func heartbeat() {
    sequence += 1
    let message = AttachRequests.heartbeat(sequence: sequence, roundTripMicroseconds: 0, arena)
    Codec.encode(message).withUnsafeBytes {
      #expect(client.send(stream, $0, now: now.nanoseconds, output: &output) == .queued)
    }
    deliver()
  }

  private func deliver() {
    while !output.isEmpty {
      let count = output.withUnwritten { bytes in
        service.received(link, bytes, now: now)
        return bytes.count
      }
      output.wrote(count, now: now.nanoseconds) { _ in }
    }
    service.endTurn(now: now)
  }

  func commit(_ requests: [(mutation: Mutation, ticket: Ticket)], _ outcome: MutationOutcome = .applied(1)) {
    let batch = CommittedBatch(
      results: requests.map { _ in .success(outcome) }, consequences: [], revision: Revision(2))
    service.committed(requests.map(\.ticket), .success(batch), took: 1, now: now)
  }

  func fail(_ requests: [(mutation: Mutation, ticket: Ticket)]) {
    service.committed(requests.map(\.ticket), .failure(.unavailable("full")), took: 1, now: now)
  }

  /// The runner reads all that it is sent.
  private func read() { _ = service.writeOutput(link, now: now) { .wrote($0.count) } }

  /// Lets time pass, a tick at a time as the loop does.
  func pass(milliseconds: Int64) {
    read()
    let end = now.nanoseconds + milliseconds * 1_000_000
    while let due = service.nextTick, due <= end {
      now.nanoseconds = max(now.nanoseconds, due)
      service.tick(now: now)
      read()
    }
    now.nanoseconds = end
  }
}

/// What the store could not take is told again, as long as it is so.
@Suite struct RetryTests {
  /// A full disk kept the store from hearing of a silence. The runner spoke again, which was stored; then the old silence
  /// was told again, and the runner stayed silent in the books for as long as it spoke.
  @Test func silenceThatHasEndedIsNotToldAgain() {
    let scene = Scene()
    scene.register()
    scene.pass(milliseconds: 12_000)
    let silence = scene.host.take()
    #expect(silence.map(\.mutation) == [.silent([scene.attachment])])
    scene.fail(silence)
    scene.heartbeat()
    let word = scene.host.take()
    #expect(word.map(\.mutation) == [.heard([scene.attachment])])
    scene.commit(word)
    scene.pass(milliseconds: 2000)
    #expect(scene.host.take().map(\.mutation) == [])
  }

  @Test func silenceThatLastsIsToldAgain() {
    let scene = Scene()
    scene.register()
    scene.pass(milliseconds: 12_000)
    scene.fail(scene.host.take())
    scene.pass(milliseconds: 600)
    let again = scene.host.take()
    #expect(again.map(\.mutation) == [.silent([scene.attachment])])
    scene.commit(again)
    scene.pass(milliseconds: 1000)
    #expect(scene.host.take().map(\.mutation) == [])
  }

  /// The end of a silence is told until it is stored.
  @Test func wordAfterASilenceIsToldAgain() {
    let scene = Scene()
    scene.register()
    scene.pass(milliseconds: 12_000)
    scene.commit(scene.host.take())
    scene.heartbeat()
    scene.fail(scene.host.take())
    scene.pass(milliseconds: 600)
    #expect(scene.host.take().map(\.mutation) == [.heard([scene.attachment])])
  }
}
