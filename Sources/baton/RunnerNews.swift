import BatonClient
import Linux
import Options

/// What tasks leave for the main thread.
final class Inbox<Item: Sendable>: Sendable {
  private let items = Locked<[Item]>([])
  let wake: EventSignal

  init() throws(Errno) { wake = try EventSignal() }

  func put(_ item: Item) {
    items.withLock { $0.append(item) }
    wake.signal()
  }

  func take() -> [Item] {
    items.withLock { items in
      defer { items = [] }
      return items
    }
  }
}

/// What a runner's life brings.
enum RunnerNews: Sendable {
  case registered(Runner)
  case refused(BatonError)
  case event(Runner.Event)
  case ended(Runner.Ending)

  /// Registers, and tells everything until the end.
  static func follow(_ options: Runner.Options, _ tell: @escaping @Sendable (RunnerNews) -> Void) {
    Task.detached {
      do {
        let runner = try await Runner.start(options)
        tell(.registered(runner))
        for await event in runner.events { tell(.event(event)) }
        tell(.ended(await runner.ended()))
      } catch let error as BatonError {
        tell(.refused(error))
      } catch {
        tell(.refused(BatonError(.internal, "\(error)")))
      }
    }
  }
}

extension Runner.Stop {
  var sentence: String { "stop, order \(order): \(reason) (\(cause)); \(time) to finish" }
  var deadlineSentence: String { "stop, order \(order): \(time) to finish now" }
  private var time: String { Duration.text(milliseconds: remainingMilliseconds) }
}
