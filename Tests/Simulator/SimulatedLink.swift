import Service

/// One connection of the simulated machine, with both its ends: bytes take time, either side may be cut, and a reader
/// may stop reading.
final class SimulatedLink {
  let id: ConnectionID
  unowned let client: any SimulatedPeer
  /// On the way to the client, or waiting for it to read.
  var bytesToClient: [UInt8] = []
  var isClientPaused = false
  var isDeliveryScheduled = false
  var isCut = false
  var isClientGone = false
  var lastArrival: Int64 = 0

  init(id: ConnectionID, client: any SimulatedPeer) {
    self.id = id
    self.client = client
  }
}

/// Who sits at the far end of a link.
protocol SimulatedPeer: AnyObject {
  func connected(_ link: SimulatedLink)
  func connectRefused()
  func received(_ bytes: UnsafeRawBufferPointer, on link: SimulatedLink)
  func disconnected(_ link: SimulatedLink)
}
