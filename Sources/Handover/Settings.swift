/// The times that the whole fleet keeps. Defaults are those of the feature that Baton re-thinks.
package struct FleetTimes: Hashable, Sendable {
  /// How often a runner is asked to send a heartbeat.
  package var heartbeatIntervalMilliseconds: Int64 = 3000
  /// After how long without one a runner gets no new actors.
  package var silentThresholdMilliseconds: Int64 = 10_000
  /// After how long, detached or silent, it is lost.
  package var lostThresholdMilliseconds: Int64 = 15_000
  /// How long a drain may take where neither the command nor the pool's config says.
  package var defaultGraceMilliseconds: Int64 = 1_800_000

  package init() {}

  /// Nested times must nest: a heartbeat is due twice before silence, and silence comes before loss.
  package func validate() throws(FieldViolation) {
    guard (100...60_000).contains(heartbeatIntervalMilliseconds) else {
      throw FieldViolation(field: "heartbeat-interval", requirement: "must be 100 to 60000 ms")
    }
    guard silentThresholdMilliseconds >= 2 * heartbeatIntervalMilliseconds,
      silentThresholdMilliseconds <= 600_000
    else {
      throw FieldViolation(
        field: "silent-threshold", requirement: "must be at least twice heartbeat-interval, at most 600000 ms"
      )
    }
    guard lostThresholdMilliseconds > silentThresholdMilliseconds, lostThresholdMilliseconds <= 3_600_000
    else {
      throw FieldViolation(
        field: "lost-threshold", requirement: "must be greater than silent-threshold, at most 3600000 ms")
    }
    guard Bounds.graceMilliseconds.contains(defaultGraceMilliseconds) else {
      throw FieldViolation(
        field: "drain-grace",
        requirement:
          "must be \(Bounds.graceMilliseconds.lowerBound) to \(Bounds.graceMilliseconds.upperBound) ms")
    }
  }

  /// What of an order's remaining time the runner is told: a margin is kept back, so that a runner that uses all
  /// of its share still leaves before the order's own deadline. A tenth, at most five seconds.
  package static func runnerShareMilliseconds(ofRemaining remaining: Int64) -> Int64 {
    max(0, remaining - min(5000, remaining / 10))
  }
}
