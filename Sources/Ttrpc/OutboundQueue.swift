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
  /// Memory of its own: an array would be filled with zeros first, and looked at for other owners at every use.
  private var bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var head = 0
  private var tail = 0
  private var segments: [Segment] = []
  private var firstSegment = 0
  /// Few streams have something waiting at a time: a row of them is shorter than a hash.
  private var queuedByStream: [(stream: UInt32, bytes: Int)] = []
  private var queuedTotal: UInt64 = 0
  private var writtenTotal: UInt64 = 0
  /// When bytes last began to wait or the transport last took some; nil when none wait.
  package private(set) var waitingSince: Int64?

  package init(limits: Limits = Limits()) { self.limits = limits }

  deinit { bytes.deallocate() }

  package var isEmpty: Bool { head == tail }
  package var byteCount: Int { tail - head }
  package func byteCount(stream: UInt32) -> Int {
    index(of: stream).map { queuedByStream[$0].bytes } ?? 0
  }

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
    let frame = grow(size)
    header.write(to: frame)
    fill(UnsafeMutableRawBufferPointer(start: frame + FrameHeader.byteCount, count: header.bodyBytes))
    note(size, stream: header.stream, mark: mark)
    return .queued
  }

  /// Queues bytes that are no frames: a console's text.
  package mutating func append(text: [UInt8], now: Int64) -> Admission {
    guard byteCount + text.count <= limits.connectionBytes else { return .connectionFull }
    if isEmpty { waitingSince = now }
    text.withUnsafeBytes { text in
      if let base = text.baseAddress { grow(text.count).copyMemory(from: base, byteCount: text.count) }
    }
    note(text.count, stream: 0, mark: 0)
    return .queued
  }

  /// Room for `size` bytes more at the end, which are for the caller to write.
  private mutating func grow(_ size: Int) -> UnsafeMutableRawPointer {
    if bytes.count - tail < size {
      // What is written already is left behind; twice as much as waits, so that a long queue is copied seldom.
      let larger = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(64, byteCount + size, 2 * byteCount), alignment: 8)
      if head < tail { larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[head..<tail])) }
      bytes.deallocate()
      bytes = larger
      tail -= head
      head = 0
    }
    defer { tail += size }
    return bytes.baseAddress! + tail
  }

  private func index(of stream: UInt32) -> Int? {
    for index in queuedByStream.indices where queuedByStream[index].stream == stream { return index }
    return nil
  }

  private mutating func note(_ size: Int, stream: UInt32, mark: UInt64) {
    queuedTotal += UInt64(size)
    if let index = index(of: stream) {
      queuedByStream[index].bytes += size
    } else {
      queuedByStream.append((stream, size))
    }
    if let last = segments.last, firstSegment < segments.count, last.stream == stream, last.mark == 0 {
      segments[segments.count - 1] = Segment(end: queuedTotal, stream: stream, mark: mark)
    } else {
      segments.append(Segment(end: queuedTotal, stream: stream, mark: mark))
    }
  }

  /// What waits, in the order in which it must be written.
  package func withUnwritten<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    body(UnsafeRawBufferPointer(rebasing: bytes[head..<tail]))
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
    guard let index = index(of: stream) else { return }
    queuedByStream[index].bytes -= count
    guard queuedByStream[index].bytes <= 0 else { return }
    queuedByStream.swapAt(index, queuedByStream.count - 1)
    queuedByStream.removeLast()
  }

  /// An idle connection holds next to nothing; a busy one does not copy at every write.
  private mutating func compact() {
    if isEmpty {
      if bytes.count > 512 {
        bytes.deallocate()
        bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
      }
      if segments.capacity > 16 { segments = [] } else { segments.removeAll(keepingCapacity: true) }
      if queuedByStream.capacity > 16 { queuedByStream = [] }
      head = 0
      tail = 0
      firstSegment = 0
    } else if firstSegment > 1024 {
      segments.removeSubrange(..<firstSegment)
      firstSegment = 0
    }
  }
}
