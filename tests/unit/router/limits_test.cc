#include "router/limits.h"

#include <gtest/gtest.h>

#include <vector>

namespace espalier::router {
namespace {

const Limits kSmall{4, 1000, 10, 5};

Flow flow_of(const std::vector<std::uint32_t>& sizes) {
  Flow flow(kSmall);
  for (const std::uint32_t size : sizes) flow.send(size);
  return flow;
}

TEST(Limits, SayWhenAnEndpointIsFull) {
  const struct {
    const char* name;
    std::vector<std::uint32_t> sent;
    bool expected;
  } cases[] = {
      {"nothing was sent", {}, false},
      {"one less than the limit", {10, 10, 10}, false},
      {"the limit", {10, 10, 10, 10}, true},
      {"one byte less", {999}, false},
      {"as many bytes as may be", {400, 600}, true},
      {"one that is larger than all may be", {5000}, true},
  };
  for (const auto& c : cases) EXPECT_EQ(flow_of(c.sent).is_full(kSmall), c.expected) << c.name;
}

TEST(Limits, AnAnswerSpeaksOfAllThatWasSentBefore) {
  const struct {
    const char* name;
    std::uint32_t number;
    std::uint64_t in_flight, bytes_in_flight;
  } cases[] = {
      {"the oldest that is open", 2, 2, 70},
      {"a later one: those before are lost", 3, 1, 40},
      {"the newest", 4, 0, 0},
      {"one that was answered", 1, 3, 90},
      {"before the first", 0, 3, 90},
      {"one that was not sent yet", 5, 3, 90},
      {"nonsense", 0x80000000u, 3, 90},
      {"more nonsense", ~0u, 3, 90},
  };
  for (const auto& c : cases) {
    Flow flow = flow_of({10, 20, 30, 40});
    flow.hear(1);
    ASSERT_EQ(flow.in_flight(), 3u);
    flow.hear(c.number);
    EXPECT_EQ(flow.in_flight(), c.in_flight) << c.name;
    EXPECT_EQ(flow.bytes_in_flight(), c.bytes_in_flight) << c.name;
  }
}

TEST(Limits, NumbersMayGoRound) {
  const Limits limits{3, 1u << 30, 10, 5};
  Flow flow(limits, (1ull << 32) - 5);
  for (int i = 0; i < 20; ++i) {
    const std::uint32_t first = flow.next();
    flow.send(7);
    flow.send(8);
    flow.send(9);
    EXPECT_TRUE(flow.is_full(limits));
    flow.hear(first + 1);
    EXPECT_EQ(flow.in_flight(), 1u);
    EXPECT_EQ(flow.bytes_in_flight(), 9u);
    flow.hear(flow.last());
    EXPECT_EQ(flow.bytes_in_flight(), 0u);
  }
}

/// What goes through when every one of `first` sendings wants one retry.
std::uint64_t retries_of(RetryBudget& budget, int first) {
  std::uint64_t sent = 0;
  for (int i = 0; i < first; ++i) {
    budget.sent_first();
    if (!budget.may_retry()) continue;
    budget.sent_again();
    ++sent;
  }
  return sent;
}

TEST(Limits, RetriesAreAShareAndAReserve) {
  RetryBudget budget(Limits{4, 1000, 10, 50});
  EXPECT_EQ(retries_of(budget, 40), 40u) << "the reserve";
  EXPECT_EQ(retries_of(budget, 100'000), 10'000u + 14u - 1u) << "a tenth, and what was left of the reserve";
  EXPECT_EQ(retries_of(budget, 10), 1u);
  for (int i = 0; i < 1'000'000; ++i) budget.sent_first();
  EXPECT_EQ(retries_of(budget, 60), 50u + 5u) << "what isn't used up is kept up to the reserve only";
}

TEST(Limits, WithoutShareOrReserveNothingIsSentAgain) {
  RetryBudget none(Limits{4, 1000, 10, 0});
  EXPECT_EQ(retries_of(none, 1000), 0u);
  RetryBudget once(Limits{4, 1000, 0, 3});
  EXPECT_EQ(retries_of(once, 1000), 3u);
}

}  // namespace
}  // namespace espalier::router
