import Glibc
import Handover
import Linux
import Service
import Ttrpc

/// Sockets: who gets in, what is read, what is written, who is closed.
extension Reactor {
  // MARK: - Accepting

  /// To let somebody in costs more than to answer: a crowd at the door waits, not those who are in.
  private static let acceptsPerTurn = 4

  func acceptSome(_ now: Moment) {
    for _ in 0..<Self.acceptsPerTurn {
      do throws(Errno) {
        switch try listener.accept() {
        case .accepted(let descriptor): admit(descriptor, now)
        case .wouldBlock: return
        case .exhausted: return pauseAccepting(now)
        }
      } catch {
        log.write(LogRecord(.error, "accept failed", [("error", .text(error.description))]))
        return pauseAccepting(now)
      }
    }
  }

  /// A listener that stays readable while nothing can be accepted would keep the loop spinning.
  private func pauseAccepting(_ now: Moment) {
    try? poller.remove(listener.rawValue)
    acceptPausedUntil = now.nanoseconds + 100_000_000
    guard !hasSaidExhausted else { return }
    hasSaidExhausted = true
    log.write(
      LogRecord(
        .error, "out of descriptors: new connections wait; raise the limit on open files",
        [("connections", .number(Int64(socketCount)))]))
  }

  private func admit(_ descriptor: consuming FileDescriptor, _ now: Moment) {
    let credentials: PeerCredentials
    do throws(Errno) {
      credentials = try PeerCredentials(of: descriptor)
    } catch {
      // The client was gone before it could be asked who it is.
      return
    }
    if let status = refusal(credentials) {
      service.metrics.connectionsRefused &+= 1
      log.write(
        LogRecord(
          .warning, "connection refused",
          [
            ("uid", .number(Int64(credentials.userID))), ("pid", .number(Int64(credentials.processID))),
            ("text", .text(status.message)),
          ]))
      return turnAway(descriptor, status)
    }
    let slot = freeSlots.popLast() ?? newSlot()
    let id = ConnectionID(slot: UInt32(slot), generation: generations[slot])
    let fd = descriptor.rawValue
    let socket = Socket(id: id, descriptor: descriptor, uid: credentials.userID)
    do throws(Errno) {
      try poller.add(fd, token: Token.connection(id), for: socket.interest)
    } catch {
      freeSlots.append(slot)
      return pauseAccepting(now)
    }
    hasSaidExhausted = false
    sockets[slot] = socket
    socketCount += 1
    connectionsByUID[credentials.userID, default: 0] += 1
    let peer = Peer(
      uid: credentials.userID, gid: credentials.groupID, pid: credentials.processID,
      program: program(credentials.processID))
    service.opened(id, peer: peer, now: now)
  }

  private func program(_ pid: pid_t) -> String {
    if let known = programs[pid] { return known }
    let name = processName(pid) ?? ""
    programs[pid] = name
    return name
  }

  private func newSlot() -> Int {
    sockets.append(nil)
    generations.append(1)
    return sockets.count - 1
  }

  private func refusal(_ credentials: PeerCredentials) -> Status? {
    let uid = credentials.userID
    let isOwn = uid == configuration.service.daemonUID || uid == 0
    let isAllowed =
      isOwn || configuration.allowedUIDs.contains(uid)
      || configuration.allowedGIDs.contains(credentials.groupID)
      || credentials.groups.contains(where: { configuration.allowedGIDs.contains($0) })
    guard isAllowed else {
      return Status(
        .permissionDenied,
        "uid \(uid) is not served here: batond --allow-uid \(uid), or --allow-gid with one of its groups")
    }
    let reserve = isOwn ? configuration.reservedConnections : 0
    guard socketCount < configuration.maxConnections + reserve,
      connectionsByUID[uid, default: 0] < configuration.maxConnectionsPerUID + reserve
    else {
      return Status(
        .resourceExhausted,
        "\(connectionsByUID[uid, default: 0]) connections of uid \(uid), \(socketCount) in all: close some, or raise "
          + "--max-connections or --max-connections-per-uid")
    }
    return nil
  }

  /// A client's first call is on stream 1; that is where it looks for an answer.
  private func turnAway(_ descriptor: consuming FileDescriptor, _ status: Status) {
    let bytes = Service.refusalFrame(status)
    _ = bytes.withUnsafeBytes { buffer in try? descriptor.send(buffer) }
  }

  // MARK: - Reading

  /// nil when the connection is gone; another one may have its place.
  func socket(_ token: UInt64) -> Socket? {
    let slot = Int(token & 0xFFFF_FFFF)
    guard slot < sockets.count, let socket = sockets[slot], Token.connection(socket.id) == token else {
      return nil
    }
    return socket
  }

