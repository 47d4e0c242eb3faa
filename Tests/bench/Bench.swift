import Glibc
import HandWire
import Linux

/// Every row of the table. Each has a daemon of its own, on the disk that holds the working directory.
final class Bench {
  let directory: String
  let share: Int
  private var daemons = 0
  private var lastToken: UInt64 = 0

  /// `share` of 10 is a tenth of the work: to see whether it runs, not for figures.
  init(directory: String, share: Int) {
    self.directory = directory
    self.share = share
  }

  static let rows: [(name: String, run: @Sendable (Bench) throws -> [Row])] = [
    ("ping", { try $0.ping() }),
    ("batch", { try $0.batchedHeartbeats() }),
    ("heartbeats", { try $0.heartbeats() }),
    ("register", { try $0.register() }),
    ("upgrade", { try $0.upgrade() }),
    ("p99", { try $0.answersUnderLoad() }),
    ("hostile", { try $0.besideHostilePeers() }),
    ("memory", { try $0.memory() }),
    ("actors", { try $0.actors() }),
    ("migration", { try $0.migration() }),
    ("actor-history", { try $0.actorsWithHistory() }),
    ("actor-trip", { try $0.actorRoundTrip() }),
    ("pruning", { try $0.pruning() }),
    ("paced", { try $0.paced() }),
  ]

  func daemon() throws -> BenchDaemon {
    daemons += 1
    return try BenchDaemon("\(directory)/\(daemons)")
  }

  func token() -> UInt64 {
    lastToken += 1
    return lastToken
  }

  private func runner(_ daemon: BenchDaemon, _ name: String = "mail", version: UInt64 = 1) throws -> BenchPeer
  {
    let peer = try BenchPeer(daemon.socket)
    peer.send(BenchPeer.register(name, version: version, token: token()))
    peer.waitFor(1)
    return peer
  }

  /// All connect and register at once; returns when the last is answered.
  func runners(
    _ daemon: BenchDaemon, _ count: Int, _ name: String = "mail", version: UInt64 = 1
  ) throws -> [BenchPeer] {
    let peers = try (0..<count).map { _ in
      let peer = try BenchPeer(daemon.socket)
      peer.send(BenchPeer.register(name, version: version, token: token()))
      return peer
    }
    for peer in peers { peer.waitFor(1) }
    return peers
  }

  // MARK: - Rows

  private func ping() throws -> [Row] {
    let each = 1000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try BenchPeer(daemon.socket)
    var samples: [Double] = []
    var raw: [Double] = []
    let turns = try Turns(50) { _ in
      for _ in 0..<each {
        let call = BenchPeer.ping(UInt32(2 * samples.count + 1))
        samples.append(
          Measure.seconds {
            peer.send(call)
            peer.waitFor(0, samples.count + 1)
          })
      }
      return Measure.percentile(Array(samples.suffix(each)), 0.5)
    } base: { _ in
      raw += try Baseline.pingPong(each)
      return Measure.percentile(Array(raw.suffix(each)), 0.5)
    }
    return [
      Row(
        name: "unary round trip (Ping), median; p99",
        figure: "\(Measure.micro(turns.oursMedian)); \(Measure.micro(Measure.percentile(samples, 0.99)))",
        baseline: "\(Measure.micro(turns.baseMedian)); \(Measure.micro(Measure.percentile(raw, 0.99)))",
        ratio: Measure.fixed(turns.ratio, 2) + "x", floor: "at most 1.6x", isMet: turns.ratio <= 1.6)
    ]
  }

  private func batchedHeartbeats() throws -> [Row] {
    let batches = 3000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try runner(daemon)
    // Sequences of three bytes, so that every batch is as long as the first.
    let batch = (0..<1000).flatMap { BenchPeer.heartbeat(20_000 + UInt64($0)) }
    let last = BenchPeer.heartbeat(2_000_000)
    let seconds = Measure.seconds {
      for _ in 0..<batches {
        peer.send(batch)
        while peer.receive(waits: false) {}
      }
      peer.send(last)
      while peer.lastSequence < 2_000_000 { peer.receive() }
    }
    let rate = Double(batches * 1000) / seconds
    return [
      Row(
        name: "heartbeats, one connection that batches", figure: Measure.rate(batches * 1000, seconds),
        baseline: "",
        ratio: "", floor: "3 M/s", isMet: rate >= 3e6)
    ]
  }

