#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "common/bytes.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/router/router_fixture.h"
#include "wire/predict_codec.h"

namespace espalier::router {
namespace {

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

/// Nobody is suspected for being silent.
class PatientRouterTest : public RouterTest {
 protected:
  PatientRouterTest() : RouterTest(Limits{.silence_us = 1000 * kSecondUs}) {}
};

TEST_F(PatientRouterTest, AskedAgainOnlyWhenAShardHasHadItsShareOfALongBudget) {
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
  for (int i = 0; i < 10'000 && router_->counters().late.value() == 0; ++i) go_round();
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

TEST_F(RouterTest, TimeInTheRoutersQueueIsTakenOffTheBudget) {
  const auto ask_stamped = [&](const std::string& id, std::int64_t sent_us) {
    wire::PredictRequest request;
    request.tenant = "acme";
    request.model = "total";
    request.sent_us = sent_us;
    request.parts = {{{"usa"}, "", 1}};
    const wire::NamedRow row;
    send({id, wire::encode(request), wire::encode_rows({&row, 1})});
  };
  wire::Message request;
  wire::PredictHeader header;
  const std::int64_t stamp = 77'000 * kSecondUs;  // a client's clock has any zero
  ask_stamped("quick", stamp);
  wire::Socket& first = asked(request);
  ASSERT_OK(wire::decode_predict(request[2].view(), header));
  EXPECT_EQ(header.budget_us, kSecondUs) << "nothing is known of the first";
  answer(first, request);
  expect_answer("quick");

  advance(kSecondUs);
  ask_stamped("waited", stamp + 600'000);  // for 0.4 s, but for what clocks may run apart
  wire::Socket& second = asked(request);
  ASSERT_OK(wire::decode_predict(request[2].view(), header));
  EXPECT_NEAR(header.budget_us, 600'000, 1'000);
  answer(second, request);
  expect_answer("waited");

  advance(200'000);
  ask_stamped("too late", stamp + 650'000);  // for 0.55 s, more than half of its budget
  expect_failure("too late", Code::overloaded);
  EXPECT_EQ(router_->counters().waited.value(), 1u);
  for (const auto& each : shards_) EXPECT_TRUE(requests_at(*each).empty());
}

}  // namespace
}  // namespace espalier::router
