/// What each wrong input gets: bytes of a peer from the first on, and the codes that are answered.
package struct WrongInput: Sendable, CustomStringConvertible {
  package var what: String
  package var bytes: [UInt8]
  /// As "stream: code", in their order.
  package var answers: [String]
  package var closes = false
  /// Inside a frame: what follows would be part of it.
  package var isCutOff = false
  package var description: String { what }

  private static let ping = "baton.v1.ConnectionService"

  package static let all: [WrongInput] = [
    WrongInput(what: "a call", bytes: HandFrame.call(1, ping, "Ping"), answers: ["1: 0"]),
    WrongInput(what: "an even stream", bytes: HandFrame.call(2, ping, "Ping"), answers: ["2: 3"]),
    WrongInput(what: "stream 0", bytes: HandFrame.call(0, ping, "Ping"), answers: ["0: 3"]),
    WrongInput(
      what: "a stream used again", bytes: HandFrame.call(1, ping, "Ping") + HandFrame.call(1, ping, "Ping"),
      answers: ["1: 0", "1: 3"]),
    WrongInput(
      what: "a lower stream", bytes: HandFrame.call(9, ping, "Ping") + HandFrame.call(7, ping, "Ping"),
      answers: ["9: 0", "7: 3"]),
    WrongInput(
      what: "a Request of rubbish", bytes: HandFrame.bytes(1, 1, 0, [0xFF, 0xFF]), answers: ["1: 3"]),
    WrongInput(
      what: "a service that is not UTF-8",
      bytes: HandFrame.bytes(1, 1, 0, Wire.bytes(1, [0xC3, 0x28]) + Wire.text(2, "Ping")), answers: ["1: 3"]),
    WrongInput(
      what: "a payload of rubbish", bytes: HandFrame.call(1, ping, "Ping", [0x0A, 0x7F]), answers: ["1: 3"]),
    WrongInput(what: "no such method", bytes: HandFrame.call(1, ping, "Pong"), answers: ["1: 12"]),
    WrongInput(what: "no such service", bytes: HandFrame.call(1, "x", "Ping"), answers: ["1: 12"]),
    WrongInput(
      what: "a body of 5 MiB",
      bytes: HandFrame.bytes(1, 1, 0, [UInt8](repeating: 0, count: 5 << 20)), answers: ["1: 8"]),
    WrongInput(
      what: "a later frame that does not begin with 0",
      bytes: HandFrame.call(1, ping, "Ping") + [0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0], answers: ["1: 0"],
      closes: true),
    WrongInput(what: "a first byte that is neither", bytes: [0x80], answers: [], closes: true),
    WrongInput(what: "an unknown type", bytes: HandFrame.bytes(1, 200, 0, [1, 2, 3]), answers: []),
    WrongInput(what: "a Response from a client", bytes: HandFrame.bytes(1, 2, 0, []), answers: []),
    WrongInput(what: "data on no stream", bytes: HandFrame.bytes(1, 3, 0, [1]), answers: ["1: 3"]),
    WrongInput(
      what: "data on a unary stream",
      bytes: HandFrame.call(1, ping, "Ping") + HandFrame.bytes(1, 3, 0, [1]), answers: ["1: 0", "1: 3"]),
    WrongInput(what: "a header cut off", bytes: [0, 0, 0], answers: [], isCutOff: true),
  ]
}
