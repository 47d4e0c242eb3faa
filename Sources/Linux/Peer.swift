import CLinux
import Glibc

/// Who is at the other end of a local socket, as the kernel noted it when they connected.
package struct PeerCredentials: Equatable, Sendable {
  package let userID: uid_t
  package let groupID: gid_t
  /// For people to read only: the number may have become another process's.
  package let processID: pid_t
  /// The supplementary groups, without `groupID` unless listed there too.
  package let groups: [gid_t]

  /// Asks the kernel about the peer of a connected socket.
  package init(of socket: borrowing FileDescriptor) throws(Errno) {
    let fd = socket.rawValue
    var pid: pid_t = 0
    var uid: uid_t = 0
    var gid: gid_t = 0
    _ = try syscall("SO_PEERCRED") { clinux_peer_credentials(fd, &pid, &uid, &gid) }
    processID = pid
    userID = uid
    groupID = gid
    groups = try Self.groups(of: fd)
  }

  private static func groups(of fd: Int32) throws(Errno) -> [gid_t] {
    var capacity = 32
    while true {
      var groups = [gid_t](repeating: 0, count: capacity)
      do throws(Errno) {
        let count = try syscall("SO_PEERGROUPS") { clinux_peer_groups(fd, &groups, Int32(capacity)) }
        return Array(groups.prefix(Int(count)))
      } catch {
        // The kernel allows 65,536 of them.
        guard error.code == ERANGE, capacity < 65_536 else { throw error }
        capacity *= 2
      }
    }
  }
}

/// A descriptor for the process that connected a socket, readable when it ends; it costs a descriptor. Nil where the kernel
/// (before 6.5) has no such thing, or the process is gone already.
package func peerPidfd(of socket: borrowing FileDescriptor) throws(Errno) -> FileDescriptor? {
  let fd = socket.rawValue
  do throws(Errno) {
    return FileDescriptor(owning: try syscall("SO_PEERPIDFD") { clinux_peer_pidfd(fd) })
  } catch {
    switch error.code {
    case ENOPROTOOPT, EINVAL, ENODATA, ESRCH: return nil
    default: throw error
    }
  }
}

/// The name of a process, at most 15 bytes, with what is not printable replaced; nil when there is no such process.
package func processName(_ pid: pid_t) -> String? {
  guard let name = try? startOfFile("/proc/\(pid)/comm") else { return nil }
  // A process names itself as it likes, escape sequences included.
  let printable = name.unicodeScalars.filter { $0 != "\n" }.map { scalar -> Character in
    scalar.properties.generalCategory == .control ? "?" : Character(scalar)
  }
  return String(printable)
}
