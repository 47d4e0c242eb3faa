import Glibc
import Handover

/// Which files the database had when it was opened: writes to a file that was removed or replaced since would
/// be lost with the last descriptor.
struct FileIdentities {
  private struct Identity: Hashable {
    var device: UInt64
    var number: UInt64

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      device = UInt64(status.st_dev)
      number = UInt64(status.st_ino)
    }
  }

  private let known: [(path: String, identity: Identity)]

  /// After the first read, when the log and its index are there too.
  init(path: String) throws(StoreFailure) {
    var known: [(String, Identity)] = []
    for file in [path, path + "-wal", path + "-shm"] {
      guard let identity = Identity(file) else {
        throw .fatal("\(file) is gone while it is in use; put it back and start again")
      }
      known.append((file, identity))
    }
    self.known = known
  }

  /// What happened to them, in words; nil when they are in their place. Three `stat` calls.
  func moved() -> String? {
    for (path, identity) in known where Identity(path) != identity {
      return "\(path) was removed or replaced while it was in use; put it back, or a backup, and start again"
    }
    return nil
  }
}
