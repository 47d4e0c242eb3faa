/// Every statement that a change runs, compiled once. `Schema` says why the partial indexes are named:
/// a plan that missed one would still answer, a thousand times slower.
struct Statements {
  let begin: Statement
  let commit: Statement

  let readFleet: Statement
  let writeFleet: Statement
  let nameFleet: Statement
  let dateDefaultNamespace: Statement
  let insertNamespace: Statement

  let pools: PoolStatements
  let poolsDue: Statement
  let nextPoolDue: Statement
  let previousTarget: Statement
  let firstOfVersion: Statement
  let insertPool: Statement
  let writePool: Statement
  let writePoolVersion: Statement
  let deletePoolVersion: Statement
  let insertTargetChange: Statement
  let forgetTargetChanges: Statement

  let findLivingToken: Statement
  let findEndedToken: Statement
  let findKey: Statement
  let findRunner: Statement
  let findEndedRunner: Statement
  let insertRunner: Statement
  let attachRunner: Statement
  let detachRunner: Statement
  let setSilent: Statement
  let startDraining: Statement
  let stopDraining: Statement
  let keepDraining: Statement
  let setCordoned: Statement
  let endRunner: Statement

  let insertTerms: Statement
  let insertOrder: Statement
  let findOpenOrder: Statement
  let findOrder: Statement
  let findAnyOrder: Statement
  let recallableOrders: Statement
  let offeredOrders: Statement
  let markCancelled: Statement
  let markTooLate: Statement
  let setDeadline: Statement
  let markDelivered: Statement
  let markAcked: Statement
  let endOrder: Statement
  let insertEvent: Statement

  let orderReady: Statement
  let newOrders: Statement
  let startDrainingNew: Statement
  let insertNewOrderEvents: Statement
  let openOrdersOfPool: Statement

  let viewRunner: Statement
  let viewOrder: Statement

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    begin = try make(ChangeSQL.begin)
    commit = try make(ChangeSQL.commit)
    readFleet = try make(ChangeSQL.readFleet)
    writeFleet = try make(ChangeSQL.writeFleet)
    nameFleet = try make(ChangeSQL.nameFleet)
    dateDefaultNamespace = try make(ChangeSQL.dateDefaultNamespace)
    insertNamespace = try make(ChangeSQL.insertNamespace)
    pools = try PoolStatements(database)
    poolsDue = try make(ChangeSQL.poolsDue)
    nextPoolDue = try make(ChangeSQL.nextPoolDue)
    previousTarget = try make(ChangeSQL.previousTarget)
    firstOfVersion = try make(ChangeSQL.firstOfVersion)
    insertPool = try make(ChangeSQL.insertPool)
    writePool = try make(ChangeSQL.writePool)
    writePoolVersion = try make(ChangeSQL.writePoolVersion)
    deletePoolVersion = try make(ChangeSQL.deletePoolVersion)
    insertTargetChange = try make(ChangeSQL.insertTargetChange)
    forgetTargetChanges = try make(ChangeSQL.forgetTargetChanges)
    findLivingToken = try make(ChangeSQL.findLivingToken)
    findEndedToken = try make(ChangeSQL.findEndedToken)
    findKey = try make(ChangeSQL.findKey)
    findRunner = try make(ChangeSQL.findRunner)
    findEndedRunner = try make(ChangeSQL.findEndedRunner)
    insertRunner = try make(ChangeSQL.insertRunner)
    attachRunner = try make(ChangeSQL.attachRunner)
    detachRunner = try make(ChangeSQL.detachRunner)
    setSilent = try make(ChangeSQL.setSilent)
    startDraining = try make(ChangeSQL.startDraining)
    stopDraining = try make(ChangeSQL.stopDraining)
    keepDraining = try make(ChangeSQL.keepDraining)
    setCordoned = try make(ChangeSQL.setCordoned)
    endRunner = try make(ChangeSQL.endRunner)
    insertTerms = try make(ChangeSQL.insertTerms)
    insertOrder = try make(ChangeSQL.insertOrder)
    findOpenOrder = try make(ChangeSQL.findOpenOrder)
    findOrder = try make(ChangeSQL.findOrder)
    findAnyOrder = try make(ChangeSQL.findAnyOrder)
    recallableOrders = try make(ChangeSQL.recallableOrders)
    offeredOrders = try make(ChangeSQL.offeredOrders)
    markCancelled = try make(ChangeSQL.markCancelled)
    markTooLate = try make(ChangeSQL.markTooLate)
    setDeadline = try make(ChangeSQL.setDeadline)
    markDelivered = try make(ChangeSQL.markDelivered)
    markAcked = try make(ChangeSQL.markAcked)
    endOrder = try make(ChangeSQL.endOrder)
    insertEvent = try make(ChangeSQL.insertEvent)
    orderReady = try make(ChangeSQL.orderReady)
    newOrders = try make(ChangeSQL.newOrders)
    startDrainingNew = try make(ChangeSQL.startDrainingNew)
    insertNewOrderEvents = try make(ChangeSQL.insertNewOrderEvents)
    openOrdersOfPool = try make(ChangeSQL.openOrdersOfPool)
    viewRunner = try make(QuerySQL.runner)
    viewOrder = try make(QuerySQL.drain)
  }
}
