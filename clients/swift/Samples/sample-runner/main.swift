// A whole runner: it registers, works until it is told to stop, and says goodbye.
// usage: sample-runner NAME [VERSION]; without VERSION, BATON_VERSION says it.

import BatonClient
import Glibc

let arguments = CommandLine.arguments
let versionText = arguments.count > 2 ? arguments[2] : getenv("BATON_VERSION").map { String(cString: $0) }
guard arguments.count > 1, let version = versionText.flatMap({ UInt32($0) }) else {
  print("usage: sample-runner NAME [VERSION]; without VERSION, BATON_VERSION says it")
  exit(64)
}

do {
  let runner = try await Runner.start(.init(name: arguments[1], version: version, slots: 4))
  print("runner \(runner.id) of version \(version) is at work")
  for await stop in runner.stops {
    print("stop: \(stop.reason)")
    // Here a real one finishes what it holds, before stop.deadline.
    break
  }
  print("left: \(await runner.finish(exitCode: 0, reason: "done"))")
} catch {
  print(error)
  exit(1)
}
