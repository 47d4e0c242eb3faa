import Handover

/// One run: a workload and faults drawn from the seed for ten simulated minutes, then peace, then the question whether all
/// came to rest as it should.
package struct Simulation {
  package struct Outcome {
    package var seed: UInt64
    package var violations: [String]
    package var traceHash: UInt64
    package var events: Int
    package var runners: Int
    package var orders: Int
  }

  package static func run(
    seed: UInt64, bug: PlantedBug = .none, minutes: Int64 = 10, trace: ((String) -> Void)? = nil
  ) -> Outcome {
    let world = World(seed: seed, bug: bug, trace: trace)
    let simulation = SimulationRun(world, minutes: minutes)
    simulation.run()
    world.end()
    return Outcome(
      seed: seed, violations: world.violations, traceHash: world.traceHash, events: world.eventCount,
      runners: world.history.runners.count, orders: world.history.orders.union(world.history.stopsSeen).count)
  }
}

/// A class, since its events outlive the calls that schedule them.
private final class SimulationRun {
  private let world: World
  private let end: Int64
  private let pools: [PoolName]
  private var runners: [any SimulatedWorker] = []
  private var started: [any SimulatedWorker] = []
  private var watchers: [SimulatedWatcher] = []
  private let steering: SimulatedOperator
  /// Those whose token another process has taken.
  private var inherited: Set<RegistrationToken> = []
  private var nextPid: Int32 = 100
  private var versions: [PoolName: UInt32] = [:]

  private static let peaceNanoseconds: Int64 = 200_000_000_000
  private static let waveNanoseconds: Int64 = 70_000_000_000

  init(_ world: World, minutes: Int64) {
    self.world = world
    steering = SimulatedOperator(world)
    end = world.now + minutes * 60_000_000_000
    let names = ["resize", "mail"].prefix(world.random.oneIn(2) ? 2 : 1)
    pools = names.map { PoolName(namespace: "default", name: $0) }
    for pool in pools { versions[pool] = UInt32.random(in: 1...3, using: &world.random) }
    world.times.defaultGraceMilliseconds = 60_000
  }

  func run() {
    world.startDaemon()
    for _ in 0..<2 { watchers.append(SimulatedWatcher(world)) }
    for pool in pools {
      steering.putConfig(pool, drains: !world.random.oneIn(4))
      for _ in 0..<Int.random(in: 1...5, using: &world.random) { startRunner(pool, versions[pool]!) }
    }
    scheduleAction()
    scheduleFault()
    world.run(until: end)
    makePeace()
    world.run(until: world.now + 25_000_000_000)
    guard world.violations.isEmpty else { return }
    checkStopsArrived()
    world.run(until: world.now + Self.peaceNanoseconds)
    // An upgrade at its pace goes on in peace, one wave after the other.
    for _ in 0..<10 where world.hasFreshOrders { world.run(until: world.now + Self.waveNanoseconds) }
    guard world.violations.isEmpty else { return }
    checkLost()
    world.checkActorsAtRest(started)
    world.checkUpgradesAtRest()
    world.checkQuiet(watchers)
  }

  private func makePeace() {
    world.note("peace")
    world.isFaulty = false
    world.freeDisk()
    if world.daemon == nil { world.startDaemon() }
  }

  // MARK: - Workload

  private func scheduleAction() {
    world.schedule(after: world.random.milliseconds(500...20_000)) { [self] in
      guard world.isFaulty else { return }
      act()
      scheduleAction()
    }
  }

  private func act() {
    let pool = pools.randomElement(using: &world.random)!
    switch Int.random(in: 0..<14, using: &world.random) {
    case 0...2:
      // A deploy: usually the next version, sometimes a jump or the same again.
      versions[pool]! += [1, 1, 1, 2, 0].randomElement(using: &world.random)!
      for _ in 0..<Int.random(in: 1...4, using: &world.random) { startRunner(pool, versions[pool]!) }
    case 3:
      startRunner(pool, UInt32(max(1, Int(versions[pool]!) - Int.random(in: 0...2, using: &world.random))))
    case 4: steering.putConfig(pool, drains: world.random.oneIn(2))
    case 5: steering.putConfig(pool, drains: true)
    case 6: steering.drain(pool, one: living().randomElement(using: &world.random)?.runner)
    case 7...8: living().randomElement(using: &world.random)?.beginOwnDrain()
    case 9: startRunner(pool, versions[pool]!)
    case 10, 12: steer(pool)
    case 11: deployBadVersion(pool)
    default: break
    }
    for _ in 0..<Int.random(in: 0...3, using: &world.random) { steering.wishForActors(pool) }
    runners.removeAll { $0.life != .running }
  }

  /// Somebody who does not leave an upgrade alone.
  private func steer(_ pool: PoolName) {
    guard world.faults.steers else { return }
    let draining = living().filter { !$0.stopsSeen.isEmpty }
    switch Int.random(in: 0..<5, using: &world.random) {
    case 0, 1: steering.setTarget(pool, near: versions[pool]!)
    case 2: if let id = living().randomElement(using: &world.random)?.runner { steering.cordon(id) }
    case 3: if let id = draining.randomElement(using: &world.random)?.runner { steering.takeBack(id) }
    default:
      if let order = draining.randomElement(using: &world.random)?.stopsSeen.max() {
        steering.changeDeadline(order)
      }
    }
  }

