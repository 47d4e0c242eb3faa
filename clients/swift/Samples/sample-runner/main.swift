// A whole runner: it registers, works until it is told to stop, and says goodbye.
// usage: sample-runner NAME VERSION

import BatonClient

let arguments = CommandLine.arguments
guard arguments.count == 3, let version = UInt32(arguments[2]) else {
  fatalError("usage: sample-runner NAME VERSION")
}

let runner = try await Runner.start(.init(name: arguments[1], version: version, slots: 4))
print("runner \(runner.id) of version \(version) is at work")

for await stop in runner.stops {
  print("stop: \(stop.reason)")
  // Here a real one finishes what it holds, before stop.deadline.
  break
}
print("left: \(await runner.finish(exitCode: 0, reason: "done"))")
