import Options
import Testing

private let options = [
  Option("socket", short: "s", .value(placeholder: "PATH"), environment: "T_SOCKET", help: "Where."),
  Option("json", .flag, environment: "T_JSON", help: "Machine form."),
  Option("allow-uid", .list(placeholder: "UID"), environment: "T_UIDS", help: "Who."),
  Option("grace", .value(placeholder: "TIME"), help: "How long.", fallback: "30m"),
]

@Test(arguments: [
  (["--socket", "/a"], ["socket": ["/a"]]),
  (["--socket=/a=b"], ["socket": ["/a=b"]]),
  (["-s", "/a", "--socket", "/b"], ["socket": ["/b"]]),
  (["--json"], ["json": ["true"]]),
  (["--allow-uid", "1", "--allow-uid=2"], ["allow-uid": ["1", "2"]]),
])
func takesTheUsualForms(arguments: [String], values: [String: [String]]) throws {
  #expect(try ParsedOptions(arguments, options: options).values == values)
}

@Test(arguments: [
  (["--sockte", "/a"], "unknown option --sockte; did you mean --socket?"),
  (["--nothing-like-it"], "unknown option --nothing-like-it; see --help"),
  (["--socket"], "--socket needs a value: --socket PATH"),
  (["--json=1"], "--json takes no value"),
])
func saysWhatIsWrong(arguments: [String], text: String) {
  #expect(throws: UsageError(text)) { try ParsedOptions(arguments, options: options) }
}

@Test func theEnvironmentStandsInForWhatIsNotGiven() throws {
  let environment = ["T_SOCKET": "/env", "T_JSON": "1", "T_UIDS": "3,4"]
  let alone = try ParsedOptions([], options: options, environment: environment)
  #expect(alone.values == ["socket": ["/env"], "json": ["true"], "allow-uid": ["3", "4"]])
  let given = try ParsedOptions(["--socket", "/flag"], options: options, environment: environment)
  #expect(given["socket"] == "/flag")
  #expect(throws: UsageError("T_JSON must be 1 or 0, is \"maybe\"")) {
    try ParsedOptions([], options: options, environment: ["T_JSON": "maybe"])
  }
}

@Test func whatFollowsTwoDashesIsLeftAlone() throws {
  let parsed = try ParsedOptions(["a", "--json", "--", "--socket", "x"], options: options)
  #expect(parsed.positional == ["a"])
  #expect(parsed.rest == ["--socket", "x"])
  let stopped = try ParsedOptions(["--json", "sub", "--unknown"], options: options, stopAtPositional: true)
  #expect(stopped.positional == ["sub", "--unknown"])
}

@Test func numbersAndTimesNameTheirBounds() throws {
  let parsed = try ParsedOptions(["--grace", "0s", "--socket", "70000"], options: options)
  #expect(
    throws: UsageError("--grace must be a time from 1s to 7d, such as 500ms, 30s, 10m or 2h; is \"0s\"")
  ) { try parsed.milliseconds("grace", in: 1000...604_800_000) }
  #expect(throws: UsageError("--socket must be a whole number from 1 to 65535, is \"70000\"")) {
    try parsed.integer("socket", in: 1...UInt16.max)
  }
  #expect(try parsed.integer("json", in: 0...1) == nil)
}

@Test(arguments: [
  ("500ms", 500, "500ms"), ("90", 90_000, "1m30s"), ("12s", 12_000, "12s"), ("10m", 600_000, "10m"),
  ("2h", 7_200_000, "2h"), ("3d", 259_200_000, "3d"), ("1500ms", 1500, "1.5s"),
  ("100h", 360_000_000, "4d04h"),
])
func timesAreReadAndShown(text: String, milliseconds: Int64, shown: String) {
  #expect(Duration.milliseconds(text) == milliseconds)
  #expect(Duration.text(milliseconds: milliseconds) == shown)
}

@Test(arguments: ["", "s", "-1s", "1x", "99999999999999999999s", "9223372036854775807d", "1.5s"])
func otherTimesAreRefused(text: String) {
  #expect(Duration.milliseconds(text) == nil)
}

@Test func helpNamesEveryOptionItsVariableAndItsDefault() {
  let help = Help.options(options, width: 60)
  for option in options { #expect(help.contains("--\(option.name)")) }
  #expect(help.contains("(env T_SOCKET)"))
  #expect(help.contains("(default 30m)"))
  #expect(help.split(separator: "\n").allSatisfy { $0.count <= 60 })
}
