/// Who was heard when, of all living runners: what makes them silent, and lost.
///
/// Hearing one is a store into an array. A sweep looks at all of them a few times within the shortest threshold; for
/// ten thousand that is some microseconds, and no timer has to be moved at a heartbeat.
package struct Liveness {
  /// A runner's place here; it changes hands only after `ended`.
  package struct Slot: Hashable, Sendable {
    var index: Int
  }

  /// Why everyone got the full threshold anew. Said once an incident.
  package enum Grace: Hashable, Sendable {
    /// The daemon itself did not run: a stall, a suspend.
    case stalled(nanoseconds: Int64)
    /// Too many fell silent at once for each to be its own fault.
    case massSilence(quiet: Int, living: Int)
  }

  package struct Sweep: Hashable, Sendable {
    package var silent: [Attachment] = []
    package var lost: [Attachment] = []
    package var grace: Grace?
    package init() {}
  }

  private struct Entry {
    var attachment: Attachment
    var isAttached: Bool
    /// When it was last heard, or its link went.
    var since: Int64
    /// Beyond the silent threshold since it was last heard or attached; a new grace does not change that.
    var isQuiet: Bool
    /// The store has been told that it is lost; nothing more is said of it.
    var isGivenUp: Bool
  }

  private static let massShareOf100 = 55
  private static let massAtLeast = 10

  private let silentNanoseconds: Int64
  private let lostNanoseconds: Int64
  private let stallNanoseconds: Int64
  package let sweepIntervalNanoseconds: Int64
  private var entries: [Entry?] = []
  private var free: [Int] = []
  private var living = 0 {
    didSet { noteNextSweep() }
  }
  private var quiet = 0
  private var isInMassSilence = false
  private var lastSweep: Int64 {
    didSet { noteNextSweep() }
  }

  package init(times: FleetTimes, now: Int64) {
    silentNanoseconds = times.silentThresholdMilliseconds * 1_000_000
    lostNanoseconds = times.lostThresholdMilliseconds * 1_000_000
    // A late sweep matters from the time on that could cost somebody a heartbeat.
    stallNanoseconds = times.heartbeatIntervalMilliseconds * 1_000_000
    sweepIntervalNanoseconds = min(1_000_000_000, max(20_000_000, silentNanoseconds / 8))
    lastSweep = now
  }

  /// When `sweep` is due; nil while there is nobody to look after. Stored: it is asked for at every turn.
  package private(set) var nextSweep: Int64?
  package var count: Int { living }
  package var quietCount: Int { quiet }
  package func isQuiet(_ slot: Slot) -> Bool { entries[slot.index]?.isQuiet ?? false }

  package mutating func add(_ attachment: Attachment, isAttached: Bool, now: Int64) -> Slot {
    if living == 0 { lastSweep = now }
    living += 1
    let entry = Entry(
      attachment: attachment, isAttached: isAttached, since: now, isQuiet: false, isGivenUp: false)
    if let index = free.popLast() {
      entries[index] = entry
      return Slot(index: index)
    }
    entries.append(entry)
    return Slot(index: entries.count - 1)
  }

  /// True when it was silent: the store must know that it no longer is.
  package mutating func heard(_ slot: Slot, now: Int64) -> Bool {
    entries[slot.index]!.since = now
    guard entries[slot.index]!.isQuiet else { return false }
    entries[slot.index]!.isQuiet = false
    quiet -= 1
    return true
  }

  package mutating func attached(_ slot: Slot, _ attachment: Attachment, now: Int64) {
    update(slot) { entry in
      entry.attachment = attachment
      entry.isAttached = true
      entry.since = now
      entry.isQuiet = false
      entry.isGivenUp = false
    }
  }

  package mutating func detached(_ slot: Slot, now: Int64) {
    update(slot) { entry in
      entry.isAttached = false
      entry.since = now
    }
  }

  package mutating func ended(_ slot: Slot) {
    guard let entry = entries[slot.index] else { preconditionFailure("slot \(slot.index) has ended already") }
    if entry.isQuiet { quiet -= 1 }
    living -= 1
    entries[slot.index] = nil
    free.append(slot.index)
  }

  /// The store could not be told that they are lost: they are looked at again.
  package mutating func notGivenUp(_ slot: Slot) {
    update(slot) { $0.isGivenUp = false }
  }

  private mutating func update(_ slot: Slot, _ change: (inout Entry) -> Void) {
    guard var entry = entries[slot.index] else { preconditionFailure("slot \(slot.index) has ended") }
    let wasQuiet = entry.isQuiet
    change(&entry)
    quiet += (entry.isQuiet ? 1 : 0) - (wasQuiet ? 1 : 0)
    entries[slot.index] = entry
  }

  /// Looks at everyone. Call it when `nextSweep` has come, after everything that had arrived by then was read.
  package mutating func sweep(now: Int64) -> Sweep {
    var result = Sweep()
    let late = now - lastSweep - sweepIntervalNanoseconds
    lastSweep = now
    guard late < stallNanoseconds else {
      renewEveryone(now)
      result.grace = .stalled(nanoseconds: late)
      return result
    }
    for index in entries.indices {
      guard let entry = entries[index], !entry.isQuiet, now - entry.since > silentNanoseconds else {
        continue
      }
      entries[index]!.isQuiet = true
      quiet += 1
      if entry.isAttached { result.silent.append(entry.attachment) }
    }
    let isMass = living >= Self.massAtLeast && quiet * 100 > living * Self.massShareOf100
    if isMass, !isInMassSilence {
      result.grace = .massSilence(quiet: quiet, living: living)
      renewEveryone(now)
    }
    isInMassSilence = isMass
    for index in entries.indices {
      guard let entry = entries[index], entry.isQuiet, !entry.isGivenUp, now - entry.since > lostNanoseconds
      else { continue }
      entries[index]!.isGivenUp = true
      result.lost.append(entry.attachment)
    }
    return result
  }

  private mutating func noteNextSweep() {
    nextSweep = living == 0 ? nil : lastSweep + sweepIntervalNanoseconds
  }

  private mutating func renewEveryone(_ now: Int64) {
    for index in entries.indices where entries[index] != nil { entries[index]!.since = now }
  }
}
