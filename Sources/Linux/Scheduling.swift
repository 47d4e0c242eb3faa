import CLinux

/// How the kernel shares the processor out among threads.
package enum Scheduling {
  /// So long a thread that answers others runs at a time; the least that the kernel knows.
  static let shortSliceNanoseconds: UInt64 = 100_000

  /// Asks for short slices for the calling thread: of two threads that are due the same, the one with the shorter slice
  /// comes first, so it does not wait for the whole slice of one that computes. It gets no more time in all. Kernels
  /// before 6.12 take no notice, which is fine.
  package static func askForShortSlices() { _ = clinux_set_slice(shortSliceNanoseconds) }

  /// The calling thread's slice; nil where the kernel does not say.
  package static var sliceNanoseconds: Int64? {
    let slice = clinux_slice()
    return slice > 0 ? slice : nil
  }
}
