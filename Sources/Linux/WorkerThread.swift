import CLinux
import Glibc
import Synchronization

/// A named thread that runs one function.
package final class WorkerThread: Sendable {
  private struct Start: Sendable {
    var name: String
    var body: @Sendable () -> Void
  }

  private final class Box {
    let start: Start
    init(_ start: Start) { self.start = start }
  }

  // nil once joined.
  private let thread: Mutex<pthread_t?>

  /// Starts it. `name` shows in `top -H` and debuggers, its first 15 bytes; EAGAIN: the system allows no more threads.
  package init(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    let box = Unmanaged.passRetained(Box(Start(name: name, body: body)))
    var thread = pthread_t()
    let failure = pthread_create(&thread, nil, { runThread($0) }, box.toOpaque())
    guard failure == 0 else {
      box.release()
      throw Errno(code: failure, operation: "pthread_create", context: name)
    }
    self.thread = Mutex(thread)
  }

  /// Waits until the function returned; at once from the second time on.
  package func join() {
    thread.withLock { thread in
      guard let running = thread else { return }
      let failure = pthread_join(running, nil)
      precondition(failure == 0, "join: \(failure)")
      thread = nil
    }
  }

  // Nobody can join it any more: it ends on its own.
  deinit { thread.withLock { if let thread = $0 { pthread_detach(thread) } } }

  fileprivate static func run(_ box: UnsafeMutableRawPointer) {
    // Taken here, so that what the function captured is gone when it returns.
    let start = Unmanaged<Box>.fromOpaque(box).takeRetainedValue().start
    clinux_name_thread(start.name)
    start.body()
  }
}

private func runThread(_ box: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let box else { preconditionFailure("a thread without a function") }
  WorkerThread.run(box)
  return nil
}
