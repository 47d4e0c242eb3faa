import Foundation
import Glibc

/// What one might pick instead, measured in the same run on the same disk: whatever `peers/build.sh` has built.
enum Peers {
  private static let programs = ".build/peers"

  private struct Peer {
    var name: String
    var program: String
    var server: [String]
  }

  static func rows(directory: String, share: Int) throws -> [Row] {
    let socket = "\(directory)/peer.sock"
    let peers = [
      Peer(name: "gRPC C++", program: "grpc-peer", server: ["\(programs)/grpc-peer", "serve", socket]),
      Peer(
        name: "Redis", program: "redis-peer",
        server: [
          // It goes into its directory first.
          "redis-server", "--port", "0", "--unixsocket", "peer.sock", "--dir", directory, "--save", "",
          "--appendonly", "yes", "--appendfsync", "always", "--maxclients", "20000", "--loglevel", "warning",
        ]),
    ]
    var rows: [Row] = []
    for peer in peers where access("\(programs)/\(peer.program)", X_OK) == 0 {
      let server = try start(peer.server)
      defer {
        server.terminate()
        server.waitUntilExit()
        unlink(socket)
      }
      while access(socket, F_OK) != 0 {
        guard server.isRunning else { throw Failure(text: "\(peer.server[0]) ended at once") }
      }
      let output = Pipe()
      let client = try start(["\(programs)/\(peer.program)", "measure", socket, "\(share)"], output)
      let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      client.waitUntilExit()
      guard client.terminationStatus == 0 else { throw Failure(text: "\(peer.program) failed") }
      rows += text.split(separator: "\n").map { line in
        let parts = line.split(separator: "\t")
        return Row(
          name: "\(peer.name): \(parts[0])", figure: String(parts[1]), baseline: "", ratio: "", floor: "",
          isMet: nil)
      }
    }
    return rows
  }

  private struct Failure: Error { var text: String }

  private static func start(_ words: [String], _ output: Pipe? = nil) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.standardOutput = output ?? FileHandle.nullDevice
    try process.run()
    return process
  }
}
