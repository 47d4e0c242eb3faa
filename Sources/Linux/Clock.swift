import Glibc

/// The kernel's clocks.
package enum Clock {
  /// Nanoseconds since the machine booted, sleep included; never goes back, and starts anew with each boot.
  package static func boottimeNanoseconds() -> UInt64 { nanoseconds(CLOCK_BOOTTIME) }

  /// Milliseconds since 1970, for people: it jumps when the clock is set.
  package static func wallMilliseconds() -> Int64 { Int64(nanoseconds(CLOCK_REALTIME) / 1_000_000) }

  /// The id of this boot, 36 characters: a boottime means something within one boot alone.
  package static func bootID() throws(Errno) -> String {
    let text = try startOfFile("/proc/sys/kernel/random/boot_id")
    return String(text.prefix { !$0.isWhitespace })
  }

  private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    precondition(clock_gettime(clock, &time) == 0, "clock \(clock): errno \(errno)")
    // A wall clock set to before 1970 must not be what stops the service.
    guard time.tv_sec >= 0 else { return 0 }
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
