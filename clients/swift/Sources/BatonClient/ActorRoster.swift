import BatonAPI
import Handover

/// The runner's side of actors as a value: commands, what became of the actors' code, and time in; what to do, and what to
/// tell the daemon, out. What is to be told is kept until it is acknowledged, and told again at every resume.
///
/// Of each actor one generation is held at most, and its code is begun only when that of the one before has ended: no actor runs
/// twice here. Times are nanoseconds of one clock that counts suspended time too.
package struct ActorRoster {
  /// What to do, in this order.
  package enum Effect: Equatable, Sendable {
    /// Get it ready; answer with `prepared` or `ended`.
    case prepare(Assignment)
    /// Run it; answer with `ended`.
    case run(Assignment)
    /// Tell its code to stop within this time; told again when that has moved.
    case stop(ActorID, ActorStopReason, remainingMilliseconds: Int64)
    /// End its code at once. `ended` answers all the same.
    case cancel(ActorID)
  }

  /// One generation of an actor, as its Start gave it.
  package struct Assignment: Hashable, Sendable {
    package var actor: ActorID
    package var generation: Int64
    package var namespace: String
    package var name: String
    package var key: String
    package var input: [UInt8]
  }

  /// What is to be told; an alarm is counted from when it is sent.
  private struct Report {
    var checkpoint: ActorCheckpoint
    var kind: ActorReport.Kind
    var alarmAt: Int64?

    func told(at now: Int64) -> ActorReport {
      guard let alarmAt else { return ActorReport(checkpoint: checkpoint, kind: kind) }
      return ActorReport(
        checkpoint: checkpoint, kind: .setAlarm(afterMilliseconds: max(1, (alarmAt - now) / 1_000_000)))
    }
  }

  private enum Stage {
    /// The code of an older generation has not ended yet.
    case waiting(Assignment)
    case preparing(Assignment)
    case running
    /// Nothing of it runs; what there is to tell is not acknowledged yet.
    case over
  }

  private struct Held {
    var generation: Int64
    var stage: Stage
    /// The latest command: those up to it are done.
    var command: Int64
    /// On which attachment its first command came.
    var attachment: Int
    /// Why it was told to stop.
    var stopReason: ActorStopReason?
    /// It was not started in time.
    var isLate = false
    /// When its time to start or to stop is over.
    var due: Int64?
    var reports = 0 as Int64
    var unacknowledged: [Report] = []
  }

  private struct Due: Sendable {
    var actor: ActorID
    var generation: Int64
  }

  private let prepares: Bool
  private var held: [ActorID: Held] = [:]
  /// Which generation's code was told to end at once and has not yet.
  private var leaving: [ActorID: Int64] = [:]
  /// What was forgotten since the latest resume though its commands came before it: they may be on their way once more.
  private var forgotten: [ActorID: Int64] = [:]
  private var dues = DeadlineHeap<Due>()
  private var attachment = 0
  private var isAttached = false
  private var takesNew = true
  private var acks: [ActorCheckpoint] = []
  private var outgoing: [Report] = []
  /// Of how many the code runs, or will.
  private var liveCount = 0

  private static let reportsInMessage = 128
  private static let acksInMessage = 1024

  /// `prepares`: an actor is got ready before it is said to run.
  package init(prepares: Bool) { self.prepares = prepares }

  /// Whether the code of any actor runs or will.
  package var holdsAny: Bool { liveCount > 0 || !leaving.isEmpty }

  // MARK: - The connection

  /// Registered, for the first time or again.
  package mutating func attached() {
    attachment += 1
    isAttached = true
    forgotten = [:]
    acks = []
    outgoing = []
    for (actor, entry) in held.sorted(by: { $0.key < $1.key }) {
      outgoing += entry.unacknowledged
      if case .over = entry.stage { continue }
      outgoing.append(
        Report(
          checkpoint: ActorCheckpoint(actor: actor, generation: entry.generation, index: 0), kind: .held))
    }
  }

  /// The connection is gone; the actors run on.
  package mutating func cutOff() {
    isAttached = false
    acks = []
    outgoing = []
  }

  /// The runner takes nothing new from here on: it has its Stop, or wants to leave.
  package mutating func closes() { takesNew = false }

  /// Its Stop is taken back. What has been told to stop does so all the same.
  package mutating func opens() { takesNew = true }

  /// Its Stop has another deadline, and with it the actors that stop because their runner goes away.
  package mutating func deadlineMoved(remainingMilliseconds: Int64, now: Int64) -> [Effect] {
    let moved = held.filter { $0.value.stopReason == .goingAway && $0.value.due != nil }.keys.sorted()
    return moved.flatMap { stop($0, .goingAway, remainingMilliseconds, now) }
  }

  /// The runner has ended, and holds nothing any more.
  package mutating func runnerEnded() -> [Effect] {
    cutOff()
    takesNew = false
    return held.keys.sorted().flatMap { drop($0) }
  }

  /// Whether anything waits to be said to who is there to hear it.
  package var hasNews: Bool { !acks.isEmpty || !outgoing.isEmpty }

  /// What has to be said next, acknowledgements first: about what one message holds; nil when there is nothing.
  package mutating func nextAcks() -> [ActorCheckpoint]? { Self.take(&acks, Self.acksInMessage) }

  package mutating func nextReports(now: Int64) -> [ActorReport]? {
    Self.take(&outgoing, Self.reportsInMessage)?.map { $0.told(at: now) }
  }

  private static func take<Element>(_ queue: inout [Element], _ limit: Int) -> [Element]? {
    guard !queue.isEmpty else { return nil }
    let taken = Array(queue.prefix(limit))
    queue.removeFirst(taken.count)
    return taken
  }

  // MARK: - What the daemon says

  package mutating func received(_ commands: [DaemonMessage.Command], now: Int64) -> [Effect] {
    commands.flatMap { received($0, now) }
  }

  private mutating func received(_ command: DaemonMessage.Command, _ now: Int64) -> [Effect] {
    let (actor, generation) = (command.checkpoint.actor, command.checkpoint.generation)
    switch command.kind {
    case nil: return []
    case .drop: return held[actor].map { $0.generation <= generation } == true ? drop(actor) : []
    case .start(let namespace, let name, let key, let input):
      guard let effects = admit(command.checkpoint) else { return [] }
      guard held[actor] == nil else { return effects }
      let assignment = Assignment(
        actor: actor, generation: generation, namespace: namespace, name: name, key: key, input: input)
      return effects + start(assignment, command, now)
    case .stop(let reason):
      guard let effects = admit(command.checkpoint) else { return [] }
      guard held[actor] != nil else {
        // Its Start never came, or was overtaken.
        held[actor] = Held(
          generation: generation, stage: .over, command: command.checkpoint.index, attachment: attachment)
        report(actor, .stopped(isOK: true, message: ""))
        return effects
      }
      return effects + stop(actor, reason, command.remainingMilliseconds, now)
    }
  }

  /// Acknowledges a command. nil when it is done already, or comes too late to matter.
  private mutating func admit(_ checkpoint: ActorCheckpoint) -> [Effect]? {
    if isAttached { acks.append(checkpoint) }
    if let last = forgotten[checkpoint.actor], checkpoint.generation <= last { return nil }
    guard let entry = held[checkpoint.actor] else { return [] }
    if entry.generation < checkpoint.generation { return drop(checkpoint.actor) }
    guard entry.generation == checkpoint.generation, entry.command < checkpoint.index else { return nil }
    held[checkpoint.actor]?.command = checkpoint.index
    return []
  }

  private mutating func start(
    _ assignment: Assignment, _ command: DaemonMessage.Command, _ now: Int64
  ) -> [Effect] {
    let actor = assignment.actor
    held[actor] = Held(
      generation: assignment.generation, stage: .over, command: command.checkpoint.index,
      attachment: attachment)
    guard takesNew else {
      report(actor, .startRefused)
      return []
    }
    held[actor]?.stage = .waiting(assignment)
    liveCount += 1
    setDue(actor, now.nanoseconds(afterMilliseconds: command.remainingMilliseconds))
    return leaving[actor] == nil ? begin(assignment) : []
  }

  private mutating func begin(_ assignment: Assignment) -> [Effect] {
    guard prepares else { return runs(assignment) }
    held[assignment.actor]?.stage = .preparing(assignment)
    return [.prepare(assignment)]
  }

  private mutating func runs(_ assignment: Assignment) -> [Effect] {
    held[assignment.actor]?.stage = .running
    held[assignment.actor]?.due = nil
    report(assignment.actor, .running)
    return [.run(assignment)]
  }

  private mutating func stop(
    _ actor: ActorID, _ reason: ActorStopReason, _ remaining: Int64, _ now: Int64
  ) -> [Effect] {
    guard let entry = held[actor] else { return [] }
    held[actor]?.stopReason = reason
    switch entry.stage {
    case .over: return []
    case .waiting:
      isOver(actor, .stopped(isOK: true, message: ""))
      return []
    case .preparing, .running:
      setDue(actor, now.nanoseconds(afterMilliseconds: remaining))
      return [.stop(actor, reason, remainingMilliseconds: remaining)]
    }
  }

  package mutating func answered(acked: [ActorCheckpoint], refused: [ActorCheckpoint]) -> [Effect] {
    for checkpoint in acked where held[checkpoint.actor]?.generation == checkpoint.generation {
      held[checkpoint.actor]?.unacknowledged.removeAll { $0.checkpoint.index <= checkpoint.index }
      if let entry = held[checkpoint.actor], case .over = entry.stage, entry.unacknowledged.isEmpty {
        forget(checkpoint.actor)
      }
    }
    return refused.flatMap { held[$0.actor]?.generation == $0.generation ? drop($0.actor) : [] }
  }

  // MARK: - What the actors' code says

  /// It is ready to run.
  package mutating func prepared(_ actor: ActorID, _ generation: Int64) -> [Effect] {
    if leaving[actor] == generation { return left(actor) }
    guard let entry = held[actor], entry.generation == generation,
      case .preparing(let assignment) = entry.stage
    else { return [] }
    if entry.stopReason != nil || entry.isLate {
      isOver(actor, .stopped(isOK: !entry.isLate, message: entry.isLate ? Self.late : ""))
      return []
    }
    return runs(assignment)
  }

  /// It has ended, by itself or as it was told. The message is for people.
  package mutating func ended(
    _ actor: ActorID, _ generation: Int64, isOK: Bool, message: String
  ) -> [Effect] {
    if leaving[actor] == generation { return left(actor) }
    guard let entry = held[actor], entry.generation == generation else { return [] }
    isOver(
      actor,
      .stopped(isOK: isOK && !entry.isLate, message: Runner.sentence(entry.isLate ? Self.late : message)))
    return []
  }

  /// It wishes to sleep or to end, or sets its alarm.
  package mutating func wishes(
    _ actor: ActorID, _ generation: Int64, _ kind: ActorReport.Kind, now: Int64
  ) {
    guard let entry = held[actor], entry.generation == generation else { return }
    if case .over = entry.stage { return }
    guard case .setAlarm(let milliseconds?) = kind else { return report(actor, kind) }
    let allowed = Bounds.alarmMilliseconds
    report(
      actor, kind,
      alarmAt: now.nanoseconds(
        afterMilliseconds: min(max(milliseconds, allowed.lowerBound), allowed.upperBound)))
  }

  private static let late = "it was not started in time"

  // MARK: - Time

  /// When `tick` is next due; nil when nothing waits for time.
  package var nextTick: Int64? { dues.next }

  package mutating func tick(now: Int64) -> [Effect] {
    var effects: [Effect] = []
    while let due = dues.takeDue(at: now) {
      guard let entry = held[due.actor], entry.generation == due.generation,
        entry.due.map({ $0 <= now }) == true
      else { continue }
      held[due.actor]?.due = nil
      switch entry.stage {
      case .over: break
      case .waiting: isOver(due.actor, .stopped(isOK: false, message: Self.late))
      case .preparing, .running:
        if entry.stopReason == nil { held[due.actor]?.isLate = true }
        effects.append(.cancel(due.actor))
      }
    }
    return effects
  }

  private mutating func setDue(_ actor: ActorID, _ time: Int64) {
    guard let entry = held[actor] else { return }
    held[actor]?.due = time
    dues.add(Due(actor: actor, generation: entry.generation), at: time)
  }

  // MARK: - Inside

  private mutating func report(_ actor: ActorID, _ kind: ActorReport.Kind, alarmAt: Int64? = nil) {
    guard var entry = held.removeValue(forKey: actor) else { return }
    switch kind {
    // The latest counts, and a wish need not be said twice.
    case .setAlarm: entry.unacknowledged.removeAll { if case .setAlarm = $0.kind { true } else { false } }
    case .sleepIntent, .stopIntent:
      guard !entry.unacknowledged.contains(where: { $0.kind == kind }) else {
        held[actor] = entry
        return
      }
    case .running, .stopped, .startRefused, .held: break
    }
    entry.reports += 1
    let report = Report(
      checkpoint: ActorCheckpoint(actor: actor, generation: entry.generation, index: entry.reports),
      kind: kind, alarmAt: alarmAt)
    entry.unacknowledged.append(report)
    held[actor] = entry
    if isAttached { outgoing.append(report) }
  }

  private mutating func isOver(_ actor: ActorID, _ kind: ActorReport.Kind) {
    if case .over? = held[actor]?.stage { return }
    held[actor]?.stage = .over
    held[actor]?.due = nil
    liveCount -= 1
    report(actor, kind)
  }

  /// Takes an actor away: nothing more is told of it.
  private mutating func drop(_ actor: ActorID) -> [Effect] {
    guard let entry = held[actor] else { return [] }
    outgoing.removeAll { $0.checkpoint.actor == actor }
    forget(actor)
    switch entry.stage {
    case .over: return []
    case .waiting:
      liveCount -= 1
      return []
    case .preparing, .running:
      liveCount -= 1
      leaving[actor] = entry.generation
      return [.cancel(actor)]
    }
  }

  private mutating func forget(_ actor: ActorID) {
    guard let entry = held.removeValue(forKey: actor) else { return }
    if entry.attachment != attachment { forgotten[actor] = entry.generation }
  }

  /// The code of a generation that was taken away has ended.
  private mutating func left(_ actor: ActorID) -> [Effect] {
    leaving[actor] = nil
    guard let entry = held[actor], case .waiting(let assignment) = entry.stage else { return [] }
    return begin(assignment)
  }
}
