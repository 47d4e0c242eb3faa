import Glibc

/// A value behind a lock of the C library. `Synchronization.Mutex` would do, but for the thread sanitizer, which does not
/// see its futex and takes every use of it for a race; it does see this one.
package final class Locked<Value>: @unchecked Sendable {
  // Its address must not move, so it lives on the heap.
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  /// The value as it is at first.
  package init(_ value: Value) {
    self.value = value
    lock = .allocate(capacity: 1)
    let result = pthread_mutex_init(lock, nil)
    precondition(result == 0, "pthread_mutex_init: \(result)")
  }

  deinit {
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  /// Calls `body` while nobody else touches the value. Not reentrant.
  package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    let locked = pthread_mutex_lock(lock)
    precondition(locked == 0, "pthread_mutex_lock: \(locked)")
    defer { pthread_mutex_unlock(lock) }
    return try body(&value)
  }
}
