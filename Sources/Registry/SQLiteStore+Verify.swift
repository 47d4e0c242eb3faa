import Handover

extension SQLiteStore {
  /// Compares what is counted as it changes with what is there. The answer is each difference in words; empty
  /// when all is well. Reads every runner: for tests and the simulator, between batches.
  package func verifyCounters() throws(StoreFailure) -> [String] {
    do throws(DatabaseError) {
      var differences: [String] = []
      for (what, sql) in Self.differences {
        try Statement(database, sql).forEach { differences.append("\(what): \($0.text(0))") }
      }
      return differences
    } catch {
      throw error.storeFailure
    }
  }

  /// Who of a pool may be given actors, looked up without the index that allocation reads: for the simulator, between
  /// batches.
  package func allocationCandidates(of pool: PoolName) throws(StoreFailure) -> [Allocator.Candidate] {
    do throws(DatabaseError) {
      return try Statement(
        database,
        """
        SELECT r.id, r.version, r.total_slots - r.used_slots, r.last_work_ns
        FROM runners r NOT INDEXED JOIN pools p ON p.id = r.pool_id JOIN namespaces n ON n.id = p.namespace_id
        WHERE n.name = ? AND p.name = ? AND r.phase = 1 AND r.link = 1 AND r.silent = 0 AND r.authorized = 1
          AND r.takes_actors = 1 AND r.cordoned = 0
        """
      ).all(pool.namespace, pool.name) { row in
        Allocator.Candidate(
          runner: RunnerID(row.int64(0)), version: row.version(1), freeSlots: row.int64(2),
          lastWorkNanoseconds: row.int64(3))
      }
    } catch {
      throw error.storeFailure
    }
  }

  /// Pools that are not what their plan wants them to be, or were to be planned longer than `late` ago: for tests and the
  /// simulator, between batches.
  package func unsettledPools(at now: Moment, late: Int64) throws(StoreFailure) -> [String] {
    do throws(DatabaseError) {
      work = Work(now: now, ledger: ledger)
      defer { work = Work(now: now, ledger: ledger) }
      var found: [String] = []
      for id in try Statement(database, "SELECT id FROM pools ORDER BY id").all(read: { $0.int64(0) }) {
        let pool = try pool(id)
        if let due = pool.control.planDueNanoseconds, due < now.nanoseconds - late {
          found.append("pool \(pool.name) was to be planned \((now.nanoseconds - due) / 1_000_000) ms ago")
        }
        // Time goes on between batches: what is due is the timer's.
        if let due = pool.control.planDueNanoseconds, due <= now.nanoseconds { continue }
        let plan = try plan(pool)
        if plan.changes(pool.state) { found.append("pool \(pool.name) is not as planned: \(plan)") }
      }
      return found
    } catch {
      throw error.storeFailure
    }
  }

