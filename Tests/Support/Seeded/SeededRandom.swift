/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere for the same seed.
package struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// True once in `n` times on average; never for 0.
  package mutating func oneIn(_ n: Int) -> Bool { n > 0 && Int(next() % UInt64(n)) == 0 }

  package mutating func milliseconds(_ range: ClosedRange<Int64>) -> Int64 {
    Int64.random(in: range, using: &self) * 1_000_000
  }
}
