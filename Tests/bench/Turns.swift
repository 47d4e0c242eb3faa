/// Two things measured in turns, so that both meet the same neighbours and the same luck with cores: what is told is the
/// median of all turns, and of their ratios.
struct Turns {
  private var ours: [Double] = []
  private var base: [Double] = []

  /// Of each turn, one figure of ours and one of what it is held against.
  init(_ count: Int, ours: (Int) throws -> Double, base: (Int) throws -> Double) rethrows {
    for turn in 0..<count {
      // Neither is always the first.
      if turn % 2 == 0 {
        self.ours.append(try ours(turn))
        self.base.append(try base(turn))
      } else {
        self.base.append(try base(turn))
        self.ours.append(try ours(turn))
      }
    }
  }

  var oursMedian: Double { Measure.percentile(ours, 0.5) }
  var baseMedian: Double { Measure.percentile(base, 0.5) }
  /// Ours over what it is held against.
  var ratio: Double { Measure.percentile(zip(ours, base).map { $0 / $1 }, 0.5) }
}
