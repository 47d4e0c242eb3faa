import Glibc

/// Times of day as a person at this machine reads them.
enum LocalTime {
  /// `14:03:07.250` in the local zone.
  static func text(milliseconds: Int64) -> String {
    "\(time(parts(milliseconds))).\(pad(Int(milliseconds % 1000), 3))"
  }

  /// `2026-03-01 14:03:07` in the local zone, for what may be of another day.
  static func withDate(milliseconds: Int64) -> String {
    let parts = parts(milliseconds)
    return
      "\(parts.tm_year + 1900)-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2)) \(time(parts))"
  }

  private static func parts(_ milliseconds: Int64) -> tm {
    var seconds = time_t(milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return parts
  }

  private static func time(_ parts: tm) -> String {
    "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
  }

  private static func pad(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
