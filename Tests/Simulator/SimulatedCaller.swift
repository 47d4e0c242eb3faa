import BatonAPI
import CBatonProto
import Handover
import Protobuf
import Ttrpc

/// An operator, or somebody who watches: one call at a time on a connection of its own.
final class SimulatedCaller: SimulatedPeer {
  unowned let world: World
  private let arena = Arena()
  private var link: SimulatedLink?
  private var client = ClientConnection()
  private let method: Method
  private let request: [UInt8]
  /// The payload of each answer, and then how it ended; nil when the connection did.
  private let message: (UnsafeRawBufferPointer) -> Void
  private let ended: (Status?) -> Void
  private(set) var hasEnded = false

  init(
    _ world: World, _ method: Method, _ request: [UInt8], message: @escaping (UnsafeRawBufferPointer) -> Void,
    ended: @escaping (Status?) -> Void
  ) {
    self.world = world
    self.method = method
    self.request = request
    self.message = message
    self.ended = ended
    world.connect(self, uid: World.daemonUID, pid: 1)
  }

  func connectRefused() { end(nil) }

  func connected(_ link: SimulatedLink) {
    self.link = link
    if method == .watch, world.isFaulty, world.faults.slowReaders, world.random.oneIn(3) {
      link.isClientPaused = true
      world.schedule(after: world.random.milliseconds(100...15_000)) { [world] in world.resume(link) }
    }
    var output = OutboundQueue()
    let description = method.description
    request.withUnsafeBytes { bytes in
      _ = client.open(
        service: description.service, method: description.name, shape: description.shape, payload: bytes,
        now: world.now, arena: Arena(), output: &output)
    }
    world.send(output.withUnwritten { Array($0) }, on: link)
  }

  func received(_ bytes: UnsafeRawBufferPointer, on link: SimulatedLink) {
    var input = bytes
    while !hasEnded {
      switch client.next(&input, arena: arena) {
      case .needMore: return
      case .message(_, let payload): message(payload)
      case .response(_, let status, let payload):
        if status.code == .ok { message(payload) }
        world.hangUp(link)
        end(status)
      case .finished:
        world.hangUp(link)
        end(Status(.ok, ""))
      case .protocolError: world.violate("a caller got no ttrpc")
      }
    }
  }

  func disconnected(_ link: SimulatedLink) { end(nil) }

  func cutLink() {
    guard let link, !hasEnded else { return }
    world.hangUp(link)
    end(nil)
  }

  private func end(_ status: Status?) {
    guard !hasEnded else { return }
    hasEnded = true
    if let status, [.invalidArgument, .internal, .unimplemented].contains(status.code) {
      world.violate("\(method.description.name) was told \(status)")
    }
    ended(status)
  }
}

/// Follows the log from its beginning, through every cut, and keeps what it was told.
final class SimulatedWatcher {
  unowned let world: World
  private(set) var revisions: [Int64] = []
  /// It has begun after this one: at the start, or anew where what came next was not kept any more.
  private(set) var beginning: Int64 = 0
  private var cursor: UInt64 = 0
  private var caller: SimulatedCaller?

  init(_ world: World) {
    self.world = world
    open()
  }

  private func open() {
    let arena = Arena()
    let request = arena.make(Baton__V1__WatchRequest.self)
    request.pointee.from_revision_presence_case =
      BATON__V1__WATCH_REQUEST__FROM_REVISION_PRESENCE_FROM_REVISION
    request.pointee.from_revision = cursor
    caller = SimulatedCaller(
      world, .watch, Codec.encode(request),
      message: { [unowned self] payload in
        let arena = Arena()
        guard let message = try? Codec.decode(Baton__V1__WatchResponse.self, payload, in: arena) else {
          return world.violate("a watcher got what it cannot read")
        }
        for event in Read.messages(message.pointee.n_events, message.pointee.events) {
          let revision = Int64(event.pointee.revision)
          let last = revisions.last ?? beginning
          if revision != last + 1 {
            world.violate("invariant 8: a watcher saw event \(revision) after \(last)")
          }
          revisions.append(revision)
        }
        cursor = message.pointee.revision
      },
      ended: { [unowned self] status in
        if status?.code == .outOfRange { beginAnew() }
        world.schedule(after: world.random.milliseconds(100...3000)) { [self] in open() }
      })
  }

  /// As whoever lists anew does.
  private func beginAnew() {
    guard let latest = world.latestRevision(ifForgotten: Int64(cursor)) else {
      return world.violate("invariant 8: a watcher at \(cursor) was told that it is not kept")
    }
    world.note("a watcher begins anew after \(latest)")
    beginning = latest
    revisions = []
    cursor = UInt64(latest)
  }

  func cutLink() { caller?.cutLink() }
}
