import CLinux
import Glibc

/// What this process uses and may use.
package enum Resources {
  /// Raises the limit of open descriptors as far as allowed: to the hard limit, for root to 1,048,576 at least. Returns it.
  @discardableResult
  package static func raiseOpenFileLimit() throws(Errno) -> UInt64 {
    var limit = rlimit()
    _ = try syscall("getrlimit") { getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
    let wanted = rlim_t(1_048_576)
    if geteuid() == 0, limit.rlim_max < wanted {
      // Refused where fs.nr_open is lower or the capability is missing: then the hard limit has to do.
      var raised = rlimit(rlim_cur: wanted, rlim_max: wanted)
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { return UInt64(wanted) }
    }
    limit.rlim_cur = limit.rlim_max
    _ = try syscall("setrlimit") { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
    return UInt64(limit.rlim_cur)
  }

  /// How many descriptors are open, without the one that counting takes.
  package static func openFileCount() throws(Errno) -> Int {
    guard let directory = opendir("/proc/self/fd") else {
      throw Errno(code: errno, operation: "opendir", context: "/proc/self/fd")
    }
    defer { closedir(directory) }
    // Besides the directory itself these are "." and "..".
    var count = -3
    while readdir(directory) != nil { count += 1 }
    return count
  }

  /// Bytes of memory that are resident.
  package static func residentBytes() throws(Errno) -> Int {
    let fields = try startOfFile("/proc/self/statm").split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else {
      throw Errno(code: EINVAL, operation: "read", context: "/proc/self/statm")
    }
    return pages * Int(getpagesize())
  }
}

/// The terminal, if there is one.
package enum Terminal {
  /// How wide the terminal at a descriptor is; nil when it is none, or does not say.
  package static func columns(of fd: Int32) -> Int? {
    let columns = clinux_window_columns(fd)
    return columns > 0 ? Int(columns) : nil
  }

  /// Whether a descriptor is a terminal.
  package static func isTerminal(_ fd: Int32) -> Bool { isatty(fd) == 1 }
}