  /// Each gives a row for every place where something is not as it must be.
  private static let differences = [
    (
      "version counters that differ from the runners",
      """
      WITH counted AS (
        SELECT r.pool_id, r.version, sum(phase = 1) AS ready, sum(phase = 1 AND link = 1) AS ready_attached,
          sum(phase = 1 AND link = 1 AND authorized) AS ready_attached_authorized,
          sum(iif(phase = 1, total_slots, 0)) AS ready_slots, sum(phase = 2) AS draining,
          sum(phase = 2 AND link = 1) AS draining_attached,
          sum(iif(phase = 1, max(0, free_slots), 0)) AS ready_free_slots,
          sum(iif(phase = 1 AND link = 1 AND NOT silent AND NOT cordoned, total_slots, 0)) AS serving_slots,
          sum(iif(phase = 1 AND link = 1 AND NOT silent AND NOT cordoned AND takes_actors AND authorized,
            max(0, free_slots), 0))
            AS serving_free_slots,
          sum(phase = 1 AND exempt_change IS NOT NULL AND exempt_change = p.target_change_id) AS exempt,
          sum(phase = 2 AND recallable) AS recallable, sum(iif(phase = 2, used_slots, 0)) AS draining_used_slots
        FROM runners r JOIN pools p ON p.id = r.pool_id WHERE phase <= 2 GROUP BY r.pool_id, r.version),
      kept AS (SELECT pool_id, version, ready, ready_attached, ready_attached_authorized,
          ready_slots, draining, draining_attached, ready_free_slots, serving_slots, serving_free_slots, exempt,
          recallable, draining_used_slots
        FROM pool_versions)
      SELECT 'only counted ' || json_array(pool_id, version, ready, ready_attached, ready_attached_authorized,
          ready_slots, draining, draining_attached, ready_free_slots, serving_slots, serving_free_slots, exempt,
          recallable, draining_used_slots)
        FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)
      UNION ALL
      SELECT 'only there ' || json_array(pool_id, version, ready, ready_attached, ready_attached_authorized,
          ready_slots, draining, draining_attached, ready_free_slots, serving_slots, serving_free_slots, exempt,
          recallable, draining_used_slots)
        FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
      UNION ALL
      SELECT 'health ' || json_array(pool_id, version, ready_attached, healthy_since_ns)
        FROM pool_versions WHERE (healthy_since_ns IS NULL) <> (ready_attached = 0)
      """
    ),
    (
      "ended runners",
      """
      SELECT ended_runners || ' counted, ' || (SELECT count(*) FROM runners WHERE phase >= 3) || ' there'
      FROM fleet WHERE ended_runners <> (SELECT count(*) FROM runners WHERE phase >= 3)
      """
    ),
    (
      "ended orders and destroyed actors",
      """
      SELECT json_array(ended_orders, orders, destroyed_actors, actors) FROM fleet, (
        SELECT (SELECT count(*) FROM drain_orders WHERE state > 3) AS orders,
          (SELECT count(*) FROM actors WHERE state = 6) AS actors)
      WHERE ended_orders <> orders OR destroyed_actors <> actors
      """
    ),
    (
      "terms that no order has, and orders whose terms are gone",
      """
      SELECT 'terms ' || id FROM drain_terms WHERE id NOT IN (SELECT terms_id FROM drain_orders)
      UNION ALL SELECT 'order ' || id FROM drain_orders WHERE terms_id NOT IN (SELECT id FROM drain_terms)
      """
    ),
    (
      "events of orders that are gone",
      "SELECT revision FROM events WHERE kind = 12 AND drain_order_id NOT IN (SELECT id FROM drain_orders)"
    ),
    (
      "events that are missing between others",
      """
      SELECT json_array(min(revision), max(revision), count(*)) FROM events
      HAVING count(*) <> max(revision) - min(revision) + 1
      """
    ),
    (
      "draining runners without an open order",
      """
      SELECT id FROM runners WHERE phase = 2
        AND id NOT IN (SELECT runner_id FROM drain_orders WHERE state <= 3)
      """
    ),
    (
      "runners that could be recalled from no upgrade",
      """
      SELECT r.id FROM runners r WHERE r.recallable AND NOT EXISTS (
        SELECT 1 FROM drain_orders o JOIN drain_terms t ON t.id = o.terms_id
        WHERE o.runner_id = r.id AND o.state <= 3 AND t.cause = 1 AND o.way_back IS NULL)
      """
    ),
    (
      "open orders of runners that are not draining",
      """
      SELECT id FROM drain_orders WHERE state <= 3
        AND runner_id NOT IN (SELECT id FROM runners WHERE phase = 2)
      """
    ),
    (
      "runners that have half ended",
      """
      SELECT id FROM runners WHERE (link IS NULL) <> (phase >= 3) OR (ended_at_ms IS NULL) <> (phase <= 2)
        OR (end_cause IS NULL) <> (phase <= 2) OR silent AND link IS NOT 1
      """
    ),
    (
      "keys with more than one ready runner",
      """
      SELECT coalesce(key, id) FROM runners WHERE phase = 1
      GROUP BY pool_id, coalesce(key, CAST(id AS TEXT)) HAVING count(*) > 1
      """
    ),
    (
      "numbers beyond the last one given",
      """
      SELECT json_array((SELECT max(id) FROM runners), (SELECT max(id) FROM drain_orders),
        (SELECT max(revision) FROM events), (SELECT max(attachment) FROM runners))
      FROM fleet
      WHERE coalesce((SELECT max(id) FROM runners), 0) > last_runner
        OR coalesce((SELECT max(id) FROM drain_orders), 0) > last_order
        OR (SELECT max(revision) FROM events) <> last_revision
        OR coalesce((SELECT max(attachment) FROM runners), 0) > last_attachment
      """
    ),
    (
      "slots in use that are not the actors held",
      """
      SELECT r.id || ': ' || r.used_slots || ' in the books' FROM runners r
      WHERE r.used_slots <> (SELECT count(*) FROM actors a WHERE a.runner_id = r.id)
      """
    ),
    (
      "actors held by runners that have ended, or that may not hold them",
      """
      SELECT a.id FROM actors a LEFT JOIN runners r ON r.id = a.runner_id
      WHERE (a.runner_id IS NULL) <> (a.state NOT IN (2, 3, 4))
        OR a.runner_id IS NOT NULL AND (r.phase IS NULL OR r.phase > 2 OR r.phase = 2 AND a.state <> 4)
      """
    ),
    (
      "actors with half a state",
      """
      SELECT id FROM actors WHERE (stop_reason IS NULL) <> (state <> 4) OR state IN (3, 6) AND due_ns IS NOT NULL
        OR state = 2 AND due_ns IS NULL OR command_acked > command_index OR state = 5 AND due_ns IS NOT alarm_ns
      """
    ),
    (
      "actor counters that differ from the actors",
      """
      WITH counted AS (
        SELECT pool_id, sum(state = 1) AS pending, sum(state = 1 AND due_ns IS NULL) AS queued,
          sum(state = 2) AS starting, sum(state = 3) AS running, sum(state = 4) AS stopping,
          sum(state = 5) AS sleeping
        FROM actors WHERE state < 6 GROUP BY pool_id),
      kept AS (SELECT * FROM pool_actors WHERE pending + starting + running + stopping + sleeping <> 0)
      SELECT 'only counted ' || json_array(pool_id, pending, queued, starting, running, stopping, sleeping)
        FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)
      UNION ALL
      SELECT 'only there ' || json_array(pool_id, pending, queued, starting, running, stopping, sleeping)
        FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
      """
    ),
    (
      "inputs of actors that are gone",
      "SELECT actor_id FROM actor_inputs WHERE actor_id NOT IN (SELECT id FROM actors WHERE state < 6)"
    ),
    (
      "targets that are not the pool's last change",
      """
      SELECT p.id FROM pools p JOIN target_changes t ON t.id = p.target_change_id WHERE t.pool_id <> p.id
      """
    ),
  ]
}
