import CBatonProto
import Foundation
import HandWire
import Handover
import Protobuf
import Registry
import Testing
import Ttrpc

@testable import BatonAPI
@testable import Service

/// A peer's end of one connection.
final class TestPeer {
  let id: ConnectionID
  /// What came and was not looked at yet.
  var received: [UInt8] = []
  var isOpen = true
  /// How many bytes the peer's socket still takes; none: a reader that does not read.
  var room = Int.max
  private var lastStream: UInt32 = 1

  init(id: ConnectionID) { self.id = id }

  func nextStream() -> UInt32 {
    defer { lastStream += 2 }
    return lastStream
  }

  /// The frames that came since the last look.
  func answers() -> [HandAnswer] { HandAnswer.take(from: &received) }

  /// A console's answer since the last look.
  func text() -> String {
    defer { received = [] }
    return String(decoding: received, as: UTF8.self)
  }
}

/// The real service on the real store in a file of its own, with a clock that only the test moves. Commits and reads are
/// done when the test says `settle`, or are held back.
final class ServiceHarness: ServiceHost {
  private let folder: String
  private let store: SQLiteStore
  private let reader: SQLiteReader
  private(set) var service: Service!
  private(set) var now = Moment(nanoseconds: 1_000_000_000_000, wallMilliseconds: 1_790_000_000_000)
  private(set) var logged: [LogRecord] = []
  private(set) var watchedProcesses: Set<RunnerID> = []
  /// The disk: what a commit answers, when it does not work.
  var storeFailure: StoreFailure?
  var holdsCommits = false
  /// How long each commit is said to have taken.
  var commitNanoseconds: Int64 = 1000

  private var peers: [ConnectionID: TestPeer] = [:]
  private var slots: UInt32 = 0
  private var ready: [ConnectionID] = []
  private var mutations: [(Mutation, Ticket)] = []
  private var queries: [(Query, Ticket)] = []

  init(_ adjust: (inout ServiceSettings) -> Void = { _ in }) throws {
    folder = NSTemporaryDirectory() + "baton-service-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var settings = ServiceSettings()
    settings.daemonUID = 900
    adjust(&settings)
    store = try SQLiteStore(
      path: folder + "/baton.db", bootID: "boot", daemonUID: 900, times: settings.times, fleetID: 7)
    let snapshot = try store.start(at: now)
    reader = try SQLiteReader(path: folder + "/baton.db")
    service = Service(settings: settings, snapshot: snapshot, host: self, now: now)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  // MARK: - What a test does

  func connect(uid: UInt32 = 1000, pid: Int32 = 4711) -> TestPeer {
    slots += 1
    let peer = TestPeer(id: ConnectionID(slot: slots, generation: 1))
    peers[peer.id] = peer
    service.opened(peer.id, peer: Peer(uid: uid, gid: uid, pid: pid, program: "worker"), now: now)
    return peer
  }

  /// Bytes from a peer, whole or in pieces, and all that follows from them.
  func send(_ peer: TestPeer, _ bytes: [UInt8], pieceBytes: Int = .max) throws {
    var rest = bytes[...]
    while !rest.isEmpty, peer.isOpen {
      let piece = Array(rest.prefix(pieceBytes))
      rest = rest.dropFirst(piece.count)
      piece.withUnsafeBytes { service.received(peer.id, $0, now: now) }
      try settle()
    }
  }

  func endInput(_ peer: TestPeer) throws {
    service.inputEnded(peer.id, now: now)
    try settle()
  }

  func vanish(_ peer: TestPeer) throws {
    peers[peer.id] = nil
    peer.isOpen = false
    service.closed(peer.id, now: now)
    try settle()
  }

  func advance(milliseconds: Int64) throws {
    let end = now.nanoseconds + milliseconds * 1_000_000
    while let due = service.nextTick, due <= end {
      move(to: max(due, now.nanoseconds))
      service.tick(now: now)
      try settle()
    }
    move(to: end)
  }

  func shutDown() throws {
    service.shutDown(now: now)
    try settle()
  }

  func processDied(_ runner: RunnerID) throws {
    service.processDied(runner, now: now)
    try settle()
  }

  /// Until nothing more follows from what has happened.
  func settle() throws {
    var turns = 0
    repeat {
      turns += 1
      #expect(turns < 1000, "the service does not come to rest")
      service.endTurn(now: now)
      let (writable, asked) = (ready, queries)
      (ready, queries) = ([], [])
      for id in writable { write(id) }
      for (query, ticket) in asked {
        let result: Result<QueryAnswer, StoreFailure>
        do throws(StoreFailure) { result = .success(try reader.read(query)) } catch {
          result = .failure(error)
        }
        service.answered(ticket, result, now: now)
      }
      service.endTurn(now: now)
      if !holdsCommits { commit() }
      service.endTurn(now: now)
    } while !ready.isEmpty || !queries.isEmpty || (!holdsCommits && !mutations.isEmpty)
  }

  private func commit() {
    guard !mutations.isEmpty else { return }
    let batch = mutations
    mutations = []
    let result: Result<CommittedBatch, StoreFailure>
    if let storeFailure {
      result = .failure(storeFailure)
    } else {
      do throws(StoreFailure) {
        result = .success(try store.apply(batch.map(\.0), at: now))
      } catch {
        result = .failure(error)
      }
    }
    service.committed(batch.map(\.1), result, took: commitNanoseconds, now: now)
  }

  /// The peer reads again.
  func read(_ peer: TestPeer, room: Int = .max) throws {
    peer.room = room
    ready.append(peer.id)
    try settle()
  }

  private func write(_ id: ConnectionID) {
    guard let peer = peers[id] else { return }
    let state = service.writeOutput(id, now: now) { bytes in
      let count = min(bytes.count, peer.room)
      guard count > 0 else { return .wouldBlock }
      peer.room -= peer.room == .max ? 0 : count
      peer.received.append(contentsOf: bytes[..<count])
      return .wrote(count)
    }
    if case .close = state {
      peer.isOpen = false
      peers[id] = nil
      service.closed(id, now: now)
    }
  }

  private func move(to nanoseconds: Int64) {
    now.wallMilliseconds += (nanoseconds - now.nanoseconds) / 1_000_000
    now.nanoseconds = nanoseconds
  }

  func clearLog() { logged = [] }

  /// Log lines at or over a level, as `message name=value ...` without what differs from run to run.
  func lines(_ level: LogRecord.Level = .info) -> [String] {
    logged.filter { $0.level >= level }.map { record in
      ([record.message]
        + record.fields.filter { !"\($0.name)".hasSuffix("_ms") }.map { "\($0.name)=\($0.value)" })
        .joined(separator: " ")
    }
  }

  // MARK: - ServiceHost

  func outputReady(_ connection: ConnectionID) { ready.append(connection) }
  func abort(_ connection: ConnectionID) {
    peers[connection]?.isOpen = false
    peers[connection] = nil
  }
  func submit(_ mutation: Mutation, _ ticket: Ticket) { mutations.append((mutation, ticket)) }
  func query(_ query: Query, _ ticket: Ticket) { queries.append((query, ticket)) }
  func watchProcess(of connection: ConnectionID, for runner: RunnerID) { watchedProcesses.insert(runner) }
  func forgetProcess(of runner: RunnerID) { watchedProcesses.remove(runner) }
  func log(_ record: LogRecord) { logged.append(record) }
}

/// What a test says to it in the words of the protocol.
extension ServiceHarness {
  /// A call with a payload in JSON; its answers.
  func call(
    _ peer: TestPeer, _ method: BatonAPI.Method, _ json: String = "{}", timeoutNanoseconds: UInt64? = nil
  ) throws -> [HandAnswer] {
    let description = method.description
    let payload = try JSONDecode.bytes(json, as: description.request, in: Arena())
    try send(
      peer,
      HandFrame.call(
        peer.nextStream(), description.service, description.name, payload,
        timeoutNanoseconds: timeoutNanoseconds))
    return peer.answers()
  }

