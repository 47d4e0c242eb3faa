/// Which runner gets the next actor: the rule in its plainest form, by looking at all of them. The registry answers the same
/// question with one indexed query; the simulator compares the two.
package enum Allocator {
  /// A runner that may be given actors: ready, attached, not silent, its user's word counts in the pool, and it takes
  /// actors.
  package struct Candidate: Hashable, Sendable {
    package var runner: RunnerID
    package var version: Version
    /// Total slots less those in use; not positive when a resume offered fewer than are in use.
    package var freeSlots: Int64
    /// When it was last given an actor; 0 when never.
    package var lastWorkNanoseconds: Int64
    package init(runner: RunnerID, version: Version, freeSlots: Int64, lastWorkNanoseconds: Int64) {
      self.runner = runner
      self.version = version
      self.freeSlots = freeSlots
      self.lastWorkNanoseconds = lastWorkNanoseconds
    }
  }

  /// The target version first; where the pool falls back, then the older ones, greatest first, and last those newer than the
  /// target, which are not trusted yet; then most free slots, then longest without work, then least id. nil when nobody has
  /// a slot.
  package static func choose(
    _ candidates: some Sequence<Candidate>, target: Version?, fallsBack: Bool
  ) -> RunnerID? {
    candidates
      .filter { $0.freeSlots > 0 && ($0.version == target || fallsBack) }
      .min { a, b in
        if a.version != b.version { return precedes(a.version, b.version, target) }
        if a.freeSlots != b.freeSlots { return a.freeSlots > b.freeSlots }
        return (a.lastWorkNanoseconds, a.runner) < (b.lastWorkNanoseconds, b.runner)
      }?.runner
  }

  /// In which order the versions of a pool are asked.
  package static func order(_ versions: [Version], target: Version?, fallsBack: Bool) -> [Version] {
    versions.filter { $0 == target || fallsBack }.sorted { precedes($0, $1, target) }
  }

  private static func precedes(_ a: Version, _ b: Version, _ target: Version?) -> Bool {
    func rank(_ version: Version) -> Int {
      version == target ? 0 : target.map { version > $0 } ?? false ? 2 : 1
    }
    return rank(a) == rank(b) ? a > b : rank(a) < rank(b)
  }
}
