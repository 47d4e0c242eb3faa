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
    var output = OutboundQueue()
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
    let now = Int64(Clock.boottimeNanoseconds())
    let timeout = (timeoutMilliseconds ?? 0).multipliedReportingOverflow(by: 1_000_000).partialValue
    let failure: BatonError? = contents.withLock { contents in
      if let failure = contents.failure { return failure }
      let stream = request.withUnsafeBytes { payload in
        contents.connection.open(
          service: description.service, method: description.name, shape: description.shape, payload: payload,
          timeoutNanoseconds: timeout, now: now, arena: contents.arena, output: &contents.output)
      }
      guard let stream else {
        return BatonError(.resourceExhausted, "the request is too large, or too much waits to be sent")
      }
      let isCancelled = ticket.state.withLock { state in
        if case .cancelled = state { return true }
        state = .open(stream)
        return false
      }
      guard !isCancelled else {
        contents.connection.forget(stream)
        return BatonError(.cancelled, "the task was cancelled")
      }
      contents.receivers[stream] = receiver
      contents.tickets[stream] = ticket
      // A little later than the daemon's own deadline, whose answer says more.
      if timeout > 0 { contents.deadlines.add(stream, at: now + timeout + 250_000_000) }
      write(contents)
      return nil
    }
    if let failure { receiver.ended(failure) }
    if timeoutMilliseconds != nil { wake.signal() }
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
    for receiver in receivers.values { receiver.ended(error) }
    wake.signal()
  }

  // MARK: - The thread

  func run() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let (isFailed, wantsWrite, next) = contents.withLock { contents in
        (contents.failure != nil, !contents.output.isEmpty, contents.deadlines.next)
      }
      if isFailed { return }
      var descriptors = [
        pollfd(fd: descriptor.rawValue, events: Int16(POLLIN | (wantsWrite ? POLLOUT : 0)), revents: 0),
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

  /// What came for one caller; carried out without the lock.
  private enum Delivery {
    case message(Receiver, [UInt8])
    case ended(Receiver, BatonError?)
    case broken
  }

  private func deliver(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    while true {
      let delivery: Delivery? = contents.withLock { contents in
        switch contents.connection.next(&input, arena: contents.arena) {
        case .needMore: return nil
        case .protocolError: return .broken
        case .message(let stream, let payload):
          guard let receiver = contents.receivers[stream] else { return .none }
          return .message(receiver, Array(payload))
        case .finished(let stream):
          guard let receiver = take(stream, contents) else { return .none }
          return .ended(receiver, nil)
        case .response(let stream, let status, let payload):
          guard let receiver = take(stream, contents) else { return .none }
          guard status.code == .ok else { return .ended(receiver, BatonError(status)) }
          return receiver.isUnary ? .message(receiver, Array(payload)) : .ended(receiver, nil)
        }
      }
      switch delivery {
      case .message(let receiver, let bytes): receiver.message(bytes)
      case .ended(let receiver, let error): receiver.ended(error)
      case .broken:
        return fail(BatonError(.internal, "what answers is not the daemon", isConnectionFailure: true))
      case nil:
        if input.isEmpty { return }
      }
    }
  }

  private func take(_ stream: UInt32, _ contents: Contents) -> Receiver? {
    contents.tickets.removeValue(forKey: stream)?.state.withLock { $0 = .ended }
    return contents.receivers.removeValue(forKey: stream)
  }
}
