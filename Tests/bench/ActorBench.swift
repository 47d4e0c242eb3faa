import Glibc
import HandWire
import Linux

/// The fields of a message one after the other, where they lie: thousands of commands a read are no work for dictionaries.
struct HandFields {
  private var rest: UnsafeRawBufferPointer
  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }
  var isEmpty: Bool { rest.isEmpty }

  private mutating func varint() -> UInt64 {
    var (value, shift): (UInt64, UInt64) = (0, 0)
    while let byte = rest.first {
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { break }
      shift += 7
    }
    return value
  }

  /// A field's number, then its value or what is in it.
  mutating func next() -> (Int, UInt64, HandFields)? {
    guard !rest.isEmpty else { return nil }
    let tag = varint()
    let value = varint()
    guard tag & 7 == 2 else {
      return (Int(tag >> 3), value, HandFields(UnsafeRawBufferPointer(start: nil, count: 0)))
    }
    let content = UnsafeRawBufferPointer(rebasing: rest.prefix(Int(value)))
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(Int(value)))
    return (Int(tag >> 3), 0, HandFields(content))
  }
}

/// A runner to which nothing is work: it says running and stopped as soon as it is told, and leaves when it holds nothing.
private final class InstantRunner {
  let peer: BenchPeer
  /// Of its actors: said to run, and of these and those that stopped, known to be durable.
  private(set) var started = 0
  private(set) var stopped = 0
  private(set) var durable = 0
  private var mustLeave = false

  init(_ daemon: BenchDaemon, _ name: String, version: UInt64, token: UInt64, slots: Int) throws {
    peer = try BenchPeer(daemon.socket)
    peer.onMessage = { [unowned self] field, content in take(field, content) }
    peer.send(
      BenchPeer.register(name, version: version, token: token, slots: UInt64(slots), takesActors: true))
  }

  private func say(_ field: UInt32, _ message: [UInt8]) {
    peer.send(HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(field, message)))
  }

  private func take(_ field: Int, _ content: HandFields) {
    var content = content
    switch field {
    case 3:
      while let (field, order, _) = content.next() {
        if field == 1 { say(3, Wire.number(1, order)) }
      }
      mustLeave = true
    case 5: obey(content)
    case 6:
      while let (field, _, _) = content.next() {
        precondition(field == 1, "the daemon refused what an instant runner said")
        durable += 1
      }
    default: break
    }
    if mustLeave, durable == started + stopped, started == stopped {
      mustLeave = false
      say(5, Wire.text(2, "relieved"))
    }
  }

  private func obey(_ commands: HandFields) {
    var commands = commands
    var (acks, events): ([UInt8], [UInt8]) = ([], [])
    while let (_, _, command) = commands.next() {
      var command = command
      var (actor, generation, index, kind): (UInt64, UInt64, UInt64, Int) = (0, 0, 0, 0)
      while let (field, _, content) = command.next() {
        guard field == 1 else {
          kind = field
          continue
        }
        var checkpoint = content
        while let (field, value, _) = checkpoint.next() {
          switch field {
          case 1: actor = value
          case 2: generation = value
          default: index = value
          }
        }
      }
      precondition(kind == 2 || kind == 3, "the daemon took an actor away (\(kind))")
      let which = Wire.number(1, actor) + Wire.number(2, generation)
      acks += Wire.bytes(1, which + Wire.number(3, index))
      // Each is started once and stopped once: what it says of it has the same index.
      events += Wire.bytes(
        1,
        Wire.bytes(1, which + Wire.number(3, index))
          + (kind == 2 ? Wire.bytes(2, []) : Wire.bytes(3, Wire.number(1, 1))))
      if kind == 2 { started += 1 } else { stopped += 1 }
    }
    peer.send(
      HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(7, acks))
        + HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(6, events)))
  }
}

/// One connection that creates actors, several calls at a time.
private final class Creator {
  let peer: BenchPeer
  private let calls: [[UInt8]]
  private var sent = 0

  /// Each actor has a key, an input, and mostly a request id.
  init(
    _ daemon: BenchDaemon, _ name: String, _ prefix: String, _ count: Int, hasRequestIDs: Bool = true
  ) throws {
    peer = try BenchPeer(daemon.socket)
    calls = (0..<count).map { index in
      HandFrame.call(
        UInt32(2 * index + 1), "baton.v1.ActorService", "CreateActor",
        Wire.text(2, name) + Wire.text(3, "room") + Wire.text(4, "\(prefix)-\(index)")
          + Wire.bytes(5, [UInt8](repeating: 7, count: 64))
          + (hasRequestIDs ? Wire.text(7, "\(prefix)-\(index)") : []))
    }
  }

  var isDone: Bool { peer.counts[0] == calls.count }

  func fill(_ inFlight: Int) {
    precondition(peer.failures == 0, "the daemon refused an actor")
    let upTo = min(calls.count, peer.counts[0] + inFlight)
    guard sent < upTo else { return }
    peer.send(Array(calls[sent..<upTo].joined()))
    sent = upTo
  }
}

/// Many connections on one thread.
private final class Loop {
  private let poller: Poller
  private let creators: [Creator]
  private let runners: [InstantRunner]
  private static let inFlight = 16

  init(_ creators: [Creator], _ runners: [InstantRunner]) throws {
    (self.creators, self.runners) = (creators, runners)
    poller = try Poller()
    for (index, peer) in (creators.map(\.peer) + runners.map(\.peer)).enumerated() {
      try poller.add(peer.descriptor, token: UInt64(index), for: .readable)
    }
  }

