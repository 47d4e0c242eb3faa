// Redis as a registry of runners, over its Unix socket: a registration is a transaction of its own on disk
// (appendfsync always), a Stop is a message to whoever is subscribed at that moment.
//
//   redis-peer measure SOCKET SHARE    one line a figure

#include <cerrno>
#include <cstring>
#include <memory>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "measure.h"

class Connection {
 public:
  explicit Connection(const std::string &path) : descriptor_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    auto *where = reinterpret_cast<sockaddr *>(&address);
    // A backlog that is full is no mistake of anyone's.
    while (connect(descriptor_, where, sizeof address) != 0) {
      if (errno != EAGAIN && errno != EINTR) fail("connect " + path + ": " + std::strerror(errno));
    }
  }
  ~Connection() { close(descriptor_); }
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;

  void send(const std::string &bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      ssize_t count = ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) fail(std::string("send: ") + std::strerror(errno));
      sent += static_cast<size_t>(count);
    }
  }

  // Reads until that many lines have come in all; the replies here are made of lines.
  void wait_for_lines(long lines) {
    while (lines_ < lines) read_more();
  }
  long lines() const { return lines_; }

 private:
  void read_more() {
    char buffer[65536];
    ssize_t count = recv(descriptor_, buffer, sizeof buffer, 0);
    if (count <= 0) fail("recv: the connection ended");
    for (ssize_t i = 0; i < count; i++) lines_ += buffer[i] == '\n';
    // An error is the first thing of its reply.
    if (buffer[0] == '-') fail(std::string(buffer, static_cast<size_t>(count)));
  }

  int descriptor_;
  long lines_ = 0;
};

using Crowd = std::vector<std::unique_ptr<Connection>>;

static std::string command(const std::vector<std::string> &words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const auto &word : words) bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return bytes;
}

static std::string registration(int runner, int version) {
  auto id = std::to_string(runner);
  return command({"MULTI"}) +
         command({"HSET", "runner:" + id, "version", std::to_string(version), "slots", "4", "token", "xxxxxxxxxxxxxxxx"}) +
         command({"SADD", "pool:mail:" + std::to_string(version), id}) + command({"EXEC"});
}

// +OK, two +QUEUED, and an array of two numbers.
static const long registration_lines = 6;

static void measure_ping(const std::string &path, int count) {
  Connection connection(path);
  auto ping = command({"PING"});
  std::vector<double> samples;
  for (int i = 0; i < count; i++) {
    double start = now();
    connection.send(ping);
    connection.wait_for_lines(i + 1);
    samples.push_back(now() - start);
  }
  print_latencies("PING round trip", samples);
}

// A sign of life is a lease that is made longer. It is a write: Redis syncs those of one turn together.
static void measure_beats(const std::string &path, int count) {
  Connection connection(path);
  connection.send(registration(0, 1));
  connection.wait_for_lines(registration_lines);
  std::string batch;
  for (int i = 0; i < 1000; i++) batch += command({"PEXPIRE", "runner:0", "15000"});
  double start = now();
  for (int sent = 0; sent < count; sent += 1000) {
    connection.send(batch);
    connection.wait_for_lines(registration_lines + sent + 1000);
  }
  print_rate("leases (PEXPIRE), one connection, 1000 a batch", count, now() - start);
}

static void measure_registrations(const std::string &path, int count) {
  double start = now();
  Crowd crowd;
  for (int i = 0; i < count; i++) {
    crowd.push_back(std::make_unique<Connection>(path));
    crowd.back()->send(registration(i + 1, 1));
  }
  for (auto &connection : crowd) connection->wait_for_lines(registration_lines);
  print_rate(
      "connect + register (MULTI, appendfsync always), " + std::to_string(count) + " at once", count, now() - start);
}

static void measure_upgrade(const std::string &path, int count) {
  Crowd crowd;
  // A subscription's reply and a message are arrays of three: six or seven lines.
  for (int i = 0; i < count; i++) {
    crowd.push_back(std::make_unique<Connection>(path));
    crowd.back()->send(command({"SUBSCRIBE", "stop:mail"}));
    crowd.back()->wait_for_lines(6);
  }
  Connection newer(path);
  double start = now();
  newer.send(
      command({"MULTI"}) + command({"HSET", "runner:new", "version", "2"}) +
      command({"PUBLISH", "stop:mail", "{\"order\":1,\"target\":2,\"remaining_ms\":600000}"}) + command({"EXEC"}));
  for (auto &connection : crowd) connection->wait_for_lines(13);
  print_rate(
      "version 2 among " + std::to_string(count) + " subscribers: PUBLISH to the last message", count,
      now() - start);
}

int main(int argc, char **argv) {
  raise_open_file_limit();
  if (argc < 3 || std::strcmp(argv[1], "measure") != 0) {
    std::fprintf(stderr, "usage: redis-peer measure SOCKET [SHARE]\n");
    return 2;
  }
  int share = share_of(argc, argv, 3);
  measure_ping(argv[2], 50000 / share);
  measure_beats(argv[2], 1000000 / share);
  measure_registrations(argv[2], 1000);
  measure_upgrade(argv[2], 10000 / share);
  return 0;
}
