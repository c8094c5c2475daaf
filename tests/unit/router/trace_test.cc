#include "wire/trace.h"

#include <sstream>

#include "router/slow_log.h"
#include "tests/unit/router/router_fixture.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kMs = 1000;

class TraceTest : public RouterTest {
 protected:
  explicit TraceTest(const Limits& limits = {}, int shards = 2) : RouterTest(limits, shards) {}

  void ask_traced(const std::string& id) {
    wire::PredictRequest request;
    request.tenant = "acme";
    request.model = "total";
    request.budget_us = 60 * kSecondUs;
    request.parts = {{{"usa"}, "", 1}};
    const std::string plain = wire::encode(request);
    wire::PredictHeader header;
    EXPECT_OK(wire::decode_predict(plain, header));
    header.trace = true;
    std::string traced;
    wire::encode_predict(header, traced);
    const wire::NamedRow row;
    send({id, traced, wire::encode_rows({&row, 1})});
  }
  static std::string reply_header(bool has_times) {
    std::string header;
    wire::begin_reply(header, 1);
    wire::append_failed(header, 1, Code::no_model, "played");
    if (has_times)
      wire::append_times(header, {30'000, 40, {{0, {{1, "country", true, wire::Reason::exact, {}, "t"}}}}});
    return header;
  }
  void answer_with(wire::Socket& shard, wire::Message& request, const std::string& header) {
    request.resize(2);
    request.emplace_back(std::string_view(header));
    request.emplace_back();
    EXPECT_OK(shard.send(request));
  }
  static bool asks_for_trace(const wire::Message& request) {
    wire::PredictHeader header;
    EXPECT_OK(wire::decode_predict(request[2].view(), header));
    return header.trace;
  }
  /// The log's lines that tell of slow requests, of what `play` does.
  template <class Play>
  std::vector<std::string> slow_lines(Play&& play) {
    ::testing::internal::CaptureStderr();
    play();
    std::istringstream log(::testing::internal::GetCapturedStderr());
    std::vector<std::string> lines;
    for (std::string line; std::getline(log, line);) {
      if (line.find("slow request") != std::string::npos) lines.push_back(line);
    }
    return lines;
  }
};

TEST_F(TraceTest, ATracedRequestIsToldEachAttempt) {
  ask_traced("a");
  wire::Message request;
  wire::Socket& first = asked(request);
  EXPECT_TRUE(asks_for_trace(request));
  clock_.advance(3 * kMs);
  refuse(first, request);
  wire::Message again;
  wire::Socket& other = asked(again);
  EXPECT_TRUE(asks_for_trace(again));
  clock_.advance(5 * kMs);
  answer_with(other, again, reply_header(true));
  const wire::Message reply = receive(*client_);
  ASSERT_EQ(reply.size(), 3u);
  ASSERT_OK_AND_ASSIGN(const wire::Trace trace, wire::find_trace(reply[1].view()));
  EXPECT_EQ(trace.us, 8'000u);
  ASSERT_EQ(trace.attempts.size(), 2u);
  const wire::TracedAttempt &refused = trace.attempts[0], &answered = trace.attempts[1];
  EXPECT_NE(refused.shard, answered.shard);
  EXPECT_TRUE(refused.answered);
  EXPECT_EQ(refused.status, Code::unavailable);
  EXPECT_EQ(refused.took_us, 3'000u);
  EXPECT_FALSE(refused.timed) << "an older shard says none";
  EXPECT_EQ(answered.sent_us, 3'000);
  EXPECT_EQ(answered.took_us, 5'000u);
  EXPECT_EQ(answered.status, Code::ok);
  ASSERT_TRUE(answered.timed);
  EXPECT_EQ(answered.times.waited_us, 30'000u) << "as the shard says it";
  EXPECT_EQ(answered.times.walks.at(0).steps.at(0).level, "country");
  ASSERT_OK_AND_ASSIGN(const auto read, wire::decode<wire::PredictReply>(reply[1].view()));
  EXPECT_EQ(read.parts.at(0).message, "played") << "and the reply is what it was";
}

TEST_F(TraceTest, ATracedRequestThatFailsIsToldToo) {
  ask_traced("a");
  for (int i = 0; i < 2; ++i) {
    wire::Message request;
    wire::Socket& shard = asked(request);
    refuse(shard, request);
  }
  const wire::Message reply = receive(*client_);
  EXPECT_EQ(wire::peek_status(reply[1].view()).code(), Code::unavailable);
  ASSERT_OK_AND_ASSIGN(const wire::Trace trace, wire::find_trace(reply[1].view()));
  EXPECT_EQ(trace.attempts.size(), 2u);
}

TEST_F(TraceTest, WhoDidNotAskGetsTheReplyByteForByte) {
  for (const bool has_times : {false, true}) {
    ask("a", 60 * kSecondUs);
    wire::Message request;
    wire::Socket& shard = asked(request);
    EXPECT_FALSE(asks_for_trace(request));
    answer_with(shard, request, reply_header(has_times));
    const wire::Message reply = receive(*client_);
    ASSERT_EQ(reply.size(), 3u);
    EXPECT_EQ(reply[1].view(), reply_header(false)) << "what the shard says of its time is the router's";
  }
}

TEST_F(TraceTest, ASlowRequestIsLoggedWithItsWayAndAQuickOneIsNot) {
  const auto lines = slow_lines([&] {
    wire::Message request;
    ask("quick", 60 * kSecondUs);
    wire::Socket* shard = &asked(request);
    advance(40 * kMs);
    answer(*shard, request);
    expect_answer("quick");
    ask("slow", 60 * kSecondUs);
    shard = &asked(request);
    advance(70 * kMs);
    refuse(*shard, request);
    shard = &asked(request);
    advance(75 * kMs);
    answer_with(*shard, request, reply_header(true));
    expect_answer("slow");
  });
  ASSERT_EQ(lines.size(), 1u);
  const std::string& line = lines[0];
  for (const char* text : {" tenant=acme model=total node=usa parts=1 rows=1 us=145000 status=ok ",
                           " attempts=2 epoch=0 in_router_us=70000 ",
                           " at_shard_us=75000 shard_queue_us=30000 computing_us=40 on_the_way_us=44960 ",
                           " at 0.0 ms: unavailable after 70.0 ms; ", " at 70.0 ms: ok after 75.0 ms\"",
                           "warning router: slow request prediction="}) {
    EXPECT_NE(line.find(text), std::string::npos) << text << " in " << line;
  }
  EXPECT_EQ(router_->counters().slow.value(), 1u);
}

/// Whose silence makes nobody else be asked.
class OneShardTraceTest : public TraceTest {
 protected:
  explicit OneShardTraceTest(const Limits& limits = {}) : TraceTest(limits, 1) {}
};

TEST_F(OneShardTraceTest, ManySlowRequestsAreCountedAndAFewToldOf) {
  constexpr int kSlow = 40;
  const auto lines = slow_lines([&] {
    std::vector<std::pair<wire::Socket*, wire::Message>> under_way;
    for (int i = 0; i < kSlow; ++i) {
      ask("r" + std::to_string(i), 60 * kSecondUs);
      wire::Message request;
      wire::Socket& shard = asked(request);
      under_way.emplace_back(&shard, std::move(request));
    }
    advance(2 * kSecondUs);
    for (auto& [shard, request] : under_way) answer(*shard, request);
    for (int i = 0; i < kSlow; ++i) receive(*client_);
    advance(2 * kSecondUs);
    go_round();
    ask("last", 60 * kSecondUs);
    wire::Message request;
    wire::Socket& shard = asked(request);
    advance(2 * kSecondUs);
    answer(shard, request);
    expect_answer("last");
  });
  ASSERT_EQ(lines.size(), SlowLog::kLinesPerSecond + 1);
  EXPECT_NE(lines.back().find(" others=35"), std::string::npos) << lines.back();
  EXPECT_EQ(router_->counters().slow.value(), static_cast<std::uint64_t>(kSlow) + 1);
}

class NoSlowLogTest : public OneShardTraceTest {
 protected:
  static Limits limits() {
    Limits limits;
    limits.slow_us = 0;
    return limits;
  }
  NoSlowLogTest() : OneShardTraceTest(limits()) {}
};

TEST_F(NoSlowLogTest, IsOffWhereItIsTurnedOff) {
  const auto lines = slow_lines([&] {
    ask("a", 600 * kSecondUs);
    wire::Message request;
    wire::Socket& shard = asked(request);
    advance(300 * kSecondUs);
    answer(shard, request);
    expect_answer("a");
  });
  EXPECT_TRUE(lines.empty());
}

TEST(SlowLog, ALargeRequestMayTakeAsLongAsItsRowsMay) {
  const SlowLog log(100 * kMs);
  EXPECT_FALSE(log.is_slow(100 * kMs, 0));
  EXPECT_TRUE(log.is_slow(101 * kMs, 0));
  EXPECT_FALSE(log.is_slow(2'000 * kMs, 1'950 * kMs));
  EXPECT_TRUE(log.is_slow(2'000 * kMs, 1'850 * kMs));
}

}  // namespace
}  // namespace espalier::router
