import CPowerLoss
import Glibc

/// What a disk may hold when the power fails, made from the record of what was asked of it: everything that was synced, and
/// of the rest any part. Each sector that was written since its file's last sync may have any of the contents that it had
/// since; so writes arrive in any order, in part, or not at all.
package struct CrashImages<Random: RandomNumberGenerator> {
  /// What was asked of a file since its last sync.
  private enum Change {
    case write(offset: Int, UnsafeRawBufferPointer)
    case truncate(Int)
  }

  private struct File {
    /// nil: there is no such file.
    var synced: [UInt8]?
    var changes: [Change] = []
    /// The file of this name that was deleted, as long as its deletion may be undone by the power loss.
    var deleted: [UInt8]?
    /// Its name is not yet on the disk. SQLite syncs the directory together with a new log's or journal's first sync.
    var isNew = true
  }

  private let disk: Disk
  private var files: [File] = []
  package var random: Random
  /// How much of the record has been followed.
  package private(set) var position = 0

  package init(of disk: Disk, random: Random) {
    self.disk = disk
    self.random = random
  }

  /// Goes on to a later point of the record.
  package mutating func advance(to end: Int) {
    precondition(end >= position && end <= disk.position, "from \(position) to \(end) of \(disk.position)")
    while position < end {
      follow(powerloss_entry_at(disk.handle, position))
      position += 1
    }
  }

  private mutating func follow(_ entry: powerloss_entry) {
    let index = Int(entry.file)
    while files.count <= index { files.append(File()) }
    switch entry.kind {
    case POWERLOSS_WRITE:
      let bytes = UnsafeRawBufferPointer(start: entry.bytes, count: entry.length)
      files[index].changes.append(.write(offset: Int(entry.offset), bytes))
    case POWERLOSS_TRUNCATE:
      files[index].changes.append(.truncate(Int(entry.offset)))
    case POWERLOSS_SYNC:
      files[index].synced = apply(files[index].changes, to: files[index].synced ?? []) { _ in true }
      files[index].changes = []
      if files[index].isNew {
        files[index].isNew = false
        for other in files.indices { files[other].deleted = nil }
      }
    case POWERLOSS_SYNC_FAILED:
      // The kernel calls these pages clean from now on: what has not reached the disk by now never will.
      files[index].synced = survivors(of: files[index])
      files[index].changes = []
    case POWERLOSS_DELETE:
      let before = survivors(of: files[index])
      files[index] = File(deleted: files[index].deleted ?? before)
    default: preconditionFailure("an entry of kind \(entry.kind)")
    }
  }

  /// Writes into `directory` what may be there after a power loss at this point.
  package mutating func write(to directory: String) {
    for (index, file) in files.enumerated() {
      let path = String(cString: powerloss_path(disk.handle, Int32(index)))
      let name = path.split(separator: "/").last!
      let bytes = if let deleted = file.deleted, coin(1, of: 2) { deleted } else { survivors(of: file) }
      Self.write(bytes, to: "\(directory)/\(name)")
    }
  }

  private static func write(_ bytes: [UInt8]?, to path: String) {
    guard let bytes else {
      unlink(path)
      return
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    precondition(descriptor >= 0, "cannot make \(path): \(errno)")
    let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    precondition(written == bytes.count, "cannot write \(path): \(errno)")
    close(descriptor)
  }

  // MARK: - Chance

  private mutating func coin(_ chances: Int, of all: Int) -> Bool {
    Int.random(in: 0..<all, using: &random) < chances
  }

  /// The file as it may be: some of its last changes, or some of the sectors of some.
  private mutating func survivors(of file: File) -> [UInt8]? {
    guard !file.changes.isEmpty else { return file.synced }
    if coin(1, of: 4) {
      // As many file systems do: in order, and only the last one torn.
      let count = Int.random(in: 0...file.changes.count, using: &random)
      if count == 0 { return file.synced }
      let last = file.changes[count - 1]
      let whole = apply(file.changes.prefix(count - 1), to: file.synced ?? []) { _ in true }
      return apply([last], to: whole, sector: 512) { $0.coin(1, of: 2) }
    }
    let chances = [0, 1, 5, 9, 10].randomElement(using: &random)!
    if chances == 0 { return file.synced }
    let sector = coin(1, of: 2) ? 512 : 4096
    return apply(file.changes, to: file.synced ?? [], sector: sector) { $0.coin(chances, of: 10) }
  }

  /// Those changes, cut at the borders of sectors, that the disk took.
  private mutating func apply(
    _ changes: some Sequence<Change>, to synced: [UInt8], sector: Int = .max,
    _ isTaken: (inout Self) -> Bool
  ) -> [UInt8] {
    var bytes = synced
    for change in changes {
      switch change {
      case .truncate(let size):
        if isTaken(&self), size < bytes.count { bytes.removeLast(bytes.count - size) }
      case .write(let offset, let data):
        var start = 0
        while start < data.count {
          let room = sector == .max ? data.count : sector - (offset + start) % sector
          let end = min(data.count, start + room)
          if isTaken(&self) { Self.put(data[start..<end], at: offset + start, in: &bytes) }
          start = end
        }
      }
    }
    return bytes
  }

  private static func put(_ data: Slice<UnsafeRawBufferPointer>, at offset: Int, in bytes: inout [UInt8]) {
    let end = offset + data.count
    if bytes.count < end { bytes.append(contentsOf: repeatElement(0, count: end - bytes.count)) }
    bytes.withUnsafeMutableBytes { target in
      UnsafeMutableRawBufferPointer(rebasing: target[offset..<end])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: data))
    }
  }
}
