// How soon a router passes over a shard that is there no more, or stands still.
#include <gtest/gtest.h>

#include <string>

#include "router/backends.h"
#include "router/retry_policy.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/router/router_fixture.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kLookUs = 10'000;

class SilenceTest : public RouterTest {
 protected:
  explicit SilenceTest(const Limits& limits = {}) : RouterTest(limits) {}

  /// Everything the shard is sent until a prediction comes.
  wire::Message next_prediction(wire::Socket& shard) {
    for (;;) {
      wire::Message message = receive(shard);
      if (message.size() < 3 || *wire::peek_op(message[2].view()) == "predict") return message;
    }
  }
  wire::Socket& other_than(const wire::Socket& shard) { return &shard == shards_[0].get() ? *shards_[1] : *shards_[0]; }
};

TEST_F(SilenceTest, OneThatIsSilentIsPassedOverLongBeforeItsShareOfTheBudget) {
  ask("a", 60 * kSecondUs);
  wire::Message first;
  wire::Socket& silent = asked(first);
  for (int i = 0; i < 3; ++i) advance(kLookUs);
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
  for (int i = 0; i < 8; ++i) advance(kLookUs);
  wire::Socket& other = other_than(silent);
  wire::Message again = next_prediction(other);
  answer(other, again);
  expect_answer("a");
  for (int i = 0; i < 5; ++i) {  // from now on the other one is asked first
    ask("b", 60 * kSecondUs);
    wire::Message request = next_prediction(other);
    answer(other, request);
    expect_answer("b");
  }
  EXPECT_TRUE(requests_at(silent).empty());
}

TEST_F(SilenceTest, TimeInWhichTheRouterStoodStillIsNobodysSilence) {
  ask("a", 600 * kSecondUs);
  wire::Message request;
  wire::Socket& shard = asked(request);
  for (int i = 0; i < 2; ++i) advance(10 * kSecondUs);
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
  answer(shard, request);
  expect_answer("a");
}

TEST_F(SilenceTest, AnyMessageIsASignOfLife) {
  ask("a", 600 * kSecondUs);
  wire::Message kept;
  wire::Socket& shard = asked(kept);
  wire::Message hello;
  for (int i = 0; i < 30; ++i) {
    advance(kLookUs);
    // An answer to nothing, as one to a request that is over.
    const std::uint64_t late = router_->counters().late.value();
    wire::Message sign;
    sign.push_back(kept[0].share());
    sign.emplace_back(std::string_view("no number"));
    sign.emplace_back(std::string_view("x"));
    EXPECT_OK(shard.send(sign));
    while (router_->counters().late.value() == late) go_round();
  }
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
  answer(shard, kept);
  expect_answer("a");
}

