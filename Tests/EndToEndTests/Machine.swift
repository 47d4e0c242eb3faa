import Foundation
import Glibc
import Testing

/// One machine in small: a directory, a daemon that may be killed and started again, and every process that a test
/// starts. Whatever still runs when the test is over is killed.
final class Machine: @unchecked Sendable {
  let directory: String
  private(set) var daemon: Running?
  private var started: [Running] = []
  private var outputs = 0

  var socket: String { directory + "/s" }
  var state: String { directory + "/state" }

  init() throws {
    directory = NSTemporaryDirectory() + "baton-e2e-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  deinit {
    for process in started { process.killNow() }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Where the programs of this build lie.
  static let programs: String =
    CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false).dropLast()
    .joined(separator: "/")

  // MARK: - Processes

  /// Starts a program of this build, or one of the system's; its output goes to files.
  func start(_ words: [String], environment: [String: String] = [:], input: String = "") throws -> Running {
    outputs += 1
    let isOurs = ["batond", "baton", "sample-runner"].contains(words[0])
    let path = "\(directory)/\(outputs)-\(words[0].split(separator: "/").last!)"
    try input.write(toFile: path + ".in", atomically: false, encoding: .utf8)
    let process = try Running(
      isOurs ? ["\(Self.programs)/\(words[0])"] + words.dropFirst() : words,
      environment: ["BATON_SOCKET": socket, "BATON_STATE_DIR": state]
        .merging(environment) { $1 }, path: path)
    started.append(process)
    return process
  }

  /// Runs a program to its end.
  func run(_ words: String..., environment: [String: String] = [:], input: String = "") async throws -> Ended
  {
    try await start(words, environment: environment, input: input).ended()
  }

  /// What `baton WORDS --json` prints, a line each; it has to succeed.
  func json(_ words: String...) async throws -> [[String: Any]] { try await json(words) }

  func json(_ words: [String]) async throws -> [[String: Any]] {
    let ended = try await start(["baton"] + words + ["--json"]).ended()
    try #require(ended.code == 0, "baton \(words.joined(separator: " ")): \(ended.errors)")
    return try ended.output.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }

  /// `baton WORDS` prints something for people, and one JSON object a line for programs.
  func expectAnswers(_ words: [String]) async throws {
    let human = try await start(["baton"] + words).ended()
    #expect(human.code == 0, "\(words): \(human.errors)")
    #expect(human.output.hasSuffix("\n"), "\(words)")
    // A terminal's width holds every line of a table.
    if !["metrics", "call", "config"].contains(words[0]) {
      #expect(human.output.split(separator: "\n").allSatisfy { $0.count <= 160 }, "\(human.output)")
    }
    guard words[0] != "metrics", words.count < 3 || words[1] != "create" else { return }
    for line in try await start(["baton"] + words + ["--json"]).ended().output.split(separator: "\n") {
      #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) != nil, "\(words): \(line)")
    }
  }

  // MARK: - The daemon

  func startDaemon(_ options: String...) async throws {
    daemon = try start(["batond"] + options)
    try await until("the daemon answers") {
      if daemon?.hasEnded == true { throw Failure(text: "batond ended: \(daemon?.text(of: "err") ?? "")") }
      return try await run("baton", "health").code == 0
    }
  }

  func killDaemon() async throws {
    daemon?.signal(SIGKILL)
    _ = try await daemon?.ended()
  }

  func databaseKilobytes() throws -> Int {
    var information = stat()
    try #require(stat(state + "/baton.db", &information) == 0)
    return Int(information.st_size) / 1024
  }

  // MARK: - Waiting

  /// Asks until the answer is yes. It gives up after two minutes, which on no machine is a matter of speed.
  func until(_ what: String, _ isSo: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !isSo() {
      guard ContinuousClock.now < end else {
        throw Failure(text: "never came: \(what)\n\(daemon?.text(of: "err") ?? "")")
      }
    }
  }

  struct Failure: Error { var text: String }

  /// Of one kind: how many runners are in this phase.
  func runners(_ phase: String, version: Int? = nil) async throws -> Int {
    try await json("runners", "--all").count {
      $0["phase"] as? String == phase && (version == nil || $0["version"] as? Int == version)
    }
  }
}

/// How a process ended, and what it said.
struct Ended: Sendable {
  /// 128 and the signal, where one ended it.
  var code: Int32
  var output: String
  var errors: String
}

/// A process that a test started.
final class Running: @unchecked Sendable {
  let pid: pid_t
  private let path: String
  private let lock = NSLock()
  private var code: Int32?

  init(_ words: [String], environment: [String: String], path: String) throws {
    self.path = path
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, path + ".in", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, path + ".out", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, path + ".err", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = merged.map { (word: String) in strdup(word) } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var pid: pid_t = 0
    let failure = posix_spawnp(&pid, words[0], &actions, nil, &arguments, &variables)
    try #require(failure == 0, "\(words[0]): \(String(cString: strerror(failure)))")
    self.pid = pid
  }

  func signal(_ number: Int32) {
    lock.withLock { if code == nil { _ = kill(pid, number) } }
  }

  func text(of stream: String) -> String {
    (try? String(contentsOfFile: "\(path).\(stream)", encoding: .utf8)) ?? ""
  }

  /// Whether it is a zombie or gone: its end has not to be waited for.
  var hasEnded: Bool {
    lock.withLock {
      if code != nil { return true }
      var information = siginfo_t()
      return waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT | WNOHANG) == 0
        && information.si_signo == SIGCHLD
    }
  }

  /// Waits for its end, on a thread of its own: the few that run tests must go on.
  func ended() async throws -> Ended {
    let code = await withCheckedContinuation { (continuation: CheckedContinuation<Int32, Never>) in
      Thread { continuation.resume(returning: self.wait()) }.start()
    }
    return Ended(code: code, output: text(of: "out"), errors: text(of: "err"))
  }

  private func wait() -> Int32 {
    if let code = lock.withLock({ code }) { return code }
    var information = siginfo_t()
    // It stays a zombie until the lock is held: nobody signals a number that is another's by then.
    while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) < 0 {
      guard errno == EINTR else { break }
    }
    return lock.withLock {
      if let code { return code }
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0 { precondition(errno == EINTR, "waitpid: \(errno)") }
      let ended = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
      code = ended
      return ended
    }
  }

  func killNow() {
    signal(SIGKILL)
    _ = wait()
  }
}
