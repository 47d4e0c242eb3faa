import Linux

extension Clock {
  /// So many milliseconds from now, in nanoseconds since boot; what is too far to say is never.
  static func boottimeNanoseconds(afterMilliseconds milliseconds: Int64) -> Int64 {
    Int64(boottimeNanoseconds()).nanoseconds(afterMilliseconds: milliseconds)
  }
}

extension Int64 {
  /// So many milliseconds after this time in nanoseconds; what is too far to say is never.
  func nanoseconds(afterMilliseconds milliseconds: Int64) -> Int64 {
    let wait = Swift.max(0, milliseconds).multipliedReportingOverflow(by: 1_000_000)
    let (time, isTooFar) = addingReportingOverflow(wait.partialValue)
    return wait.overflow || isTooFar ? .max : time
  }
}
