import Glibc

/// A place for one run's database, in memory where there is such a place: a simulated disk is lost by other means.
package enum ScratchDirectory {
  /// Calls `body` with the path of a database that is not there yet, and removes what it made.
  package static func with<R>(_ body: (String) -> R) -> R {
    let parent =
      access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/baton-sim-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) }
    precondition(made != nil, "mkdtemp in \(parent): errno \(errno)")
    let directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer {
      for name in ["sim.db", "sim.db-wal", "sim.db-shm"] { unlink("\(directory)/\(name)") }
      rmdir(directory)
    }
    return body("\(directory)/sim.db")
  }
}
