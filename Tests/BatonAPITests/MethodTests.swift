import Testing

@testable import BatonAPI

@Suite struct MethodTests {
  @Test func bareNamesAreFound() {
    #expect(Method.find(typed: "watch") == .watch)
  }
}
