import BatonClient
import Foundation
import Testing

/// The sample that the client's README shows, as its own process against a real daemon.
@Suite(.timeLimit(.minutes(2))) struct SampleTests {
  /// Beside this test's own program, where the build puts them all.
  private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appendingPathComponent("sample-runner")

  private func sample(_ arguments: [String], _ environment: [String: String]) throws -> (Process, Pipe) {
    let process = Process()
    let output = Pipe()
    process.executableURL = Self.program
    process.arguments = arguments
    process.environment = environment
    process.standardOutput = output
    try process.run()
    return (process, output)
  }

  @Test func anUpgradeRelievesTheSample() async throws {
    let daemon = try TestDaemon()
    let fleet = try await FleetClient.connect(path: daemon.socket)
    try await fleet.putConfig(
      PoolConfig(.normal(drainOnVersionUpgrade: true, graceMilliseconds: nil)), name: "s")
    var events = fleet.watch(from: 0, name: "s").makeAsyncIterator()
    let (old, output) = try sample(["s"], ["BATON_SOCKET": daemon.socket, "BATON_VERSION": "1"])
    try await wait(for: "runner_registered", &events)
    let (new, _) = try sample(["s", "2"], ["BATON_SOCKET": daemon.socket])
    try await wait(for: "drain_completed", &events)
    old.waitUntilExit()
    #expect(old.terminationStatus == 0)
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(said.hasPrefix("runner 1 of version 1 is at work\nstop: "))
    #expect(said.hasSuffix("left: finished\n"))
    #expect(try await fleet.runner(1).exitCode == 0)
    new.terminate()
    new.waitUntilExit()
  }

  @Test(arguments: [[], ["s"], ["s", "two"]]) func withoutANameAndAVersionItSaysHow(_ arguments: [String])
    throws
  {
    let (process, output) = try sample(arguments, [:])
    process.waitUntilExit()
    #expect(process.terminationStatus == 64)
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(said.hasPrefix("usage: "))
  }

  @Test func withoutADaemonItSaysWhatToStart() throws {
    let (process, output) = try sample(["s", "1"], ["BATON_SOCKET": "/nonexistent/s"])
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(said.contains("start batond --socket /nonexistent/s"))
  }

  private func wait(for kind: String, _ events: inout WatchSequence.Iterator) async throws {
    while let answer = try await events.next() {
      if answer.events.contains(where: { $0.kind == kind }) { return }
    }
    Issue.record("the watch ended before \(kind)")
  }
}
