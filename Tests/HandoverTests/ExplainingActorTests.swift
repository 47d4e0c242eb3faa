import Testing

@testable import Handover

/// What does this actor wait for?
private let questions: [Question<Asked>] = [
  .init(
    "no runner takes actors",
    {
      $0.actor(.pending) {
        $0.wait = .runner; $0.queuedBefore = 3
      }
    },
    answer: """
      pending | impossible
      Actor 7 (box, key a) has been waiting for a slot for 55 s.
      default/web has no attached ready runner that takes actors; 3 have their turn before it.
      > baton runners web
      """),
  .init(
    "no slot is free",
    {
      $0.fleet.runners[1].actors = 4
      $0.actor(.pending) { $0.wait = .capacity }
    },
    answer: """
      pending | slow
      Actor 7 (box, key a) has been waiting for a slot for 55 s.
      No runner that may take it has a free slot; it is the next.
      Version 8 has 0 of 4 slots free.
      Version 7 has 4 of 4 slots free, but is not the target, and fallback is off.
      > baton explain pool web
      """),
  .init(
    "it failed and is tried again",
    {
      $0.actor(.pending) {
        $0.wait = .backoff; $0.dueNanoseconds = Asked.ahead(8); $0.retries = 3; $0.failure = .crashed;
        $0.stopMessage = "out of memory"; $0.failedAtMilliseconds = Asked.ago(2)
      }
    },
    answer: """
      pending | slow | 8 s
      Actor 7 (box, key a) has been waiting for a slot for 55 s.
      It is tried again in 8 s, after 3 failed tries in a row.
      What last went wrong (2 s ago): it crashed: out of memory.
      """),
  .init(
    "it has its turn",
    { $0.actor(.pending) { $0.wait = .turn } },
    answer: """
      pending | slow
      Actor 7 (box, key a) has been waiting for a slot for 55 s.
      A slot is free: it has its turn with the next change; it is the next.
      """),
  .init(
    "it starts",
    { $0.actor(.starting, on: 5) { $0.dueNanoseconds = Asked.ahead(20) } },
    answer: """
      starting | slow | 20 s
      Actor 7 (box, key a) has been starting for 55 s: it was sent to runner 5, which has not acknowledged \
      it yet.
      20 s is left until it must run; then it is tried again elsewhere.
      """),
  .init(
    "it runs",
    { $0.actor(.running, on: 5) },
    answer: """
      running | settled
      Actor 7 (box, key a) has been running on runner 5 for 55 s.
      """),
  .init(
    "it stops because its runner must leave",
    {
      $0.drains()
      $0.actor(.stopping, on: 5) {
        $0.stopReason = .goingAway; $0.dueNanoseconds = Asked.ahead(240); $0.isCommandAcked = true
      }
    },
    answer: """
      stopping | slow | 4 min
      Actor 7 (box, key a) has been stopping for 55 s: its runner must leave, and it goes on elsewhere.
      That was told to runner 5, which has acknowledged it.
      4 min is left; then it is taken away from the runner.
      Runner 5 must leave (drain order 12): version 8 is the target of default/web.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton explain runner 5
      """),
  .init(
    "its runner is away",
    {
      $0.detached(seconds: 4)
      $0.actor(.stopping, on: 5) {
        $0.stopReason = .sleep; $0.dueNanoseconds = Asked.ahead(240); $0.isWakeWanted = true
      }
    },
    answer: """
      stopping | impossible | 4 min
      Actor 7 (box, key a) has been stopping for 55 s: it is to sleep.
      That was told to runner 5, which has not acknowledged it yet.
      4 min is left; then it is taken away from the runner.
      The runner has been detached for 4 s: unless it comes back it is lost in 11 s, and what it holds goes \
      on elsewhere.
      It was woken meanwhile: it comes back as soon as it has stopped.
      > baton explain runner 5
      """),
  .init(
    "it sleeps until its alarm",
    { $0.actor(.sleeping) { $0.dueNanoseconds = Asked.ahead(3600) } },
    answer: """
      sleeping | settled | 1 h
      Actor 7 (box, key a) has been asleep for 55 s.
      Its alarm is in 1 h.
      > baton actors wake 7
      """),
  .init(
    "it is gone",
    { $0.actor(.destroyed) },
    answer: """
      destroyed | settled
      Actor 7 (box, key a) was destroyed 55 s ago.
      """),
]

@Test(arguments: questions) fileprivate func anActorSaysWhy(_ question: Question<Asked>) {
  #expect(text(.actor(question.facts.actorFacts)) == question.answer)
}
