/// Counters, gauges and histograms with labels from closed sets only, so that no peer can make them grow.
package struct Metrics {
  package struct Histogram {
    package let bounds: [Double]
    private(set) var counts: [UInt64]
    private(set) var sum: Double = 0
    private(set) var total: UInt64 = 0

    package init(bounds: [Double]) {
      self.bounds = bounds
      counts = Array(repeating: 0, count: bounds.count)
    }

    package mutating func observe(_ value: Double) {
      sum += value
      total &+= 1
      if let index = bounds.firstIndex(where: { value <= $0 }) { counts[index] &+= 1 }
    }

    func write(_ name: String, _ help: String, to text: inout String) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
      var running: UInt64 = 0
      for (bound, count) in zip(bounds, counts) {
        running &+= count
        text += "\(name)_bucket{le=\"\(Metrics.number(bound))\"} \(running)\n"
      }
      text +=
        "\(name)_bucket{le=\"+Inf\"} \(total)\n\(name)_sum \(Metrics.number(sum))\n\(name)_count \(total)\n"
    }
  }

  /// A counter for each case of a closed set.
  package struct Family<Label: Hashable & CaseIterable> {
    private(set) var counts: [Label: UInt64]
    package init() { counts = Dictionary(uniqueKeysWithValues: Label.allCases.map { ($0, 0) }) }
    package mutating func add(_ label: Label, _ amount: Int = 1) {
      counts[label, default: 0] &+= UInt64(max(0, amount))
    }
    package subscript(label: Label) -> UInt64 { counts[label] ?? 0 }

    func write(
      _ name: String, _ labelName: String, _ help: String, to text: inout String, _ word: (Label) -> String
    ) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) counter\n"
      for label in Label.allCases {
        text += "\(name){\(labelName)=\"\(word(label))\"} \(self[label])\n"
      }
    }
  }

  static func write(
    _ name: String, _ type: String, _ help: String, _ value: some BinaryInteger, to text: inout String
  ) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name) \(value)\n"
  }

  /// A whole number without its ".0", as bucket bounds are usually written.
  static func number(_ value: Double) -> String {
    let text = String(value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  static let seconds: [Double] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800,
  ]
  static let sizes: [Double] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
}
