/// Every statement that a query runs, compiled once.
struct ReaderStatements {
  let begin: Statement
  let end: Statement
  let revision: Statement
  let counts: Statement
  let livingCounts: Statement
  let namespaces: Statement
  let pools: Statement
  let pool: Statement
  let versions: Statement
  let openDrains: Statement
  let targetHistory: Statement
  let runner: Statement
  let livingRunners: Statement
  let allRunners: Statement
  let runnerBounds: Statement
  let drain: Statement
  let drainsOfRunner: Statement
  let openDrainsList: Statement
  let allDrains: Statement
  let drainBounds: Statement
  let oldestEvent: Statement
  let events: Statement
  let planning: PoolStatements
  let history: HistoryStatements
  let explain: ExplainStatements

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    begin = try make(QuerySQL.begin)
    end = try make(QuerySQL.end)
    revision = try make(QuerySQL.revision)
    counts = try make(QuerySQL.counts)
    livingCounts = try make(QuerySQL.livingCounts)
    namespaces = try make(QuerySQL.namespaces)
    pools = try make(QuerySQL.pools)
    pool = try make(QuerySQL.pool)
    versions = try make(QuerySQL.versions)
    openDrains = try make(QuerySQL.openDrains)
    targetHistory = try make(QuerySQL.targetHistory)
    runner = try make(QuerySQL.runner)
    livingRunners = try make(QuerySQL.livingRunners)
    allRunners = try make(QuerySQL.allRunners)
    runnerBounds = try make(QuerySQL.runnerBounds)
    drain = try make(QuerySQL.drain)
    drainsOfRunner = try make(QuerySQL.drainsOfRunner)
    openDrainsList = try make(QuerySQL.openDrainsList)
    allDrains = try make(QuerySQL.allDrains)
    drainBounds = try make(QuerySQL.drainBounds)
    oldestEvent = try make(QuerySQL.oldestEvent)
    events = try make(QuerySQL.events)
    planning = try PoolStatements(database)
    history = try HistoryStatements(database)
    explain = try ExplainStatements(database)
  }
}
