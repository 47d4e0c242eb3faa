import Glibc

/// Registrations without an end, 32 at once, from a process of their own: the one thread of this one measures.
final class BenchLoad {
  /// Runners that register at the same time.
  static let crowd = 32

  private let pid: pid_t
  private let rounds: Int32
  private let daemon: BenchPeer
  private var asked = 0
  /// Registrations since it was made.
  private(set) var registrations = 0

  /// It is paused.
  init(_ socket: String) throws {
    var pipe: [Int32] = [0, 0]
    precondition(Glibc.pipe(&pipe) == 0, "pipe: \(errno)")
    for end in pipe {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      close(pipe[1])
    }
    let words = [CommandLine.arguments[0], "--load", socket]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, words[0], &actions, nil, &arguments, environ)
    precondition(code == 0, "posix_spawn: \(code)")
    self.pid = pid
    rounds = pipe[0]
    daemon = try BenchPeer(socket)
    waitForRound()
    pause()
  }

  deinit {
    kill(pid, SIGKILL)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    close(rounds)
  }

  /// Runs `body` while it registers.
  func during<R>(_ body: () throws -> R) rethrows -> R {
    kill(pid, SIGCONT)
    _ = takeRounds()
    waitForRound()
    defer {
      let made = takeRounds()
      registrations += made
      // Or nothing was measured under load.
      if made == 0 { waitForRound() }
      pause()
    }
    return try body()
  }

  /// Returns when it stands still and everything that it asked for is committed.
  private func pause() {
    kill(pid, SIGSTOP)
    var status: Int32 = 0
    precondition(waitpid(pid, &status, WUNTRACED) == pid && status & 0xFF == 0x7F, "the load has ended")
    asked += 1
    daemon.send(BenchPeer.drainOn("load-pause", stream: UInt32(2 * asked - 1)))
    daemon.waitFor(0, asked)
    _ = takeRounds()
  }

  private func waitForRound() {
    var ready = pollfd(fd: rounds, events: Int16(POLLIN), revents: 0)
    while poll(&ready, 1, -1) < 1 {}
    let taken = takeRounds()
    precondition(taken > 0, "the load has ended")
  }

  private func takeRounds() -> Int {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    return max(0, read(rounds, &bytes, bytes.count)) * Self.crowd
  }

  /// What the process does: a byte on its standard output for each round.
  static func run(_ socket: String) throws {
    var token = UInt64(getpid()) << 32
    while true {
      let peers = try (0..<crowd).map { _ in
        token += 1
        let peer = try BenchPeer(socket)
        peer.send(BenchPeer.register("load", version: 1, token: token))
        return peer
      }
      for peer in peers { peer.waitFor(1) }
      _ = write(1, [1], 1)
    }
  }
}
