import Testing

@testable import Handover

/// Where is this pool's upgrade, and what does it wait for?
private let pools: [Question<Asked>] = [
  .init(
    "everybody is of the target",
    { $0.fleet.runners.removeFirst() },
    answer: """
      settled | settled
      default/web has been on version 8 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "nobody has come yet",
    {
      $0.fleet.target = nil
      $0.fleet.runners = []
    },
    answer: """
      empty | settled
      default/web has no target version yet: no runner of it has been attached.
      """),
  .init(
    "an upgrade is under way, at its pace",
    {
      $0.fleet.settings.maxDraining = .count(1)
      $0.fleet.runners[0].isDraining = true
      $0.fleet.runners[0].actors = 2
      $0.fleet.runners.append(.init(id: RunnerID(6), version: Version(7)!, slots: 4, actors: 1))
    },
    answer: """
      upgrading | slow
      default/web has been on version 8 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 3 of 4 slots free, 1 draining.
      1 runner waits for its turn: no more may drain at once (max_draining).
      1 runner is draining.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drains --watch web
      """),
  .init(
    "it is held: the target has not been healthy for long enough",
    {
      $0.fleet.settings.minHealthyMilliseconds = 30_000
      $0.fleet.target = Version(7)
      $0.fleet.healthySince[Version(8)!] = Asked.ahead(-18)
    },
    answer: """
      held | slow
      default/web has been on version 7 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      1 runner stays until version 8 has had an attached ready runner for long enough (min_healthy): 12 s \
      more.
      < 1 min 1 s ago version 7 became the target, after version 6, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drains --watch web
      """),
  .init(
    "it is held for good: there is no room",
    {
      $0.fleet.settings.capacity = .wait
      $0.fleet.memory.settledSlots = 8
    },
    answer: """
      held | impossible
      default/web has been on version 8 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      1 runner stays: without the next one the pool would have 4 slots too few (min_available); it takes as \
      many more of version 8, or a lower min_available.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton plan web --version 8 --slots 4
      > baton drain web --older-than 8
      """),
  .init(
    "it is abandoned",
    {
      $0.fleet.settings.capacity = .wait
      $0.fleet.memory = PoolMemory(upgrade: .init(goal: Version(8)!, isAbandoned: true), settledSlots: 8)
    },
    answer: """
      abandoned | impossible
      default/web has been on version 8 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      1 runner stays: the upgrade to version 8 was held back for hold_timeout and is abandoned; a new config \
      or pin tries it again.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton pin web 8
      """),
  .init(
    "a version was demoted twice and must prove itself",
    {
      $0.fleet.settings.minHealthyMilliseconds = 30_000
      $0.fleet.target = Version(7)
      $0.fleet.healthySince[Version(8)!] = Asked.ahead(-18)
      $0.fleet.memory.strikes[Version(8)!] = .init(count: 2, lastNanoseconds: Asked.ahead(-60))
    },
    answer: """
      held | slow
      default/web has been on version 7 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      1 runner stays until version 8 has had an attached ready runner for long enough (min_healthy): 1 min \
      42 s more.
      Version 8 was demoted 2 times: it must be healthy for 2 min without a break before it is the target \
      again.
      Version 8 will have been healthy for long enough in 1 min 42 s.
      < 1 min 1 s ago version 7 became the target, after version 6, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drains --watch web
      """),
  .init(
    "its version is set by hand and not there",
    { $0.pinned(6, "7 and 8 leak") },
    answer: """
      held | impossible
      default/web has been on version 8 for 1 min 1 s.
      Version 6 was set by hand 2 min ago by uid 1000 (baton, pid 77): 7 and 8 leak.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      2 runners stay: version 6, which is pinned, has no attached ready runner; start one, or set another \
      target.
      < 1 min 1 s ago version 8, set by hand, became the target, after version 7, by uid 1000 (baton, pid 77)
      > baton pin web auto
      """),
  .init(
    "somebody cancelled an order",
    { $0.exempt() },
    answer: """
      settled | settled
      default/web has been on version 8 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      1 runner stays: somebody cancelled the order to leave for version 8; that holds until there is another \
      target.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "it does not drain",
    { $0.fleet.kind = .off },
    answer: """
      settled | settled
      default/web has been on version 8 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      It does not drain on a version upgrade: older runners stay.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain web --older-than 8
      """),
  .init(
    "a foreign newcomer does not move it",
    {
      $0.fleet.target = Version(7)
      $0.fleet.runners[1].isAuthorized = false
    },
    answer: """
      settled | settled
      default/web has been on version 7 for 1 min 1 s.
      Version 8: 1 ready, 4 of 4 slots free.
      Version 7: 1 ready, 4 of 4 slots free.
      A newer version is there, but no user's word that counts in this pool stands behind it.
      < 1 min 1 s ago version 7 became the target, after version 6, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
]

@Test(arguments: pools) fileprivate func aPoolSaysWhy(_ question: Question<Asked>) {
  #expect(text(.pool(question.facts.pool)) == question.answer)
}
