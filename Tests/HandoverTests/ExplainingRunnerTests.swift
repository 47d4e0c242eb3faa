import Testing

@testable import Handover

/// Why does this runner leave, and what does it wait for?
private let leaving: [Question<Asked>] = [
  .init(
    "it waits for an actor that does not stop",
    {
      $0.drains()
      $0.holds(4, (7, .stopping, 55), (8, .stopping, 54), (9, .running, 50), (10, .running, 1))
    },
    answer: """
      draining, attached | slow | 4 min | 7 8 9 10
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      The runner acknowledged its Stop 58 s ago.
      It waits for 4 actors: actor 7 (stopping for 55 s), actor 8 (stopping for 54 s), actor 9 (running for \
      50 s) and 1 more.
      4 min is left: then it is ended by force; its actors are taken away and go on elsewhere.
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
    "it holds nothing and has not said that it has finished",
    { $0.drains() },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      The runner acknowledged its Stop 58 s ago.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "it is a program that takes no actors",
    {
      $0.drains()
      $0.runner.takesActors = false
    },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      The runner acknowledged its Stop 58 s ago.
      It takes no actors: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "its Stop is on its way",
    { $0.drains(.versionUpgrade, .ordered) },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      Its Stop is on its way.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "it has its Stop and says nothing",
    { $0.drains(.versionUpgrade, .delivered) },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      Its Stop was delivered 59 s ago; the runner has not acknowledged it yet.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "it is away, and its Stop waits for it",
    {
      $0.drains(.versionUpgrade, .ordered)
      $0.detached(seconds: 4)
      $0.holds(1, (7, .stopping, 55))
    },
    answer: """
      draining, detached | impossible | 4 min | 7
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      Its Stop has not been delivered, since the runner is detached: it is sent when that comes back.
      The runner has been detached for 4 s: unless it comes back it is lost in 11 s, and what it holds goes \
      on elsewhere.
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
    "its key was taken by a newer one",
    { $0.drains(.superseded, reason: "version 8 registered with its key host-5") },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 registered with its key host-5.
      The runner acknowledged its Stop 58 s ago.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 was ordered to leave for the one that took its key (drain order 12), by uid 1000 \
      (worker, pid 4711): version 8 registered with its key host-5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "somebody ordered it, and gave it more time",
    {
      $0.drains(.operator, reason: "kernel update")
      $0.did(.drainExtended, "by 60000 ms: long job", order: 12)
    },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: uid 1000 (baton, pid 77) ordered it to: kernel update.
      The runner acknowledged its Stop 58 s ago.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 30 s ago its deadline was extended, by uid 1000 (baton, pid 77): by 60000 ms: long job
      < 1 min ago somebody ordered runner 5 to leave (drain order 12), by uid 1000 (baton, pid 77): kernel \
      update
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "it leaves on its own word",
    { $0.drains(.self, reason: "SIGTERM") },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: it began to by itself: SIGTERM.
      The runner acknowledged its Stop 58 s ago.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 began to leave by itself (drain order 12), by uid 1000 (worker, pid 4711): SIGTERM
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "its target was set by hand",
    {
      $0.pinned(8, "7 leaks")
      $0.drains(reason: "version 8 is the target of default/web (set by hand: 7 leaks)")
    },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web (set by hand: 7 \
      leaks).
      The runner acknowledged its Stop 58 s ago.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web (set by hand: 7 leaks)
      < 1 min 1 s ago version 8, set by hand, became the target, after version 7, by uid 1000 (baton, pid 77)
      < 2 min ago version 8 was set by hand, by uid 1000 (baton, pid 77): 7 leaks
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "it was offered to stay",
    {
      $0.drains()
      $0.taken(.offered, "needed")
      $0.did(.drainWayBackOffered, "needed", order: 12)
    },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      The runner acknowledged its Stop 58 s ago.
      It was offered to stay by uid 1000 (baton, pid 77): needed, and has not answered yet.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 30 s ago it was offered to stay, by uid 1000 (baton, pid 77): needed
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "it was offered to stay, too late",
    {
      $0.drains()
      $0.taken(.tooLate, "needed")
      $0.did(.drainWayBackOffered, "needed", order: 12)
      $0.did(.drainTooLate, "", order: 12, byRunner: true)
    },
    answer: """
      draining, attached | slow | 4 min
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      The runner acknowledged its Stop 58 s ago.
      It was offered to stay and answered that it has begun to end: the order cannot be taken back.
      It holds no actor: it waits for the runner to say that it has finished.
      4 min is left: then it is ended by force.
      < 30 s ago it answered that it had begun to end
      < 30 s ago it was offered to stay, by uid 1000 (baton, pid 77): needed
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --extend 10m 5
      > baton drain --force 5
      """),
  .init(
    "its time is over",
    {
      $0.drains(leftSeconds: -1)
      $0.holds(1, (7, .stopping, 299))
    },
    answer: """
      draining, attached | slow | 0 s | 7
      Runner 5 (version 7, key host-5) must leave: version 8 is the target of default/web.
      The runner acknowledged its Stop 58 s ago.
      It waits for 1 actor: actor 7 (stopping for 4 min 59 s).
      Its time is over: it is ended by force now; its actor is taken away and goes on elsewhere.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --cancel 5
      > baton drain --extend 10m 5
      > baton drain --force 5
      > baton explain actor 7
      """),
]

