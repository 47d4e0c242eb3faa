/// The ten bytes before every ttrpc 1.2 frame. `proto/PROTOCOL.md` draws them.
package struct FrameHeader: Hashable, Sendable {
  package static let byteCount = 10
  /// The largest body that ttrpc allows; its length's first byte is therefore always 0.
  package static let maxBodyBytes = 4 << 20

  package var bodyBytes: Int
  package var stream: UInt32
  package var type: FrameType
  package var flags: FrameFlags

  package init(bodyBytes: Int, stream: UInt32, type: FrameType, flags: FrameFlags = []) {
    self.bodyBytes = bodyBytes
    self.stream = stream
    self.type = type
    self.flags = flags
  }

  /// Reads the ten bytes at `bytes`.
  @inline(__always)
  init(_ bytes: UnsafeRawPointer) {
    bodyBytes = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    type = FrameType(rawValue: bytes.load(fromByteOffset: 8, as: UInt8.self))
    flags = FrameFlags(rawValue: bytes.load(fromByteOffset: 9, as: UInt8.self))
  }

  /// Writes the ten bytes at `bytes`.
  @inline(__always)
  func write(to bytes: UnsafeMutableRawPointer) {
    bytes.storeBytes(of: UInt32(bodyBytes).bigEndian, as: UInt32.self)
    bytes.storeBytes(of: stream.bigEndian, toByteOffset: 4, as: UInt32.self)
    bytes.storeBytes(of: type.rawValue, toByteOffset: 8, as: UInt8.self)
    bytes.storeBytes(of: flags.rawValue, toByteOffset: 9, as: UInt8.self)
  }
}

/// What a frame carries. Unknown types are kept as they are: they are ignored, not refused.
package struct FrameType: RawRepresentable, Hashable, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }
  package static let request = FrameType(rawValue: 1)
  package static let response = FrameType(rawValue: 2)
  package static let data = FrameType(rawValue: 3)
}

package struct FrameFlags: OptionSet, Hashable, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }
  /// The sender sends nothing more on this stream.
  package static let remoteClosed = FrameFlags(rawValue: 0x01)
  /// On a Request: the sender will send more on this stream.
  package static let remoteOpen = FrameFlags(rawValue: 0x02)
  /// On Data: there is no message, not even an empty one.
  package static let noData = FrameFlags(rawValue: 0x04)
}

/// What the first byte of a connection makes of it, once and for good.
package enum FirstByte: Hashable, Sendable {
  case ttrpc
  /// A person with socat.
  case console
  case unknown

  package init(_ byte: UInt8) {
    switch byte {
    case 0x00: self = .ttrpc
    case 0x20...0x7E, 0x09, 0x0A, 0x0D: self = .console
    default: self = .unknown
    }
  }
}
