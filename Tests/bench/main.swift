import Foundation
import Glibc
import Linux

let usage = """
  usage: baton-bench [--only ROW] [--quick] [--json] [--dir DIRECTORY]

  Measures this build's batond beside the kernel's sockets alone, in one table.

    --only ROW   one of: \(Bench.rows.map(\.name).joined(separator: ", ")), peers
    --quick      a tenth of the work: whether it runs, not how fast
    --json       one object a line
    --dir DIR    where the databases are (default .build/bench)

  Exit codes: 0 every floor is met, 1 one is not, 2 wrong command line.

  """

func complain(_ text: String) {
  let line = Array("baton-bench: \(text)".utf8)
  _ = write(2, line, line.count)
}

var arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "--load", arguments.count == 2 {
  _ = try Resources.raiseOpenFileLimit()
  try BenchLoad.run(arguments[1])
}
var (only, share, isJSON, directory): (String?, Int, Bool, String) = (nil, 1, false, ".build/bench")
while let word = arguments.first {
  arguments.removeFirst()
  switch word {
  case "--only" where (Bench.rows.map(\.name) + ["peers"]).contains(arguments.first ?? ""):
    only = arguments.removeFirst()
  case "--dir" where !arguments.isEmpty: directory = arguments.removeFirst()
  case "--quick": share = 10
  case "--json": isJSON = true
  case "-h", "--help":
    print(usage, terminator: "")
    exit(0)
  default:
    complain("baton-bench: \(word) is not understood\n\(usage)")
    exit(2)
  }
}
_ = try Resources.raiseOpenFileLimit()
mkdir(directory, 0o700)
var place = Array("\(directory)/run-XXXXXX".utf8CString)
guard mkdtemp(&place) != nil else {
  complain("no directory in \(directory): \(String(cString: strerror(errno)))\n")
  exit(1)
}
let bench = Bench(
  directory: String(decoding: place.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self), share: share)

func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

func line(_ row: Row, isJSON: Bool) -> String {
  if isJSON {
    return #"{"name":"\#(row.name)","figure":"\#(row.figure)","baseline":"\#(row.baseline)","#
      + #""ratio":"\#(row.ratio)","floor":"\#(row.floor)","met":\#(row.isMet.map { "\($0)" } ?? "null")}"#
  }
  let cells = [(row.name, 66), (row.figure, 24), (row.baseline, 20), (row.ratio, 7), (row.floor, 13)]
  return "| " + cells.map { padded($0, $1) }.joined(separator: " | ")
    + " | \(row.isMet.map { $0 ? "met  " : "SHORT" } ?? "     ") |"
}

if !isJSON {
  let head = Row(
    name: "figure", figure: "Baton", baseline: "baseline", ratio: "ratio", floor: "floor", isMet: nil)
  print(line(head, isJSON: false))
  print("|---|---|---|---|---|---|")
}
var isShort = false
for (name, run) in Bench.rows where only == nil || only == name {
  for row in try run(bench) {
    print(line(row, isJSON: isJSON))
    fflush(nil)
    isShort = isShort || row.isMet == false
  }
}
if only == nil || only == "peers" {
  for row in try Peers.rows(directory: bench.directory, share: share) { print(line(row, isJSON: isJSON)) }
}
// Databases of a million runners are not kept.
try? FileManager.default.removeItem(atPath: bench.directory)
exit(isShort && share == 1 ? 1 : 0)
