// Baton's own service over gRPC C++, as one would write it in a day: same messages, registrations in memory only, a Stop to
// every older runner when a newer version registers. And the clients that measure it.
//
//   grpc-peer serve SOCKET            until it is killed
//   grpc-peer measure SOCKET SHARE    one line a figure

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <grpcpp/grpcpp.h>

#include "baton/v1/connection.grpc.pb.h"
#include "baton/v1/runner.grpc.pb.h"
#include "measure.h"

using baton::v1::AttachRequest;
using baton::v1::AttachResponse;
using baton::v1::PingRequest;
using baton::v1::PingResponse;

// ---- The server

class Attachment;

// Who is attached, by pool and version. Nothing of it survives the process.
struct Fleet {
  std::mutex lock;
  std::map<std::string, std::map<uint32_t, std::set<Attachment *>>> pools;
  uint64_t last_runner = 0, last_order = 0;
};

class Attachment : public grpc::ServerBidiReactor<AttachRequest, AttachResponse> {
 public:
  explicit Attachment(Fleet &fleet) : fleet_(fleet) { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      leave();
      Finish(grpc::Status::OK);
      return;
    }
    switch (request_.message_case()) {
      case AttachRequest::kRegister: register_runner(request_.register_()); break;
      case AttachRequest::kHeartbeat: acknowledge(request_.heartbeat().sequence()); break;
      default: break;
    }
    StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard<std::mutex> guard(lock_);
    is_writing_ = false;
    if (ok) write_next();
  }

  void OnDone() override {
    leave();
    delete this;
  }

  void stop(uint64_t order, uint32_t target) {
    AttachResponse response;
    response.mutable_stop()->set_order_id(order);
    response.mutable_stop()->set_target_version(target);
    response.mutable_stop()->set_remaining_ms(600000);
    send(std::move(response));
  }

 private:
  void register_runner(const baton::v1::Register &wanted) {
    AttachResponse response;
    std::lock_guard<std::mutex> guard(fleet_.lock);
    pool_ = wanted.name();
    version_ = wanted.version();
    auto &versions = fleet_.pools[pool_];
    versions[version_].insert(this);
    is_registered_ = true;
    response.mutable_registered()->set_runner_id(++fleet_.last_runner);
    send(std::move(response));
    for (auto &[version, older] : versions) {
      if (version >= version_) break;
      for (Attachment *runner : older) runner->stop(++fleet_.last_order, version_);
    }
  }

  void leave() {
    std::lock_guard<std::mutex> guard(fleet_.lock);
    if (is_registered_) fleet_.pools[pool_][version_].erase(this);
    is_registered_ = false;
  }

  // One answer for as many as came meanwhile, as Baton does.
  void acknowledge(uint64_t sequence) {
    std::lock_guard<std::mutex> guard(lock_);
    acknowledged_ = sequence;
    if (!is_writing_) write_next();
  }

  void send(AttachResponse response) {
    std::lock_guard<std::mutex> guard(lock_);
    waiting_.push_back(std::move(response));
    if (!is_writing_) write_next();
  }

  void write_next() {
    if (!waiting_.empty()) {
      response_ = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
    } else if (acknowledged_ > 0) {
      response_.mutable_heartbeat_ack()->set_sequence(acknowledged_);
      acknowledged_ = 0;
    } else {
      return;
    }
    is_writing_ = true;
    StartWrite(&response_);
  }

  Fleet &fleet_;
  AttachRequest request_;
  std::string pool_;
  uint32_t version_ = 0;
  bool is_registered_ = false;

  std::mutex lock_;
  std::vector<AttachResponse> waiting_;
  uint64_t acknowledged_ = 0;
  AttachResponse response_;
  bool is_writing_ = false;
};

class Runners final : public baton::v1::RunnerService::CallbackService {
 public:
  explicit Runners(Fleet &fleet) : fleet_(fleet) {}
  grpc::ServerBidiReactor<AttachRequest, AttachResponse> *Attach(grpc::CallbackServerContext *) override {
    return new Attachment(fleet_);
  }

 private:
  Fleet &fleet_;
};

class Connections final : public baton::v1::ConnectionService::CallbackService {
 public:
  grpc::ServerUnaryReactor *Ping(
      grpc::CallbackServerContext *context, const PingRequest *request, PingResponse *response) override {
    response->set_payload(request->payload());
    auto *reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

static int serve(const std::string &address) {
  Fleet fleet;
  Runners runners(fleet);
  Connections connections;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&runners);
  builder.RegisterService(&connections);
  auto server = builder.BuildAndStart();
  if (!server) fail("cannot listen on " + address);
  server->Wait();
  return 0;
}

// ---- The clients

// Counts to a number, and lets one thread wait until it is reached.
class Countdown {
 public:
  void expect(long count) { left_ = count; }
  void one() {
    if (left_.fetch_sub(1) > 1) return;
    std::lock_guard<std::mutex> guard(lock_);
    reached_.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> guard(lock_);
    reached_.wait(guard, [this] { return left_ <= 0; });
  }

