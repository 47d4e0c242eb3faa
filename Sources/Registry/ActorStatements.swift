/// Every statement of actors that a change runs, compiled once.
struct ActorStatements {
  let find: Statement
  let findKey: Statement
  let findRequest: Statement
  let insert: Statement
  let update: Statement
  let insertInput: Statement
  let deleteInput: Statement
  let held: Statement
  let queueHeads: Statement
  let dueNow: Statement
  let nextDue: Statement
  let findSlot: Statement
  let readStanding: Statement
  let takeSlot: Statement
  let freeSlot: Statement
  let writePoolActors: Statement
  let queuedPools: Statement
  let restartClock: Statement
  let extendDeadlines: Statement
  let one: Statement

  init(_ database: Database) throws(DatabaseError) {
    func make(_ sql: String) throws(DatabaseError) -> Statement { try Statement(database, sql) }
    find = try make(ActorSQL.find)
    findKey = try make(ActorSQL.findKey)
    findRequest = try make(ActorSQL.findRequest)
    insert = try make(ActorSQL.insert)
    update = try make(ActorSQL.update)
    insertInput = try make(ActorSQL.insertInput)
    deleteInput = try make(ActorSQL.deleteInput)
    held = try make(ActorSQL.held)
    queueHeads = try make(ActorSQL.queueHeads)
    dueNow = try make(ActorSQL.dueNow)
    nextDue = try make(ActorSQL.nextDue)
    findSlot = try make(ActorSQL.findSlot)
    readStanding = try make(ActorSQL.readStanding)
    takeSlot = try make(ActorSQL.takeSlot)
    freeSlot = try make(ActorSQL.freeSlot)
    writePoolActors = try make(ActorSQL.writePoolActors)
    queuedPools = try make(ActorSQL.queuedPools)
    restartClock = try make(ActorSQL.restartClock)
    extendDeadlines = try make(ActorSQL.extendDeadlines)
    one = try make(ActorSQL.one)
  }
}