  private func heartbeats() throws -> [Row] {
    let (connections, rounds) = (1000, max(2, 40 / share))
    let daemon = try daemon()
    defer { daemon.stop() }
    let peers = try runners(daemon, connections)
    let beat = BenchPeer.heartbeat(20_000)
    var answers = 0
    let turns = try Turns(10) { _ in
      Measure.seconds {
        for _ in 0..<rounds {
          answers += 1
          for peer in peers { peer.send(beat) }
          for peer in peers { peer.waitFor(2, answers) }
        }
      }
    } base: { _ in
      try Baseline.echoes(connections, rounds: rounds, message: beat, answerBytes: 17)
    }
    return [
      Row(
        name: "heartbeats, 1,000 connections, a write each",
        figure: Measure.rate(connections * rounds, turns.oursMedian),
        baseline: Measure.rate(connections * rounds, turns.baseMedian),
        ratio: Measure.fixed(1 / turns.ratio, 2) + "x", floor: "0.6x", isMet: 1 / turns.ratio >= 0.6)
    ]
  }

  private func register() throws -> [Row] {
    let daemon = try daemon()
    defer { daemon.stop() }
    var rows: [Row] = []
    var kept: [BenchPeer] = []
    for (count, name) in [(1000, "mail"), (10_000 / share, "drained")] {
      if name == "drained" { try config(daemon, name) }
      let seconds = try Measure.seconds { kept += try runners(daemon, count, name) }
      rows.append(
        Row(
          name: "connect + register, durable, \(count) at once" + (name == "drained" ? ", draining on" : ""),
          figure: Measure.rate(count, seconds), baseline: "", ratio: "", floor: "10000/s",
          isMet: Double(count) / seconds >= 10_000))
    }
    return rows
  }

  func config(_ daemon: BenchDaemon, _ name: String) throws {
    let peer = try BenchPeer(daemon.socket)
    peer.send(BenchPeer.drainOn(name))
    peer.waitFor(0)
  }

  /// One of version 2 among many of version 1, with and without a history, and how long each daemon takes to start.
  private func upgrade() throws -> [Row] {
    let (count, ended) = (10_000 / share, 1_000_000 / share)
    let empty = try daemon()
    empty.stop()
    let emptyStart = try start(empty)
    let old = try daemon()
    try config(old, "mail")
    old.stop()
    try History.write(ended, to: old.directory + "/baton.db")
    let fullStart = try start(old)
    let (plain, full) = (try BenchDaemon(empty.directory), try BenchDaemon(old.directory))
    defer {
      plain.stop()
      full.stop()
    }
    var (plainRegistering, fullRegistering): ([Double], [Double]) = ([], [])
    let turns = try Turns(6) { turn in
      try oneUpgrade(full, count, turn, &fullRegistering)
    } base: { turn in
      try oneUpgrade(plain, count, turn, &plainRegistering)
    }
    let registering = zip(fullRegistering, plainRegistering).map { $0 / $1 }
    return [
      Row(
        name: "version 2 among \(count) of version 1: Register to the last Stop",
        figure: "\(Measure.rate(count, turns.baseMedian)) (\(Measure.fixed(turns.baseMedian * 1000, 1)) ms)",
        baseline: "",
        ratio: "", floor: "100000/s", isMet: Double(count) / turns.baseMedian >= 100_000),
      Row(
        name: "the same with \(ended) ended runners", figure: Measure.rate(count, turns.oursMedian),
        baseline: Measure.rate(count, turns.baseMedian), ratio: Measure.fixed(turns.ratio, 2) + "x",
        floor: "at most 1.2x",
        isMet: turns.ratio <= 1.2),
      Row(
        name: "\(count) registrations with \(ended) ended runners",
        figure: Measure.rate(count, Measure.percentile(fullRegistering, 0.5)),
        baseline: Measure.rate(count, Measure.percentile(plainRegistering, 0.5)),
        ratio: Measure.fixed(Measure.percentile(registering, 0.5), 2) + "x", floor: "",
        isMet: nil),
      Row(
        name: "start with \(ended) ended runners", figure: Measure.fixed(fullStart * 1000, 0) + " ms",
        baseline: Measure.fixed(emptyStart * 1000, 0) + " ms", ratio: "", floor: "+ 500 ms",
        isMet: fullStart - emptyStart <= 0.5),
    ]
  }

  private func start(_ daemon: BenchDaemon) throws -> Double {
    var again: BenchDaemon?
    let seconds = try Measure.seconds { again = try BenchDaemon(daemon.directory) }
    again?.stop()
    return seconds
  }

  /// Seconds from the Register of version 2 to the last Stop, in a pool of its own; adds those in which version 1
  /// registered.
  private func oneUpgrade(
    _ daemon: BenchDaemon, _ count: Int, _ turn: Int, _ registering: inout [Double]
  ) throws -> Double {
    let name = "pool-\(turn)"
    try config(daemon, name)
    var peers: [BenchPeer] = []
    registering.append(try Measure.seconds { peers = try runners(daemon, count, name) })
    let new = try BenchPeer(daemon.socket)
    let words = BenchPeer.register(name, version: 2, token: token())
    let seconds = Measure.seconds {
      new.send(words)
      for peer in peers { peer.waitFor(3) }
    }
    // That they are gone is stored before this is answered, and disturbs nobody's turn.
    peers = []
    try config(daemon, name)
    return seconds
  }

