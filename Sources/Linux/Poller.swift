import CLinux
import Glibc

/// What a descriptor is watched for, or is ready for.
package struct Readiness: OptionSet, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Bytes, connections, or the end can be read; for a pidfd, that the process ended.
  package static let readable = Readiness(rawValue: UInt32(CLINUX_READABLE))
  /// There is room to send.
  package static let writable = Readiness(rawValue: UInt32(CLINUX_WRITABLE))
  /// Reported unasked: the descriptor has an error that the next call on it gives.
  package static let error = Readiness(rawValue: UInt32(CLINUX_ERROR))
  /// Reported unasked: both directions are closed.
  package static let hangup = Readiness(rawValue: UInt32(CLINUX_HANGUP))
  /// Reported on request: the peer sends no more, though bytes may still be there to read.
  package static let peerClosed = Readiness(rawValue: UInt32(CLINUX_PEER_CLOSED))
}

/// Waits for many descriptors at once (epoll, level-triggered): what is ready is reported until it is dealt with.
/// A descriptor is named by a token of the caller's choice, never by its number, which may be another's tomorrow.
package struct Poller: ~Copyable, Sendable {
  /// How many events one wait reports at most.
  package static let eventsPerWait = 256

  private let descriptor: FileDescriptor
  // Not a stored array, so that a wait borrows only: its body may add and remove.
  nonisolated(unsafe) private let events: UnsafeMutablePointer<clinux_event>

  /// A poller that watches nothing yet.
  package init() throws(Errno) {
    descriptor = FileDescriptor(owning: try syscall("epoll_create") { clinux_epoll_create() })
    events = .allocate(capacity: Self.eventsPerWait)
  }

  deinit { events.deallocate() }

  /// Watches a descriptor until it is removed or closed. EEXIST: it is watched already.
  package func add(_ fd: Int32, token: UInt64, for readiness: Readiness) throws(Errno) {
    _ = try syscall("epoll_ctl add") {
      clinux_epoll_add(descriptor.rawValue, fd, readiness.rawValue, token)
    }
  }

  /// Changes what a descriptor is watched for; `[]` leaves errors and hang-ups only. ENOENT: it is not watched.
  package func modify(_ fd: Int32, token: UInt64, for readiness: Readiness) throws(Errno) {
    _ = try syscall("epoll_ctl modify") {
      clinux_epoll_modify(descriptor.rawValue, fd, readiness.rawValue, token)
    }
  }

  /// Ends the watch. Events already found in the running wait still come: check the token. ENOENT: it is not watched.
  package func remove(_ fd: Int32) throws(Errno) {
    _ = try syscall("epoll_ctl remove") { clinux_epoll_remove(descriptor.rawValue, fd) }
  }

  /// Waits until something is ready, at most `timeoutMilliseconds` (-1: for ever, 0: not at all), and calls `body` for
  /// each event. Returns how many there were: 0 after the time, or when a signal came first, so look at the clock anew.
  @discardableResult
  package func wait(timeoutMilliseconds: Int32, body: (UInt64, Readiness) -> Void) throws(Errno) -> Int {
    let count = clinux_epoll_wait(
      descriptor.rawValue, events, Int32(Self.eventsPerWait), timeoutMilliseconds)
    guard count >= 0 else {
      let code = errno
      // Not repeated as elsewhere: a wait that begins anew would take longer than asked.
      if code == EINTR { return 0 }
      throw Errno(code: code, operation: "epoll_wait")
    }
    for index in 0..<Int(count) { body(events[index].token, Readiness(rawValue: events[index].events)) }
    return Int(count)
  }
}
