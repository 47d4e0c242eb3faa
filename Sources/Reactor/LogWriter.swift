import Glibc
import Linux
import Service
import Synchronization

/// Writes log lines on a thread of its own, so that a full pipe behind stderr never holds the loop up. What
/// nobody takes in time is dropped and counted.
package final class LogWriter: Sendable {
  private static let maxWaiting = 8192

  private struct Line {
    var record: LogRecord
    var time: Int64
  }

  private let mailbox = Mailbox<Line>()
  private let waiting = Atomic<Int>(0)
  private let dropped = Atomic<UInt64>(0)
  private let level: LogRecord.Level
  private let format: LogRecord.Format
  private let thread: Locked<WorkerThread?>

  /// `sink` gets whole lines with their ends; it is called on the writer's thread.
  package init(
    level: LogRecord.Level, format: LogRecord.Format, sink: @escaping @Sendable (String) -> Void
  ) throws(Errno) {
    self.level = level
    self.format = format
    thread = Locked(nil)
    let started = try WorkerThread(name: "baton-log") { [self] in run(sink) }
    thread.withLock { $0 = started }
  }

  package var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

  package func write(_ record: LogRecord) {
    guard record.level >= level else { return }
    guard waiting.load(ordering: .relaxed) < Self.maxWaiting else {
      dropped.add(1, ordering: .relaxed)
      return
    }
    waiting.add(1, ordering: .relaxed)
    mailbox.put(Line(record: record, time: Clock.wallMilliseconds()))
  }

  /// Writes what is waiting and ends the thread.
  package func close() {
    mailbox.close()
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  private func run(_ sink: (String) -> Void) {
    while let lines = mailbox.take() {
      var text = ""
      for line in lines { text += line.record.line(format, time: line.time) + "\n" }
      sink(text)
      waiting.subtract(lines.count, ordering: .relaxed)
    }
  }

  /// Standard error, all of it, however slowly it is read.
  package static let standardError: @Sendable (String) -> Void = { text in
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno == EAGAIN {
        var descriptor = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
        _ = poll(&descriptor, 1, -1)
      } else if errno != EINTR {
        // Nobody is there to read it; there is no other place to say so.
        return
      }
    }
  }
}