  /// The p99 of so many answers to heartbeats of one runner.
  private func heartbeatP99(_ peer: BenchPeer, _ count: Int, before: (Int) -> Void = { _ in }) -> Double {
    let from = peer.counts[2]
    let samples = (1...count).map { index in
      before(index)
      return Measure.seconds {
        peer.send(BenchPeer.heartbeat(UInt64(from + index)))
        peer.waitFor(2, from + index)
      }
    }
    return Measure.percentile(samples, 0.99)
  }

  private func answersUnderLoad() throws -> [Row] {
    let each = 1000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    let peer = try runner(daemon)
    let load = try BenchLoad(daemon.socket)
    var seconds = 0.0
    let turns = Turns(20) { _ in
      load.during {
        var p99 = 0.0
        seconds += Measure.seconds { p99 = heartbeatP99(peer, each) }
        return p99
      }
    } base: { _ in
      heartbeatP99(peer, each)
    }
    let rate = Measure.rate(load.registrations, seconds)
    // How much of it is the scheduler's: two threads that do nothing but answer each other, beside the same load.
    let raw = try Turns(20) { _ in
      try load.during { Measure.percentile(try Baseline.pingPong(each), 0.99) }
    } base: { _ in
      Measure.percentile(try Baseline.pingPong(each), 0.99)
    }
    return [
      Row(
        name: "heartbeat answer p99 while registrations commit (\(rate))",
        figure: Measure.micro(turns.oursMedian),
        baseline: Measure.micro(turns.baseMedian), ratio: Measure.fixed(turns.ratio, 2) + "x",
        floor: "at most 3x", isMet: turns.ratio <= 3),
      Row(
        name: "raw ping-pong p99 beside the same", figure: Measure.micro(raw.oursMedian),
        baseline: Measure.micro(raw.baseMedian), ratio: Measure.fixed(raw.ratio, 2) + "x", floor: "",
        isMet: nil),
    ]
  }

  /// A thousand that begin frames and leave them, ask and never read, or say nothing; they go on while a good one is
  /// measured, in turns with a good one of a daemon that has no others.
  private func besideHostilePeers() throws -> [Row] {
    let each = 500 / share
    let (daemon, calm) = (try daemon(), try daemon())
    defer {
      daemon.stop()
      calm.stop()
    }
    let (peer, calmPeer) = (try runner(daemon), try runner(calm))
    _ = (heartbeatP99(peer, each), heartbeatP99(calmPeer, each))
    let before = daemon.residentKibibytes()
    let hostile = try (0..<1000).map { _ in try BenchPeer(daemon.socket) }
    let big = (0..<3000 / UInt32(share)).map { index in
      HandFrame.call(
        2 * index + 1, "baton.v1.ConnectionService", "Ping",
        Wire.bytes(1, [UInt8](repeating: 1, count: 60_000)))
    }
    let turns = Turns(10) { turn in
      heartbeatP99(peer, each) { index in
        let index = turn * each + index
        // A third of them asks for much: what they are sent piles up.
        let one = hostile[index % (index % 3 == 1 ? 40 : hostile.count)]
        switch index % 3 {
        case 0: one.flood([0])
        case 1: one.flood(big[index / 2 % big.count])
        default: break
        }
      }
    } base: { _ in
      heartbeatP99(calmPeer, each)
    }
    let grown = daemon.residentKibibytes() - before
    return withExtendedLifetime(hostile) {
      [
        Row(
          name: "heartbeat answer p99 beside 1,000 hostile peers", figure: Measure.micro(turns.oursMedian),
          baseline: Measure.micro(turns.baseMedian), ratio: Measure.fixed(turns.ratio, 2) + "x",
          floor: "at most 2x", isMet: turns.ratio <= 2),
        Row(
          name: "memory that 1,000 hostile peers take", figure: "\(grown / 1024) MiB", baseline: "",
          ratio: "",
          floor: "64 MiB", isMet: grown <= 65_536),
      ]
    }
  }

  private func memory() throws -> [Row] {
    let count = 10_000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    // What a first few thousand warm up stays: SQLite's pages, arenas, tables.
    let warm = try runners(daemon, 2000)
    let before = daemon.residentKibibytes()
    let peers = try runners(daemon, count)
    let each = Double(daemon.residentKibibytes() - before) / Double(count)
    return withExtendedLifetime((warm, peers)) {
      [
        Row(
          name: "memory of an attached runner, \(count) of them", figure: Measure.fixed(each, 2) + " KiB",
          baseline: "", ratio: "", floor: "3 KiB", isMet: each <= 3)
      ]
    }
  }
}
