import Handover
import Testing

@Suite struct UpgradePolicyTests {
  @Test(arguments: zip(["0", "3", "25%", "100%"], [Share.count(0), .count(3), .percent(25), .percent(100)]))
  func aShareReadsAsItIsWritten(text: String, share: Share) {
    #expect(Share(text) == share)
    #expect(share.description == text)
  }

  @Test(arguments: ["", "%", "-1", "+1", "1.5", "3 %", "%3", "99999999999999999999"])
  func whatIsNoShareIsNone(text: String) {
    #expect(Share(text) == nil)
  }

  @Test(arguments: [
    (Share.percent(50), 5, 3, 2), (.percent(25), 8, 2, 2), (.percent(1), 3, 1, 0), (.count(7), 3, 7, 7),
  ])
  func whatStaysIsRoundedUpAndWhatGoesDown(share: Share, whole: Int64, up: Int64, down: Int64) {
    #expect(share.roundedUp(of: whole) == up)
    #expect(share.roundedDown(of: whole) == down)
  }

  @Test func aStrategyIsWhereTheSettingsBegin() {
    #expect(UpgradeSettings().policy == .immediate)
    #expect(UpgradeSettings(strategy: .careful).policy == .careful)
    var expected = UpgradePolicy.careful
    expected.minHealthyMilliseconds = 0
    expected.capacity = .wait(minAvailable: .percent(50))
    expected.holdTimeoutMilliseconds = nil
    #expect(
      UpgradeSettings(
        strategy: .careful, minHealthyMilliseconds: 0, minAvailable: .percent(50), holdTimeoutMilliseconds: 0
      ).policy == expected)
    #expect(
      UpgradeSettings(strategy: .careful, capacity: .proceed, maxDraining: .count(3)).policy
        == UpgradePolicy(
          minHealthyMilliseconds: 30_000, capacity: .proceed, maxDraining: .count(3),
          holdTimeoutMilliseconds: 3_600_000))
  }

  @Test(
    arguments: zip(
      [
        UpgradeSettings(minHealthyMilliseconds: 86_400_001), UpgradeSettings(minHealthyMilliseconds: -1),
        UpgradeSettings(holdTimeoutMilliseconds: 999), UpgradeSettings(minAvailable: .count(1)),
        UpgradeSettings(capacity: .wait, minAvailable: .percent(101)),
        UpgradeSettings(maxDraining: .count(0)),
        UpgradeSettings(maxDraining: .percent(0)),
        UpgradeSettings(minHealthyMilliseconds: 5000, holdTimeoutMilliseconds: 5000),
        UpgradeSettings(strategy: .careful, holdTimeoutMilliseconds: 30_000),
      ],
      [
        "min_healthy_ms", "min_healthy_ms", "hold_timeout_ms", "min_available", "min_available",
        "max_draining",
        "max_draining", "hold_timeout_ms", "hold_timeout_ms",
      ]))
  func whatIsOutOfBoundsNamesItsField(settings: UpgradeSettings, field: String) {
    let violation = #expect(throws: FieldViolation.self) { try settings.validate(field: "normal") }
    #expect(violation?.field == "normal.\(field)")
  }

  @Test(
    arguments: [
      UpgradeSettings(), UpgradeSettings(strategy: .careful), UpgradeSettings(minHealthyMilliseconds: 0),
      UpgradeSettings(strategy: .careful, minAvailable: .percent(80)),
      UpgradeSettings(minHealthyMilliseconds: 5000, maxDraining: .percent(1), holdTimeoutMilliseconds: 5001),
    ])
  func whatIsWithinThemPasses(settings: UpgradeSettings) throws {
    try settings.validate(field: "normal")
  }
}
