import Handover
import Registry

/// What must hold of actors after every commit, and once everything is quiet.
extension World {
  /// `excused` are runners whose link or silence the same commit changed: what they were given before that counts; nil is
  /// everyone, as after a start.
  func checkActors(_ daemon: SimulatedDaemon, _ runners: [Runner], excused: Set<RunnerID>?) throws {
    let actors = try allActors(daemon.reader, ActorFilter())
    let living = Dictionary(uniqueKeysWithValues: runners.map { ($0.id, $0) })
    for actor in actors {
      let known = generations[actor.id] ?? 0
      if actor.generation < known {
        violate("invariant 2: actor \(actor.id) went back to \(actor.generation)")
      }
      if actor.generation > known {
        generations[actor.id] = actor.generation
        guard let excused, let id = actor.runner, !excused.contains(id), actor.state == .starting else {
          continue
        }
        guard let runner = living[id] else {
          violate("invariant 1: actor \(actor.id) was given to runner \(id), which has ended")
          continue
        }
        if runner.phase != .ready || runner.link != .attached || runner.isSilent || !runner.takesActors
          || runner.isCordoned
        {
          violate("invariant 1: actor \(actor.id) was given to runner \(id), which may get none")
        }
      }
      if let due = actor.dueNanoseconds, actor.state != .sleeping,
        now > max(due, lastTroubleAt) + 10_000_000_000
      {
        violate("actor \(actor.id) is \(actor.state) beyond its time")
      }
    }
    try checkNobodyWaitsForNothing(daemon, actors, runners)
  }

  /// Nobody waits while a slot is free of the target version, or, where the pool falls back, of any.
  private func checkNobodyWaitsForNothing(
    _ daemon: SimulatedDaemon, _ actors: [Actor], _ runners: [Runner]
  ) throws {
    let waiting = Set(
      actors.filter { $0.state == .pending && $0.dueNanoseconds == nil }.map(\.identity.pool))
    for pool in waiting.sorted() {
      guard case .pool(let found, _) = try daemon.reader.read(.pool(pool)).content else { continue }
      let free = runners.first {
        $0.pool == pool && ($0.version == found.target?.version || found.config.actorsFallBack)
          && $0.phase == .ready && $0.link == .attached && !$0.isSilent && !$0.isCordoned && $0.takesActors
          && $0.remainingSlots > 0
      }
      if let free { violate("actors of \(pool) wait while runner \(free.id) has a slot") }
    }
  }

  /// A process begins to run an actor. No other that fences itself may run it then, but one that did not answer in time.
  func actorRuns(_ checkpoint: ActorCheckpoint, by name: String) {
    for client in clients where client.life == .running && !client.hasFinished && "\(client.pid)" != name {
      guard now >= client.hangsUntil + 1_000_000_000, client.obeys else { continue }
      for other in client.actors.running
      where other.actor == checkpoint.actor
        && !dropped.contains(ActorGeneration(other.actor, other.generation))
      {
        violate(
          "invariant 2: actor \(checkpoint.actor) runs twice: generation \(other.generation) in \(client.pid), "
            + "\(checkpoint.generation) in \(name)")
      }
    }
  }

  /// Once all is quiet: what is said to run does, and nothing else.
  func checkActorsAtRest(_ workers: [any SimulatedWorker]) {
    guard let daemon else { return }
    do {
      let actors = try allActors(daemon.reader, ActorFilter())
      for actor in actors where actor.state == .starting || actor.state == .stopping {
        violate("actor \(actor.id) is \(actor.state) and should have come to rest")
      }
      let books = Dictionary(uniqueKeysWithValues: actors.map { ($0.id, $0) })
      var running: Set<ActorID> = []
      for worker in workers where worker.life == .running {
        for run in worker.actors.running {
          running.insert(run.actor)
          let actor = books[run.actor]
          if actor?.generation != run.generation || actor?.runner != worker.runner || actor?.state != .running
          {
            violate(
              "process \(worker.pid) runs generation \(run.generation) of actor \(run.actor), which is not its"
            )
          }
        }
      }
      for actor in actors where actor.state == .running && !running.contains(actor.id) {
        violate("actor \(actor.id) runs in the books and nowhere else")
      }
      for (id, name) in history.actors.sorted(by: { $0.key < $1.key }) {
        guard case .actor(let actor) = try daemon.reader.read(.actor(id)).content, actor.identity.name == name
        else {
          if try forgetsActors(daemon.reader) { continue }
          violate("invariant 5: actor \(id) was acknowledged and is gone")
          continue
        }
      }
    } catch {
      violate("a check could not read: \(error)")
    }
  }

  func allActors(_ reader: any StoreReader, _ filter: ActorFilter) throws -> [Actor] {
    try all(reader) {
      Query.actors(filter, $0)
    } pick: {
      if case .actors(let page) = $0 { page } else { nil }
    }
  }
}

/// One start of an actor.
struct ActorGeneration: Hashable {
  var actor: ActorID
  var generation: Int64
  init(_ actor: ActorID, _ generation: Int64) {
    self.actor = actor
    self.generation = generation
  }
}
