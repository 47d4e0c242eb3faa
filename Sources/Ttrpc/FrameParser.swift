/// Cuts a stream of bytes into frames. A frame that lies whole in what one read gave is handed out in place; only a
/// tail is kept. Nothing is allocated for a length that is not accepted.
package struct FrameParser: ~Copyable {
  package enum Output {
    /// A whole frame; its body is there until the next call.
    case frame(FrameHeader, UnsafeRawBufferPointer)
    /// A frame too large to take: its body is thrown away as it comes.
    case oversize(FrameHeader)
    /// The input is used up.
    case needMore
    /// What came is no frame; nothing after it can be trusted.
    case protocolError
  }

  private let maxBodyBytes: Int
  private var partial: PartialFrame?
  /// Keeps the body of the last frame given out, when it was not in place.
  private var given: PartialFrame?
  private var bytesToDiscard = 0
  /// Frames that have begun; tells a slow frame from a new one.
  package private(set) var framesBegun: UInt64 = 0

  package init(maxBodyBytes: Int = FrameHeader.maxBodyBytes) {
    precondition(
      (0...FrameHeader.maxBodyBytes).contains(maxBodyBytes), "\(maxBodyBytes) bytes are no ttrpc frame")
    self.maxBodyBytes = maxBodyBytes
  }

  /// Whether a frame has begun and has not ended.
  package var isInsideFrame: Bool { partial != nil || bytesToDiscard > 0 }

  /// Takes the next frame off the front of `input`.
  package mutating func next(_ input: inout UnsafeRawBufferPointer) -> Output {
    given = nil
    if bytesToDiscard > 0 {
      let discarded = min(bytesToDiscard, input.count)
      bytesToDiscard -= discarded
      input = UnsafeRawBufferPointer(rebasing: input[discarded...])
    }
    if partial != nil { return resume(&input) }
    guard input.count > 0, let base = input.baseAddress else { return .needMore }
    framesBegun &+= 1
    guard input.count >= FrameHeader.byteCount else {
      guard base.load(as: UInt8.self) == 0 else { return .protocolError }
      return keep(&input)
    }
    let header = FrameHeader(base)
    if let refusal = refuse(header, &input) { return refusal }
    let total = FrameHeader.byteCount + header.bodyBytes
    guard input.count >= total else { return keep(&input) }
    let body = UnsafeRawBufferPointer(rebasing: input[FrameHeader.byteCount..<total])
    input = UnsafeRawBufferPointer(rebasing: input[total...])
    return .frame(header, body)
  }

  /// `input` begins at a header.
  private mutating func refuse(_ header: FrameHeader, _ input: inout UnsafeRawBufferPointer) -> Output? {
    guard header.bodyBytes > maxBodyBytes else { return nil }
    guard header.bodyBytes < 1 << 24 else { return .protocolError }
    let present = min(input.count, FrameHeader.byteCount + header.bodyBytes)
    bytesToDiscard = FrameHeader.byteCount + header.bodyBytes - present
    input = UnsafeRawBufferPointer(rebasing: input[present...])
    return .oversize(header)
  }

  private mutating func keep(_ input: inout UnsafeRawBufferPointer) -> Output {
    let frame = PartialFrame()
    frame.append(input)
    input = UnsafeRawBufferPointer(rebasing: input[input.count...])
    partial = frame
    return .needMore
  }

  private mutating func resume(_ input: inout UnsafeRawBufferPointer) -> Output {
    guard let frame = partial else { preconditionFailure("no frame to resume") }
    if frame.count < FrameHeader.byteCount {
      take(FrameHeader.byteCount - frame.count, from: &input, into: frame)
      guard frame.count == FrameHeader.byteCount else { return .needMore }
      let header = FrameHeader(frame.bytes)
      if header.bodyBytes > maxBodyBytes {
        partial = nil
        guard header.bodyBytes < 1 << 24 else { return .protocolError }
        let present = min(input.count, header.bodyBytes)
        bytesToDiscard = header.bodyBytes - present
        input = UnsafeRawBufferPointer(rebasing: input[present...])
        return .oversize(header)
      }
    }
    let header = FrameHeader(frame.bytes)
    take(FrameHeader.byteCount + header.bodyBytes - frame.count, from: &input, into: frame)
    guard frame.count == FrameHeader.byteCount + header.bodyBytes else { return .needMore }
    partial = nil
    given = frame
    return .frame(
      header, UnsafeRawBufferPointer(start: frame.bytes + FrameHeader.byteCount, count: header.bodyBytes))
  }

  private func take(_ count: Int, from input: inout UnsafeRawBufferPointer, into frame: PartialFrame) {
    let taken = min(count, input.count)
    frame.append(UnsafeRawBufferPointer(rebasing: input[..<taken]))
    input = UnsafeRawBufferPointer(rebasing: input[taken...])
  }
}

/// The bytes of a frame that came in pieces. Grows as they come, not as they are announced.
private final class PartialFrame {
  private(set) var bytes: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  init() {
    capacity = 64
    bytes = .allocate(byteCount: capacity, alignment: 8)
  }

  deinit { bytes.deallocate() }

  func append(_ more: UnsafeRawBufferPointer) {
    guard let base = more.baseAddress, more.count > 0 else { return }
    if count + more.count > capacity {
      capacity = max(count + more.count, 2 * capacity)
      let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
      larger.copyMemory(from: bytes, byteCount: count)
      bytes.deallocate()
      bytes = larger
    }
    (bytes + count).copyMemory(from: base, byteCount: more.count)
    count += more.count
  }
}
