import Testing

@Suite struct TidinessTests {
  @Test(arguments: Rule.all) func holdsEverywhere(_ rule: Rule) {
    for file in SourceTree.project.files {
      for violation in rule.check(file) { Issue.record("\(violation)") }
    }
  }

  @Test(arguments: Planted.samples) func canBeBroken(_ planted: Planted) {
    let found = planted.rule.check(SourceFile(path: planted.path, text: planted.text))
    #expect(found.map(\.line) == planted.lines)
    #expect(found.allSatisfy { $0.path == planted.path })
  }

  @Test func everyRuleHasBeenSeenToFail() {
    let seen = Set(Planted.samples.filter { !$0.lines.isEmpty }.map(\.rule.name))
    #expect(seen == Set(Rule.all.map(\.name)))
  }

  @Test func theTopLevelHoldsOnlyWhatConventionPutsThere() {
    let allowed: Set<String> = [
      "Package.swift", "Sources", "Tests", "proto", "clients", "README.md", "LICENSE", "Makefile",
      "CHANGELOG.md",
    ]
    let others = SourceTree.project.topLevel.filter { !allowed.contains($0) && !$0.hasPrefix(".") }
    #expect(others == [])
  }

  /// A walk that finds nothing would let everything pass.
  @Test(arguments: [
    "Package.swift", "Makefile", ".ci/run", "Sources/Handover/Bounds.swift", "Sources/CLinux/clinux.c",
    "proto/baton/v1/runner.proto", "clients/swift/Sources/BatonClient/Channel.swift", "Tests/setup.sh",
    "Tests/TidinessTests/Rule.swift",
  ])
  func theWalkFinds(_ path: String) {
    #expect(SourceTree.project.files.contains { $0.path == path && !$0.lines.isEmpty })
  }
}
