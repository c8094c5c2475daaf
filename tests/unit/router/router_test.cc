#include "router/router.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "common/bytes.h"
#include "model/ids.h"
#include "tests/support/status_matchers.h"
#include "wire/predict_codec.h"
#include "wire/row_codec.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kPatience = 10 * kSecondUs;  ///< of the test, in real time, with what must come

/// Stands still until it is moved, or let go.
class MovedClock final : public Clock {
 public:
  std::int64_t monotonic_us() const override {
    if (is_held_) {
      is_read_ = true;
      is_read_.notify_all();
      is_held_.wait(true);
    }
    return moved_us_ + (runs_ ? Clock::system().monotonic_us() : 0);
  }
  std::int64_t wall_us() const override { return 1'700'000'000 * kSecondUs + monotonic_us(); }
  void advance(std::int64_t us) { moved_us_ += us; }
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
  std::atomic<bool> is_held_{false};
  mutable std::atomic<bool> is_read_{false};
  std::atomic<std::int64_t> moved_us_{0};
  std::atomic<bool> runs_{false};
};

/// A router on a thread of its own, with two shards played by the test and a clock that the test moves.
class RouterTest : public ::testing::Test {
 protected:
  explicit RouterTest(const Limits& limits = {}) : live_(std::make_unique<const Routes>(cluster::View{})) {
    cluster::View view;
    for (int i = 0; i < 2; ++i) {
      auto socket = wire::Socket::make(context_, wire::SocketKind::router);
      EXPECT_OK(socket);
      shards_.push_back(*std::move(socket));
      const auto bound = shards_.back()->bind("tcp://127.0.0.1:*");
      EXPECT_OK(bound);
      cluster::ShardInfo info;
      info.name = "s" + std::to_string(i);
      info.endpoints = {*bound};
      view.shards.push_back(info);
    }
    auto routes = std::make_unique<Routes>(view);
    routes->number = 1;
    SnapshotMap<ModelShape>::Editor editor(routes->models);
    editor.set(std::make_shared<const ModelShape>(ModelShape{model::model_key("acme", "total"), 1}));
    routes->models = editor.finish();
    live_.publish(std::move(routes));
    // Over TCP, as frames that are handed over in one process are memory of libzmq's that ThreadSanitizer can't follow.
    auto router = Router::make(context_, {"tcp://127.0.0.1:*"}, live_, clock_, limits);
    EXPECT_OK(router);
    router_ = *std::move(router);
    client_ = *wire::Socket::make(context_, wire::SocketKind::dealer);
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

  /// Until the router has seen the new time: a message may still be dealt with under the time of the one before.
  void advance(std::int64_t us) {
    clock_.advance(us);
    for (int i = 0; i < 3; ++i) go_round();
  }

  /// The shard that has a request, which is given in `request`.
  wire::Socket& asked(wire::Message& request) {
    wire::Poller poller;
    for (const auto& shard : shards_) poller.add(*shard);
    EXPECT_TRUE(poller.wait(kPatience)) << "no shard was asked";
    wire::Socket& shard = poller.ready(0) ? *shards_[0] : *shards_[1];
    EXPECT_OK(shard.receive(request));
    return shard;
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
  LiveRoutes live_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<wire::Socket> client_;
  const int stop_fd_ = eventfd(0, 0);
  const int routes_fd_ = eventfd(0, 0);
  std::thread thread_;
};

TEST_F(RouterTest, AfterALongIdleTimeAShardHasItsTime) {
  for (int i = 0; i < 5; ++i) {
    advance(i * 3 * kSecondUs);
    ask("a", kSecondUs);
    wire::Message request;
    wire::Socket& shard = asked(request);
    go_round();
    answer(shard, request);
    expect_answer("a");
  }
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
}

TEST_F(RouterTest, AskedAgainOnlyWhenAShardHasHadItsShareOfALongBudget) {
  ask("a", 60 * kSecondUs);
  wire::Message first, second;
  wire::Socket& silent = asked(first);
  for (int i = 0; i < 29; ++i) {
    advance(kSecondUs);
  }
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
  advance(2 * kSecondUs);
  wire::Socket& other = asked(second);
  EXPECT_NE(&other, &silent);
  go_round();  // the router counts after it has sent
  EXPECT_EQ(router_->counters().asked_again.value(), 1u);
  answer(other, second);
  expect_answer("a");
  answer(silent, first);  // too late, and heard: it isn't suspect any more
  go_round();
  EXPECT_EQ(router_->counters().late.value(), 1u);
}

TEST_F(RouterTest, WhatIsNotWaitedForAnyMoreIsAskedAfter) {
  ask("a", 60 * kSecondUs);
  wire::Message first, second;
  wire::Socket& slow = asked(first);
  advance(31 * kSecondUs);
  wire::Message hello = receive(slow);
  EXPECT_EQ(*wire::peek_op(hello[2].view()), "hello");
  wire::Socket& other = asked(second);
  ASSERT_NE(&other, &slow);
  answer(slow, first);
  expect_answer("a");
  hello = receive(other);  // its answer would say whether the second sending was lost
  ASSERT_EQ(hello.size(), 3u);
  EXPECT_EQ(*wire::peek_op(hello[2].view()), "hello");
}

TEST_F(RouterTest, ARequestEndsWithItsBudgetThoughNobodyAnswers) {
  ask("a", 5 * kSecondUs);
  wire::Message request;
  asked(request);
  for (int i = 0; i < 4; ++i) {
    advance(kSecondUs);
  }
  clock_.advance(2 * kSecondUs);
  send({"round", wire::encode(wire::HelloRequest{"test"})});
  bool has_ended = false;
  for (int i = 0; i < 2; ++i) {
    const wire::Message reply = receive(*client_);
    if (reply[0].view() != "a") continue;
    has_ended = true;
    EXPECT_EQ(wire::peek_status(reply[1].view()).code(), Code::deadline_exceeded);
  }
  EXPECT_TRUE(has_ended);
}

TEST_F(RouterTest, AStopIsNotHeldUpByWhatKeepsComing) {
  stop();
  std::atomic<bool> has_ended{false};
  std::thread watch([&] {
    thread_.join();
    has_ended.store(true);
  });
  // Time goes on by less than what counts as quiet with each request.
  for (int i = 0; i < 10'000'000 && !has_ended.load(); ++i) {
    send({"round", wire::encode(wire::HelloRequest{"test"})});
    clock_.advance(20'000);
    wire::Message reply;
    static_cast<void>(client_->receive(reply));
  }
  EXPECT_TRUE(has_ended.load());
  watch.join();
}

TEST_F(RouterTest, AnswersMessagesWithoutAReadableEnvelope) {
  const std::vector<std::vector<std::string>> messages = {{""},
                                                          {"id"},
                                                          {"", ""},
                                                          {"four", ""},
                                                          {"four", "", ""},
                                                          {std::string(65, 'x'), "h"},
                                                          {"", std::string(65, 'x'), "h"}};
  for (const auto& message : messages) {
    send(message);
    const wire::Message reply = receive(*client_);
    ASSERT_GE(reply.size(), 2u);
    EXPECT_EQ(wire::peek_status(reply.back().view()).code(), Code::invalid_argument);
  }
}

/// At most two requests in flight at a shard, and one retry in all.
class LimitedRouterTest : public RouterTest {
 protected:
  LimitedRouterTest() : RouterTest(Limits{2, 1u << 20, 0, 1}) {}

  /// Sends so many requests, of which each goes to a shard; all of them, by the shard that has them.
  std::array<std::vector<wire::Message>, 2> fill(int count, std::int64_t budget_us) {
    std::array<std::vector<wire::Message>, 2> at;
    for (int i = 0; i < count; ++i) {
      ask("fill", budget_us);
      wire::Message request;
      wire::Socket& shard = asked(request);
      at[&shard == shards_[0].get() ? 0 : 1].push_back(std::move(request));
    }
    return at;
  }
};

TEST_F(LimitedRouterTest, WhereAllReplicasAreFullARequestIsOverloaded) {
  auto at = fill(4, 60 * kSecondUs);
  ASSERT_EQ(at[0].size(), 2u);
  ASSERT_EQ(at[1].size(), 2u);
  ask("b", 60 * kSecondUs);
  const wire::Message reply = receive(*client_);
  ASSERT_EQ(reply.size(), 2u);
  EXPECT_EQ(reply[0].view(), "b");
  const auto failure = wire::decode_reply<wire::HelloReply>(reply[1].view());
  EXPECT_EQ(failure.status().code(), Code::overloaded);
  EXPECT_NE(to_hex(reply[1].view()).find(to_hex("retry_after_us")), std::string::npos);
  EXPECT_EQ(router_->counters().overloaded.value(), 1u);
  // An answer makes room for one more, at the shard that gave it.
  answer(*shards_[1], at[1][0]);
  expect_answer("fill");
  ask("c", 60 * kSecondUs);
  wire::Message request;
  EXPECT_EQ(&asked(request), shards_[1].get());
  answer(*shards_[1], request);
  expect_answer("c");
}

TEST_F(LimitedRouterTest, AnAnswerSaysThatWhatWasSentBeforeIsAnsweredOrLost) {
  auto at = fill(4, 60 * kSecondUs);
  answer(*shards_[0], at[0][1]);  // the first of the two was lost
  expect_answer("fill");
  for (int i = 0; i < 2; ++i) {
    ask("b", 60 * kSecondUs);
    wire::Message request;
    EXPECT_EQ(&asked(request), shards_[0].get());
  }
  ask("c", 60 * kSecondUs);
  expect_failure("c", Code::overloaded);
}

TEST_F(LimitedRouterTest, ASilentShardIsNotSentMoreThoughItsRequestsAreOver) {
  auto at = fill(4, kSecondUs);
  for (wire::Message& request : at[1]) {
    answer(*shards_[1], request);
    expect_answer("fill");
  }
  clock_.advance(2 * kSecondUs);
  for (int i = 0; i < 2; ++i) expect_failure("fill", Code::deadline_exceeded);
  for (int i = 0; i < 50; ++i) {
    ask("b", kSecondUs);
    wire::Message request = receive(*shards_[1]);
    answer(*shards_[1], request);
    expect_answer("b");
  }
  EXPECT_TRUE(requests_at(*shards_[0]).empty());
}

TEST_F(LimitedRouterTest, TheAnswerToAHelloMakesRoomForWhatWasLost) {
  fill(4, kSecondUs);
  clock_.advance(2 * kSecondUs);
  for (int i = 0; i < 4; ++i) expect_failure("fill", Code::deadline_exceeded);
  // All were lost. Both are greeted; one answers.
  wire::Message hello = receive(*shards_[0]);
  ASSERT_EQ(*wire::peek_op(hello[2].view()), "hello");
  hello.resize(2);
  hello.emplace_back(wire::encode_reply(Status(), wire::HelloReply{1, 1, "0", "shard s0"}));
  EXPECT_OK(shards_[0]->send(hello));
  wire::Message request;
  for (bool was_asked = false; !was_asked;) {
    ask("b", kSecondUs);
    wire::Poller poller;
    poller.add(*client_);
    poller.add(*shards_[0]);
    ASSERT_TRUE(poller.wait(kPatience));
    if (poller.ready(0)) {
      expect_failure("b", Code::overloaded);  // the hello's answer is still on its way
      continue;
    }
    request = receive(*shards_[0]);
    was_asked = *wire::peek_op(request[2].view()) == "predict";
    if (!was_asked) receive(*client_);
  }
  answer(*shards_[0], request);
  expect_answer("b");
}

TEST_F(LimitedRouterTest, WhatWasRefusedIsAskedAgainWithoutTheRetryBudget) {
  for (std::uint64_t i = 1; i <= 5; ++i) {
    ask("a", kSecondUs);
    wire::Message request;
    wire::Socket& first = asked(request);
    refuse(first, request);
    wire::Socket& second = asked(request);
    EXPECT_NE(&first, &second);
    answer(second, request);
    expect_answer("a");
    go_round();
    EXPECT_EQ(router_->counters().asked_again.value(), i);
  }
  EXPECT_EQ(router_->counters().not_asked_again.value(), 0u);
  ask("b", kSecondUs);  // each that holds it is asked once
  for (int i = 0; i < 2; ++i) {
    wire::Message request;
    wire::Socket& shard = asked(request);
    refuse(shard, request);
  }
  expect_failure("b", Code::unavailable);
}

TEST_F(LimitedRouterTest, WhatWasLeftUnansweredIsAskedAgainWithinTheRetryBudgetOnly) {
  const auto asked_for_prediction = [this](wire::Message& request) -> wire::Socket& {
    for (;;) {
      wire::Socket& shard = asked(request);
      if (*wire::peek_op(request[2].view()) == "predict") return shard;
    }
  };
  ask("a", 60 * kSecondUs);
  wire::Message lost, request;
  wire::Socket& silent = asked_for_prediction(lost);
  advance(31 * kSecondUs);
  wire::Socket& other = asked_for_prediction(request);
  ASSERT_NE(&silent, &other);
  answer(other, request);
  expect_answer("a");
  ask("b", 60 * kSecondUs);
  EXPECT_EQ(&asked_for_prediction(request), &other);
  advance(31 * kSecondUs);
  EXPECT_GT(router_->counters().not_asked_again.value(), 0u);
  EXPECT_EQ(router_->counters().asked_again.value(), 1u);
  EXPECT_TRUE(requests_at(silent).empty());
  answer(other, request);
  expect_answer("b");
}

TEST_F(RouterTest, WhatIsTooLateIsSentToNobody) {
  ask("a", kSecondUs);
  wire::Message request;
  wire::Socket& shard = asked(request);
  // The refusal is there before the router knows the new time, and isn't dealt with under the old one.
  clock_.hold();
  send({"round", wire::encode(wire::HelloRequest{"test"})});
  clock_.wait_for_reader();
  refuse(shard, request);
  clock_.advance(2 * kSecondUs);
  clock_.release();
  for (int i = 0; i < 2; ++i) {
    const wire::Message reply = receive(*client_);
    if (reply[0].view() == "round") continue;
    EXPECT_EQ(reply[0].view(), "a");
    EXPECT_FALSE(wire::peek_status(reply[1].view()).ok());
  }
  go_round();
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
  for (const auto& each : shards_) EXPECT_TRUE(requests_at(*each).empty());
}

TEST_F(RouterTest, EachSendingSaysWhenItWas) {
  advance(5 * kSecondUs);
  ask("a", kSecondUs);
  wire::Message request;
  wire::Socket& shard = asked(request);
  wire::PredictHeader header;
  ASSERT_OK(wire::decode_predict(request[2].view(), header));
  EXPECT_EQ(header.sent_us, 5 * kSecondUs);
  EXPECT_EQ(header.budget_us, kSecondUs);
  answer(shard, request);
  expect_answer("a");
}

}  // namespace
}  // namespace espalier::router
