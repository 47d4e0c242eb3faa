import CLinux
import Glibc

/// A system call that failed: which, on what, and why.
package struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
  /// The number, to compare with `ENOENT` and the like.
  package let code: Int32
  /// The call, such as `open`.
  package let operation: String
  /// What it was about, such as a path; nil where the call says it all.
  package let context: String?
  /// What the person at the terminal should know, in place of the system's text.
  package let explanation: String?

  /// An error with the system's text, or with `explanation` in its place.
  package init(code: Int32, operation: String, context: String? = nil, explanation: String? = nil) {
    self.code = code
    self.operation = operation
    self.context = context
    self.explanation = explanation
  }

  /// The system's text for `code`, such as "No such file or directory".
  package var text: String {
    clinux_error_text(code).map { String(cString: $0) } ?? "error \(code)"
  }

  /// One line: `open /etc/shadow: Permission denied`.
  package var description: String {
    [context.map { "\(operation) \($0)" } ?? operation, explanation ?? text].joined(separator: ": ")
  }
}

/// The result of a system call that says -1 and `errno` when it fails. Begins anew when a signal interrupts it.
/// EBADF and EFAULT trap: they say that this program lost count of its own descriptors or memory.
func syscall<Result: SignedInteger>(
  _ operation: String, _ context: @autoclosure () -> String? = nil, _ body: () -> Result
) throws(Errno) -> Result {
  while true {
    let result = body()
    if result != -1 { return result }
    let code = errno
    switch code {
    case EINTR: continue
    case EBADF, EFAULT:
      preconditionFailure("\(Errno(code: code, operation: operation, context: context()))")
    default: throw Errno(code: code, operation: operation, context: context())
    }
  }
}

/// As `syscall`, for a call on a descriptor that does not wait: nil where EAGAIN says that it would have to.
func syscallUnlessItWaits<Result: SignedInteger>(
  _ operation: String, _ body: () -> Result
) throws(Errno) -> Result? {
  do throws(Errno) {
    return try syscall(operation, nil, body)
  } catch {
    guard error.code == EAGAIN else { throw error }
    return nil
  }
}
