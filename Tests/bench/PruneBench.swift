import HandWire

extension Bench {
  /// Registrations beside a history that is being pruned, in turns with one that stays.
  func pruning() throws -> [Row] {
    let (count, ended) = (2000 / share, 1_000_000 / share)
    let daemons = try [BenchDaemon.keepsAll, ["--keep-runners", "1000"]].map { options in
      let fresh = try daemon()
      try config(fresh, "mail")
      fresh.stop()
      try History.write(ended, to: fresh.directory + "/baton.db")
      return try BenchDaemon(fresh.directory, keeping: options)
    }
    defer { for daemon in daemons { daemon.stop() } }
    let asking = try BenchPeer(daemons[1].socket)
    /// Of the history's runners, by their number in it.
    func isThere(_ number: Int) -> Bool {
      let failures = asking.failures
      let call = HandFrame.call(
        UInt32(2 * asking.counts[0] + 1), "baton.v1.FleetService", "GetRunner",
        Wire.number(1, UInt64(1000 + number)))
      asking.send(call)
      asking.waitFor(0, asking.counts[0] + 1)
      return asking.failures == failures
    }
    // The first look is a minute after the start.
    while isThere(1) {}
    let turns = try Turns(20) { turn in
      try Measure.seconds { _ = try runners(daemons[1], count, "pool-\(turn)") }
    } base: { turn in
      try Measure.seconds { _ = try runners(daemons[0], count, "pool-\(turn)") }
    }
    precondition(isThere(ended), "there was nothing left to prune before the end")
    return [
      Row(
        name: "\(count) registrations while \(ended) ended runners are pruned",
        figure: Measure.rate(count, turns.oursMedian), baseline: Measure.rate(count, turns.baseMedian),
        ratio: Measure.fixed(turns.ratio, 2) + "x", floor: "at most 1.2x", isMet: turns.ratio <= 1.2)
    ]
  }
}
