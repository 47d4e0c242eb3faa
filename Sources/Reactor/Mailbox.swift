import Glibc
import Linux
import Synchronization

/// Hands values from one thread to another that sleeps while there are none. The receiver takes everything that
/// has gathered at once: that is what makes a group of a commit.
final class Mailbox<Element: Sendable>: Sendable {
  private struct Contents {
    var elements: [Element] = []
    var isClosed = false
  }

  private let contents = Locked(Contents())
  /// nil where the receiver never waits: arrivals that nobody counts down would overflow one day.
  private let arrivals: Semaphore?

  /// `isWaitedFor`: its receiver calls `take`; otherwise it is woken by other means, and calls `takeNow`.
  init(isWaitedFor: Bool = true) { arrivals = isWaitedFor ? Semaphore() : nil }

  /// Appends; true when the mailbox was empty, which is when its receiver may have to be woken by other means.
  @discardableResult
  func put(_ element: Element) -> Bool {
    let wasEmpty = contents.withLock { contents in
      contents.elements.append(element)
      return contents.elements.count == 1
    }
    if wasEmpty { arrivals?.signal() }
    return wasEmpty
  }

  /// Everything that has gathered, without waiting; empty when nothing has.
  func takeNow() -> [Element] {
    contents.withLock { contents in
      defer { contents.elements = [] }
      return contents.elements
    }
  }

  /// Waits for at least one element and takes all; nil once closed and empty.
  func take() -> [Element]? {
    while true {
      let (taken, closed) = contents.withLock { contents in
        defer { contents.elements = [] }
        return (contents.elements, contents.isClosed)
      }
      if !taken.isEmpty { return taken }
      if closed { return nil }
      guard let arrivals else { preconditionFailure("nobody waits for this mailbox") }
      arrivals.wait()
    }
  }

  /// Nothing more will be put; the receiver still gets what is there.
  func close() {
    contents.withLock { $0.isClosed = true }
    arrivals?.signal()
  }
}

/// A counting semaphore of the C library: its address must not move, so it lives on the heap.
private final class Semaphore: Sendable {
  private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    semaphore = .allocate(capacity: 1)
    let result = sem_init(semaphore, 0, 0)
    precondition(result == 0, "sem_init: \(errno)")
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() {
    let result = sem_post(semaphore)
    precondition(result == 0, "sem_post: \(errno)")
  }

  func wait() {
    while sem_wait(semaphore) != 0 { precondition(errno == EINTR, "sem_wait: \(errno)") }
  }
}
