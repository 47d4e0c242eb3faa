import BatonAPI
import Handover

/// Everything that the service counts. Durations are in seconds, as Prometheus wants them.
package struct ServiceMetrics {
  package enum RegistrationOutcome: String, CaseIterable {
    case new, resumed, refused, failed
  }

  package var registrations = Metrics.Family<RegistrationOutcome>()
  package var decisions = Metrics.Family<Decision.Upgrade>()
  package var drainsOrdered = Metrics.Family<DrainCause>()
  package var drainsEnded = Metrics.Family<DrainState>()
  package var runnersEnded = Metrics.Family<RunnerEnd>()
  package var historyPruned = Metrics.Family<HistoryKind>()
  package var callsByStatus = Metrics.Family<CallStatus>()
  package var upgradesHeld: UInt64 = 0
  package var upgradesAbandoned: UInt64 = 0
  package var stopDeliveries: UInt64 = 0
  package var stopRedeliveries: UInt64 = 0
  package var heartbeats: UInt64 = 0
  package var actorsCreated: UInt64 = 0
  package var actorCommands: UInt64 = 0
  package var actorReports: UInt64 = 0
  package var actorReportsRefused: UInt64 = 0
  package var connectionsOpened: UInt64 = 0
  package var connectionsRefused: UInt64 = 0
  package var commits: UInt64 = 0
  package var commitFailures: UInt64 = 0
  package var logLinesDropped: UInt64 = 0
  package var registerToStopReceived = Metrics.Histogram(bounds: Metrics.seconds)
  package var stopToCompleted = Metrics.Histogram(bounds: Metrics.seconds)
  package var commitSeconds = Metrics.Histogram(bounds: Metrics.seconds)
  package var commitMutations = Metrics.Histogram(bounds: Metrics.sizes)

  package init() {}

  /// What the history is of.
  package enum HistoryKind: String, CaseIterable {
    case events, orders, runners, actors
  }

  /// How a call ended, as far as a graph wants to know.
  package enum CallStatus: String, CaseIterable {
    case ok, refused, failed
  }

  /// What is read off the service at the moment of asking.
  package struct Gauges {
    package var connections = 0
    package var runnersReady = 0
    package var runnersDraining = 0
    package var runnersDetached = 0
    package var openDrains = 0
    package var pendingMutations = 0
    package var pendingQueries = 0
    package var queuedOutputBytes = 0
    package var walBytes: Int64 = 0
    package var revision: Int64 = 0
    package init() {}
  }

  package func text(_ gauges: Gauges) -> String {
    var text = ""
    writeCounters(to: &text)
    writeHistograms(to: &text)
    for (name, help, value) in [
      ("baton_connections", "Connections now.", Int64(gauges.connections)),
      ("baton_runners_ready", "Runners that take work.", Int64(gauges.runnersReady)),
      ("baton_runners_draining", "Runners that are leaving.", Int64(gauges.runnersDraining)),
      ("baton_runners_detached", "Living runners without a connection.", Int64(gauges.runnersDetached)),
      ("baton_drains_open", "Drain orders that are open.", Int64(gauges.openDrains)),
      ("baton_pending_mutations", "Changes on their way to the disk.", Int64(gauges.pendingMutations)),
      ("baton_pending_queries", "Reads under way.", Int64(gauges.pendingQueries)),
      ("baton_queued_output_bytes", "Bytes that wait for peers to read.", Int64(gauges.queuedOutputBytes)),
      ("baton_wal_bytes", "Size of the write-ahead log.", gauges.walBytes),
      ("baton_revision", "Latest revision.", gauges.revision),
    ] {
      Metrics.write(name, "gauge", help, value, to: &text)
    }
    return text
  }

  private func writeCounters(to text: inout String) {
    registrations.write(
      "baton_registrations_total", "outcome", "Register messages answered.", to: &text, \.rawValue)
    decisions.write("baton_decisions_total", "upgrade", "Decisions made.", to: &text, Words.word)
    drainsOrdered.write("baton_drains_ordered_total", "cause", "Drain orders made.", to: &text, Words.word)
    drainsEnded.write(
      "baton_drains_ended_total", "state", "Drain orders that ended; open states stay 0.", to: &text,
      Words.word)
    runnersEnded.write("baton_runners_ended_total", "end", "Runners that ended.", to: &text, Words.word)
    historyPruned.write(
      "baton_history_pruned_total", "kind", "Rows of the history that were not kept any longer.", to: &text,
      \.rawValue)
    callsByStatus.write("baton_calls_total", "status", "Calls that ended.", to: &text, \.rawValue)
    for (name, help, value) in [
      ("baton_upgrades_held_total", "Upgrades that a gate began to hold back.", upgradesHeld),
      ("baton_upgrades_abandoned_total", "Upgrades that were held for too long.", upgradesAbandoned),
      ("baton_stop_deliveries_total", "Stops that the kernel took.", stopDeliveries),
      ("baton_stop_redeliveries_total", "Of those, the repeated ones.", stopRedeliveries),
      ("baton_heartbeats_total", "Heartbeats received.", heartbeats),
      ("baton_actors_created_total", "Actors created.", actorsCreated),
      ("baton_actor_commands_total", "Actor commands sent, repeated ones too.", actorCommands),
      ("baton_actor_reports_total", "Actor events received, repeated ones too.", actorReports),
      (
        "baton_actor_reports_refused_total", "Of those, the ones of a generation that no longer counts.",
        actorReportsRefused
      ),
      ("baton_connections_opened_total", "Connections accepted.", connectionsOpened),
      ("baton_connections_refused_total", "Connections refused.", connectionsRefused),
      ("baton_commits_total", "Transactions committed.", commits),
      ("baton_commit_failures_total", "Transactions that failed whole.", commitFailures),
      ("baton_log_lines_dropped_total", "Log lines that nobody took in time.", logLinesDropped),
    ] {
      Metrics.write(name, "counter", help, value, to: &text)
    }
  }

  private func writeHistograms(to text: inout String) {
    registerToStopReceived.write(
      "baton_register_to_stop_received_seconds",
      "From the arrival of the Register that ordered a drain to each StopAck.", to: &text)
    stopToCompleted.write(
      "baton_stop_to_completed_seconds", "From a drain order to its completion.", to: &text)
    commitSeconds.write("baton_commit_seconds", "How long a transaction took.", to: &text)
    commitMutations.write("baton_commit_mutations", "Changes in one transaction.", to: &text)
  }
}