  func run(until isDone: () -> Bool) throws {
    for creator in creators { creator.fill(Self.inFlight) }
    while !isDone() {
      try poller.wait(timeoutMilliseconds: -1) { token, _ in
        let index = Int(token)
        if index < creators.count {
          creators[index].peer.receive(waits: false)
          creators[index].fill(Self.inFlight)
        } else {
          runners[index - creators.count].peer.receive(waits: false)
        }
      }
    }
  }
}

extension Bench {
  private static let callers = 64

  private func instantRunners(
    _ daemon: BenchDaemon, _ count: Int, _ name: String = "rooms", version: UInt64 = 1, slots: Int
  ) throws -> [InstantRunner] {
    let runners = try (0..<count).map { _ in
      try InstantRunner(daemon, name, version: version, token: token(), slots: slots)
    }
    for runner in runners { runner.peer.waitFor(1) }
    return runners
  }

  /// Seconds until so many actors more run, durably.
  private func create(
    _ daemon: BenchDaemon, _ count: Int, _ prefix: String, on runners: [InstantRunner],
    hasRequestIDs: Bool = true
  ) throws -> Double {
    let creators = try (0..<Self.callers).map { index in
      try Creator(
        daemon, "rooms", "\(prefix)-\(index)",
        count / Self.callers + (index < count % Self.callers ? 1 : 0), hasRequestIDs: hasRequestIDs)
    }
    let loop = try Loop(creators, runners)
    let before = runners.reduce(0) { $0 + $1.durable }
    return try Measure.seconds {
      try loop.run {
        runners.reduce(0) { $0 + $1.durable } - before == count && creators.allSatisfy(\.isDone)
      }
    }
  }

  func actors() throws -> [Row] {
    let count = 50_000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    let runners = try instantRunners(daemon, 1, slots: count)
    let seconds = try create(daemon, count, "a", on: runners)
    return [
      Row(
        name: "actors created, allocated, running, 64 callers pipeline",
        figure: Measure.rate(count, seconds),
        baseline: "", ratio: "", floor: "10000/s", isMet: Double(count) / seconds >= 10_000)
    ]
  }

  func migration() throws -> [Row] {
    let count = 10_000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    try config(daemon, "rooms")
    let old = try instantRunners(daemon, 10, slots: count / 10)
    _ = try create(daemon, count, "m", on: old)
    var new: [InstantRunner] = []
    let seconds = try Measure.seconds {
      for _ in 0..<10 {
        new.append(try InstantRunner(daemon, "rooms", version: 2, token: token(), slots: count / 10))
      }
      try Loop([], old + new).run { new.reduce(0) { $0 + $1.durable } == count }
    }
    return [
      Row(
        name: "\(count) actors to version 2: Register to the last running",
        figure: Measure.rate(count, seconds), baseline: "", ratio: "", floor: "3000/s",
        isMet: Double(count) / seconds >= 3000)
    ]
  }

  func actorsWithHistory() throws -> [Row] {
    // As many as have been kept for ever, then as many as are kept by default.
    try [1_000_000 / share, 100_000 / share].flatMap { try actorsWithHistory($0) }
  }

  private func actorsWithHistory(_ ended: Int) throws -> [Row] {
    let count = 5000 / share
    let (plain, old) = (try daemon(), try daemon())
    for daemon in [plain, old] {
      try config(daemon, "rooms")
      daemon.stop()
    }
    History.writeActors(ended, to: old.directory + "/baton.db")
    let (empty, full) = (try BenchDaemon(plain.directory), try BenchDaemon(old.directory))
    defer {
      empty.stop()
      full.stop()
    }
    let emptyRunners = try instantRunners(empty, 1, slots: 1_000_000)
    let fullRunners = try instantRunners(full, 1, slots: 1_000_000)
    return try [false, true].map { hasRequestIDs in
      let turns = try Turns(10) { turn in
        try create(full, count, "\(hasRequestIDs)\(turn)", on: fullRunners, hasRequestIDs: hasRequestIDs)
      } base: { turn in
        try create(empty, count, "\(hasRequestIDs)\(turn)", on: emptyRunners, hasRequestIDs: hasRequestIDs)
      }
      return Row(
        name: "with \(ended) destroyed actors" + (hasRequestIDs ? ", request ids" : ""),
        figure: Measure.rate(count, turns.oursMedian), baseline: Measure.rate(count, turns.baseMedian),
        ratio: Measure.fixed(turns.ratio, 2) + "x", floor: "at most 1.2x", isMet: turns.ratio <= 1.2)
    }
  }

  /// One actor at a time, from CreateActor until it is durable that it runs.
  func actorRoundTrip() throws -> [Row] {
    let each = 100 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    let runners = try instantRunners(daemon, 1, slots: 1_000_000)
    let raw = RawCommits(daemon.directory + "/raw.db")
    let turns = try Turns(10) { turn in
      let samples = try (0..<each).map { index in
        let creator = try Creator(daemon, "rooms", "r\(turn)-\(index)", 1)
        let loop = try Loop([creator], runners)
        let before = runners[0].durable
        return try Measure.seconds { try loop.run { runners[0].durable > before && creator.isDone } }
      }
      return Measure.percentile(samples, 0.5)
    } base: { _ in
      Measure.percentile(raw.times(each), 0.5)
    }
    return [
      Row(
        name: "CreateActor to running, durable, median; a raw commit",
        figure: Measure.micro(turns.oursMedian), baseline: Measure.micro(turns.baseMedian),
        ratio: Measure.fixed(turns.ratio, 2) + "x", floor: "", isMet: nil)
    ]
  }
}
