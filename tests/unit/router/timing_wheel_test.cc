#include "router/timing_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace espalier::router {
namespace {

using Wheel = TimingWheel<int>;

std::vector<int> rung(Wheel& wheel, std::int64_t now_us) {
  std::vector<int> items;
  wheel.advance(now_us, [&](int item) { items.push_back(item); });
  return items;
}

TEST(TimingWheel, GoesOffNeverEarlyAndAtMostATickLate) {
  for (const std::int64_t start : {0L, 1L, 1023L, 1024L, 4'194'303L, 1'000'000'007L}) {
    for (const std::int64_t ahead : {1L, 500L, 1024L, 1025L, 100'000L, 3'000'000L}) {
      Wheel wheel(start);
      wheel.add(start + ahead, 7);
      EXPECT_TRUE(rung(wheel, start + ahead - 1).empty()) << start << " + " << ahead;
      EXPECT_EQ(rung(wheel, start + ahead + Wheel::kTickUs), std::vector<int>{7}) << start << " + " << ahead;
      EXPECT_TRUE(rung(wheel, start + 10 * ahead + 10 * Wheel::kTickUs).empty()) << "only once";
    }
  }
}

TEST(TimingWheel, WhatIsDueAlreadyGoesOffAtTheNextTick) {
  Wheel wheel(50'000);
  wheel.add(10, 1);
  EXPECT_EQ(rung(wheel, 50'000 + Wheel::kTickUs), std::vector<int>{1});
}

TEST(TimingWheel, OneBeyondItsReachGoesOffThereToBeSetAgain) {
  Wheel wheel(0);
  const std::int64_t far = 10 * Wheel::kTicks * Wheel::kTickUs;
  wheel.add(far, 1);
  std::int64_t now = 0;
  int times = 0;
  while (now < far + Wheel::kTickUs) {
    now += 100 * Wheel::kTickUs;
    wheel.advance(now, [&](int item) {
      ++times;
      if (now < far) wheel.add(far, item);
    });
  }
  EXPECT_GE(times, 10);
  EXPECT_EQ(wheel.next_us(now), -1);
}

TEST(TimingWheel, SaysWhenToWakeUpFromEveryPosition) {
  for (std::int64_t start = 0; start < 3 * Wheel::kTicks * Wheel::kTickUs; start += 777 * Wheel::kTickUs + 13) {
    Wheel wheel(start);
    EXPECT_EQ(wheel.next_us(start), -1);
    wheel.add(start + 90'000, 1);
    wheel.add(start + 30'000, 2);
    const std::int64_t next = wheel.next_us(start);
    EXPECT_GE(next, 30'000 - Wheel::kTickUs);
    EXPECT_LE(next, 30'000 + Wheel::kTickUs);
  }
}

TEST(TimingWheel, ALongPauseRingsEverythingOnce) {
  Wheel wheel(0);
  for (int i = 0; i < 1000; ++i) wheel.add(i * 4000, i);
  std::map<int, int> times;
  wheel.advance(1'000'000'000'000, [&](int item) { ++times[item]; });
  ASSERT_EQ(times.size(), 1000u);
  for (const auto& [item, count] : times) EXPECT_EQ(count, 1) << item;
}

}  // namespace
}  // namespace espalier::router
