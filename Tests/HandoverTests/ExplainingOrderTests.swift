import Testing

@testable import Handover

/// How far is this order, or how did it end?
private let orders: [Question<Asked>] = [
  .init(
    "an open one: how far it is and whom it waits for",
    {
      $0.drains()
      $0.holds(1, (7, .stopping, 55))
    },
    answer: """
      acked | slow | 4 min | 7
      Drain order 12 of runner 5 (version 7) is acked.
      The runner acknowledged its Stop 58 s ago.
      It waits for 1 actor: actor 7 (stopping for 55 s).
      4 min is left: then it is ended by force; its actor is taken away and goes on elsewhere.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      > baton explain actor 7
      """),
  .init(
    "completed",
    {
      $0.drains(.versionUpgrade, .completed)
      $0.ended(.stopped, .detached, exitCode: 0)
    },
    answer: """
      completed | settled
      Drain order 12 of runner 5 (version 7) is completed.
      The runner held nothing any more and left 10 s ago, after 50 s.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "forced at its deadline",
    {
      $0.drains(.operator, .forced, reason: "kernel update")
      $0.ended(.stopped, .forced)
    },
    answer: """
      forced | settled
      Drain order 12 of runner 5 (version 7) is forced.
      The runner was ended by force 10 s ago, after 50 s, and what it held was taken away.
      < 1 min ago somebody ordered runner 5 to leave (drain order 12), by uid 1000 (baton, pid 77): kernel \
      update
      """),
  .init(
    "forced by somebody",
    {
      $0.drains(.operator, .forced, reason: "kernel update")
      $0.did(.drainForced, "stuck", order: 12)
      $0.ended(.stopped, .forced)
    },
    answer: """
      forced | settled
      Drain order 12 of runner 5 (version 7) is forced.
      The runner was ended by force 10 s ago, after 50 s, and what it held was taken away.
      < 30 s ago it was ended by force, by uid 1000 (baton, pid 77): stuck
      < 1 min ago somebody ordered runner 5 to leave (drain order 12), by uid 1000 (baton, pid 77): kernel \
      update
      """),
  .init(
    "its runner was lost",
    {
      $0.drains(.versionUpgrade, .runnerLost)
      $0.ended(.lost, .threshold)
    },
    answer: """
      runner_lost | settled
      Drain order 12 of runner 5 (version 7) is runner_lost.
      The runner was lost 10 s ago, after 50 s, before it had left.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "taken back by somebody",
    {
      $0.drains(.versionUpgrade, .cancelled)
      $0.taken(nil, "needed")
      $0.did(.drainCancelled, "needed", order: 12)
      $0.exempt()
    },
    answer: """
      cancelled | settled
      Drain order 12 of runner 5 (version 7) is cancelled.
      The runner stayed: it was taken back 10 s ago by uid 1000 (baton, pid 77): needed.
      < 30 s ago its order was cancelled, by uid 1000 (baton, pid 77): needed
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
]

@Test(arguments: orders) fileprivate func anOrderSaysWhy(_ question: Question<Asked>) {
  #expect(text(.order(question.facts.order!, question.facts.facts)) == question.answer)
}
