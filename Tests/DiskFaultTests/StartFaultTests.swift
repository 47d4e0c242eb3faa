import BatonClient
import CSQLite
import Glibc
import PowerLoss
import Testing

@testable import Reactor

/// What a daemon says, and does not touch, when its database is not what it should be.
@Suite struct StartFaultTests {
  enum Trouble: String, CaseIterable {
    case foreignFile, foreignDatabase, newerSchema, directory, corruptPage, tornHeader, danglingLink,
      lostLogIndex

    /// What the error must say beside the path.
    var words: String {
      switch self {
      case .foreignFile, .tornHeader: "is not a database; choose another state directory"
      case .foreignDatabase: "a database of another program"
      case .newerSchema: "newer release"
      case .directory: "cannot open"
      case .corruptPage: "restore a backup in its place"
      case .danglingLink: "cannot open"
      case .lostLogIndex: "cannot be written or read for now"
      }
    }
  }

  fileprivate static func start(_ disk: Disk) throws -> FaultyDaemon { try FaultyDaemon(in: disk.directory) }

  private static func sql(_ path: String, _ statements: String) {
    var database: OpaquePointer?
    precondition(sqlite3_open(path, &database) == SQLITE_OK)
    precondition(sqlite3_exec(database, statements, nil, nil, nil) == SQLITE_OK)
    sqlite3_close(database)
  }

  fileprivate static func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    precondition(pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
    close(descriptor)
  }

  private static func make(_ trouble: Trouble, _ path: String) {
    switch trouble {
    case .foreignFile:
      unlink(path)
      overwrite(path, at: 0, with: Array(String(repeating: "somebody's notes\n", count: 300).utf8))
    case .foreignDatabase:
      unlink(path)
      sql(path, "CREATE TABLE other (x)")
    case .newerSchema: sql(path, "PRAGMA user_version = 99")
    case .directory:
      unlink(path)
      mkdir(path, 0o700)
    case .corruptPage: overwrite(path, at: 3 * 4096, with: [UInt8](repeating: 0xAA, count: 4096))
    case .tornHeader: overwrite(path, at: 0, with: [UInt8](repeating: 0x55, count: 512))
    case .danglingLink:
      unlink(path)
      symlink("/nonexistent/baton.db", path)
    case .lostLogIndex: mkdir(path + "-shm", 0o700)
    }
  }

  private static func contents(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(descriptor, &bytes, bytes.count)
    return count < 0 ? nil : Array(bytes.prefix(count))
  }

  @Test(arguments: Trouble.allCases) func refusedInClearWordsAndUntouched(trouble: Trouble) throws {
    let disk = Disk()
    let path = disk.directory + "/state/baton.db"
    do { _ = try Self.start(disk) }
    Self.make(trouble, path)
    let before = Self.contents(path)
    let error = #expect(throws: DaemonError.self) { try Self.start(disk) }
    let text = try #require(error?.description)
    #expect(text.contains(trouble.words), "\(text)")
    #expect(text.contains(path), "\(text)")
    #expect(Self.contents(path) == before)
    // Nothing of the attempt stays: with the file gone the next start makes a new one.
    for suffix in ["", "-wal", "-shm"] { Disk.remove(path + suffix) }
    #expect(throws: Never.self) { _ = try Self.start(disk) }
  }

  /// The reader was closed last and left the log where it was: whoever then copied the database file alone had an old fleet,
  /// and whoever put another in its place found it overlaid by the old log.
  @Test func orderlyEndLeavesOneFile() async throws {
    let disk = Disk()
    do {
      let daemon = try Self.start(disk)
      let fleet = try await FleetClient.connect(path: daemon.socket)
      try await fleet.createNamespace("kept")
    }
    for suffix in ["-wal", "-shm"] { #expect(access(disk.directory + "/state/baton.db" + suffix, F_OK) != 0) }
    let daemon = try Self.start(disk)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    #expect(try await fleet.namespaces() == ["default", "kept"])
  }

  @Test func emptyFileIsANewOne() throws {
    let disk = Disk()
    mkdir(disk.directory + "/state", 0o700)
    Self.overwrite(disk.directory + "/state/baton.db", at: 0, with: [])
    #expect(throws: Never.self) { _ = try Self.start(disk) }
  }

  /// A file of root's, left behind by a daemon that somebody once started as root.
  @Test(.enabled(if: geteuid() == 0, "only root can become somebody else")) func unreadableFileNamesItself()
    async
  {
    await #expect(processExitsWith: .success) {
      let disk = Disk()
      let state = disk.directory + "/state"
      mkdir(state, 0o700)
      StartFaultTests.overwrite(state + "/baton.db", at: 0, with: [])
      precondition(chown(disk.directory, 65534, 65534) == 0 && chown(state, 65534, 65534) == 0)
      precondition(seteuid(65534) == 0)
      var text = ""
      do {
        _ = try StartFaultTests.start(disk)
      } catch {
        text = "\(error)"
      }
      precondition(seteuid(0) == 0)
      precondition(text.contains("cannot open \(state)/baton.db"), text)
    }
  }
}
