import CPowerLoss
import CSQLite
import Glibc

/// A directory in memory whose disk is ours: what SQLite writes there is recorded, and fails when it is told to. It is gone
/// with its owner, who closes every database in it before.
package final class Disk: @unchecked Sendable {
  /// What can fail.
  package enum Operation: CaseIterable, Sendable {
    case reads, writes, syncs
    /// Making the shared memory of the write-ahead log larger.
    case maps
    /// Beginning a statement in a transaction, on a connection that may write. A commit takes no notice of it.
    case statements

    fileprivate var c: powerloss_operation {
      switch self {
      case .reads: POWERLOSS_READS
      case .writes: POWERLOSS_WRITES
      case .syncs: POWERLOSS_SYNCS
      case .maps: POWERLOSS_MAPS
      case .statements: POWERLOSS_STATEMENTS
      }
    }
  }

  /// How it fails, as SQLite's operating system layer reports it.
  package enum Fault: CaseIterable, Sendable {
    case readError, writeError, full, syncError, mapError, interrupt

    package var operation: Operation {
      switch self {
      case .readError: .reads
      case .writeError, .full: .writes
      case .syncError: .syncs
      case .mapError: .maps
      case .interrupt: .statements
      }
    }

    fileprivate var code: Int32 {
      switch self {
      case .readError: SQLITE_IOERR | 1 << 8
      case .writeError: SQLITE_IOERR | 3 << 8
      case .full: SQLITE_FULL
      case .syncError: SQLITE_IOERR | 4 << 8
      case .mapError: SQLITE_IOERR | 19 << 8
      case .interrupt: SQLITE_INTERRUPT
      }
    }
  }

  package let directory: String
  let handle: OpaquePointer

  /// Memory where there is some to have: thousands of images are written and forgotten.
  package init() {
    let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(base)/baton-disk-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil, "no directory in \(base): \(errno)")
    directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    handle = powerloss_watch(directory)
  }

  deinit {
    powerloss_unwatch(handle)
    Self.remove(directory)
  }

  /// Lets operations from the `nth` (1 is the next) on fail, `times` of them: until `heal` if it is nil.
  package func fail(_ fault: Fault, nth: Int = 1, times: Int? = nil) {
    powerloss_fail(handle, fault.operation.c, Int64(nth), times.map(Int64.init) ?? .max, fault.code)
  }

  package func heal(_ operations: [Operation] = Operation.allCases) {
    for operation in operations { powerloss_fail(handle, operation.c, 0, 0, SQLITE_OK) }
  }

  /// At the `nth` operation from now on (1 is the next) the process that has the files open dies, as if by kill -9: a write
  /// leaves its first half, and nothing that is open now reaches the files any more.
  package func crash(at operation: Operation, nth: Int) { powerloss_crash(handle, operation.c, Int64(nth)) }

  /// Whether that has happened since the last `kill`.
  package var hasCrashed: Bool { powerloss_has_crashed(handle) }

  /// The process dies now, or it is known now that it has died. What is opened from now on is the next one's.
  package func kill() { powerloss_kill(handle) }

  /// How many operations of a kind there were.
  package func count(_ operation: Operation) -> Int { Int(powerloss_operations(handle, operation.c)) }

  /// How many of them failed because they were told to.
  package func failures(_ operation: Operation) -> Int { Int(powerloss_failures(handle, operation.c)) }

  /// How much has been recorded: a point in time.
  package var position: Int { powerloss_count(handle) }

  package func setRecording(_ on: Bool) { powerloss_set_recording(handle, on) }

  /// Removes a directory of files and of directories of files.
  package static func remove(_ path: String) {
    guard let directory = opendir(path) else {
      unlink(path)
      return
    }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { remove("\(path)/\(name)") }
    }
    closedir(directory)
    rmdir(path)
  }
}
