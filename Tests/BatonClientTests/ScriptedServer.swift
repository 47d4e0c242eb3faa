import BatonAPI
import CBatonProto
import Foundation
import Glibc
import Linux
import Protobuf
import Ttrpc

/// A server that does what a test says, rightly or not, for one client at a time. It speaks through Ttrpc's own server
/// machine, on a thread of its own.
final class ScriptedServer: Sendable {
  /// What came of a client.
  enum Arrival: Hashable, Sendable {
    case connected
    case call(Method, stream: UInt32)
    /// A message on the stream of a call.
    case said([UInt8])
    /// ConnectionService.Cancel of a stream; answered by itself.
    case cancel(stream: UInt32)
    /// The client hung up.
    case end
  }

  /// What to do about it, on the stream of the call where there is one.
  enum Action: Sendable {
    case reply([UInt8])
    case fail(Status)
    case message([UInt8])
    case finish
    case raw([UInt8])
    case hangUp
  }

  let path: String
  /// Everything that arrives, in order.
  let arrivals: AsyncStream<Arrival>
  private let directory: String
  private let listener: Listener
  private let thread: WorkerThread

  init(_ script: @escaping @Sendable (Arrival) -> [Action]) throws {
    directory = NSTemporaryDirectory() + "scripted-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    path = directory + "/s"
    let listener = try Listener.bind(path: path)
    self.listener = listener
    let (arrivals, continuation) = AsyncStream.makeStream(of: Arrival.self)
    self.arrivals = arrivals
    thread = try WorkerThread(name: "scripted") {
      while let descriptor = Self.accept(listener) {
        ScriptedConnection(script, continuation).serve(descriptor)
      }
      continuation.finish()
    }
  }

  deinit {
    _ = shutdown(listener.rawValue, Int32(SHUT_RDWR))
    thread.join()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Waits for the first arrival of a kind.
  func first(where isWanted: (Arrival) -> Bool) async -> Arrival? {
    for await arrival in arrivals where isWanted(arrival) { return arrival }
    return nil
  }

  /// nil once the listener is shut down.
  private static func accept(_ listener: Listener) -> FileDescriptor? {
    while true {
      var waiting = pollfd(fd: listener.rawValue, events: Int16(POLLIN), revents: 0)
      _ = poll(&waiting, 1, -1)
      guard waiting.revents & Int16(POLLHUP | POLLERR) == 0, let accepted = try? listener.accept() else {
        return nil
      }
      switch consume accepted {
      case .accepted(let descriptor):
        try? descriptor.setNonblocking(false)
        return descriptor
      case .wouldBlock: continue
      case .exhausted: return nil
      }
    }
  }
}

private final class ScriptedConnection {
  private let script: @Sendable (ScriptedServer.Arrival) -> [ScriptedServer.Action]
  private let arrivals: AsyncStream<ScriptedServer.Arrival>.Continuation
  private var connection = ServerConnection(maxStreams: 64)
  private var output = OutboundQueue()
  private let arena = Arena()
  private var isOver = false

  init(
    _ script: @escaping @Sendable (ScriptedServer.Arrival) -> [ScriptedServer.Action],
    _ arrivals: AsyncStream<ScriptedServer.Arrival>.Continuation
  ) {
    self.script = script
    self.arrivals = arrivals
  }

  func serve(_ descriptor: consuming FileDescriptor) {
    arrived(.connected, stream: 1)
    flush(descriptor)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    defer { buffer.deallocate() }
    while !isOver {
      guard case .bytes(let count)? = try? descriptor.recv(into: buffer) else {
        arrivals.yield(.end)
        return
      }
      take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      flush(descriptor)
    }
  }

  private func take(_ bytes: UnsafeRawBufferPointer) {
    var input = bytes
    while !isOver {
      let event = connection.next(&input, now: 0, arena: arena, output: &output) { name in
        Method.find(name).map { ResolvedMethod(index: $0.rawValue, shape: $0.shape) }
      }
      switch event {
      case .needMore: return
      case .call(let stream, let index, let payload, _):
        guard let method = Method(rawValue: index) else { return }
        if method == .cancel {
          cancelled(payload)
          act(.reply([]), stream)
        } else {
          arrived(.call(method, stream: stream), stream: stream)
        }
      case .message(let stream, let bytes): arrived(.said(Array(bytes)), stream: stream)
      case .remoteClosed: continue
      case .protocolError, .outputFull: isOver = true
      }
    }
  }

  private func cancelled(_ payload: UnsafeRawBufferPointer?) {
    let arena = Arena()
    guard let payload, let request = try? Codec.decode(Baton__V1__CancelRequest.self, payload, in: arena)
    else { return }
    arrivals.yield(.cancel(stream: request.pointee.stream_id))
  }

  private func arrived(_ arrival: ScriptedServer.Arrival, stream: UInt32) {
    for action in script(arrival) { act(action, stream) }
    arrivals.yield(arrival)
  }

  private func act(_ action: ScriptedServer.Action, _ stream: UInt32) {
    switch action {
    case .reply(let bytes):
      bytes.withUnsafeBytes {
        _ = connection.reply(stream, $0, now: 0, arena: Arena(), output: &output)
      }
    case .fail(let status):
      _ = connection.fail(stream, status, now: 0, arena: Arena(), output: &output)
    case .message(let bytes):
      _ = connection.send(stream, count: bytes.count, now: 0, output: &output) { $0.copyBytes(from: bytes) }
    case .finish: _ = connection.finish(stream, now: 0, output: &output)
    case .raw(let bytes): _ = output.append(text: bytes, now: 0)
    case .hangUp: isOver = true
    }
  }

  private func flush(_ descriptor: borrowing FileDescriptor) {
    while !output.isEmpty {
      let written: Int? = output.withUnwritten { bytes in
        guard case .bytes(let count)? = try? descriptor.send(bytes) else { return nil }
        return count
      }
      guard let written else {
        arrivals.yield(.end)
        isOver = true
        return
      }
      output.wrote(written, now: 0) { _ in }
    }
  }
}
