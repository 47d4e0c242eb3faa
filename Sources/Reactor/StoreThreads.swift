import Handover
import Linux
import Registry
import Service
import Synchronization

/// Hands a value to another thread for good: its maker does not touch it again.
struct Handed<Value>: @unchecked Sendable {
  let value: Value
}

/// The thread that owns the only connection that writes. Everything that gathers while one transaction is under way
/// is the next one.
final class StoreWriter: Sendable {
  struct Request: Sendable {
    var ticket: Ticket
    var mutation: Mutation
  }

  struct Completion: Sendable {
    var tickets: [Ticket]
    var result: Result<CommittedBatch, StoreFailure>
    var tookNanoseconds: Int64
  }

  /// So that one transaction's locks and memory stay bounded however much has gathered.
  private static let maxBatch = 4096

  private enum Message: Sendable {
    case mutate(Request)
    /// Look whether the files are still in their place and, after a failure, whether the disk takes changes again.
    case check
  }

  private let inbox = Mailbox<Message>()
  private let thread: WorkerThread

  /// `completed` is called on the writer's thread.
  init(_ store: any Store, completed: @escaping @Sendable (Completion) -> Void) throws(Errno) {
    let handed = Handed(value: store)
    let inbox = inbox
    thread = try WorkerThread(name: "baton-writer") {
      var isFailing = false
      while let messages = inbox.take() {
        var batch: [Request] = []
        for message in messages {
          if case .mutate(let request) = message { batch.append(request) }
        }
        if batch.isEmpty {
          // Nothing to change, only to look; only news is worth a word: that it fails, or no longer does.
          let result = Self.apply([], handed.value)
          let wasFailing = isFailing
          isFailing = Self.isFailure(result)
          if isFailing || wasFailing {
            completed(Completion(tickets: [], result: result, tookNanoseconds: 0))
          }
        }
        var start = 0
        while start < batch.count {
          let end = min(batch.count, start + Self.maxBatch)
          let completion = Self.commit(batch[start..<end], handed.value)
          isFailing = Self.isFailure(completion.result)
          completed(completion)
          start = end
        }
      }
    }
  }

  private static func isFailure(_ result: Result<CommittedBatch, StoreFailure>) -> Bool {
    switch result {
    case .success: false
    case .failure: true
    }
  }

  private static func commit(_ batch: ArraySlice<Request>, _ store: any Store) -> Completion {
    let start = Clock.boottimeNanoseconds()
    let result = apply(batch.map(\.mutation), store)
    return Completion(
      tickets: batch.map(\.ticket), result: result,
      tookNanoseconds: Int64(Clock.boottimeNanoseconds() - start))
  }

  private static func apply(
    _ mutations: [Mutation], _ store: any Store
  ) -> Result<CommittedBatch, StoreFailure> {
    do throws(StoreFailure) {
      return .success(try store.apply(mutations, at: Moment.now))
    } catch {
      return .failure(error)
    }
  }

  func submit(_ mutation: Mutation, _ ticket: Ticket) {
    inbox.put(.mutate(Request(ticket: ticket, mutation: mutation)))
  }

  func check() { inbox.put(.check) }

  /// Finishes what was submitted and ends the thread.
  func close() {
    inbox.close()
    thread.join()
  }
}

/// The thread that answers queries.
final class StoreReading: Sendable {
  struct Completion: Sendable {
    var ticket: Ticket
    var result: Result<QueryAnswer, StoreFailure>
  }

  private let inbox = Mailbox<(Query, Ticket)>()
  private let thread: WorkerThread

  /// `completed` is called on the reader's thread. `first` runs there before any query.
  init(
    _ reader: any StoreReader, first: @escaping @Sendable () -> Void,
    completed: @escaping @Sendable (Completion) -> Void
  ) throws(Errno) {
    let handed = Handed(value: reader)
    let inbox = inbox
    thread = try WorkerThread(name: "baton-reader") {
      first()
      while let queries = inbox.take() {
        for (query, ticket) in queries {
          do throws(StoreFailure) {
            completed(Completion(ticket: ticket, result: .success(try handed.value.read(query))))
          } catch {
            completed(Completion(ticket: ticket, result: .failure(error)))
          }
        }
      }
    }
  }

  func submit(_ query: Query, _ ticket: Ticket) { inbox.put((query, ticket)) }

  func close() {
    inbox.close()
    thread.join()
  }
}

extension Moment {
  /// The clocks of this machine, now.
  package static var now: Moment {
    Moment(
      nanoseconds: Int64(Clock.boottimeNanoseconds()), wallMilliseconds: Clock.wallMilliseconds())
  }
}
