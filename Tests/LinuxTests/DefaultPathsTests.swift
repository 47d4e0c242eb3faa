import Glibc
import Testing

@testable import Linux

@Suite struct DefaultPathsTests {
  struct Case: Sendable {
    var user: uid_t
    var environment: [String: String]
    var runtimeExists = false
    var socket: String?
    var state: String?
  }

  static let cases: [Case] = [
    Case(user: 0, environment: [:], socket: "/run/baton/baton.sock", state: "/var/lib/baton"),
    Case(
      user: 0, environment: ["XDG_RUNTIME_DIR": "/r", "XDG_STATE_HOME": "/s", "HOME": "/root"],
      socket: "/run/baton/baton.sock", state: "/var/lib/baton"),
    Case(
      user: 0, environment: ["BATON_SOCKET": "b.sock", "BATON_STATE_DIR": "st"], socket: "b.sock", state: "st"
    ),
    Case(
      user: 7, environment: ["BATON_SOCKET": "", "XDG_RUNTIME_DIR": "/r", "XDG_STATE_HOME": "/s"],
      socket: "/r/baton/baton.sock", state: "/s/baton"),
    Case(
      user: 7, environment: ["HOME": "/h"], runtimeExists: true, socket: "/run/user/7/baton/baton.sock",
      state: "/h/.local/state/baton"),
    Case(
      user: 7, environment: ["HOME": "/h", "XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "relative"],
      socket: "/h/.local/state/baton/baton.sock", state: "/h/.local/state/baton"),
    Case(user: 7, environment: [:], runtimeExists: true, socket: "/run/user/7/baton/baton.sock"),
    Case(user: 7, environment: [:]),
  ]

  @Test(arguments: cases) func everyoneFindsTheSamePlace(example: Case) {
    let exists = example.runtimeExists
    let paths = DefaultPaths(environment: example.environment, userID: example.user) {
      exists && $0 == "/run/user/\(example.user)"
    }
    #expect((try? paths.socket()) == example.socket)
    #expect((try? paths.stateDirectory()) == example.state)
  }

  @Test func withoutAHomeTheTextSaysWhatToSet() {
    let paths = DefaultPaths(environment: [:], userID: 7) { _ in false }
    let error = failure { () throws(Errno) in _ = try paths.socket() }
    #expect(error?.description == "default path: HOME is not set; set it, or BATON_SOCKET")
  }
}

@Suite struct ResourcesTests {
  @Test func theLimitOfOpenFilesIsRaised() async {
    await #expect(processExitsWith: .success) {
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let hard = limit.rlim_max
      limit.rlim_cur = 256
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let raised = try Resources.raiseOpenFileLimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      guard raised == limit.rlim_cur, raised >= hard else { exit(2) }
    }
  }

  @Test func openFilesAndMemoryAreCounted() async {
    await #expect(processExitsWith: .success) {
      // The runtime's own threads open and close some meanwhile: a count between two that agree is nobody else's.
      for attempt in 0... {
        let before = try Resources.openFileCount()
        var signals = try (0..<10).map { _ in try EventSignal() }
        let during = try withExtendedLifetime(signals) { try Resources.openFileCount() }
        signals = []
        guard try Resources.openFileCount() == before else {
          guard attempt < 1000 else { exit(4) }
          continue
        }
        guard during == before + 10 else { exit(2) }
        break
      }
      guard try Resources.residentBytes() > 1 << 20 else { exit(3) }
    }
  }

  @Test func whatIsNoTerminalHasNoWidth() throws {
    let file = try FileDescriptor.open("/dev/null", O_RDONLY)
    #expect(Terminal.columns(of: file.rawValue) == nil)
    #expect(Terminal.isTerminal(file.rawValue) == false)
  }
}
