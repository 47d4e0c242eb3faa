import BatonAPI
import CBatonProto
import Glibc
import Handover
import Linux
import Protobuf
import Synchronization
import Ttrpc

/// What a channel shares between its callers and its thread. Callers write at once where the socket takes it; the thread
/// reads, writes what is left, and looks after timeouts.
final class ChannelIO: Sendable {
  /// Who waits for a call. Called without the lock held.
  struct Receiver: Sendable {
    var message: @Sendable ([UInt8]) -> Void
    /// nil when a streaming call ended well; a unary one that ended well gets its message only.
    var ended: @Sendable (BatonError?) -> Void
    var isUnary: Bool
  }

  /// Touched under the lock only.
  private final class Contents: @unchecked Sendable {
    var connection = ClientConnection()
    var output = ChannelIO.makeQueue()
    /// Whether a call was ever made: a daemon that turns a client away answers its first call, so nothing is read before.
    var hasOpened = false
    let arena = Arena()
    var receivers: [UInt32: Receiver] = [:]
    var tickets: [UInt32: CallTicket] = [:]
    var deadlines = DeadlineHeap<UInt32>()
    var failure: BatonError?
  }

  private let descriptor: FileDescriptor
  private let wake: EventSignal
  private let contents = Locked(Contents())

  init(descriptor: consuming FileDescriptor, wake: EventSignal) {
    self.descriptor = descriptor
    self.wake = wake
  }

  func open(
    _ method: Method, _ request: [UInt8], timeoutMilliseconds: Int64?, _ ticket: CallTicket,
    _ receiver: Receiver
  ) {
    let description = method.description
    if let timeoutMilliseconds, timeoutMilliseconds <= 0 {
      return receiver.ended(BatonError(.deadlineExceeded, "the call's time had passed before it was made"))
    }
    let now = Int64(Clock.boottimeNanoseconds())
    let deadline = timeoutMilliseconds.map { Clock.boottimeNanoseconds(afterMilliseconds: $0) }
    let timeout = deadline.map { $0 == .max ? 0 : $0 - now } ?? 0
    let (failure, mustWake): (BatonError?, Bool) = contents.withLock { contents in
      if let failure = contents.failure { return (failure, false) }
      if ticket.isCancelled { return (BatonError(.cancelled, "the task was cancelled"), false) }
      let stream = request.withUnsafeBytes { payload in
        contents.connection.open(
          service: description.service, method: description.name, shape: description.shape, payload: payload,
          timeoutNanoseconds: timeout, now: now, arena: contents.arena, output: &contents.output)
      }
      guard let stream else {
        return (
          BatonError(.resourceExhausted, "the request is too large, or too much waits to be sent"), false
        )
      }
      let isCancelled = ticket.state.withLock { state in
        if case .cancelled = state { return true }
        state = .open(stream)
        return false
      }
      guard !isCancelled else {
        contents.connection.forget(stream)
        return (BatonError(.cancelled, "the task was cancelled"), false)
      }
      contents.receivers[stream] = receiver
      contents.tickets[stream] = ticket
      let earliest = contents.deadlines.next ?? .max
      // A little later than the daemon's own deadline, whose answer says more.
      let deadline = (deadline ?? .max).addingReportingOverflow(250_000_000)
      if !deadline.overflow { contents.deadlines.add(stream, at: deadline.partialValue) }
      let mustWake = !contents.hasOpened || (contents.deadlines.next ?? .max) < earliest
      contents.hasOpened = true
      write(contents)
      return (nil, mustWake)
    }
    if let failure { receiver.ended(failure) }
    if mustWake { wake.signal() }
  }

  /// A request may fill a whole frame.
  private static func makeQueue() -> OutboundQueue {
    var limits = OutboundQueue.Limits()
    limits.streamBytes = FrameHeader.maxBodyBytes + FrameHeader.byteCount
    return OutboundQueue(limits: limits)
  }

  /// Gives the call up: the caller is told at once, the daemon by `ConnectionService.Cancel`.
  func cancel(_ ticket: CallTicket) {
    let stream: UInt32? = ticket.state.withLock { state in
      defer { state = .cancelled }
      if case .open(let stream) = state { return stream }
      return nil
    }
    guard let stream else { return }
    giveUp(stream, BatonError(.cancelled, "the task was cancelled"))
  }

  private func giveUp(_ stream: UInt32, _ error: BatonError) {
    let now = Int64(Clock.boottimeNanoseconds())
    let receiver: Receiver? = contents.withLock { contents in
      guard let receiver = contents.receivers.removeValue(forKey: stream) else { return nil }
      contents.tickets[stream] = nil
      contents.connection.forget(stream)
      guard contents.failure == nil else { return receiver }
      let arena = Arena()
      let request = arena.make(Baton__V1__CancelRequest.self)
      request.pointee.stream_id = stream
      let description = Method.cancel.description
      let cancelling = Codec.encode(request).withUnsafeBytes { payload in
        contents.connection.open(
          service: description.service, method: description.name, shape: .unary, payload: payload, now: now,
          arena: contents.arena, output: &contents.output)
      }
      // Nobody waits for its answer.
      if let cancelling { contents.connection.forget(cancelling) }
      write(contents)
      return receiver
    }
    receiver?.ended(error)
  }

