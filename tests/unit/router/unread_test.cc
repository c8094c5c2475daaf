// What a router keeps for clients that don't read what they are answered.
#include "router/unread.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/insecure.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/router/router_fixture.h"

namespace espalier::router {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

Limits small_limits() {
  Limits limits;
  limits.unread_of_connection = 8 * kMiB;
  limits.unread_in_all = 12 * kMiB;
  return limits;
}

wire::Message reply_of(std::size_t bytes) {
  wire::Message reply;
  reply.emplace_back(std::string_view("header"));
  reply.emplace_back(bytes);
  return reply;
}

TEST(Unread, CountsLargeRepliesUntilTheyAreLetGoOf) {
  Limits limits = small_limits();
  limits.unread_in_all = 100 * kMiB;
  Unread unread(limits);
  std::vector<wire::Message> kept;
  for (int i = 0; i < 7; ++i) {
    kept.push_back(reply_of(kMiB));
    EXPECT_OK(unread.take("a", kept.back()));
    EXPECT_EQ(kept.back().back().size(), kMiB);
  }
  EXPECT_GT(unread.bytes(), 7 * kMiB);
  wire::Message more = reply_of(kMiB);
  EXPECT_EQ(unread.take("a", more).code(), Code::overloaded);
  more = reply_of(100);
  EXPECT_OK(unread.take("a", more)) << "small ones are bounded by their number";
  more = reply_of(20 * kMiB);
  EXPECT_OK(unread.take("b", more)) << "who has read everything gets any reply";
  wire::Message another = reply_of(kMiB);
  EXPECT_EQ(unread.take("b", another).code(), Code::overloaded);
  EXPECT_EQ(unread.may_ask("a").code(), Code::overloaded) << "more than half of its bound";
  EXPECT_EQ(unread.may_ask("b").code(), Code::overloaded);
  EXPECT_OK(unread.may_ask("c"));
  more.clear();
  EXPECT_OK(unread.may_ask("b"));
  kept.clear();
  EXPECT_EQ(unread.bytes(), 0u);
  EXPECT_OK(unread.take("a", another));
}

TEST(Unread, WhatAllLeaveUnreadIsBoundedTooAndWhoReadsIsServed) {
  Unread unread(small_limits());
  std::vector<wire::Message> kept;
  for (const char* connection : {"a", "a", "a", "b", "b", "b"}) {
    kept.push_back(reply_of(2 * kMiB));
    EXPECT_OK(unread.take(connection, kept.back()));
  }
  wire::Message more = reply_of(kMiB);
  EXPECT_EQ(unread.take("a", more).code(), Code::overloaded) << "a itself has left six only";
  EXPECT_EQ(unread.may_ask("a").code(), Code::overloaded);
  EXPECT_OK(unread.may_ask("c"));
  wire::Message first = reply_of(kMiB), second = reply_of(kMiB), large = reply_of(5 * kMiB);
  EXPECT_EQ(unread.take("c", large).code(), Code::overloaded) << "more than a third of the bound for all";
  EXPECT_OK(unread.take("c", first));
  EXPECT_OK(unread.take("c", second)) << "one that has a little under way isn't refused for those who don't read";
}

TEST(Unread, ForgetsConnectionsThatHaveReadEverything) {
  Unread unread(small_limits());
  for (int i = 0; i < 5000; ++i) {
    wire::Message reply = reply_of(kMiB);
    EXPECT_OK(unread.take(std::to_string(i), reply));
  }
  EXPECT_EQ(unread.bytes(), 0u);
  EXPECT_LE(unread.connections(), 1025u);
}

class UnreadTest : public RouterTest {
 protected:
  static constexpr int kAsked = 60;

  UnreadTest() : RouterTest(small_limits(), 1) {
    // It keeps two messages itself; the rest waits with the router, but for what the system takes.
    wire::SocketOptions options = testing::insecure_socket();
    options.receive_queue = 2;
    idle_ = *wire::Socket::make(context_, wire::SocketKind::dealer, options);
    EXPECT_OK(idle_->connect(router_->endpoints().front()));
  }

  void answer_with(wire::Message& request, std::size_t bytes) {
    request.resize(2);
    std::string header;
    wire::begin_reply(header, 1);
    wire::append_failed(header, 1, Code::no_model, "played");
    request.emplace_back(std::string_view(header));
    request.emplace_back(bytes);
    EXPECT_OK(shards_[0]->send(request));
  }

  void ask_idly() {
    std::swap(client_, idle_);
    ask("a", 60 * kSecondUs);
    std::swap(client_, idle_);
  }

  /// Whether the shard is asked what the idle client asked last, rather than the router refusing it.
  bool comes_to_shard(std::uint64_t refused_before) {
    wire::Poller poller;
    poller.add(*shards_[0]);
    while (!poller.wait(0)) {
      if (router_->counters().refused.value() > refused_before) return false;
      go_round();
    }
    return true;
  }

  /// Everything that the shard has answered has been dealt with: this was answered after it.
  void go_through_shard() {
    ask("through", 60 * kSecondUs);
    wire::Message request;
    answer(asked(request), request);
    expect_answer("through");
  }

  std::unique_ptr<wire::Socket> idle_;
};

TEST_F(UnreadTest, AClientThatDoesNotReadIsRefusedAndKeepsNoMoreThanItsBound) {
  int computed = 0;
  for (int i = 0; i < kAsked; ++i) {
    const std::uint64_t refused = router_->counters().refused.value();
    ask_idly();
    if (!comes_to_shard(refused)) continue;
    wire::Message request;
    asked(request);
    answer_with(request, kMiB);
    go_through_shard();
    ++computed;
    EXPECT_LE(router_->unread_bytes(), 8 * kMiB);
  }
  EXPECT_LT(computed, kAsked) << "the last ones aren't even computed";
  int answered = 0, overloaded = 0;
  for (int i = 0; i < kAsked; ++i) {
    const wire::Message reply = receive(*idle_);
    const Status status = wire::peek_status(reply[1].view());
    status.ok() ? ++answered : ++overloaded;
    EXPECT_TRUE(status.ok() || status.code() == Code::overloaded) << status.message();
  }
  EXPECT_GE(answered, 4);
  EXPECT_GT(overloaded, 0);

  ask_idly();
  wire::Message request;
  asked(request);
  answer_with(request, kMiB);
  EXPECT_OK(wire::peek_status(receive(*idle_)[1].view())) << "who has read everything is served again";
}

}  // namespace
}  // namespace espalier::router
