// A router on a thread of its own, with shards played by the test (two where nothing is said) and a clock that the test
// moves.
#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/ids.h"
#include "router/router.h"
#include "tests/support/insecure.h"
#include "tests/support/status_matchers.h"
#include "wire/messages.h"
#include "wire/predict_codec.h"
#include "wire/row_codec.h"

namespace espalier::router {

inline constexpr std::int64_t kSecondUs = 1'000'000;
inline constexpr std::int64_t kPatience = 10 * kSecondUs;  ///< of the test, in real time, with what must come

/// Stands still until it is moved, or let go.
class MovedClock final : public Clock {
 public:
  std::int64_t monotonic_us() const override {
    ++readings_;
    if (is_held_) {
      is_read_ = true;
      is_read_.notify_all();
      is_held_.wait(true);
    }
    return moved_us_ + (runs_ ? Clock::system().monotonic_us() : 0);
  }
  std::int64_t wall_us() const override { return 1'700'000'000 * kSecondUs + monotonic_us(); }
  void advance(std::int64_t us) { moved_us_ += us; }
  /// How often it was read.
  int readings() const { return readings_; }
  void let_go() {
    runs_ = true;
    release();
  }
  /// Whoever reads it waits until it is released.
  void hold() {
    is_read_ = false;
    is_held_ = true;
  }
  void wait_for_reader() const { is_read_.wait(false); }
  void release() {
    is_held_ = false;
    is_held_.notify_all();
  }

 private:
  mutable std::atomic<int> readings_{0};
  std::atomic<bool> is_held_{false};
  mutable std::atomic<bool> is_read_{false};
  std::atomic<std::int64_t> moved_us_{0};
  std::atomic<bool> runs_{false};
};

class RouterTest : public ::testing::Test {
 protected:
  explicit RouterTest(const Limits& limits = {}, int shards = 2)
      : live_(std::make_unique<const Routes>(cluster::View{})) {
    cluster::View view;
    for (int i = 0; i < shards; ++i) {
      auto socket = wire::Socket::make(context_, wire::SocketKind::router);
      EXPECT_OK(socket);
      shards_.push_back(*std::move(socket));
      const auto bound = shards_.back()->bind("tcp://127.0.0.1:*");
      EXPECT_OK(bound);
      cluster::ShardInfo info;
      info.name = "s" + std::to_string(i);
      info.endpoints = {*bound};
      cluster_endpoints_.push_back(*bound);
      view.shards.push_back(info);
    }
    auto routes = std::make_unique<Routes>(view);
    routes->number = 1;
    SnapshotMap<ModelShape>::Editor editor(routes->models);
    editor.set(std::make_shared<const ModelShape>(ModelShape{model::model_key("acme", "total"), 1}));
    routes->models = editor.finish();
    live_.publish(std::move(routes));
    // Over TCP, as frames that are handed over in one process are memory of libzmq's that ThreadSanitizer can't follow.
    auto router = Router::make(context_, {"tcp://127.0.0.1:*"}, live_, clock_, limits, {nullptr, nullptr, true});
    EXPECT_OK(router);
    router_ = *std::move(router);
    client_ = *wire::Socket::make(context_, wire::SocketKind::dealer, testing::insecure_socket());
    EXPECT_OK(client_->connect(router_->endpoints().front()));
    thread_ = std::thread([this] { router_->run(stop_fd_, routes_fd_); });
  }
  ~RouterTest() override {
    clock_.let_go();
    stop();
    if (thread_.joinable()) thread_.join();
    close(stop_fd_);
    close(routes_fd_);
  }

  void stop() { eventfd_write(stop_fd_, 1); }

  static wire::Message receive(wire::Socket& socket) {
    wire::Message message;
    wire::Poller poller;
    poller.add(socket);
    EXPECT_TRUE(poller.wait(kPatience)) << "nothing came";
    EXPECT_OK(socket.receive(message));
    return message;
  }

  void send(const std::vector<std::string>& frames) {
    wire::Message message;
    for (const std::string& frame : frames) message.emplace_back(std::string_view(frame));
    EXPECT_OK(client_->send(message));
  }

  void ask(const std::string& id, std::int64_t budget_us) {
    wire::PredictRequest request;
    request.tenant = "acme";
    request.model = "total";
    request.budget_us = budget_us;
    request.parts = {{{"usa"}, "", 1}};
    const wire::NamedRow row;
    send({id, wire::encode(request), wire::encode_rows({&row, 1})});
  }

  /// The router has gone round since: it has answered this.
  void go_round() {
    send({"round", wire::encode(wire::HelloRequest{"test"})});
    EXPECT_EQ(receive(*client_)[0].view(), "round");
  }

  /// Until the router has made a whole turn under the new time: each turn reads the clock a few times, and some may
  /// still deal with messages under the time of the one before.
  void advance(std::int64_t us) {
    clock_.advance(us);
    const int before = clock_.readings();
    for (int i = 0; i < 3 || (clock_.readings() < before + 12 && i < 1000); ++i) go_round();
  }

  /// The shard that has a request, which is given in `request`; hellos are passed over.
  wire::Socket& asked(wire::Message& request) {
    for (;;) {
      wire::Poller poller;
      for (const auto& shard : shards_) poller.add(*shard);
      const bool is_there = poller.wait(kPatience);
      EXPECT_TRUE(is_there) << "no shard was asked";
      std::size_t at = 0;
      while (at + 1 < shards_.size() && !poller.ready(at)) ++at;
      wire::Socket& shard = *shards_[at];
      EXPECT_OK(shard.receive(request));
      if (!is_there || request.size() < 3 || *wire::peek_op(request[2].view()) != "hello") return shard;
    }
  }

  void answer(wire::Socket& shard, wire::Message& request) {
    request.resize(2);
    std::string header;
    wire::begin_reply(header, 1);
    wire::append_failed(header, 1, Code::no_model, "played");
    request.emplace_back(std::string_view(header));
    request.emplace_back();
    EXPECT_OK(shard.send(request));
  }

  void refuse(wire::Socket& shard, wire::Message& request) {
    request.resize(2);
    request.emplace_back(wire::encode_error(unavailable("played"), 0));
    EXPECT_OK(shard.send(request));
  }

  /// Everything that the shard has been sent, hellos left out; waits for nothing.
  static std::vector<wire::Message> requests_at(wire::Socket& shard) {
    std::vector<wire::Message> requests;
    wire::Message message;
    for (auto got = shard.receive(message); got.ok() && *got; got = shard.receive(message)) {
      if (*wire::peek_op(message[2].view()) == "predict") requests.push_back(std::move(message));
    }
    return requests;
  }

  void expect_failure(const std::string& id, Code code) {
    const wire::Message reply = receive(*client_);
    ASSERT_EQ(reply.size(), 2u);
    EXPECT_EQ(reply[0].view(), id);
    EXPECT_EQ(wire::peek_status(reply[1].view()).code(), code);
  }

  void expect_answer(const std::string& id) {
    const wire::Message reply = receive(*client_);
    ASSERT_EQ(reply.size(), 3u);
    EXPECT_EQ(reply[0].view(), id);
    EXPECT_OK(wire::peek_status(reply[1].view()));
  }

  MovedClock clock_;
  wire::Context context_;
  std::vector<std::unique_ptr<wire::Socket>> shards_;
  std::vector<std::string> cluster_endpoints_;  ///< of the shards
  LiveRoutes live_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<wire::Socket> client_;
  const int stop_fd_ = eventfd(0, 0);
  const int routes_fd_ = eventfd(0, 0);
  std::thread thread_;
};

}  // namespace espalier::router
