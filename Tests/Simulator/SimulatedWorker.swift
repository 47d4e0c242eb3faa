import Handover

/// A worker process as the workload and the faults see it.
protocol SimulatedWorker: SimulatedPeer {
  var pool: PoolName { get }
  var key: String { get }
  var version: UInt32 { get }
  var token: RegistrationToken { get }
  var life: WorkerLife { get }
  var pid: Int32 { get }
  /// The id that the daemon gave it; nil before.
  var runner: RunnerID? { get }
  var stopsSeen: Set<DrainOrderID> { get }
  var actors: SimulatedActors! { get }
  /// Until then the process gets no time.
  var hangsUntil: Int64 { get }
  /// It does as it is told.
  var obeys: Bool { get }

  func beginOwnDrain()
  /// Neither reads nor sends for so long.
  func hang(_ nanoseconds: Int64)
  func cutLink()
  func die()
}

enum WorkerLife {
  case running
  /// It left, or was told that it is over.
  case finished
  case dead
}

/// What a worker does about a Stop.
enum Obedience {
  case obeys
  /// Only once the faults have stopped.
  case obeysInPeace
  /// Its deadline has to end it.
  case never

  static func drawn(_ world: World) -> Obedience {
    guard world.faults.runnersIgnoreStops else { return .obeys }
    switch Int.random(in: 0..<4, using: &world.random) {
    case 0, 1: return .obeys
    case 2: return .obeysInPeace
    default: return .never
    }
  }

  func isShown(in world: World) -> Bool {
    switch self {
    case .obeys: true
    case .obeysInPeace: !world.isFaulty
    case .never: false
    }
  }
}