/// Why does it stay?
private let staying: [Question<Asked>] = [
  .init(
    "it is of the target version",
    { $0.runner = Asked.runner(9, version: 8) },
    answer: """
      ready, attached | settled
      Runner 9 (version 8, key host-9) is ready and attached.
      It is of the target version 8.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "upgrades drain nobody here",
    { $0.fleet.kind = .off },
    answer: """
      ready, attached | settled
      Runner 5 (version 7, key host-5) is ready and attached.
      It is older than the target version 8 and stays: upgrades do not drain default/web.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain web --older-than 8
      """),
  .init(
    "the pool is serverless",
    { $0.fleet.kind = .serverless },
    answer: """
      ready, attached | settled
      Runner 5 (version 7, key host-5) is ready and attached.
      The target is version 8; in a serverless pool nobody leaves for that.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "there is no target yet",
    {
      $0.fleet.target = nil
      $0.fleet.runners.removeLast()
      $0.fleet.runners[0].isAttached = false
      $0.detached(seconds: 2)
    },
    answer: """
      ready, detached | slow
      Runner 5 (version 7, key host-5) is ready and detached.
      The runner has been detached for 2 s: unless it comes back it is lost in 13 s, and what it holds goes \
      on elsewhere.
      default/web has no target version yet: nobody is told to leave for one.
      """),
  .init(
    "the goal has not been healthy for long enough",
    {
      $0.fleet.settings.minHealthyMilliseconds = 30_000
      $0.fleet.target = Version(7)
      $0.fleet.healthySince[Version(8)!] = Asked.ahead(-18)
    },
    answer: """
      ready, attached | slow
      Runner 5 (version 7, key host-5) is ready and attached.
      It is to leave for version 8, and a gate holds it (min_healthy).
      1 runner stays until version 8 has had an attached ready runner for long enough (min_healthy): 12 s \
      more.
      < 1 min 1 s ago version 7 became the target, after version 6, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drains --watch web
      """),
  .init(
    "the pool would have too few slots",
    {
      $0.fleet.settings.capacity = .wait
      $0.fleet.memory.settledSlots = 8
    },
    answer: """
      ready, attached | impossible
      Runner 5 (version 7, key host-5) is ready and attached.
      It is to leave for version 8, and a gate holds it (min_available).
      1 runner stays: without the next one the pool would have 4 slots too few (min_available); it takes as \
      many more of version 8, or a lower min_available.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton plan web --version 8 --slots 4
      > baton drain web --older-than 8
      """),
  .init(
    "somebody cancelled its order",
    {
      $0.drains(.versionUpgrade, .cancelled)
      $0.taken(nil, "needed")
      $0.did(.drainCancelled, "needed", order: 12)
      $0.exempt()
    },
    answer: """
      ready, attached | settled
      Runner 5 (version 7, key host-5) is ready and attached.
      It need not leave for version 8: its order was cancelled by uid 1000 (baton, pid 77): needed.
      That holds until there is another target.
      < 30 s ago its order was cancelled, by uid 1000 (baton, pid 77): needed
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton drain --runner 5
      """),
  .init(
    "it is cordoned",
    {
      $0.fleet.kind = .off
      $0.runner.isCordoned = true
      $0.did(.runnerCordoned, "noisy disk")
    },
    answer: """
      ready, attached, cordoned | settled
      Runner 5 (version 7, key host-5) is ready, attached and cordoned.
      It gets no new actors: it was cordoned by uid 1000 (baton, pid 77): noisy disk.
      It is older than the target version 8 and stays: upgrades do not drain default/web.
      < 30 s ago it was cordoned, by uid 1000 (baton, pid 77): noisy disk
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton uncordon 5
      > baton drain web --older-than 8
      """),
  .init(
    "nobody whose word counts stands behind it",
    {
      $0.fleet.target = Version(7)
      $0.fleet.runners[1].isAuthorized = false
      $0.runner = Asked.runner(9, version: 8)
      $0.isAuthorized = false
    },
    answer: """
      ready, attached | impossible
      Runner 9 (version 8, key host-9) is ready and attached.
      It is newer than the target version 7, which it does not move: its user (uid 1000) is neither the \
      pool's owner nor the daemon's own nor root.
      < 1 min 1 s ago version 7 became the target, after version 6, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton pin web 8
      """),
  .init(
    "its version is newer and is not trusted yet",
    {
      $0.fleet.target = Version(7)
      $0.fleet.settings.minHealthyMilliseconds = 30_000
      $0.fleet.healthySince[Version(8)!] = Asked.ahead(-18)
      $0.runner = Asked.runner(9, version: 8)
    },
    answer: """
      ready, attached | slow
      Runner 9 (version 8, key host-9) is ready and attached.
      It is newer than the target version 7, which is to be version 8.
      1 runner stays until version 8 has had an attached ready runner for long enough (min_healthy): 12 s \
      more.
      < 1 min 1 s ago version 7 became the target, after version 6, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "it is silent",
    {
      $0.runner = Asked.runner(9, version: 8)
      $0.runner.isSilent = true
    },
    answer: """
      ready, attached, silent | slow
      Runner 9 (version 8, key host-9) is ready, attached and silent.
      No heartbeat has come from the runner for a while: it gets no new actors, and is lost after 15 s of \
      that.
      It is of the target version 8.
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      """),
  .init(
    "its pinned version waits for its first runner",
    {
      $0.pinned(6, "7 leaks")
      $0.fleet.target = Version(8)
    },
    answer: """
      ready, attached | impossible
      Runner 5 (version 7, key host-5) is ready and attached.
      It is to leave for version 6, and a gate holds it (no_runner).
      2 runners stay: version 6, which is pinned, has no attached ready runner; start one, or set another \
      target.
      < 1 min 1 s ago version 8, set by hand, became the target, after version 7, by uid 1000 (baton, pid 77)
      > baton pin web auto
      """),
]

/// How did it end?
private let ended: [Question<Asked>] = [
  .init(
    "it left as it was told",
    {
      $0.drains(.versionUpgrade, .completed)
      $0.ended(.stopped, .detached, exitCode: 0)
    },
    answer: """
      stopped | settled
      Runner 5 (version 7, key host-5) left 10 s ago, with exit code 0.
      Its drain order 12 is completed.
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton explain order 12
      """),
  .init(
    "it was ended by hand",
    {
      $0.drains(.versionUpgrade, .forced)
      $0.ended(.stopped, .forced)
      $0.did(.drainForced, "stuck", order: 12)
    },
    answer: """
      stopped | settled
      Runner 5 (version 7, key host-5) was ended by force 10 s ago: somebody wanted it so.
      Its drain order 12 is forced.
      < 30 s ago it was ended by force, by uid 1000 (baton, pid 77): stuck
      < 1 min ago runner 5 was ordered to leave for another version (drain order 12), by uid 1000 (worker, \
      pid 4711): version 8 is the target of default/web
      < 1 min 1 s ago version 8 became the target, after version 7, by uid 1000 (worker, pid 4711)
      < 1 h ago runner 9 registered with version 8, by uid 1000 (worker, pid 4711)
      > baton explain order 12
      """),
  .init(
    "its time was over",
    {
      $0.drains(.operator, .forced, reason: "kernel update")
      $0.ended(.stopped, .forced)
    },
    answer: """
      stopped | settled
      Runner 5 (version 7, key host-5) was ended by force 10 s ago: its time was over.
      Its drain order 12 is forced.
      < 1 min ago somebody ordered runner 5 to leave (drain order 12), by uid 1000 (baton, pid 77): kernel \
      update
      > baton explain order 12
      """),
  .init(
    "its process died",
    { $0.ended(.lost, .processDied) },
    answer: """
      lost | settled
      Runner 5 (version 7, key host-5) was lost 10 s ago: its process died, and it had said that it ends \
      with it.
      """),
  .init(
    "it was away for too long",
    { $0.ended(.lost, .threshold) },
    answer: """
      lost | settled
      Runner 5 (version 7, key host-5) was lost 10 s ago: it had been away for longer than the lost threshold.
      """),
]

@Test(arguments: leaving + staying + ended) fileprivate func aRunnerSaysWhy(_ question: Question<Asked>) {
  #expect(text(.runner(question.facts.facts)) == question.answer)
}
