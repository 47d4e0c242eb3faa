/// What is due when: a binary heap, first in first out among equals. Nothing is taken out early; whoever takes something due checks whether it still
/// matters, so a changed or ended deadline costs nothing until its time.
package struct DeadlineHeap<Payload> {
  private struct Entry {
    var deadline: Int64
    var sequence: UInt64
    var payload: Payload

    func isBefore(_ other: Entry) -> Bool { (deadline, sequence) < (other.deadline, other.sequence) }
  }

  private var entries: [Entry] = []
  private var nextSequence: UInt64 = 0

  package init() {}

  package var count: Int { entries.count }
  /// The earliest deadline; nil when nothing is waiting. Stored, since the loop asks at every turn: to find it in `entries`
  /// another module would have the runtime look up the payload's type.
  package private(set) var next: Int64?

  package mutating func add(_ payload: Payload, at deadline: Int64) {
    defer { next = entries[0].deadline }
    entries.append(Entry(deadline: deadline, sequence: nextSequence, payload: payload))
    nextSequence += 1
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].isBefore(entries[parent]) else { return }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  /// Takes the earliest entry if it is due.
  package mutating func takeDue(at now: Int64) -> Payload? {
    guard let next, next <= now else { return nil }
    let first = entries[0]
    defer { self.next = entries.first?.deadline }
    entries.swapAt(0, entries.count - 1)
    entries.removeLast()
    var parent = 0
    while true {
      let left = 2 * parent + 1
      guard left < entries.count else { break }
      let right = left + 1
      let least =
        right < entries.count && entries[right].isBefore(entries[left]) ? right : left
      guard entries[least].isBefore(entries[parent]) else { break }
      entries.swapAt(least, parent)
      parent = least
    }
    return first.payload
  }
}
