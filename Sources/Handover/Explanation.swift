/// Why something is as it is: for people in sentences, for programs in fields.
package struct Explanation: Hashable, Sendable {
  /// Whether it goes on by itself.
  package enum Outlook: Int, Sendable, CaseIterable {
    /// It waits for nothing.
    case settled = 1
    /// It goes on by itself, at its pace.
    case slow = 2
    /// It stays as it is until somebody does something, or its deadline does.
    case impossible = 3
  }

  /// One link of the chain of causes.
  package struct Cause: Hashable, Sendable {
    /// What happened, as a sentence.
    package var what: String
    /// nil when the daemon or a runner did it.
    package var who: Peer?
    package var reason: String
    package var atMilliseconds: Int64
    package init(what: String, who: Peer?, reason: String, atMilliseconds: Int64) {
      self.what = what
      self.who = who
      self.reason = reason
      self.atMilliseconds = atMilliseconds
    }
  }

  /// In a few words.
  package var state: String
  package var sentences: [String]
  /// The nearest first.
  package var causes: [Cause]
  package var holds: [Hold]
  /// Actors that it waits for, at most `blockingActorsShown`, the longest at it first.
  package var blockingActors: [ActorID]
  package var blockingActorCount: Int
  /// On the clock of `Moment.nanoseconds`; nil when no time is set.
  package var endsAtNanoseconds: Int64?
  package var outlook: Outlook
  /// What somebody could do, as commands of `baton`.
  package var hints: [String]

  package static let blockingActorsShown = 10

  package init(
    state: String, sentences: [String] = [], causes: [Cause] = [], holds: [Hold] = [],
    blockingActors: [ActorID] = [], blockingActorCount: Int = 0, endsAtNanoseconds: Int64? = nil,
    outlook: Outlook = .settled, hints: [String] = []
  ) {
    self.state = state
    self.sentences = sentences
    self.causes = causes
    self.holds = holds
    self.blockingActors = blockingActors
    self.blockingActorCount = blockingActorCount
    self.endsAtNanoseconds = endsAtNanoseconds
    self.outlook = outlook
    self.hints = hints
  }
}
