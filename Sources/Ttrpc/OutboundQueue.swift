/// What one connection has yet to write: frames in order, bounded for each stream and for all together, with room
/// kept back for what must get through. Knows which bytes the transport has taken, so that one can tell
/// when the last byte of a Stop has left.
package struct OutboundQueue: ~Copyable {
  package struct Limits: Sendable {
    /// Bytes that may wait for one stream's reader.
    package var streamBytes = 1 << 20
    /// Bytes that may wait in all.
    package var connectionBytes = 8 << 20
    /// Beyond `connectionBytes`, for urgent frames only.
    package var reservedBytes = 64 << 10
    package init() {}
  }

  package enum Admission: Hashable, Sendable {
    case queued
    /// This stream's reader is too slow: fail the stream.
    case streamFull
    /// Nobody reads at all: close the connection.
    case connectionFull
  }

  private struct Segment {
    var end: UInt64
    var stream: UInt32
    var mark: UInt64
  }

  private let limits: Limits
  private var bytes: [UInt8] = []
  private var head = 0
  private var segments: [Segment] = []
  private var firstSegment = 0
  private var queuedByStream: [UInt32: Int] = [:]
  private var queuedTotal: UInt64 = 0
  private var writtenTotal: UInt64 = 0
  /// When bytes last began to wait or the transport last took some; nil when none wait.
  package private(set) var waitingSince: Int64?

  package init(limits: Limits = Limits()) { self.limits = limits }

  package var isEmpty: Bool { head == bytes.count }
  package var byteCount: Int { bytes.count - head }
  package func byteCount(stream: UInt32) -> Int { queuedByStream[stream] ?? 0 }

  /// Queues a frame whose body of `header.bodyBytes` is written by `fill`. A `mark` other than 0 comes back from
  /// `wrote` when the frame's last byte has been taken. An urgent frame ignores its stream's limit and may use the
  /// reserve.
  package mutating func append(
    _ header: FrameHeader, urgent: Bool = false, mark: UInt64 = 0, now: Int64,
    _ fill: (UnsafeMutableRawBufferPointer) -> Void = { _ in }
  ) -> Admission {
    let size = FrameHeader.byteCount + header.bodyBytes
    if !urgent, byteCount(stream: header.stream) + size > limits.streamBytes { return .streamFull }
    let room = limits.connectionBytes + (urgent ? limits.reservedBytes : 0)
    guard byteCount + size <= room else { return .connectionFull }
    if isEmpty { waitingSince = now }
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: size))
    bytes.withUnsafeMutableBytes { buffer in
      let frame = buffer.baseAddress! + start
      header.write(to: frame)
      fill(UnsafeMutableRawBufferPointer(start: frame + FrameHeader.byteCount, count: header.bodyBytes))
    }
    note(size, stream: header.stream, mark: mark)
    return .queued
  }

  /// Queues bytes that are no frames: a console's text.
  package mutating func append(text: [UInt8], now: Int64) -> Admission {
    guard byteCount + text.count <= limits.connectionBytes else { return .connectionFull }
    if isEmpty { waitingSince = now }
    bytes.append(contentsOf: text)
    note(text.count, stream: 0, mark: 0)
    return .queued
  }

  private mutating func note(_ size: Int, stream: UInt32, mark: UInt64) {
    queuedTotal += UInt64(size)
    queuedByStream[stream, default: 0] += size
    if let last = segments.last, firstSegment < segments.count, last.stream == stream, last.mark == 0 {
      segments[segments.count - 1] = Segment(end: queuedTotal, stream: stream, mark: mark)
    } else {
      segments.append(Segment(end: queuedTotal, stream: stream, mark: mark))
    }
  }

  /// What waits, in the order in which it must be written.
  package func withUnwritten<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[head...])) }
  }

  /// The transport took the first `count` bytes. Calls `marked` for each mark among them, in order.
  package mutating func wrote(_ count: Int, now: Int64, marked: (UInt64) -> Void) {
    precondition(count <= byteCount, "\(count) bytes written, but only \(byteCount) were queued")
    guard count > 0 else { return }
    head += count
    let before = writtenTotal
    writtenTotal += UInt64(count)
    var from = before
    while firstSegment < segments.count {
      let segment = segments[firstSegment]
      let upTo = min(segment.end, writtenTotal)
      release(Int(upTo - from), stream: segment.stream)
      from = upTo
      guard segment.end <= writtenTotal else { break }
      if segment.mark != 0 { marked(segment.mark) }
      firstSegment += 1
    }
    waitingSince = isEmpty ? nil : now
    compact()
  }

  private mutating func release(_ count: Int, stream: UInt32) {
    guard let queued = queuedByStream[stream] else { return }
    if queued > count {
      queuedByStream[stream] = queued - count
    } else {
      queuedByStream[stream] = nil
    }
  }

  /// An idle connection holds next to nothing; a busy one does not copy at every write.
  private mutating func compact() {
    if isEmpty {
      if bytes.capacity > 512 { bytes = [] } else { bytes.removeAll(keepingCapacity: true) }
      if segments.capacity > 16 { segments = [] } else { segments.removeAll(keepingCapacity: true) }
      if queuedByStream.capacity > 16 { queuedByStream = [:] }
      head = 0
      firstSegment = 0
    } else {
      if head > 64 << 10, head > bytes.count / 2 {
        bytes.removeSubrange(..<head)
        head = 0
      }
      if firstSegment > 1024 {
        segments.removeSubrange(..<firstSegment)
        firstSegment = 0
      }
    }
  }
}