/// Nobody is suspected for being silent.
class LostConnectionTest : public SilenceTest {
 protected:
  LostConnectionTest() : SilenceTest(Limits{.silence_us = 10'000 * kSecondUs}) {}
};

TEST_F(LostConnectionTest, IsNoticedWithoutWaiting) {
  ask("a", 600 * kSecondUs);
  wire::Message first;
  wire::Socket& dies = asked(first);
  wire::Socket& other = other_than(dies);
  (&dies == shards_[0].get() ? shards_[0] : shards_[1]).reset();
  wire::Poller poller;
  poller.add(other);
  bool was_asked = false;
  for (int i = 0; i < 20'000 && !was_asked; ++i) {  // 200 s, less than the share of the budget
    advance(kLookUs);
    was_asked = poller.wait(0);
  }
  ASSERT_TRUE(was_asked);
  wire::Message again = next_prediction(other);
  answer(other, again);
  expect_answer("a");
  ask("b", 600 * kSecondUs);
  again = next_prediction(other);
  answer(other, again);
  expect_answer("b");
}

/// A shard that doesn't hold what is wanted yet: its reply, and what the other says.
class UnreadyTest : public SilenceTest {
 protected:
  void answer_unready(wire::Socket& shard, wire::Message& request) {
    request.resize(2);
    std::string header;
    wire::begin_reply(header, 1);
    wire::append_failed(header, 1, Code::no_model, "not here yet");
    wire::mark_unready(header);
    request.emplace_back(std::string_view(header));
    request.emplace_back();
    EXPECT_OK(shard.send(request));
  }
  std::string message_of(const wire::Message& reply) {
    EXPECT_EQ(reply.size(), 3u);
    const auto decoded = wire::decode<wire::PredictReply>(reply[1].view());
    EXPECT_OK(decoded);
    return decoded->parts.at(0).message;
  }
};

TEST_F(UnreadyTest, AnotherReplicaIsAskedForWhatOneDoesNotHoldYet) {
  ask("a", 60 * kSecondUs);
  wire::Message request;
  wire::Socket& first = asked(request);
  answer_unready(first, request);
  wire::Socket& other = other_than(first);
  request = next_prediction(other);
  answer(other, request);
  EXPECT_EQ(message_of(receive(*client_)), "played");
}

TEST_F(UnreadyTest, TheFirstReplyStandsWhereNobodyHasABetterOne) {
  for (const bool refuses : {false, true}) {
    ask("a", 60 * kSecondUs);
    wire::Message request;
    wire::Socket& first = asked(request);
    answer_unready(first, request);
    wire::Socket& other = other_than(first);
    request = next_prediction(other);
    refuses ? refuse(other, request) : answer_unready(other, request);
    EXPECT_EQ(message_of(receive(*client_)), "not here yet");
  }
  ask("b", kSecondUs);
  wire::Message request;
  wire::Socket& first = asked(request);
  answer_unready(first, request);
  next_prediction(other_than(first));
  clock_.advance(2 * kSecondUs);
  EXPECT_EQ(message_of(receive(*client_)), "not here yet") << "also when the other one says nothing in time";
}

TEST_F(UnreadyTest, AnAnswerInPartDoesNotWaitForAShardThatFallsSilent) {
  ask("a", 600 * kSecondUs);
  wire::Message request;
  wire::Socket& first = asked(request);
  answer_unready(first, request);
  next_prediction(other_than(first));
  wire::Poller poller;
  poller.add(*client_);
  bool was_answered = false;
  for (int i = 0; i < 1000 && !was_answered; ++i) {  // 10 s
    clock_.advance(kLookUs);
    was_answered = poller.wait(1000);
  }
  ASSERT_TRUE(was_answered);
  EXPECT_EQ(message_of(receive(*client_)), "not here yet");
  // From now on the other one isn't even asked.
  ask("b", 600 * kSecondUs);
  wire::Message again = next_prediction(first);
  answer_unready(first, again);
  EXPECT_EQ(message_of(receive(*client_)), "not here yet");
}

/// What two shards say one after the other, and what the client gets of it.
TEST_F(UnreadyTest, WhatOneShardDoesNotKnowAnotherMay) {
  const auto says = [this](wire::Socket& shard, wire::Message& request, const std::string& what) {
    if (what == "answer") return answer(shard, request);
    if (what == "part") return answer_unready(shard, request);
    request.resize(2);
    const Code code = what == "not found" ? Code::not_found : what == "late" ? Code::deadline_exceeded : Code::corrupt;
    request.emplace_back(wire::encode_error(Status(code, what), 0));
    EXPECT_OK(shard.send(request));
  };
  const auto gets = [this] {
    const wire::Message reply = receive(*client_);
    const Status status = wire::peek_status(reply[1].view());
    if (!status.ok()) return status.message();
    const std::string part = message_of(reply);
    return std::string(part == "played" ? "answer" : part == "not here yet" ? "part" : part);
  };
  const struct {
    std::string first, second, client;
  } cases[] = {{"not found", "answer", "answer"},  {"not found", "not found", "not found"},
               {"not found", "part", "part"},      {"part", "not found", "part"},
               {"not found", "late", "not found"}, {"part", "late", "part"},
               {"part", "broken", "part"},         {"part", "answer", "answer"}};
  for (const auto& c : cases) {
    ask("a", 60 * kSecondUs);
    wire::Message request;
    wire::Socket& first = asked(request);
    says(first, request, c.first);
    request = next_prediction(other_than(first));
    says(other_than(first), request, c.second);
    EXPECT_EQ(gets(), c.client) << c.first << ", then " << c.second;
  }
  ask("b", 60 * kSecondUs);
  wire::Message request;
  wire::Socket& shard = asked(request);
  says(shard, request, "broken");
  EXPECT_EQ(gets(), "broken") << "what is wrong with the request is nobody's to mend";
}

class HedgeTest : public SilenceTest {
 protected:
  explicit HedgeTest(bool hedges = true) : SilenceTest(Limits{.silence_us = 1000 * kSecondUs, .hedges = hedges}) {}

  /// Requests that are each answered after 5 ms, by the shard that is asked first.
  wire::Socket* answer_many() {
    wire::Socket* first = nullptr;
    for (int i = 0; i < 130; ++i) {
      ask("a", 60 * kSecondUs);
      wire::Message request;
      first = &asked(request);
      advance(5'000);
      answer(*first, request);
      expect_answer("a");
    }
    return first;
  }
};

TEST_F(HedgeTest, ASecondReplicaIsAskedOnceTheFirstTakesLongerThanMost) {
  wire::Socket* first = answer_many();
  const auto asked_again = router_->counters().asked_again.value();
  EXPECT_LE(asked_again, 13u) << "few take longer than most";
  ask("b", 60 * kSecondUs);
  wire::Message late = next_prediction(*first);
  advance(20'000);
  wire::Socket& other = other_than(*first);
  wire::Message request = next_prediction(other);
  answer(other, request);
  expect_answer("b");
  EXPECT_GE(router_->counters().hedged.value(), 1u);
  const auto lost = router_->counters().late.value();
  answer(*first, late);
  while (router_->counters().late.value() == lost) go_round();
  EXPECT_TRUE(requests_at(other).empty());
}

class NoHedgeTest : public HedgeTest {
 protected:
  NoHedgeTest() : HedgeTest(false) {}
};

TEST_F(NoHedgeTest, NobodyElseIsAskedUnlessThatIsWanted) {
  wire::Socket* first = answer_many();
  ask("b", 60 * kSecondUs);
  wire::Message request = next_prediction(*first);
  advance(20'000);
  EXPECT_EQ(router_->counters().asked_again.value(), 0u);
  answer(*first, request);
  expect_answer("b");
}

TEST(ResponseTimes, TellThe95thPercentileAndForget) {
  ResponseTimes times;
  EXPECT_EQ(times.p95_us(), 0);
  for (int i = 0; i < 640; ++i) times.record(i % 10 == 0 ? 50'000 : 1'000);
  EXPECT_GE(times.p95_us(), 50'000);
  EXPECT_LE(times.p95_us(), 62'500);
  for (int i = 0; i < 40'000; ++i) times.record(2'000);
  EXPECT_GE(times.p95_us(), 2'000);
  EXPECT_LE(times.p95_us(), 2'500);
  for (const std::int64_t us : {std::int64_t{-5}, std::int64_t{0}, std::int64_t{1} << 60}) times.record(us);
}

TEST(Silence, AShardThatIsGoneIsAskedLast) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  cluster::View view;
  view.shards.push_back({"s0", {"tcp://127.0.0.1:1"}, 1, "", cluster::ShardState::gone});
  view.shards.push_back({"s1", {"tcp://127.0.0.1:2"}, 1, "", cluster::ShardState::draining});
  backends.take_view(view, 0);
  EXPECT_TRUE(backends.at(0).is_suspect);
  EXPECT_FALSE(backends.at(1).is_suspect);
  backends.heard(backends.at(0), 10);
  backends.take_view(view, 20);
  EXPECT_FALSE(backends.at(0).is_suspect) << "whom the router hears is there";
  const std::vector<Candidate> candidates = {backends.candidate(backends.shard_at(0)),
                                             backends.candidate(backends.shard_at(1))};
  EXPECT_EQ(choose_candidate(candidates, false), 1u) << "but it may lack what came while it was gone";
  view.shards[0].state = cluster::ShardState::serving;
  backends.take_view(view, 30);
  EXPECT_FALSE(backends.candidate(backends.shard_at(0)).is_gone);
}

TEST(Silence, LastsLongerWhereMuchIsToBeComputed) {
  struct Case {
    const char* name;
    std::uint64_t rows, bytes;
    std::int64_t silent_us;
    bool is_suspect;
  };
  for (const Case& c : {Case{"a row, soon", 1, 100, 70'000, false}, Case{"a row, late", 1, 100, 100'000, true},
                        Case{"many rows, soon", 40'000, 1'000'000, 1'000'000, false},
                        Case{"many rows, late", 40'000, 1'000'000, 1'300'000, true}}) {
    wire::Context context;
    Backends backends(context, Limits{}, nullptr, nullptr, true);
    auto shard = *wire::Socket::make(context, wire::SocketKind::router);
    const auto bound = shard->bind("tcp://127.0.0.1:*");
    ASSERT_OK(bound);
    cluster::View view;
    view.shards.push_back({"s0", {*bound}, 1});
    backends.take_view(view, 0);
    backends.watch(0);
    Backend& backend = backends.at(0);
    backends.sends(backend);
    backend.flow.send(static_cast<std::uint32_t>(c.bytes), most_work_us(c.rows, c.bytes));
    for (std::int64_t now_us = kLookUs; now_us <= c.silent_us; now_us += kLookUs) backends.watch(now_us);
    EXPECT_EQ(backend.is_suspect, c.is_suspect) << c.name;
  }
}

TEST(Silence, LastsLongerWhereTheWayIsLong) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  auto shard = *wire::Socket::make(context, wire::SocketKind::router);
  const auto bound = shard->bind("tcp://127.0.0.1:*");
  ASSERT_OK(bound);
  cluster::View view;
  view.shards.push_back({"s0", {*bound}, 1});
  backends.take_view(view, 0);
  Backend& backend = backends.at(0);
  backends.answered(backend, 700'000, 0);  // it waited there
  backends.answered(backend, 100'000, 0);
  std::int64_t now_us = 0;
  backends.watch(now_us);
  backends.sends(backend);
  backend.flow.send(100);
  for (; now_us <= 270'000; now_us += kLookUs) backends.watch(now_us);
  EXPECT_FALSE(backend.is_suspect);
  for (; now_us <= 320'000; now_us += kLookUs) backends.watch(now_us);
  EXPECT_TRUE(backend.is_suspect);
}

TEST(Silence, WhereNothingIsOwedNobodyIsSilent) {
  wire::Context context;
  Backends backends(context, Limits{}, nullptr, nullptr, true);
  auto shard = *wire::Socket::make(context, wire::SocketKind::router);
  const auto bound = shard->bind("tcp://127.0.0.1:*");
  ASSERT_OK(bound);
  cluster::View view;
  view.shards.push_back({"s0", {*bound}, 1});
  backends.take_view(view, 0);
  for (std::int64_t now_us = 0; now_us < 10 * kSecondUs; now_us += kLookUs) {
    EXPECT_TRUE(backends.watch(now_us).empty());
  }
  EXPECT_FALSE(backends.at(0).is_suspect);
  EXPECT_GT(backends.next_watch_us(0), kSecondUs) << "it sleeps while nothing is in flight";
  backends.at(0).flow.send(1);
  EXPECT_LE(backends.next_watch_us(10 * kSecondUs), kLookUs);
}

TEST(Silence, TheReserveOfRetriesCoversWhatOneShardCanHaveInFlight) {
  RetryBudget budget(Limits{4, 1000, 0, 5});
  budget.cover(3);
  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(budget.may_retry()) << i;
    budget.sent_again();
  }
  EXPECT_FALSE(budget.may_retry());
  budget.cover(1);
  EXPECT_FALSE(budget.may_retry());
}

}  // namespace
}  // namespace espalier::router
