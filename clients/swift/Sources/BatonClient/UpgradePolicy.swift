import BatonAPI
import CBatonProto
import Handover
import Protobuf

/// A number, or a share of a whole: `3`, `25%`.
public enum Share: Hashable, Sendable, CustomStringConvertible {
  /// So many.
  case count(UInt32)
  /// So much of it, 0 to 100.
  case percent(UInt32)

  /// Reads what `description` writes; nil for anything else.
  public init?(_ text: String) {
    guard let share = Handover.Share(text) else { return nil }
    self.init(share)
  }

  init?(_ share: Handover.Share) {
    switch share {
    case .count(let value):
      guard let value = UInt32(exactly: value) else { return nil }
      self = .count(value)
    case .percent(let value):
      guard (0...100).contains(value) else { return nil }
      self = .percent(UInt32(value))
    }
  }

  var value: Handover.Share {
    switch self {
    case .count(let value): .count(Int64(value))
    case .percent(let value): .percent(Int64(value))
    }
  }

  /// `3` or `25%`.
  public var description: String { value.description }
}

/// How an upgrade of a pool goes. What is nil is as the strategy says.
public struct UpgradePolicy: Hashable, Sendable {
  /// What holds where nothing else is said.
  public enum Strategy: String, Sendable, CaseIterable {
    /// Every older runner is drained the moment that a newer version is there.
    case immediate
    /// 30 s of health, no slot less than before, a quarter of the runners at a time, given up after an hour.
    case careful

    var value: UpgradeSettings.Strategy {
      switch self {
      case .immediate: .immediate
      case .careful: .careful
      }
    }
  }

  /// Whether older runners wait for room.
  public enum Capacity: String, Sendable, CaseIterable {
    /// They go, whether the new version has room for their work or not.
    case proceed
    /// They go only as far as the pool keeps `minAvailable` slots and the target has free slots for their actors.
    case wait

    var value: UpgradeSettings.Capacity {
      switch self {
      case .proceed: .proceed
      case .wait: .wait
      }
    }
  }

  /// nil is `immediate`.
  public var strategy: Strategy?
  /// A version becomes the target only after it has had an attached ready runner for so long without a break: 0 to a day.
  public var minHealthyMilliseconds: Int64?
  /// Whether older runners wait for room.
  public var capacity: Capacity?
  /// With `wait`: the slots that must stay ready; nil is all there were when the upgrade began.
  public var minAvailable: Share?
  /// How many of the pool's runners may drain at once, at least 1.
  public var maxDraining: Share?
  /// An upgrade that gates have held back for so long is abandoned: 1 s to a week; 0 is never.
  public var holdTimeoutMilliseconds: Int64?

  /// All as the strategy `immediate` says.
  public init() {}

  init(_ settings: UpgradeSettings) {
    strategy = settings.strategy.flatMap { Strategy(rawValue: Words.word($0)) }
    minHealthyMilliseconds = settings.minHealthyMilliseconds
    capacity = settings.capacity.flatMap { Capacity(rawValue: Words.word($0)) }
    minAvailable = settings.minAvailable.flatMap { Share($0) }
    maxDraining = settings.maxDraining.flatMap { Share($0) }
    holdTimeoutMilliseconds = settings.holdTimeoutMilliseconds
  }

  package var value: UpgradeSettings {
    UpgradeSettings(
      strategy: strategy?.value, minHealthyMilliseconds: minHealthyMilliseconds, capacity: capacity?.value,
      minAvailable: minAvailable?.value, maxDraining: maxDraining?.value,
      holdTimeoutMilliseconds: holdTimeoutMilliseconds)
  }
}

extension PoolConfig {
  /// The schema's JSON.
  package var json: String {
    let arena = Arena()
    return withExtendedLifetime(arena) { JSONEncode.text(Codec.base(Encode.config(value, arena))) }
  }

  /// From the schema's JSON; what this client does not know of it is lost.
  package init(json: String) throws {
    let arena = Arena()
    let bytes: [UInt8]
    do throws(JSONError) {
      bytes = try JSONDecode.bytes(json, as: Baton__V1__RunnerConfig.descriptor, in: Arena())
    } catch {
      throw BatonError(.invalidArgument, "the config's JSON: \(error)")
    }
    let config = try bytes.withUnsafeBytes {
      try Decode.config(Codec.decode(Baton__V1__RunnerConfig.self, $0, in: arena))
    }
    guard let config else { throw BatonError(.invalidArgument, "the config must be normal or serverless") }
    self.init(config)
  }
}
