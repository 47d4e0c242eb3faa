import BatonClient
import Glibc
import PowerLoss
import Testing

/// Real processes of the real program.
@Suite(.timeLimit(.minutes(3))) struct ManyDaemonsTests {
  /// One started `batond`, its complaints in a file.
  private struct Process {
    let pid: pid_t

    init(_ program: String, state: String, socket: String, errors: String) throws {
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
      let words = [program, "--state-dir", state, "--socket", socket]
      var arguments: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) }
      defer { for argument in arguments { free(argument) } }
      arguments.append(nil)
      var pid: pid_t = 0
      let code = posix_spawn(&pid, program, &actions, nil, arguments, environ)
      try #require(code == 0, "\(program): \(String(cString: strerror(code)))")
      self.pid = pid
    }

    /// Waits for its end. The answer is its exit code; nil when a signal ended it.
    func exitCode() -> Int32? {
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0 { precondition(errno == EINTR, "waitpid: \(errno)") }
      return status & 0x7F == 0 ? status >> 8 & 0xFF : nil
    }

    /// Its exit code if it has ended by now, -1 when a signal ended it.
    func hasEnded() -> Int32? {
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
    }

    static func read(_ path: String) -> String {
      guard let file = fopen(path, "r") else { return "" }
      defer { fclose(file) }
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      let count = fread(&bytes, 1, bytes.count, file)
      return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
  }

  /// Where the programs of this build lie.
  private static let program: String = {
    let tests = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
    return tests.joined(separator: "/") + "/batond"
  }()

  /// A hundred are started at once on one state directory: one serves, every other says who does and ends with code 1.
  @Test func oneOfAHundredServes() async throws {
    let disk = Disk()
    let directory = disk.directory
    var processes: [Process] = []
    defer { for process in processes { kill(process.pid, SIGKILL) } }
    for number in 0..<100 {
      processes.append(
        try Process(
          Self.program, state: directory + "/state", socket: directory + "/s",
          errors: "\(directory)/errors-\(number)"))
    }
    // Ninety-nine end by themselves.
    var ended: [pid_t: Int32] = [:]
    while ended.count < 99 {
      for process in processes where ended[process.pid] == nil {
        if let code = process.hasEnded() { ended[process.pid] = code }
      }
      await Task.yield()
    }
    let winner = try #require(processes.first { ended[$0.pid] == nil })
    processes = [winner]
    #expect(Set(ended.values) == [1])
    let fleet = try await FleetClient.connect(path: directory + "/s", retry: .init(totalMilliseconds: 60_000))
    #expect(try await fleet.status().pid == winner.pid)
    for number in 0..<100 {
      let errors = "\(directory)/errors-\(number)"
      let said = Process.read(errors)
      if said.contains("listening") { continue }
      #expect(
        said.contains("the state directory \(directory)/state is held by batond (pid \(winner.pid))"),
        "\(said)")
    }
    kill(winner.pid, SIGTERM)
    #expect(winner.exitCode() == 0)
    processes = []
  }
}
