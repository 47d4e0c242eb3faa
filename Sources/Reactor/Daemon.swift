import Glibc
import Handover
import Linux
import Registry
import Service

/// Why a daemon could not start, or had to end.
package struct DaemonError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// One daemon: its state, its socket, its threads.
package final class Daemon {
  private let reactor: Reactor
  private let completions: Reactor.Completions
  private let log: LogWriter
  private let stateLock: StateLock
  package let configuration: DaemonConfiguration

  /// Takes the state directory and the socket for itself, opens the store, and listens: a client that connects from
  /// now on is answered as soon as `run` is called.
  ///
  /// `signals` delivers SIGTERM and SIGINT; nil where somebody else calls `stop`.
  package init(
    _ given: DaemonConfiguration, signals: SignalSource? = nil,
    logSink: @escaping @Sendable (String) -> Void = LogWriter.standardError
  ) throws(DaemonError) {
    var configuration = given
    configuration.service.pid = getpid()
    configuration.service.daemonUID = getuid()
    self.configuration = configuration
    do {
      try configuration.service.times.validate()
      ignoreSIGPIPE()
      _ = try Resources.raiseOpenFileLimit()
      stateLock = try StateLock(directory: configuration.stateDirectory)
      let store = try SQLiteStore(
        path: configuration.databasePath, bootID: try Clock.bootID(),
        daemonUID: configuration.service.daemonUID,
        times: configuration.service.times)
      let snapshot = try store.start(at: .now)
      let reader = try SQLiteReader(
        path: configuration.databasePath, times: configuration.service.times)
      let listener = try Listener.bind(
        path: configuration.socketPath, mode: mode_t(configuration.socketMode),
        group: configuration.socketGroup)
      log = try LogWriter(level: configuration.logLevel, format: configuration.logFormat, sink: logSink)
      completions = try Reactor.Completions()
      reactor = try Reactor(
        configuration: configuration, listener: listener, completions: completions, signals: signals, log: log
      )
      reactor.service = Service(
        settings: configuration.service, snapshot: snapshot, host: reactor, now: .now)
      try Self.startThreads(reactor, store, reader)
    } catch let error as DaemonError {
      throw error
    } catch {
      throw DaemonError(Self.text(error))
    }
    log.write(
      LogRecord(
        .info, "listening",
        [
          ("socket", .text(configuration.socketPath)), ("state_dir", .text(configuration.stateDirectory)),
          ("version", .text(configuration.service.daemonVersion)), ("pid", .number(Int64(getpid()))),
          ("revision", .number(reactor.service.currentRevision)),
          ("living_runners", .number(Int64(reactor.service.livingRunners))),
        ]))
  }

  private static func startThreads(
    _ reactor: Reactor, _ store: SQLiteStore, _ reader: SQLiteReader
  ) throws(Errno) {
    let completions = reactor.completions
    reactor.writer = try StoreWriter(store) { completion in
      if completions.commits.put(completion) { completions.wake.signal() }
    }
    let damageCheck = Handed(value: reader)
    let log = reactor.log
    reactor.reader = try StoreReading(
      reader,
      first: {
        // A file too large to be gone through at the start is gone through here, beside the work.
        let damage = (try? damageCheck.value.findDamage()) ?? []
        for line in damage {
          log.write(LogRecord(.error, "the database is damaged", [("text", .text(line))]))
        }
      },
      completed: { completion in
        if completions.answers.put(completion) { completions.wake.signal() }
      })
  }

  private static func text(_ error: any Error) -> String {
    switch error {
    case let failure as StoreFailure:
      switch failure {
      case .unavailable(let text), .fatal(let text): text
      }
    case let violation as FieldViolation: violation.description
    case let errno as Errno: errno.description
    default: "\(error)"
    }
  }

  /// Serves until `stop` or a signal, then says goodbye to everyone. Throws when the store has failed for good.
  package func run() throws(DaemonError) {
    do throws(Errno) {
      try reactor.run()
    } catch {
      reactor.close()
      log.close()
      throw DaemonError(error.description)
    }
    reactor.close()
    if let fatal = reactor.fatal {
      log.write(LogRecord(.error, "ending: the store has failed", [("text", .text(fatal))]))
      log.close()
      throw DaemonError(fatal)
    }
    log.write(LogRecord(.info, "stopped"))
    log.close()
  }

  /// Asks the daemon to end; from any thread.
  package var stopper: @Sendable () -> Void {
    let completions = completions
    return {
      completions.stopRequested.store(true, ordering: .relaxed)
      completions.wake.signal()
    }
  }
}
