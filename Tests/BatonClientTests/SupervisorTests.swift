import Foundation
import Linux
import Testing

/// `baton run` as its own process, under a daemon that is a script: it goes on when the program has done what it waits for.
@Suite(.timeLimit(.minutes(2))) struct SupervisorTests {
  /// A folder where the program and the script leave each other word, and the one who runs the program.
  private final class Scene: Sendable {
    let folder = NSTemporaryDirectory() + "supervisor-\(UUID().uuidString.prefix(8))"

    init() throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ name: String) {
      _ = FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: nil)
    }
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(name)") }
    func lines(_ name: String) -> Int {
      (try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8))?.split(separator: "\n").count ?? 0
    }

    /// A script that says one step after the other, each at the first heartbeat at which its time has come.
    func server(_ steps: [Step]) throws -> ScriptedServer {
      let left = Locked(steps)
      return try ScriptedServer { [self] arrival in
        switch arrival {
        case .call: return [.message(DaemonWords.registered(runner: 7, heartbeatIntervalMilliseconds: 100))]
        case .said(let bytes):
          let words = DaemonWords.words(bytes)
          if words.contains("detach") { return [.message(DaemonWords.goodbye), .finish] }
          return left.withLock { steps in
            guard let step = steps.first, step.isDue(self, words) else { return [] }
            steps.removeFirst()
            if let name = step.writes { write(name) }
            return step.says.map { .message($0) }
          }
        case .connected, .cancel, .end: return []
        }
      }
    }

    /// Runs the shell script under `baton run` until it ends; its exit code.
    func run(_ server: ScriptedServer, perActor: Bool = false, _ script: String) async throws -> Int32 {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("baton")
      process.arguments =
        ["run", "--quiet", "--name", "w", "--version", "1", "--socket", server.path]
        + (perActor ? ["--per-actor", "--slots", "4"] : []) + ["--", "sh", "-c", "cd \(folder); " + script]
      return try await withCheckedThrowingContinuation { continuation in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do { try process.run() } catch { continuation.resume(throwing: error) }
      }
    }
  }

  private struct Step: Sendable {
    var isDue: @Sendable (Scene, _ words: [String]) -> Bool
    var says: [[UInt8]] = []
    var writes: String?

    /// When the program has written this.
    static func once(_ name: String, _ says: [UInt8]...) -> Step {
      Step(isDue: { scene, words in words == ["heartbeat"] && scene.has(name) }, says: says)
    }

    /// When the wrapper has said this.
    static func heard(_ wanted: String, _ says: [UInt8]...) -> Step {
      Step(isDue: { _, words in words.contains(wanted) }, says: says)
    }

    /// After so many heartbeats, of which ten make a second.
    static func write(_ name: String, afterHeartbeats count: Int) -> Step {
      let left = Locked(count)
      return Step(
        isDue: { _, words in
          words == ["heartbeat"]
            && left.withLock { left in
              left -= 1
              return left <= 0
            }
        }, writes: name)
    }
  }

  /// Writes down each SIGTERM, and works on until it is let go.
  private static let stubborn =
    "trap 'echo term >> terms' TERM; echo > ready; until [ -e go ]; do sleep 0.05; done"

  struct Deadlines: Sendable, CustomTestStringConvertible {
    var milliseconds: [Int64]
    var code: Int32
    var testDescription: String { "\(milliseconds)" }

    static let all = [
      Deadlines(milliseconds: [1000], code: 86),
      Deadlines(milliseconds: [1000, 600_000], code: 85),
      Deadlines(milliseconds: [600_000, 1000], code: 86),
    ]
  }

  @Test(arguments: Deadlines.all) func theKillMovesWithTheDeadline(_ row: Deadlines) async throws {
    let scene = try Scene()
    var stops = Step.once("ready")
    stops.says = row.milliseconds.map { DaemonWords.stop(5, milliseconds: $0) }
    let server = try scene.server(
      [stops] + (row.code == 85 ? [.write("go", afterHeartbeats: 20)] : []))
    #expect(try await scene.run(server, Self.stubborn) == row.code)
    #expect(scene.lines("terms") == 1)
  }

  @Test(arguments: Deadlines.all) func anActorsKillMovesWithTheDeadlineOfItsRunner(
    _ row: Deadlines
  ) async throws {
    let scene = try Scene()
    var stops = Step.once("ready")
    stops.says = row.milliseconds.map { DaemonWords.stop(5, milliseconds: $0) }
    stops.says.insert(DaemonWords.stop(actor: 1, milliseconds: row.milliseconds[0]), at: 1)
    let server = try scene.server(
      [.heard("heartbeat", DaemonWords.start(actor: 1)), stops]
        + (row.code == 85 ? [.write("go", afterHeartbeats: 20)] : []))
    #expect(try await scene.run(server, perActor: true, Self.stubborn) == row.code)
    #expect(scene.lines("terms") == 1)
  }

  @Test func aProgramThatHasItsSIGTERMCannotBeKept() async throws {
    let scene = try Scene()
    let server = try scene.server([
      .once("ready", DaemonWords.stop(5)), .once("terms", DaemonWords.stopCancelled(5)),
      Step(isDue: { _, words in words == ["too late 5"] }, writes: "go"),
    ])
    #expect(try await scene.run(server, Self.stubborn) == 85)
  }

  @Test func theWrapperOfActorsStaysAndTakesOthers() async throws {
    let scene = try Scene()
    let server = try scene.server([
      .heard("heartbeat", DaemonWords.start(actor: 1)),
      // The first is told to stop, and does so after its runner is told to stay.
      .once("ready", DaemonWords.stop(5), DaemonWords.stop(actor: 1, milliseconds: 600_000)),
      .once("terms", DaemonWords.stopCancelled(5)),
      Step(isDue: { _, words in words == ["resumed 5"] }, writes: "go"),
      .heard("stopped(isOK: true, message: \"\") 1", DaemonWords.start(actor: 2)),
      .heard("running 2", DaemonWords.stop(6), DaemonWords.stop(actor: 2, milliseconds: 600_000)),
    ])
    #expect(try await scene.run(server, perActor: true, Self.stubborn) == 85)
  }
}
