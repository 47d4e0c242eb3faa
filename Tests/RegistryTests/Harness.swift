import Foundation
import Handover
import Testing

@testable import Registry

/// A directory that is gone when its owner is.
final class TemporaryDirectory {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "registry-\(UUID().uuidString)"
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var database: String { path + "/baton.db" }
}

let daemonUID: UInt32 = 900
let ownerUID: UInt32 = 1000
let otherUID: UInt32 = 2000

func version(_ number: UInt32) -> Version { Version(number)! }

func peer(_ uid: UInt32 = ownerUID, pid: Int32 = 4711) -> Peer {
  Peer(uid: uid, gid: uid, pid: pid, program: "worker")
}

let web = PoolName(namespace: "default", name: "web")

func draining(_ on: Bool? = true, graceMilliseconds: Int64 = 60_000) -> RunnerConfig {
  RunnerConfig(
    kind: .normal(.init(drainOnVersionUpgrade: on, drainGracePeriodMilliseconds: graceMilliseconds)))
}

/// A store in a directory of its own, with a clock that only tests move, and the words to speak to it.
final class Fleet {
  let directory = TemporaryDirectory()
  private(set) var store: SQLiteStore!
  private(set) var snapshot: FleetSnapshot!
  private(set) var reader: SQLiteReader!
  var now = Moment(nanoseconds: 1_000_000_000_000, wallMilliseconds: 1_700_000_000_000)
  var bootID = "boot-1"
  private var lastAttachment: Int64 = 0
  private var lastToken: UInt64 = 0

  init() throws { try open() }

  var path: String { directory.database }

  func open() throws {
    store = try SQLiteStore(
      path: path, bootID: bootID, daemonUID: daemonUID, times: FleetTimes(), fleetID: 7)
    snapshot = try store.start(at: now)
    reader = try SQLiteReader(path: path)
    lastAttachment = max(lastAttachment, snapshot.nextAttachment.rawValue - 1)
  }

  /// As after a restart of the daemon.
  func reopen() throws {
    reader = nil
    store = nil
    try open()
  }

  func advance(milliseconds: Int64) {
    now.nanoseconds += milliseconds * 1_000_000
    now.wallMilliseconds += milliseconds
  }

  /// Applies a batch and checks what must hold after every one.
  @discardableResult
  func apply(_ batch: [Mutation], _ location: SourceLocation = #_sourceLocation) throws -> CommittedBatch {
    let committed = try store.apply(batch, at: now)
    #expect(committed.results.count == batch.count, sourceLocation: location)
    let differences = try store.verifyCounters()
    #expect(differences == [], sourceLocation: location)
    #expect(try store.unsettledPools(at: now, late: .max / 2) == [], sourceLocation: location)
    return committed
  }

  func apply(one mutation: Mutation, _ location: SourceLocation = #_sourceLocation) throws -> Step {
    let batch = try apply([mutation], location)
    return Step(result: batch.results[0], consequences: batch.consequences)
  }

  struct Step {
    var result: Result<MutationOutcome, Refusal>
    var consequences: [Consequence]

    var admission: Admission? {
      if case .success(.registered(let admission)) = result { admission } else { nil }
    }
    var refusal: Refusal? {
      if case .failure(let refusal) = result { refusal } else { nil }
    }
    var stops: [StopAcknowledgement] {
      var all: [StopAcknowledgement] = []
      for case .stopsOrdered(_, _, let stops) in consequences { all += stops }
      return all
    }
    var decision: Decision? {
      for case .decided(_, _, _, let decision) in consequences { return decision }
      return nil
    }
  }

  func nextAttachment() -> AttachmentID {
    lastAttachment += 1
    return AttachmentID(lastAttachment)
  }

  func nextToken() -> RegistrationToken {
    lastToken += 1
    return RegistrationToken(high: 1, low: lastToken)
  }

  func registration(
    _ number: UInt32, key: String? = nil, in name: PoolName = web, uid: UInt32 = ownerUID,
    token: RegistrationToken? = nil, slots: UInt32 = 4, metadata: [MetadataPair] = []
  ) -> Registration {
    Registration(
      pool: name, key: key, version: version(number), totalSlots: slots, token: token ?? nextToken(),
      endsWithProcess: false, metadata: metadata, peer: peer(uid), attachment: nextAttachment())
  }

  func register(
    _ number: UInt32, key: String? = nil, in name: PoolName = web, uid: UInt32 = ownerUID,
    token: RegistrationToken? = nil, slots: UInt32 = 4, _ location: SourceLocation = #_sourceLocation
  ) throws -> Step {
    try apply(
      one: .register(registration(number, key: key, in: name, uid: uid, token: token, slots: slots)), location
    )
  }

  /// A registration that must succeed.
  @discardableResult
  func admit(
    _ number: UInt32, key: String? = nil, in name: PoolName = web, uid: UInt32 = ownerUID,
    _ location: SourceLocation = #_sourceLocation
  ) throws -> Handover.Attachment {
    let registration = registration(number, key: key, in: name, uid: uid)
    let step = try apply(one: .register(registration), location)
    let admission = try #require(step.admission, "\(step.result)", sourceLocation: location)
    return Attachment(runner: admission.runner, id: registration.attachment)
  }

  func configure(_ config: RunnerConfig, _ name: PoolName = web, who: Peer = peer()) throws -> Step {
    try apply(one: .putConfig(name, config, who: who))
  }
}
