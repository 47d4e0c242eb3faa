import CSQLite
import Glibc
import Handover

/// A copy of a database that is in use, log and all. (Copying the file itself would leave out what is only in
/// the log.)
package enum Backup {
  /// Writes a consistent copy of the database at `path` to `destination`, which must not be there yet. Holds
  /// one read transaction for as long as it takes; nobody who writes waits for it. When it fails, nothing is
  /// left behind. Throws `.unavailable` when the copy cannot be written, `.fatal` when the source is not ours
  /// or damaged.
  package static func copy(from path: String, to destination: String) throws(StoreFailure) {
    let descriptor = Glibc.open(destination, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw .unavailable("cannot make \(destination): \(String(cString: strerror(errno)))")
    }
    close(descriptor)
    do {
      let source = try Database(path: path, role: .reader)
      try Migrations.identify(source)
      try copy(source, to: Database(path: destination, role: .writer))
    } catch let failure as StoreFailure {
      unlink(destination)
      throw failure
    } catch let error as DatabaseError {
      unlink(destination)
      throw error.storeFailure
    } catch {
      preconditionFailure("an error of no kind that is thrown here: \(error)")
    }
  }

  private static func copy(_ source: Database, to target: Database) throws(DatabaseError) {
    guard let backup = sqlite3_backup_init(target.handle, "main", source.handle, "main") else {
      throw target.error(sqlite3_errcode(target.handle), sql: "backup")
    }
    // All of it in one step: between two, any commit would make it begin again.
    let step = sqlite3_backup_step(backup, -1)
    let finish = sqlite3_backup_finish(backup)
    guard step == SQLITE_DONE else { throw target.error(step, sql: "backup") }
    guard finish == SQLITE_OK else { throw target.error(finish, sql: "backup") }
  }
}
