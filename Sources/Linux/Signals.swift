import CLinux
import Glibc

/// Wakes a thread that waits in a `Poller`, from any other one. Many signals before a drain count as one.
package final class EventSignal: Sendable {
  private let descriptor: FileDescriptor

  /// A signal that nobody gave yet.
  package init() throws(Errno) {
    descriptor = FileDescriptor(owning: try syscall("eventfd") { clinux_eventfd() })
  }

  /// To watch for `.readable`.
  package var rawValue: Int32 { descriptor.rawValue }

  /// Makes the descriptor readable.
  package func signal() {
    var one: UInt64 = 1
    let written = withUnsafeBytes(of: &one) { write(rawValue, $0.baseAddress, $0.count) }
    // A full counter is readable as well.
    precondition(written == 8 || errno == EAGAIN, "eventfd \(rawValue): errno \(errno)")
  }

  /// Makes it unreadable again; call it before looking at what the signal was about. False when none was given.
  @discardableResult
  package func drain() -> Bool {
    var count: UInt64 = 0
    let found = withUnsafeMutableBytes(of: &count) { read(rawValue, $0.baseAddress, $0.count) }
    precondition(found == 8 || errno == EAGAIN, "eventfd \(rawValue): errno \(errno)")
    return found == 8
  }
}

/// Signals as something to read, in place of handlers that may do next to nothing.
package final class SignalSource: Sendable {
  private let descriptor: FileDescriptor

  /// Blocks the signals on this thread and every one that it starts, so create it on the main thread before others.
  package init(_ signals: [Int32]) throws(Errno) {
    descriptor = FileDescriptor(
      owning: try syscall("signalfd") { clinux_signalfd(signals, Int32(signals.count)) })
  }

  /// To watch for `.readable`.
  package var rawValue: Int32 { descriptor.rawValue }

  /// The next signal that came in; nil when there is none.
  package func next() throws(Errno) -> Int32? {
    try syscallUnlessItWaits("read signalfd") { clinux_signalfd_next(rawValue) }
  }
}

/// Makes a write to a closed pipe an error in place of this process's end.
package func ignoreSIGPIPE() {
  precondition(clinux_ignore_signal(SIGPIPE) == 0, "SIGPIPE: errno \(errno)")
}