 private:
  std::atomic<long> left_{0};
  std::mutex lock_;
  std::condition_variable reached_;
};

struct Meters {
  Countdown registered, stopped, acknowledged, ended;
  uint64_t last_sequence = 0;
};

// A connection of its own, as another process would have.
static std::shared_ptr<grpc::Channel> connect(const std::string &address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

class Runner : public grpc::ClientBidiReactor<AttachRequest, AttachResponse> {
 public:
  Runner(std::shared_ptr<grpc::Channel> channel, Meters &meters, const std::string &pool, uint32_t version)
      : meters_(meters), stub_(baton::v1::RunnerService::NewStub(channel)) {
    auto *wanted = request_.mutable_register_();
    wanted->set_name(pool);
    wanted->set_version(version);
    wanted->set_total_slots(4);
    wanted->set_token(std::string(16, 'x'));
    stub_->async()->Attach(&context_, this);
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }

  // That many in a row, several in a packet where gRPC does that.
  void beat(uint64_t count) {
    beats_ = count;
    write_beat();
  }

  void OnWriteDone(bool ok) override {
    if (ok && sent_ < beats_) write_beat();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    switch (response_.message_case()) {
      case AttachResponse::kRegistered: meters_.registered.one(); break;
      case AttachResponse::kStop: meters_.stopped.one(); break;
      case AttachResponse::kHeartbeatAck:
        if (response_.heartbeat_ack().sequence() >= meters_.last_sequence) meters_.acknowledged.one();
        break;
      default: break;
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status &) override { meters_.ended.one(); }

  void hang_up() { context_.TryCancel(); }

 private:
  void write_beat() {
    request_.mutable_heartbeat()->set_sequence(++sent_);
    grpc::WriteOptions options;
    if (sent_ < beats_) options.set_buffer_hint();
    StartWrite(&request_, options);
  }

  Meters &meters_;
  std::unique_ptr<baton::v1::RunnerService::Stub> stub_;
  grpc::ClientContext context_;
  AttachRequest request_;
  AttachResponse response_;
  uint64_t beats_ = 0, sent_ = 0;
};

using Crowd = std::vector<std::unique_ptr<Runner>>;

static double attach(const std::string &address, Meters &meters, const std::string &pool, int count, Crowd &crowd) {
  meters.registered.expect(count);
  double start = now();
  for (int i = 0; i < count; i++) crowd.push_back(std::make_unique<Runner>(connect(address), meters, pool, 1));
  meters.registered.wait();
  return now() - start;
}

static void hang_up(Meters &meters, Crowd &crowd) {
  meters.ended.expect(static_cast<long>(crowd.size()));
  for (auto &runner : crowd) runner->hang_up();
  meters.ended.wait();
  crowd.clear();
}

static void measure_ping(const std::string &address, int count) {
  auto stub = baton::v1::ConnectionService::NewStub(connect(address));
  std::vector<double> samples;
  // What it opens and warms up first is not the round trip.
  for (int i = -count / 10; i < count; i++) {
    grpc::ClientContext context;
    PingRequest request;
    PingResponse response;
    double start = now();
    if (!stub->Ping(&context, request, &response).ok()) fail("Ping");
    if (i >= 0) samples.push_back(now() - start);
  }
  print_latencies("unary round trip (Ping)", samples);
}

static void measure_beats(const std::string &address, int count) {
  Meters meters;
  Crowd one;
  attach(address, meters, "beats", 1, one);
  meters.last_sequence = static_cast<uint64_t>(count);
  meters.acknowledged.expect(1);
  double start = now();
  one[0]->beat(static_cast<uint64_t>(count));
  meters.acknowledged.wait();
  print_rate("heartbeats, one connection that batches", count, now() - start);
  hang_up(meters, one);
}

static void measure_upgrade(const std::string &address, int count) {
  Meters meters;
  Crowd crowd;
  attach(address, meters, "upgrade", count, crowd);
  meters.stopped.expect(count);
  meters.registered.expect(1);
  auto newer = connect(address);
  newer->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(60));
  double start = now();
  crowd.push_back(std::make_unique<Runner>(newer, meters, "upgrade", 2));
  meters.stopped.wait();
  print_rate("version 2 among " + std::to_string(count) + ": Register to the last Stop", count, now() - start);
  meters.registered.wait();
  hang_up(meters, crowd);
}

static int measure(const std::string &address, int share) {
  measure_ping(address, 20000 / share);
  measure_beats(address, 200000 / share);
  {
    Meters meters;
    Crowd crowd;
    print_rate("connect + register, in memory, 1000 at once", 1000, attach(address, meters, "mail", 1000, crowd));
    hang_up(meters, crowd);
  }
  measure_upgrade(address, 10000 / share);
  return 0;
}

int main(int argc, char **argv) {
  raise_open_file_limit();
  std::string word = argc > 2 ? argv[1] : "";
  if (word == "serve") return serve(std::string("unix:") + argv[2]);
  if (word == "measure") return measure(std::string("unix:") + argv[2], share_of(argc, argv, 3));
  std::fprintf(stderr, "usage: grpc-peer serve SOCKET | measure SOCKET [SHARE]\n");
  return 2;
}
