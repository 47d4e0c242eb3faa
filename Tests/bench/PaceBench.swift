import HandWire
import Linux

extension Bench {
  /// An upgrade that goes a hundredth of the pool at a time and waits for room, beside one that goes at once; each runner
  /// leaves as soon as it is told to. And what it costs to see it before it is.
  func paced() throws -> [Row] {
    let count = 10_000 / share
    let daemon = try daemon()
    defer { daemon.stop() }
    let pace = Wire.number(12, 2) + Wire.bytes(14, Wire.number(1, UInt64(count / 100)))
    var (planning, reading): ([Double], [Double]) = ([], [])
    let turns = try Turns(4) { turn in
      try emptied(daemon, "paced-\(turn)", count, pace) { name in
        planning.append(try asked(daemon, "PlanUpgrade", Self.newcomer(name)))
        reading.append(try asked(daemon, "GetPool", Wire.text(2, name)))
      }
    } base: { turn in
      try emptied(daemon, "at-once-\(turn)", count, []) { _ in }
    }
    let (plan, read) = (Measure.percentile(planning, 0.5), Measure.percentile(reading, 0.5))
    return [
      Row(
        name: "\(count) runners leave, \(count / 100) at a time and for room; all at once",
        figure: Measure.rate(count, turns.oursMedian), baseline: Measure.rate(count, turns.baseMedian),
        ratio: Measure.fixed(turns.ratio, 2) + "x", floor: "", isMet: nil),
      Row(
        name: "PlanUpgrade of \(count) runners, \(count / 100) of them named; GetPool",
        figure: Measure.fixed(plan * 1000, 2) + " ms", baseline: Measure.fixed(read * 1000, 2) + " ms",
        ratio: Measure.fixed(plan / read, 2) + "x", floor: "", isMet: nil),
    ]
  }

  /// If one of version 2 came with room for all.
  private static func newcomer(_ name: String) -> [UInt8] {
    Wire.bytes(1, Wire.text(2, name)) + Wire.bytes(2, Wire.number(1, 2) + Wire.number(2, 1_000_000))
      + Wire.number(5, 100)
  }

  /// One call, as seconds.
  private func asked(_ daemon: BenchDaemon, _ method: String, _ request: [UInt8]) throws -> Double {
    let peer = try BenchPeer(daemon.socket)
    let call = HandFrame.call(1, "baton.v1.FleetService", method, request)
    return Measure.seconds {
      peer.send(call)
      peer.waitFor(0)
      precondition(peer.failures == 0, "\(method) was refused")
    }
  }

  /// How long it takes from version 2 to the last goodbye of version 1.
  private func emptied(
    _ daemon: BenchDaemon, _ name: String, _ count: Int, _ upgrade: [UInt8], before: (String) throws -> Void
  ) throws -> Double {
    let settings = try BenchPeer(daemon.socket)
    let config = Wire.bytes(1, Wire.number(1, 1) + Wire.number(2, 600_000) + upgrade)
    settings.send(
      HandFrame.call(
        1, "baton.v1.FleetService", "PutRunnerConfig", Wire.text(2, name) + Wire.bytes(3, config)))
    settings.waitFor(0)
    let peers = try runners(daemon, count, name)
    try before(name)
    let poller = try Poller()
    for (index, peer) in peers.enumerated() {
      try poller.add(peer.descriptor, token: UInt64(index), for: .readable)
    }
    let new = try BenchPeer(daemon.socket)
    let words = BenchPeer.register(name, version: 2, token: token(), slots: 1_000_000)
    let goodbye = HandFrame.bytes(1, HandFrame.data, 0, Wire.bytes(5, []))
    var isLeaving = Array(repeating: false, count: count)
    var left = count
    return try Measure.seconds {
      new.send(words)
      while left > 0 {
        try poller.wait(timeoutMilliseconds: -1) { token, _ in
          let peer = peers[Int(token)]
          guard peer.counts[4] == 0, peer.receive(waits: false) else { return }
          if peer.counts[3] > 0, !isLeaving[Int(token)] {
            isLeaving[Int(token)] = true
            peer.send(goodbye)
          }
          guard peer.counts[4] > 0 else { return }
          left -= 1
          try? poller.remove(peer.descriptor)
        }
      }
    }
  }
}
