import BatonClient
import Glibc
import PowerLoss
import Testing

/// A file system of one mebibyte, in memory, for as long as its owner lives.
private final class SmallDisk {
  let directory: String
  private let around = Disk()

  /// nil where we may not mount.
  init?() {
    directory = around.directory + "/small"
    guard mkdir(directory, 0o700) == 0, mount("baton-test", directory, "tmpfs", 0, "size=1m,mode=700") == 0
    else { return nil }
  }

  deinit { umount2(directory, Int32(MNT_DETACH)) }

  /// Takes all the room there is.
  func fill() {
    let descriptor = open(directory + "/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    let bytes = [UInt8](repeating: 1, count: 4096)
    while write(descriptor, bytes, bytes.count) > 0 {}
    close(descriptor)
  }

  func makeRoom() { unlink(directory + "/filler") }

  static let isAllowed = SmallDisk() != nil
}

/// A disk that is really full.
@Suite(.enabled(if: SmallDisk.isAllowed, "mounting a file system takes root"), .timeLimit(.minutes(2)))
struct FullDiskTests {
  private static func name(_ number: Int) -> String { "n\(number)" }

  @Test func changesAreRefusedUntilThereIsRoom() async throws {
    let disk = try #require(SmallDisk())
    let daemon = try FaultyDaemon(in: disk.directory)
    let fleet = try await FleetClient.connect(path: daemon.socket)
    let runner = try await Runner.start(.test(daemon.socket, 1))
    var health = try Health(fleet)
    #expect(try await health.next() == "SERVING")
    disk.fill()
    // Some may still find room in the log that is there.
    var kept = ["default"]
    var refused: BatonError?
    while refused == nil {
      do {
        try await fleet.createNamespace(Self.name(kept.count))
        kept.append(Self.name(kept.count))
      } catch {
        refused = error as? BatonError
      }
    }
    #expect(refused?.code == .unavailable)
    #expect(refused?.message.contains("changes are taken again once there is room") == true)
    #expect(try await health.next() == "NOT_SERVING")
    #expect(try await fleet.namespaces().sorted() == kept.sorted())
    #expect(try await fleet.runners().map(\.id) == [runner.id])
    disk.makeRoom()
    while try await health.next() != "SERVING" {}
    try await fleet.createNamespace("later")
    #expect(try await fleet.namespaces().sorted() == (kept + ["later"]).sorted())
    #expect(await runner.finish() == .finished)
  }
}
