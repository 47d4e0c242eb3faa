import Glibc
import Linux

/// One row of the table.
struct Row {
  var name: String
  var figure: String
  var baseline: String
  var ratio: String
  var floor: String
  /// nil: a figure without a floor.
  var isMet: Bool?
}

enum Measure {
  static func now() -> Double { Double(Clock.boottimeNanoseconds()) / 1e9 }

  static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = now()
    try body()
    return now() - start
  }

  static func percentile(_ samples: [Double], _ share: Double) -> Double {
    let sorted = samples.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  static func micro(_ seconds: Double) -> String { fixed(seconds * 1e6, 1) + " µs" }
  static func rate(_ count: Int, _ seconds: Double) -> String {
    let rate = Double(count) / seconds
    return rate > 1e6 ? fixed(rate / 1e6, 2) + " M/s" : "\(Int(rate))/s"
  }
  static func fixed(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let whole = Int((value * scale).rounded())
    guard digits > 0 else { return "\(whole)" }
    let rest = "\(abs(whole) % Int(scale))"
    return "\(whole / Int(scale))." + String(repeating: "0", count: digits - rest.count) + rest
  }
}

/// What the kernel's sockets alone cost, in the same run.
enum Baseline {
  /// Seconds of each round trip of 64 bytes between two threads.
  static func pingPong(_ count: Int) throws -> [Double] {
    let pair = try UnixSocket.socketPair(nonblocking: false)
    return try pair.take { first, second in
      let (here, there) = (first.release(), second.release())
      defer {
        close(here)
      }
      let echo = try WorkerThread(name: "echo") {
        var bytes = [UInt8](repeating: 0, count: 64)
        while recv(there, &bytes, 64, 0) > 0 { send(there, bytes, 64, Int32(MSG_NOSIGNAL)) }
        close(there)
      }
      var bytes = [UInt8](repeating: 1, count: 64)
      var samples: [Double] = []
      for _ in 0..<count {
        samples.append(
          Measure.seconds {
            send(here, bytes, 64, Int32(MSG_NOSIGNAL))
            _ = recv(here, &bytes, 64, 0)
          })
      }
      shutdown(here, Int32(SHUT_RDWR))
      echo.join()
      return samples
    }
  }

  /// Seconds for `rounds` messages over each of `connections`, each answered by an epoll loop that does nothing else.
  static func echoes(_ connections: Int, rounds: Int, message: [UInt8], answerBytes: Int) throws -> Double {
    var here: [Int32] = []
    var there: [Int32] = []
    for _ in 0..<connections {
      let pair = try UnixSocket.socketPair(nonblocking: false)
      pair.take { first, second in
        here.append(first.release())
        there.append(second.release())
      }
    }
    defer { for descriptor in here { close(descriptor) } }
    let servers = there
    let reader = try WorkerThread(name: "epoll") {
      guard let poller = try? Poller() else { return }
      for descriptor in servers { try? poller.add(descriptor, token: UInt64(descriptor), for: .readable) }
      var left = servers.count
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
      defer { buffer.deallocate() }
      while left > 0 {
        _ = try? poller.wait(timeoutMilliseconds: -1) { token, _ in
          let descriptor = Int32(token)
          let count = recv(descriptor, buffer.baseAddress, 4096, Int32(MSG_DONTWAIT))
          if count > 0 {
            send(descriptor, buffer.baseAddress, answerBytes, Int32(MSG_NOSIGNAL))
          } else if count == 0 {
            close(descriptor)
            left -= 1
          }
        }
      }
    }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let seconds = Measure.seconds {
      for _ in 0..<rounds {
        for descriptor in here { send(descriptor, message, message.count, Int32(MSG_NOSIGNAL)) }
        for descriptor in here { _ = recv(descriptor, &buffer, buffer.count, 0) }
      }
    }
    for descriptor in here { shutdown(descriptor, Int32(SHUT_RDWR)) }
    reader.join()
    return seconds
  }
}
