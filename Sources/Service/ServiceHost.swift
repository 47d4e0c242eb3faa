import Handover

/// A connection's place in the shell's table and how often that place was used before: a completion that finds
/// another generation there is late and does nothing.
package struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
  package var slot: UInt32
  package var generation: UInt32
  package init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
  package var description: String { "\(slot).\(generation)" }
}

/// Names one mutation or query that is under way. Never reused.
package struct Ticket: Hashable, Sendable {
  package var rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the service asks of the world around it: the reactor, a simulator or a test. None of these calls back
/// into the service before it returns.
package protocol ServiceHost: AnyObject {
  /// There are bytes in this connection's output queue, or its end was asked for: write soon.
  func outputReady(_ connection: ConnectionID)

  /// Close this connection without writing what is left. `closed` is not called for it.
  func abort(_ connection: ConnectionID)

  /// Hand a mutation to the store's writer; `Service.committed` answers.
  func submit(_ mutation: Mutation, _ ticket: Ticket)

  /// Hand a query to the store's reader; `Service.answered` answers.
  func query(_ query: Query, _ ticket: Ticket)

  /// A runner is attached by this connection from now on: it comes before those that only ask.
  func runnerAttached(_ connection: ConnectionID)

  /// Tell `Service.processDied` when the process at the other end of this connection is dead, even after the
  /// connection is gone; ends at `forgetProcess`. A host that cannot (an old kernel) does nothing.
  func watchProcess(of connection: ConnectionID, for runner: RunnerID)
  func forgetProcess(of runner: RunnerID)

  func log(_ record: LogRecord)
}

extension ServiceHost {
  /// For a host that serves everybody in the order in which they come.
  package func runnerAttached(_ connection: ConnectionID) {}
}
