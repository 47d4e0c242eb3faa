import Service

/// Somebody who connects and is no client: says nothing, rubbish, half of something, or more than anyone reads the answers
/// of. The daemon gets rid of whoever has begun to speak and does not go on.
final class SimulatedStranger: SimulatedPeer {
  private enum Manner: CaseIterable {
    case silent, rubbish, halfFrame, halfLine, deafConsole
  }

  /// A first call must have come within five seconds, a write must have been taken within ten.
  private static let patienceNanoseconds: Int64 = 20_000_000_000

  private unowned let world: World
  private let manner: Manner
  private var isGone = false

  /// Connects one; it is kept by what it waits for.
  static func drop(in world: World) {
    let stranger = SimulatedStranger(world)
    world.note("a stranger connects: \(stranger.manner)")
    world.connect(stranger, uid: World.daemonUID, pid: 2)
  }

  private init(_ world: World) {
    self.world = world
    manner = Manner.allCases.randomElement(using: &world.random)!
  }

  private var mustGo: Bool {
    switch manner {
    case .silent: false
    case .rubbish, .halfFrame, .halfLine: true
    // What it is told may fit into the socket.
    case .deafConsole: world.faults.linkBytes < 10_000
    }
  }

  func connected(_ link: SimulatedLink) {
    // The link does not keep its peer.
    world.schedule(after: Self.patienceNanoseconds) { [self] in
      let hadTime =
        world.daemon?.links[link.id] === link && world.lastTroubleAt < world.now - Self.patienceNanoseconds
      if hadTime, !isGone, mustGo { world.violate("a stranger was let be: \(manner)") }
      world.hangUp(link)
    }
    switch manner {
    case .silent: break
    case .rubbish:
      let count = Int.random(in: 1...300, using: &world.random)
      let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &world.random) }
      // A whole line, whatever it says, would be answered.
      world.send(bytes.filter { $0 != UInt8(ascii: "\n") }, on: link)
    case .halfFrame: world.send([0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 10], on: link)
    case .halfLine: world.send(Array("runn".utf8), on: link)
    case .deafConsole:
      link.isClientPaused = true
      world.send(Array(String(repeating: "help\n", count: 200).utf8), on: link)
    }
  }

  func connectRefused() {}
  func received(_ bytes: UnsafeRawBufferPointer, on link: SimulatedLink) {}
  func disconnected(_ link: SimulatedLink) { isGone = true }
}