  func close() { fail(BatonError(.unavailable, "the channel was closed", isConnectionFailure: true)) }

  /// Ends everything; the first reason stays.
  private func fail(_ error: BatonError) {
    let receivers = contents.withLock { contents in
      if contents.failure == nil { contents.failure = error }
      defer {
        contents.receivers = [:]
        contents.tickets = [:]
      }
      return contents.receivers
    }
    // The daemon sees the end now, not when the last reference to this is gone.
    _ = shutdown(descriptor.rawValue, Int32(SHUT_RDWR))
    for receiver in receivers.values { receiver.ended(error) }
    wake.signal()
  }

  // MARK: - The thread

  func run() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let (isFailed, hasOpened, wantsWrite, next) = contents.withLock { contents in
        (contents.failure != nil, contents.hasOpened, !contents.output.isEmpty, contents.deadlines.next)
      }
      if isFailed { return }
      var descriptors = [
        pollfd(
          fd: hasOpened ? descriptor.rawValue : -1, events: Int16(POLLIN | (wantsWrite ? POLLOUT : 0)),
          revents: 0),
        pollfd(fd: wake.rawValue, events: Int16(POLLIN), revents: 0),
      ]
      _ = poll(&descriptors, 2, Self.timeout(until: next))
      wake.drain()
      if descriptors[0].revents & Int16(POLLOUT) != 0 { contents.withLock { write($0) } }
      if descriptors[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { receive(into: buffer) }
      expire()
    }
  }

  private static func timeout(until next: Int64?) -> Int32 {
    guard let next else { return -1 }
    return Int32(clamping: max(0, (next - Int64(Clock.boottimeNanoseconds())) / 1_000_000 + 1))
  }

  private func expire() {
    let now = Int64(Clock.boottimeNanoseconds())
    while let stream = contents.withLock({ $0.deadlines.takeDue(at: now) }) {
      giveUp(stream, BatonError(.deadlineExceeded, "the daemon did not answer in time"))
    }
  }

  private func write(_ contents: Contents) {
    while !contents.output.isEmpty {
      let written: Int? = contents.output.withUnwritten { bytes in
        // What is wrong with the connection shows when it is read.
        guard case .bytes(let count)? = try? descriptor.send(bytes) else { return nil }
        return count
      }
      guard let written else {
        wake.signal()
        return
      }
      contents.output.wrote(written, now: 0) { _ in }
    }
  }

  private func receive(into buffer: UnsafeMutableRawBufferPointer) {
    let gone = BatonError(.unavailable, "the connection to the daemon is gone", isConnectionFailure: true)
    do throws(Errno) {
      switch try descriptor.recv(into: buffer) {
      case .bytes(let count): deliver(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      case .wouldBlock: return
      case .end, .descriptorsReceived: fail(gone)
      }
    } catch {
      fail(gone)
    }
  }

  /// What one event means; carried out without the lock.
  private enum Delivery {
    case message(Receiver, [UInt8])
    case ended(Receiver, BatonError?)
    /// For a call that was given up.
    case nobody
    case inputUsedUp
    case broken
  }

  private func deliver(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    while true {
      switch contents.withLock({ next(&input, $0) }) {
      case .message(let receiver, let bytes): receiver.message(bytes)
      case .ended(let receiver, let error): receiver.ended(error)
      case .nobody: continue
      case .inputUsedUp: return
      case .broken:
        return fail(BatonError(.internal, "what answers is not the daemon", isConnectionFailure: true))
      }
    }
  }

  private func next(_ input: inout UnsafeRawBufferPointer, _ contents: Contents) -> Delivery {
    switch contents.connection.next(&input, arena: contents.arena) {
    case .needMore: return .inputUsedUp
    case .protocolError: return .broken
    case .message(let stream, let payload):
      guard let receiver = contents.receivers[stream] else { return .nobody }
      return receiver.isUnary ? wrongShape(stream, contents) : .message(receiver, Array(payload))
    case .finished(let stream):
      guard let receiver = contents.receivers[stream] else { return .nobody }
      if receiver.isUnary { return wrongShape(stream, contents) }
      _ = take(stream, contents)
      return .ended(receiver, nil)
    case .response(let stream, let status, let payload):
      guard let receiver = take(stream, contents) else { return .nobody }
      guard status.code == .ok else { return .ended(receiver, BatonError(status)) }
      return receiver.isUnary ? .message(receiver, Array(payload)) : .ended(receiver, nil)
    }
  }

  /// A unary call has one answer and no stream of messages: its caller must be told once, whatever comes.
  private func wrongShape(_ stream: UInt32, _ contents: Contents) -> Delivery {
    contents.connection.forget(stream)
    guard let receiver = take(stream, contents) else { return .nobody }
    return .ended(receiver, BatonError(.internal, "the daemon answered a unary call with a stream"))
  }

  private func take(_ stream: UInt32, _ contents: Contents) -> Receiver? {
    contents.tickets.removeValue(forKey: stream)?.state.withLock { $0 = .ended }
    return contents.receivers.removeValue(forKey: stream)
  }
}