  /// The one answer of a unary call, as JSON; what went wrong as "CODE: message".
  func answer(_ peer: TestPeer, _ method: BatonAPI.Method, _ json: String = "{}") throws -> String {
    let answers = try call(peer, method, json)
    let one = try #require(answers.first)
    #expect(answers.count == 1)
    guard one.code == 0 else { return "\(StatusCode(rawValue: one.code)!.name): \(one.message)" }
    return try Self.json(one.payload, method.description.response)
  }

  static func json(_ payload: [UInt8], _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>) throws
    -> String
  {
    let arena = Arena()
    return try withExtendedLifetime(arena) {
      try payload.withUnsafeBytes {
        JSONEncode.text(UnsafePointer(try Codec.decode(descriptor, $0, in: arena)))
      }
    }
  }

  /// Opens Attach; the stream.
  func attach(_ peer: TestPeer) throws -> UInt32 {
    let stream = peer.nextStream()
    try send(
      peer,
      HandFrame.call(
        stream, "baton.v1.RunnerService", "Attach", flags: HandFrame.remoteOpen | HandFrame.noData))
    return stream
  }

  func say(_ peer: TestPeer, _ stream: UInt32, _ json: String) throws {
    let bytes = try JSONDecode.bytes(json, as: Baton__V1__AttachRequest.descriptor, in: Arena())
    try send(peer, HandFrame.bytes(stream, HandFrame.data, 0, bytes))
  }

  /// What a runner heard since the last look, as JSON or as the status that ended the call.
  func heard(_ peer: TestPeer) throws -> [String] {
    try peer.answers().map { answer in
      guard answer.type == HandFrame.data else {
        return "\(StatusCode(rawValue: answer.code)!.name): \(answer.message)"
      }
      guard !answer.payload.isEmpty else { return "end" }
      return try Self.json(answer.payload, Baton__V1__AttachResponse.descriptor)
    }
  }

  /// A runner that is attached and registered.
  func runner(
    _ name: String = "mail", version: UInt32 = 1, key: String = "", token: UInt8 = 1, uid: UInt32 = 1000,
    endsWithProcess: Bool = false
  ) throws -> (peer: TestPeer, stream: UInt32) {
    let peer = connect(uid: uid)
    let stream = try attach(peer)
    let encoded = Data([UInt8](repeating: token, count: 16)).base64EncodedString()
    try say(
      peer, stream,
      """
      {"register":{"name":"\(name)","key":"\(key)","version":\(version),"totalSlots":4,"token":"\(encoded)",\
      "endsWithProcess":\(endsWithProcess)}}
      """)
    return (peer, stream)
  }
}