  /// A build whose process dies soon after it has started, again and again.
  private func deployBadVersion(_ pool: PoolName) {
    guard world.faults.badVersions else { return }
    versions[pool]! += 1
    let version = versions[pool]!
    world.badVersions.insert(PoolVersion(pool, version))
    func start(_ left: Int) {
      guard left > 0, world.isFaulty, runners.count < 24 else { return }
      nextPid += 1
      let runner = SimulatedRunner(world, pool: pool, key: "", version: version, pid: nextPid)
      runners.append(runner)
      started.append(runner)
      world.schedule(after: world.random.milliseconds(300...2500)) { [self] in
        runner.die()
        world.schedule(after: world.random.milliseconds(1500...4000)) { start(left - 1) }
      }
    }
    start(Int.random(in: 2...6, using: &world.random))
  }

  private func living() -> [any SimulatedWorker] { runners.filter { $0.life == .running } }

  private func startRunner(_ pool: PoolName, _ version: UInt32) {
    guard runners.count < 24 else { return }
    // This process does not die of it.
    world.badVersions.remove(PoolVersion(pool, version))
    nextPid += 1
    let key = world.random.oneIn(2) ? "slot-\(Int.random(in: 0...3, using: &world.random))" : ""
    let runner: any SimulatedWorker
    if world.random.oneIn(2) {
      let client = SimulatedClient(world, pool: pool, key: key, version: version, pid: nextPid)
      world.clients.removeAll { $0.life != .running }
      world.clients.append(client)
      runner = client
    } else {
      runner = SimulatedRunner(world, pool: pool, key: key, version: version, pid: nextPid)
    }
    runners.append(runner)
    started.append(runner)
  }

  // MARK: - Faults

  private func scheduleFault() {
    world.schedule(after: world.random.milliseconds(1000...30_000)) { [self] in
      guard world.isFaulty else { return }
      fault()
      scheduleFault()
    }
  }

  private func fault() {
    let faults = world.faults
    let runner = living().randomElement(using: &world.random)
    switch Int.random(in: 0..<12, using: &world.random) {
    case 0 where faults.kills: world.killDaemon("at random")
    case 1 where faults.linkCuts:
      for runner in living() where world.random.oneIn(3) { runner.cutLink() }
      for watcher in watchers where world.random.oneIn(2) { watcher.cutLink() }
    case 2 where faults.stalls:
      guard let daemon = world.daemon else { break }
      daemon.stalledUntil = world.now + world.random.milliseconds(100...20_000)
      world.trouble(at: daemon.stalledUntil)
    case 3 where faults.suspends: world.suspend(world.random.milliseconds(1000...120_000))
    case 4 where faults.wallJumps:
      world.jumpWall(Int64.random(in: -3_600_000...3_600_000, using: &world.random))
    case 5 where faults.reboots && world.random.oneIn(3):
      for runner in living() { runner.die() }
      world.reboot()
    case 6 where faults.runnersHang: runner?.hang(world.random.milliseconds(1000...30_000))
    case 7 where faults.runnersCrash: runner?.die()
    case 8 where faults.linkCuts: runner?.cutLink()
    case 9 where faults.diskFills: world.fillDisk(world.random.milliseconds(1000...30_000))
    case 10 where faults.oldTokensComeBack: useOldToken()
    case 11 where faults.strangers: SimulatedStranger.drop(in: world)
    default: break
    }
  }

  /// Of one that died, left, was given up, or that hangs: two that share a token are one runner.
  private func useOldToken() {
    let earlier = started.filter { $0.life != .running || $0.hangsUntil > world.now }
    guard let earlier = earlier.randomElement(using: &world.random) else { return }
    nextPid += 1
    world.note("runner \(nextPid) comes with the token of \(earlier.pid)")
    // The new process does not die of it.
    world.badVersions.remove(PoolVersion(earlier.pool, earlier.version))
    inherited.insert(earlier.token)
    let runner = SimulatedRunner(world, after: earlier, pid: nextPid)
    runners.append(runner)
    started.append(runner)
  }

  /// Who died long ago is known to be gone.
  private func checkLost() {
    guard let daemon = world.daemon else { return }
    for runner in started where runner.life == .dead && !inherited.contains(runner.token) {
      guard let id = runner.runner, case .runner(let stored)? = try? daemon.reader.read(.runner(id)).content
      else { continue }
      if !stored.phase.hasEnded { world.violate("runner \(id) died long ago and is still \(stored.phase)") }
    }
  }

  /// With peace for longer than any reconnect takes, everyone who is attached and must leave has been told so.
  private func checkStopsArrived() {
    guard let daemon = world.daemon else { return }
    for runner in living() {
      guard let id = runner.runner, case .runner(let stored)? = try? daemon.reader.read(.runner(id)).content,
        stored.phase == .draining, stored.link == .attached, let order = stored.drainOrder,
        // One that was ordered only just now may still be on its way.
        case .drain(let drain)? = try? daemon.reader.read(.drain(order)).content,
        drain.orderedAtMilliseconds < world.moment.wallMilliseconds - 5000
      else { continue }
      if drain.wayBack == .offered, runner.obeys {
        world.violate("runner \(id) was offered a way back from order \(order), and was never told")
      }
      if !runner.stopsSeen.contains(order) {
        world.violate("runner \(id) is attached and draining by order \(order), and was never told")
      }
    }
  }
}
