import Foundation
import Handover
import Registry
import Service

/// The real service on the real store, for as long as the fuzzer runs; every input is one connection.
final class FuzzHost: ServiceHost {
  private let store: SQLiteStore
  private let reader: SQLiteReader
  private var service: Service!
  private var now = Moment(nanoseconds: 1_000_000_000_000, wallMilliseconds: 1_790_000_000_000)
  private var connections: UInt32 = 0
  private var ready: [ConnectionID] = []
  private var mutations: [(Mutation, Ticket)] = []
  private var queries: [(Query, Ticket)] = []
  private var aborted = false

  /// In memory where the system has such a place: thousands of inputs a second are committed.
  init() throws {
    let place = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
    let folder = place + "/baton-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var settings = ServiceSettings()
    settings.daemonUID = 900
    store = try SQLiteStore(
      path: folder + "/baton.db", bootID: "boot", daemonUID: 900, times: settings.times, fleetID: 7)
    let snapshot = try store.start(at: now)
    reader = try SQLiteReader(path: folder + "/baton.db")
    service = Service(settings: settings, snapshot: snapshot, host: self, now: now)
    // Open files live on; nothing is left behind when the fuzzer is killed.
    try FileManager.default.removeItem(atPath: folder)
  }

  /// One peer that says this, in two pieces, waits a second and goes.
  func converse(_ bytes: UnsafeRawBufferPointer, split: Int) {
    connections += 1
    let id = ConnectionID(slot: 1, generation: connections)
    aborted = false
    service.opened(id, peer: Peer(uid: 1000, gid: 1000, pid: 4711, program: "fuzz"), now: now)
    let at = min(split, bytes.count)
    for piece in [
      UnsafeRawBufferPointer(rebasing: bytes[..<at]), UnsafeRawBufferPointer(rebasing: bytes[at...]),
    ] {
      guard !piece.isEmpty, !aborted else { continue }
      service.received(id, piece, now: now)
      settle()
    }
    now.nanoseconds += 1_000_000_000
    now.wallMilliseconds += 1000
    if let due = service.nextTick, due <= now.nanoseconds { service.tick(now: now) }
    settle()
    if !aborted { service.inputEnded(id, now: now) }
    settle()
    service.closed(id, now: now)
    settle()
  }

  private func settle() {
    repeat {
      service.endTurn(now: now)
      let (writable, asked) = (ready, queries)
      (ready, queries) = ([], [])
      for id in writable {
        if case .close = service.writeOutput(id, now: now, { .wrote($0.count) }) {
          service.closed(id, now: now)
        }
      }
      for (query, ticket) in asked {
        let result: Result<QueryAnswer, StoreFailure>
        do throws(StoreFailure) { result = .success(try reader.read(query)) } catch {
          result = .failure(error)
        }
        service.answered(ticket, result, now: now)
      }
      service.endTurn(now: now)
      if !mutations.isEmpty {
        let batch = mutations
        mutations = []
        let result: Result<CommittedBatch, StoreFailure>
        do throws(StoreFailure) {
          result = .success(try store.apply(batch.map(\.0), at: now))
        } catch {
          result = .failure(error)
        }
        service.committed(batch.map(\.1), result, took: 1000, now: now)
      }
      service.endTurn(now: now)
    } while !ready.isEmpty || !queries.isEmpty || !mutations.isEmpty
  }

  func outputReady(_ connection: ConnectionID) { ready.append(connection) }
  func abort(_ connection: ConnectionID) { aborted = true }
  func submit(_ mutation: Mutation, _ ticket: Ticket) { mutations.append((mutation, ticket)) }
  func query(_ query: Query, _ ticket: Ticket) { queries.append((query, ticket)) }
  func watchProcess(of connection: ConnectionID, for runner: RunnerID) {}
  func forgetProcess(of runner: RunnerID) {}
  func log(_ record: LogRecord) { _ = record.line(.logfmt, time: 0) }
}