  func connectionReady(_ socket: Socket, _ readiness: Readiness, _ now: Moment) {
    if readiness.contains(.readable), !socket.isInputEnded { read(socket, now) }
    // Gone both ways: nothing can be answered any more. What it had sent has been read above, or is read next time.
    if readiness.contains(.error) || readiness.contains(.hangup) && socket.isInputEnded {
      service.closed(socket.id, now: now)
      return aborted.append(socket.id)
    }
    if readiness.contains(.writable) { outputReady(socket.id) }
  }

  private func read(_ socket: Socket, _ now: Moment) {
    do throws(Errno) {
      switch try socket.descriptor.recv(into: readBuffer) {
      case .bytes(let count):
        service.received(socket.id, UnsafeRawBufferPointer(rebasing: readBuffer[..<count]), now: now)
      case .wouldBlock: break
      case .end:
        socket.isInputEnded = true
        watch(socket, for: socket.interest.subtracting(.readable))
        service.inputEnded(socket.id, now: now)
      case .descriptorsReceived:
        log.write(
          LogRecord(.warning, "closed: the peer sent descriptors", [("uid", .number(Int64(socket.uid)))]))
        service.closed(socket.id, now: now)
        aborted.append(socket.id)
      }
    } catch {
      service.closed(socket.id, now: now)
      aborted.append(socket.id)
    }
  }

  private func watch(_ socket: Socket, for interest: Readiness) {
    guard socket.interest != interest else { return }
    socket.interest = interest
    try? poller.modify(socket.descriptor.rawValue, token: Token.connection(socket.id), for: interest)
  }

  // MARK: - Writing

  /// Everything that was queued since the last time, in one write a connection.
  func flush(_ now: Moment) {
    while !dirty.isEmpty || !aborted.isEmpty {
      var next = 0
      // Writing may queue more, for the same connection or another.
      while next < dirty.count {
        let socket = dirty[next]
        next += 1
        socket.isDirty = false
        guard sockets[Int(socket.id.slot)] === socket else { continue }
        write(socket, now)
      }
      dirty.removeAll(keepingCapacity: true)
      while let id = aborted.popLast() { close(id) }
    }
  }

  private func write(_ socket: Socket, _ now: Moment) {
    let state = service.writeOutput(socket.id, now: now) { bytes in
      do throws(Errno) {
        switch try socket.descriptor.send(bytes) {
        case .bytes(let count): return .wrote(count)
        case .wouldBlock: return .wouldBlock
        }
      } catch {
        return .failed
      }
    }
    switch state {
    case .idle: watch(socket, for: socket.interest.subtracting(.writable))
    case .waiting: watch(socket, for: socket.interest.union(.writable))
    case .close:
      service.closed(socket.id, now: now)
      aborted.append(socket.id)
    }
  }

  private func close(_ id: ConnectionID) {
    let slot = Int(id.slot)
    guard let socket = sockets[slot], socket.id == id else { return }
    sockets[slot] = nil
    socketCount -= 1
    generations[slot] = (generations[slot] &+ 1) & 0x7FFF_FFFF
    freeSlots.append(slot)
    let left = connectionsByUID[socket.uid, default: 1] - 1
    connectionsByUID[socket.uid] = left == 0 ? nil : left
    try? poller.remove(socket.descriptor.rawValue)
  }
}

extension Reactor: ServiceHost {
  func outputReady(_ connection: ConnectionID) {
    guard Int(connection.slot) < sockets.count, let socket = sockets[Int(connection.slot)],
      socket.id == connection, !socket.isDirty
    else { return }
    socket.isDirty = true
    dirty.append(socket)
  }

  func abort(_ connection: ConnectionID) { aborted.append(connection) }

  func submit(_ mutation: Mutation, _ ticket: Ticket) { writer.submit(mutation, ticket) }

  func query(_ query: Query, _ ticket: Ticket) { reader.submit(query, ticket) }

  func runnerAttached(_ connection: ConnectionID) {
    guard let socket = sockets[Int(connection.slot)], socket.id == connection else { return }
    socket.hasRunner = true
  }

  func watchProcess(of connection: ConnectionID, for runner: RunnerID) {
    processes[runner] = nil
    guard let socket = sockets[Int(connection.slot)], socket.id == connection else { return }
    // An old kernel has no such thing: the threshold does it then.
    guard let descriptor = ((try? peerPidfd(of: socket.descriptor)) as FileDescriptor??) else { return }
    guard let descriptor else { return }
    let watch = ProcessWatch(descriptor)
    let token = Token.process | UInt64(runner.rawValue)
    guard (try? poller.add(watch.descriptor.rawValue, token: token, for: .readable)) != nil else { return }
    processes[runner] = watch
  }

  func forgetProcess(of runner: RunnerID) { processes[runner] = nil }

  func log(_ record: LogRecord) { log.write(record) }
}
