import Foundation
import Handover
import Testing

@testable import Registry

/// Prints figures; run with `BATON_PACE=1 swift test -c release -Xswiftc -enable-testing --filter PaceProbe`.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["BATON_PACE"] != nil))
struct PaceProbe {
  static let clock = ContinuousClock()

  private static func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let took = try clock.measure(body)
    return Double(took.components.seconds) * 1000 + Double(took.components.attoseconds) / 1e15
  }

  private static func batches(_ fleet: Fleet, _ number: UInt32, count: Int, keyed: Bool) -> [[Mutation]] {
    stride(from: 0, to: count, by: 1000).map { start in
      (start..<min(count, start + 1000)).map { index in
        .register(fleet.registration(number, key: keyed ? "host-\(index)/0" : nil))
      }
    }
  }

  private static func run(_ fleet: Fleet, _ batches: [[Mutation]]) throws -> Double {
    try milliseconds { for batch in batches { _ = try fleet.store.apply(batch, at: fleet.now) } }
  }

  @Test(arguments: [0, 1_000_000], [false, true]) func registrations(ended: Int, keyed: Bool) throws {
    let fleet = try Fleet()
    _ = try fleet.configure(draining())
    try Self.endMany(fleet, ended)
    try Self.forget(fleet)
    let cold = try Self.milliseconds { try fleet.reopen() }
    print("start on cold files: \(cold) ms")
    let size = try fleet.store.database.integer("PRAGMA page_count") / 256
    print("== ended \(ended), keyed \(keyed), \(size) MiB")
    let first = try Self.run(fleet, Self.batches(fleet, 1, count: 10_000, keyed: keyed))
    print("10000 registrations: \(first) ms, \(Int(10_000_000 / first))/s")
    var committed: CommittedBatch?
    let one = fleet.registration(2)
    let upgrade = try Self.milliseconds { committed = try fleet.store.apply([.register(one)], at: fleet.now) }
    let stops = Fleet.Step(result: committed!.results[0], consequences: committed!.consequences).stops
    print("one v2 among 10000: \(stops.count) stops, \(upgrade) ms")
    let delivered = try Self.milliseconds {
      _ = try fleet.store.apply([.stopDelivered(stops.map(\.order))], at: fleet.now)
    }
    let acked = try Self.milliseconds { _ = try fleet.store.apply([.stopAcked(stops)], at: fleet.now) }
    print("delivered \(delivered) ms, acked \(acked) ms")
    var pages = 0
    let listed = try Self.milliseconds {
      var page = Page(size: 100)
      repeat {
        page.token = try fleet.runners(RunnerFilter(namespace: "default"), page).next
        pages += 1
      } while !page.token.isEmpty
    }
    print("listed in \(pages) pages: \(listed) ms")
    let watched = try Self.milliseconds {
      let latest = try fleet.latest().rawValue
      #expect(try fleet.events(after: latest - 10_000, limit: 1000).count == 1000)
    }
    print("1000 events: \(watched) ms")
    let start = try Self.milliseconds { try fleet.reopen() }
    print("start: \(start) ms")
    let lost = try Self.milliseconds {
      let attachments = fleet.snapshot.runners.map { Attachment(runner: $0.id, id: $0.attachment) }
      _ = try fleet.store.apply([.lose(attachments, .threshold)], at: fleet.now)
    }
    print("lost all: \(lost) ms")
    let second = try Self.run(fleet, Self.batches(fleet, 3, count: 10_000, keyed: keyed))
    print("10000 more: \(second) ms, \(Int(10_000_000 / second))/s")
  }

  /// Lets the kernel drop what it has cached of the file, as after a restart of the machine.
  private static func forget(_ fleet: Fleet) throws {
    try fleet.store.database.checkpoint(.truncate)
    let file = open(fleet.path, O_RDONLY)
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
    close(file)
  }

  /// History as if by many lives before.
  private static func endMany(_ fleet: Fleet, _ count: Int) throws {
    guard count > 0 else { return }
    let took = try milliseconds {
      for round in 0..<(count / 10_000) {
        for batch in batches(fleet, 1, count: 10_000, keyed: false) {
          let committed = try fleet.store.apply(batch, at: fleet.now)
          var attachments: [Handover.Attachment] = []
          for (result, mutation) in zip(committed.results, batch) {
            guard case .success(.registered(let admission)) = result, case .register(let sent) = mutation
            else {
              continue
            }
            attachments.append(Attachment(runner: admission.runner, id: sent.attachment))
          }
          _ = try fleet.store.apply([.lose(attachments, .threshold)], at: fleet.now)
        }
        if round % 20 == 0 { print("round \(round)") }
      }
    }
    print("history of \(count) in \(Int(took)) ms")
  }
}
