import CLinux
import Glibc

/// Watches a process of anybody's: the descriptor becomes readable when it ends.
package struct PidWatch: ~Copyable, Sendable {
  private let descriptor: FileDescriptor

  /// Watches the process that has the number now. ESRCH: there is none.
  package init(pid: pid_t) throws(Errno) {
    descriptor = FileDescriptor(owning: try syscall("pidfd_open", "\(pid)") { clinux_pidfd_open(pid) })
  }

  /// To watch for `.readable`.
  package var rawValue: Int32 { descriptor.rawValue }

  /// Sends a signal to this very process, whoever has its number by now. ESRCH: it ended.
  package func send(_ signal: Int32) throws(Errno) {
    _ = try syscall("pidfd_send_signal") { clinux_pidfd_send_signal(descriptor.rawValue, signal) }
  }
}

/// A program that this one started, with all that it starts in turn: the leader of a process group of its own. It has our
/// standard output and error, our standard input or one of its own and no other descriptor, every signal at its default, and
/// gets a signal when we end.
package final class ChildProcess {
  /// How a process ended.
  package enum ExitStatus: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)

    /// What a shell would say: the code, or 128 and the signal.
    package var shellCode: Int32 {
      switch self {
      case .exited(let code): code
      case .signalled(let signal): 128 + signal
      }
    }
  }

  /// The leader's pid, which is the group's id too.
  package let processID: pid_t
  private let watch: PidWatch
  private var status: ExitStatus?
  // For good: the number may be another group's from then on.
  private var groupIsGone = false

  /// Starts `arguments[0]`, looked up in our PATH unless it has a slash, with an environment of `NAME=value`, and with what it
  /// reads as standard input, where that is not ours.
  ///
  /// Call it on a thread that lives as long as the process, the main one: the kernel sends `deathSignal` when the *thread*
  /// that started the child ends. ENOENT: "command not found". EACCES: not a program.
  package init(
    arguments: [String], environment: [String], input: [UInt8]? = nil, deathSignal: Int32 = SIGTERM
  ) throws(Errno) {
    precondition(!arguments.isEmpty, "a program without a name")
    guard let command = arguments.first, !command.isEmpty else {
      throw Errno(code: ENOENT, operation: "run", explanation: "the command is empty")
    }
    guard !(arguments + environment).contains(where: { $0.utf8.contains(0) }) else {
      throw Errno(code: EINVAL, operation: "run", context: command, explanation: "an argument has a NUL")
    }
    let inputFD = input == nil ? -1 : try Self.descriptor(reading: input ?? [])
    defer { if inputFD != -1 { close(inputFD) } }
    do throws(Errno) {
      processID = try withCStrings(arguments) { argv throws(Errno) -> pid_t in
        try withCStrings(environment) { environment throws(Errno) -> pid_t in
          try syscall("run", command) { clinux_spawn(argv, environment, inputFD, deathSignal) }
        }
      }
    } catch {
      guard error.code == ENOENT else { throw error }
      throw Errno(code: ENOENT, operation: "run", context: command, explanation: "command not found")
    }
    // Not reaped yet, so the number is its own still.
    watch = try PidWatch(pid: processID)
  }

  private static func descriptor(reading bytes: [UInt8]) throws(Errno) -> Int32 {
    try syscall("memfd_create") { bytes.withUnsafeBytes { clinux_input($0.baseAddress, $0.count) } }
  }

  /// To watch for `.readable`: the leader ended, `reap` says how.
  package var rawValue: Int32 { watch.rawValue }

  /// How the leader ended; nil while it runs.
  package func reap() throws(Errno) -> ExitStatus? {
    if let status { return status }
    var code: Int32 = 0
    var signal: Int32 = 0
    let ended = try syscall("waitpid", "\(processID)") { clinux_reap(processID, &code, &signal) }
    if ended != 0 { status = signal == 0 ? .exited(code) : .signalled(signal) }
    return status
  }

  /// Sends a signal to every process of the group. False when there is none left.
  @discardableResult
  package func signalGroup(_ signal: Int32) throws(Errno) -> Bool {
    if groupIsGone { return false }
    do throws(Errno) {
      _ = try syscall("kill", "group \(processID)") { kill(-processID, signal) }
      return true
    } catch {
      switch error.code {
      case ESRCH:
        groupIsGone = true
        return false
      // Members that changed their user: they are there, and not ours to signal.
      case EPERM: return true
      default: throw error
      }
    }
  }

  /// Whether any process of the group is left: children go on when the leader ended. A leader that ended counts until it is
  /// reaped. Ask soon after the reaping: from the first false on the answer stays false, since the id is free to be reused.
  package func groupIsAlive() throws(Errno) -> Bool { try signalGroup(0) }
}

/// The strings as C wants them: an array of pointers with NULL at the end.
private func withCStrings<Result>(
  _ strings: [String],
  _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) throws(Errno) -> Result
) throws(Errno) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return try body(pointers)
}
