// swift-tools-version: 6.2
import PackageDescription

// Read bottom-up: C in thin layers, then the pure core, then what gives it a disk and a wire,
// then the service that joins them, then the thin programs.

let warningsAreErrors: [SwiftSetting] = [.treatAllWarnings(as: .error)]

// For the targets that touch no C: there every unsafe construct must be spelled out.
let strict: [SwiftSetting] = warningsAreErrors + [.strictMemorySafety()]

let package = Package(
  name: "baton",
  products: [
    .library(name: "BatonClient", targets: ["BatonClient"]),
    .executable(name: "batond", targets: ["batond"]),
    .executable(name: "baton", targets: ["baton"]),
  ],
  targets: [
    // C: system libraries and the smallest shims.
    .target(name: "CLinux"),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CMessageDigest", pkgConfig: "libmd", providers: [.apt(["libmd-dev"])]),
    .systemLibrary(
      name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
    .target(name: "CBatonProto", dependencies: ["CProtobufC"]),

    // The one Swift owner of each of them: nothing above says `epoll_` or `protobuf_c_`.
    .target(name: "Linux", dependencies: ["CLinux"], swiftSettings: warningsAreErrors),
    .target(
      name: "Protobuf", dependencies: ["CProtobufC", "CBatonProto"], swiftSettings: warningsAreErrors),

    // Flags, environment and help texts of the programs.
    .target(name: "Options", swiftSettings: strict),

    // What should happen: values in, values out. No clock, no socket, no disk.
    .target(name: "Handover", swiftSettings: strict),

    // What has happened, durably.
    .target(
      name: "Registry", dependencies: ["Handover", "CSQLite", "CMessageDigest"],
      swiftSettings: warningsAreErrors),

    // How peers talk: ttrpc frames and calls, then Baton's messages.
    .target(
      name: "Ttrpc", dependencies: ["Protobuf", "CBatonProto", "CProtobufC"],
      swiftSettings: warningsAreErrors),
    .target(
      name: "BatonAPI", dependencies: ["Handover", "Protobuf", "Ttrpc", "CBatonProto", "CProtobufC"],
      swiftSettings: warningsAreErrors),

    // Who is asked: handlers, sessions, console; one thread, no system calls.
    .target(
      name: "Service", dependencies: ["Handover", "Ttrpc", "BatonAPI", "Protobuf"],
      swiftSettings: warningsAreErrors),

    // The real world: epoll, sockets, processes, threads.
    .target(
      name: "Reactor", dependencies: ["Linux", "Handover", "Registry", "Service", "Ttrpc"],
      swiftSettings: warningsAreErrors),

    // Programs and the client library.
    .target(
      name: "BatonClient",
      dependencies: ["Linux", "Handover", "Ttrpc", "BatonAPI", "Protobuf", "CBatonProto"],
      path: "clients/swift/Sources/BatonClient", swiftSettings: warningsAreErrors),
    .executableTarget(
      name: "sample-runner", dependencies: ["BatonClient"],
      path: "clients/swift/Samples/sample-runner", swiftSettings: warningsAreErrors),
    .executableTarget(
      name: "batond", dependencies: ["Reactor", "Service", "Registry", "Handover", "Linux", "Options"],
      exclude: ["batond.service"],
      swiftSettings: warningsAreErrors),
    .executableTarget(
      name: "baton",
      dependencies: ["BatonClient", "BatonAPI", "Registry", "Handover", "Protobuf", "Linux", "Options"],
      exclude: ["RUN.md", "UPGRADES.md", "worker@.service"],
      swiftSettings: warningsAreErrors),

    // Tests, one target for each target above; end-to-end last.
    .testTarget(name: "TidinessTests", swiftSettings: warningsAreErrors),
    .testTarget(name: "LinuxTests", dependencies: ["Linux"], swiftSettings: warningsAreErrors),
    .testTarget(name: "OptionsTests", dependencies: ["Options"], swiftSettings: warningsAreErrors),
    .testTarget(
      name: "HandoverTests", dependencies: ["Seeded", "Handover"], swiftSettings: warningsAreErrors),
    .testTarget(
      name: "RegistryTests", dependencies: ["Seeded", "Registry", "Handover", "CSQLite"],
      swiftSettings: warningsAreErrors),
    // The same run for the same seed.
    .target(name: "Seeded", path: "Tests/Support/Seeded", swiftSettings: warningsAreErrors),
    // The wire by hand, an oracle that shares nothing with the code under test.
    .target(name: "HandWire", path: "Tests/Support/HandWire", swiftSettings: warningsAreErrors),
    .testTarget(
      name: "ProtobufTests", dependencies: ["HandWire", "Protobuf", "CBatonProto", "CProtobufC"],
      swiftSettings: warningsAreErrors),
    .testTarget(
      name: "TtrpcTests", dependencies: ["Seeded", "Ttrpc", "Protobuf"], swiftSettings: warningsAreErrors),
    // A disk that loses power, fills up and fails, under the real store.
    .target(name: "CPowerLoss", dependencies: ["CSQLite"], path: "Tests/Support/CPowerLoss"),
    .target(
      name: "PowerLoss", dependencies: ["CPowerLoss", "CSQLite"], path: "Tests/Support/PowerLoss",
      swiftSettings: warningsAreErrors),
    .testTarget(
      name: "PowerLossTests", dependencies: ["Seeded", "PowerLoss", "Registry", "Handover", "CSQLite"],
      swiftSettings: warningsAreErrors),
    .testTarget(
      name: "DiskFaultTests",
      dependencies: [
        "PowerLoss", "BatonClient", "BatonAPI", "Reactor", "Service", "Registry", "Handover", "Linux",
        "CSQLite", "Ttrpc", "Protobuf", "batond",
      ],
      swiftSettings: warningsAreErrors),
    .testTarget(
      name: "ServiceTests",
      dependencies: [
        "HandWire", "Service", "Registry", "Handover", "BatonAPI", "Ttrpc", "Protobuf", "CBatonProto",
      ],
      swiftSettings: warningsAreErrors),
    // Whatever was released stays readable: the schema, kept messages and a kept database.
    .testTarget(
      name: "EvolutionTests",
      dependencies: [
        "HandWire", "BatonAPI", "Registry", "Handover", "Protobuf", "CBatonProto", "CProtobufC", "CSQLite",
      ],
      exclude: ["Fixtures"], swiftSettings: warningsAreErrors),
    .testTarget(
      name: "BatonAPITests",
      dependencies: ["BatonAPI", "Handover", "Protobuf", "Ttrpc", "CBatonProto", "CProtobufC"],
      swiftSettings: warningsAreErrors),
    // What it costs, beside what the kernel's sockets alone cost.
    .executableTarget(
      name: "baton-bench", dependencies: ["HandWire", "Linux", "CSQLite"], path: "Tests/bench",
      exclude: ["peers"],
      swiftSettings: warningsAreErrors),
    // Everything as its people run it: real processes, signals and files.
    .testTarget(
      name: "EndToEndTests", dependencies: ["Seeded", "HandWire", "batond", "baton", "sample-runner"],
      swiftSettings: warningsAreErrors),
    // The real service and registry on a simulated machine.
    .target(
      name: "Simulator",
      dependencies: [
        "Seeded", "PowerLoss", "BatonClient", "Service", "Registry", "BatonAPI", "Handover", "Ttrpc",
        "Protobuf", "CBatonProto",
      ],
      path: "Tests/Simulator", swiftSettings: warningsAreErrors),
    .executableTarget(
      name: "simulate", dependencies: ["Simulator", "Options"], path: "Tests/simulate",
      swiftSettings: warningsAreErrors),
    .testTarget(
      name: "SimulatorTests", dependencies: ["Simulator"], swiftSettings: warningsAreErrors),
    .testTarget(
      name: "BatonClientTests",
      dependencies: [
        "BatonClient", "Reactor", "Service", "Registry", "BatonAPI", "Handover", "Ttrpc", "Linux",
        "Protobuf", "CBatonProto", "sample-runner", "baton",
      ],
      swiftSettings: warningsAreErrors),
  ],
  swiftLanguageModes: [.v6]
)

// A library, since libFuzzer brings the main: Tests/fuzz/fuzz.sh builds and links it.
if Context.environment["FUZZ"] != nil {
  package.products.append(.library(name: "fuzz", type: .static, targets: ["fuzz"]))
  package.targets.append(
    .target(
      name: "fuzz", dependencies: ["Service", "Registry", "Handover", "BatonAPI", "Protobuf", "CBatonProto"],
      path: "Tests/fuzz", exclude: ["corpus", "fuzz.sh"], swiftSettings: warningsAreErrors))
}
