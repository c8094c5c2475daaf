#include "common/clock.h"

#include <gtest/gtest.h>

namespace espalier {
namespace {

TEST(Clock, SystemNeverGoesBack) {
  std::int64_t last = Clock::system().monotonic_us();
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t now = Clock::system().monotonic_us();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(Clock::system().wall_us(), 1'600'000'000'000'000);
}

TEST(Clock, ManualMovesByHandOnly) {
  ManualClock clock(100);
  EXPECT_EQ(clock.wall_us(), 100);
  EXPECT_EQ(clock.monotonic_us(), 0);
  clock.advance(5);
  EXPECT_EQ(clock.wall_us(), 105);
  EXPECT_EQ(clock.monotonic_us(), 5);
  clock.set_wall(1);
  EXPECT_EQ(clock.wall_us(), 1);
  EXPECT_EQ(clock.monotonic_us(), 5);
}

}  // namespace
}  // namespace espalier
