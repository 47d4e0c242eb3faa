import CProtobufC

/// Memory for one message at a time: everything that a decode or an encode needs is taken from it in order and
/// given back all at once. It is what bounds a decode, since a small frame can ask for very much (4 MiB of
/// empty submessages ask protobuf-c for hundreds of megabytes).
///
/// Not thread-safe: each thread that decodes has its own.
package final class Arena {
  /// What is kept between messages; what grew beyond it is given back.
  private static let keptBytes = 64 << 10

  private var chunk: UnsafeMutableRawPointer
  private var chunkBytes: Int
  private var used = 0
  private var fullChunks: [UnsafeMutableRawPointer] = []
  /// Since the last reset.
  private(set) var takenBytes = 0
  private var limitBytes: Int
  private(set) var isExhausted = false

  /// What protobuf-c is handed; it lives as long as the arena.
  let allocator: UnsafeMutablePointer<ProtobufCAllocator>

  package init() {
    chunk = .allocate(byteCount: Self.keptBytes, alignment: 16)
    chunkBytes = Self.keptBytes
    limitBytes = .max
    allocator = .allocate(capacity: 1)
    allocator.initialize(
      to: ProtobufCAllocator(
        alloc: { arena, size in
          Unmanaged<Arena>.fromOpaque(arena!).takeUnretainedValue().take(size)
        },
        free: { _, _ in },
        allocator_data: nil))
    allocator.pointee.allocator_data = Unmanaged.passUnretained(self).toOpaque()
  }

  deinit {
    for full in fullChunks { full.deallocate() }
    chunk.deallocate()
    allocator.deallocate()
  }

  /// Forgets every message made in it. The next one may take `limitBytes`.
  package func reset(limitBytes: Int = .max) {
    if !fullChunks.isEmpty || chunkBytes > Self.keptBytes { giveBack() }
    used = 0
    takenBytes = 0
    isExhausted = false
    self.limitBytes = limitBytes
  }

  private func giveBack() {
    for full in fullChunks { full.deallocate() }
    fullChunks = []
    if chunkBytes > Self.keptBytes {
      chunk.deallocate()
      chunk = .allocate(byteCount: Self.keptBytes, alignment: 16)
      chunkBytes = Self.keptBytes
    }
  }

  /// nil once the limit is passed; protobuf-c then fails the whole decode.
  func take(_ size: Int) -> UnsafeMutableRawPointer? {
    // Compared before it is rounded up, which would overflow on a size that no machine has.
    let leftBytes = limitBytes - takenBytes
    guard size >= 0, size <= leftBytes, size <= Int.max - 15, (size + 15) & ~15 <= leftBytes else {
      isExhausted = true
      return nil
    }
    let rounded = (size + 15) & ~15
    takenBytes += rounded
    if rounded > chunkBytes - used { grow(rounded) }
    defer { used += rounded }
    return chunk + used
  }

  private func grow(_ needed: Int) {
    fullChunks.append(chunk)
    chunkBytes = max(needed, min(2 * chunkBytes, 1 << 20))
    chunk = .allocate(byteCount: chunkBytes, alignment: 16)
    used = 0
  }

  private func takeOwn(_ size: Int) -> UnsafeMutableRawPointer {
    guard let memory = take(size) else {
      preconditionFailure("an encode has no limit, yet \(size) bytes failed")
    }
    return memory
  }

  /// Memory without a meaning yet.
  func buffer(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: takeOwn(byteCount), count: byteCount)
  }

  // MARK: - Making messages

  /// A message with every field at its default.
  package func make<Message: CMessage>(_ type: Message.Type = Message.self) -> UnsafeMutablePointer<Message> {
    let pointer = takeOwn(MemoryLayout<Message>.size).bindMemory(to: Message.self, capacity: 1)
    Message.initialize(pointer)
    return pointer
  }

  /// A C string with the text's bytes.
  package func string(_ text: String) -> UnsafeMutablePointer<CChar> {
    var text = text
    return text.withUTF8 { utf8 in
      let memory = takeOwn(utf8.count + 1)
      if let base = utf8.baseAddress { memory.copyMemory(from: base, byteCount: utf8.count) }
      memory.storeBytes(of: 0, toByteOffset: utf8.count, as: UInt8.self)
      return memory.bindMemory(to: CChar.self, capacity: utf8.count + 1)
    }
  }

  package func bytes(_ bytes: [UInt8]) -> ProtobufCBinaryData {
    bytes.withUnsafeBytes { data($0) }
  }

  package func data(_ bytes: UnsafeRawBufferPointer) -> ProtobufCBinaryData {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return ProtobufCBinaryData(len: 0, data: nil) }
    let memory = takeOwn(bytes.count)
    memory.copyMemory(from: base, byteCount: bytes.count)
    return ProtobufCBinaryData(
      len: bytes.count, data: memory.bindMemory(to: UInt8.self, capacity: bytes.count))
  }

  /// An array for a repeated field; its count goes into the field's `n_` companion.
  package func array<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element>? {
    guard !elements.isEmpty else { return nil }
    let memory = takeOwn(elements.count * MemoryLayout<Element>.stride)
      .bindMemory(to: Element.self, capacity: elements.count)
    memory.initialize(from: elements, count: elements.count)
    return memory
  }

  /// The form in which protobuf-c keeps a repeated message field.
  package func messages<Message>(
    _ messages: [UnsafeMutablePointer<Message>]
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<Message>?>? {
    array(messages.map(Optional.some))
  }

  /// A repeated string field.
  package func strings(_ texts: [String]) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
    array(texts.map { string($0) })
  }
}

/// A struct that protobuf-c generated. `GeneratedMessages.swift` makes them all conform.
package protocol CMessage {
  static func initialize(_ pointer: UnsafeMutablePointer<Self>)
}

extension CMessage {
  /// How protobuf-c describes the message.
  package static var descriptor: UnsafePointer<ProtobufCMessageDescriptor> {
    withUnsafeTemporaryAllocation(of: Self.self, capacity: 1) { buffer in
      let pointer = buffer.baseAddress!
      initialize(pointer)
      // Every generated struct begins with its ProtobufCMessage.
      return UnsafeRawPointer(pointer).load(as: ProtobufCMessage.self).descriptor
    }
  }
}
