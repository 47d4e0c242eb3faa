import Foundation
import Glibc
import Testing

@testable import Linux

/// A directory for one test, removed with what is in it.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/baton-linux-XXXXXX\0".utf8CString)
    path = template.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress, let made = mkdtemp(base) else {
        preconditionFailure("mkdtemp: errno \(errno)")
      }
      return String(cString: made)
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// Waits for the descriptor, for a minute at most: that is no bound to test, only an end for a broken test.
func waitUntilReadable(_ fd: Int32) throws -> Readiness {
  let poller = try Poller()
  try poller.add(fd, token: 7, for: .readable)
  let end = Clock.boottimeNanoseconds() + 60_000_000_000
  var found: Readiness = []
  while found.isEmpty, Clock.boottimeNanoseconds() < end {
    try poller.wait(timeoutMilliseconds: 1_000) { _, readiness in found = readiness }
  }
  try #require(!found.isEmpty, "descriptor \(fd) did not become readable")
  return found
}

func receive(_ socket: borrowing FileDescriptor, limit: Int = 64) throws -> (
  FileDescriptor.ReceiveResult, [UInt8]
) {
  var bytes = [UInt8](repeating: 0, count: limit)
  let result = try bytes.withUnsafeMutableBytes { buffer in try socket.recv(into: buffer) }
  guard case .bytes(let count) = result else { return (result, []) }
  return (result, Array(bytes.prefix(count)))
}

func send(_ text: String, to socket: borrowing FileDescriptor) throws -> FileDescriptor.WriteResult {
  try Array(text.utf8).withUnsafeBytes { bytes in try socket.send(bytes) }
}

/// Sends one byte and descriptors along with it; the errno where that is refused.
func sendDescriptors(_ descriptors: [Int32], through socket: Int32) -> Int32? {
  // cmsghdr: the length with its header of 16 bytes, the level, the type; padded to 8 bytes.
  let length = 16 + 4 * descriptors.count
  var control = [UInt8](repeating: 0, count: (length + 7) / 8 * 8)
  control.withUnsafeMutableBytes { control in
    control.storeBytes(of: length, as: Int.self)
    control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
    control.storeBytes(of: 1 /* SCM_RIGHTS */, toByteOffset: 12, as: Int32.self)
    for (index, descriptor) in descriptors.enumerated() {
      control.storeBytes(of: descriptor, toByteOffset: 16 + 4 * index, as: Int32.self)
    }
  }
  var byte: UInt8 = 42
  return withUnsafeMutableBytes(of: &byte) { byte in
    control.withUnsafeMutableBytes { control in
      var part = iovec(iov_base: byte.baseAddress, iov_len: 1)
      return withUnsafeMutablePointer(to: &part) { part in
        var message = msghdr()
        message.msg_iov = part
        message.msg_iovlen = 1
        message.msg_control = control.baseAddress
        message.msg_controllen = control.count
        return sendmsg(socket, &message, Int32(MSG_NOSIGNAL)) == -1 ? errno : nil
      }
    }
  }
}

/// The errno that a call throws; nil when it succeeds.
func failure(_ body: () throws(Errno) -> Void) -> Errno? {
  do throws(Errno) {
    try body()
    return nil
  } catch {
    return error
  }
}
