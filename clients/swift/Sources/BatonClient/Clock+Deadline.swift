import Linux

extension Clock {
  /// So many milliseconds from now, in nanoseconds since boot; what is too far to say is never.
  static func boottimeNanoseconds(afterMilliseconds milliseconds: Int64) -> Int64 {
    let wait = max(0, milliseconds).multipliedReportingOverflow(by: 1_000_000)
    let (deadline, isTooFar) = Int64(boottimeNanoseconds()).addingReportingOverflow(wait.partialValue)
    return wait.overflow || isTooFar ? .max : deadline
  }
}
