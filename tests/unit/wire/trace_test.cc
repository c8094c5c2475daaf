#include "wire/trace.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/support/status_matchers.h"
#include "wire/predict_codec.h"

namespace espalier::wire {
namespace {

std::string plain_reply() {
  std::string reply;
  begin_reply(reply, 1);
  append_failed(reply, 1, Code::no_model, "nothing is ready");
  return reply;
}

std::vector<std::string> replies() {
  std::string unready = plain_reply();
  mark_unready(unready);
  return {plain_reply(), unready, encode_error(not_found("model a")), encode_error(unavailable("starting"), 100)};
}

TEST(Trace, AReplyWithoutTimesIsKnownAtOnceOrAfterALook) {
  EXPECT_FALSE(may_have_times(plain_reply()));
  EXPECT_FALSE(may_have_times(encode_error(not_found("model a"))));
  ShardTimes times;
  for (const std::string& reply : replies()) EXPECT_EQ(take_times(reply, times), std::nullopt);
  for (const char* bytes : {"", "\x83", "\x93", "\x83\xa5times", "\xc1"})
    EXPECT_EQ(take_times(bytes, times), std::nullopt);
}

TEST(Trace, TakingTimesOutGivesTheReplyAsItWouldHaveBeen) {
  const ShardTimes told{21'000, 400, {{1, {{2, "town", true, Reason::previous, {}, "staging"}}}}};
  for (const std::string& reply : replies()) {
    std::string timed = reply;
    append_times(timed, told);
    EXPECT_EQ(is_unready(timed), is_unready(reply));
    EXPECT_TRUE(may_have_times(timed));
    EXPECT_EQ(peek_status(timed).code(), peek_status(reply).code());
    ShardTimes times;
    EXPECT_EQ(take_times(timed, times), reply);
    EXPECT_EQ(times.waited_us, 21'000u);
    EXPECT_EQ(times.computed_us, 400u);
    ASSERT_EQ(times.walks.size(), 1u);
    EXPECT_EQ(times.walks[0].part, 1u);
    EXPECT_EQ(times.walks[0].steps[0].tag, "staging");
    EXPECT_EQ(times.walks[0].steps[0].reason, Reason::previous);
  }
}

TEST(Trace, WhatCannotBeReadIsLeftAsItIs) {
  std::string reply = plain_reply();
  ++reply.front();
  reply +=
      "\xa5times\xa3"
      "abc";
  ShardTimes times;
  EXPECT_EQ(take_times(reply, times), std::nullopt);
}

TEST(Trace, IsFoundInTheReplyAndAnOlderRouterSendsNone) {
  Trace trace{1900, 30, {}};
  trace.attempts.push_back({{0, 2}, "s1", true, 12, true, 800, Code::unavailable, true, true, {700, 40, {}}});
  for (std::string reply : replies()) {
    EXPECT_CODE(find_trace(reply), Code::not_found);
    append_trace(reply, trace);
    ASSERT_OK_AND_ASSIGN(const Trace found, find_trace(reply));
    EXPECT_EQ(found.us, 1900u);
    ASSERT_EQ(found.attempts.size(), 1u);
    EXPECT_EQ(found.attempts[0].parts, (std::vector<std::uint32_t>{0, 2}));
    EXPECT_EQ(found.attempts[0].status, Code::unavailable);
    EXPECT_EQ(found.attempts[0].times.waited_us, 700u);
    EXPECT_OK(decode<PredictReply>(reply)) << "who doesn't know it passes over it";
  }
}

TEST(Trace, OnlyARequestThatAsksForItHasTheKey) {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.parts = {{{"usa"}, "", 1}};
  const std::string plain = encode(request);
  PredictHeader header;
  ASSERT_OK(decode_predict(plain, header));
  EXPECT_FALSE(header.trace);
  std::string again;
  encode_predict(header, again);
  EXPECT_EQ(again.find("trace"), std::string::npos);
  header.trace = true;
  encode_predict(header, again);
  PredictHeader traced;
  ASSERT_OK(decode_predict(again, traced));
  EXPECT_TRUE(traced.trace);
  ASSERT_OK(decode_predict(plain, traced));
  EXPECT_FALSE(traced.trace) << "nothing is left of the last one";
}

}  // namespace
}  // namespace espalier::wire
