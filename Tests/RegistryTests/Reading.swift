import Handover
import Testing

@testable import Registry

/// What tests ask of a fleet.
extension Fleet {
  func read(_ query: Query) throws -> QueryAnswer { try reader.read(query) }

  struct Unexpected: Error {
    var content: QueryAnswer.Content
  }

  func latest() throws -> Revision { try read(.status).revision }

  func counts() throws -> FleetCounts {
    let content = try read(.status).content
    guard case .status(let counts) = content else { throw Unexpected(content: content) }
    return counts
  }

  func runner(_ id: RunnerID) throws -> Runner {
    let content = try read(.runner(id)).content
    guard case .runner(let runner) = content else { throw Unexpected(content: content) }
    return runner
  }

  func runners(_ filter: RunnerFilter, _ page: Page = Page(size: 1000)) throws -> PageOf<Runner> {
    let content = try read(.runners(filter, page)).content
    guard case .runners(let runners) = content else { throw Unexpected(content: content) }
    return runners
  }

  func runners(includeEnded: Bool = false) throws -> [Runner] {
    try runners(RunnerFilter(includeEnded: includeEnded)).elements
  }

  func phases(includeEnded: Bool = true) throws -> [RunnerPhase] {
    try runners(includeEnded: includeEnded).map(\.phase)
  }

  func drain(_ id: DrainOrderID) throws -> DrainOrder {
    let content = try read(.drain(id)).content
    guard case .drain(let order) = content else { throw Unexpected(content: content) }
    return order
  }

  func drains(_ filter: DrainFilter, _ page: Page = Page(size: 1000)) throws -> PageOf<DrainOrder> {
    let content = try read(.drains(filter, page)).content
    guard case .drains(let orders) = content else { throw Unexpected(content: content) }
    return orders
  }

  func drains(includeEnded: Bool = true) throws -> [DrainOrder] {
    try drains(DrainFilter(includeEnded: includeEnded)).elements
  }

  func pools(_ page: Page = Page(size: 1000)) throws -> [Pool] {
    let content = try read(.pools(namespace: nil, page)).content
    guard case .pools(let pools) = content else { throw Unexpected(content: content) }
    return pools.elements
  }

  func pool(_ name: PoolName = web) throws -> (pool: Pool, history: [TargetChange]) {
    let content = try read(.pool(name)).content
    guard case .pool(let pool, let history) = content else { throw Unexpected(content: content) }
    return (pool, history)
  }

  func target(_ name: PoolName = web) throws -> UInt32? { try pool(name).pool.target?.version.number }

  func events(after revision: Int64 = 0, limit: Int = 1000) throws -> [Event] {
    let content = try read(
      .events(after: Revision(revision), namespace: nil, name: nil, limit: limit)
    ).content
    guard case .events(let events, _) = content else { throw Unexpected(content: content) }
    return events
  }
}
