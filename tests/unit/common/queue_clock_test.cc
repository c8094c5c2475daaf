#include "common/queue_clock.h"

#include <gtest/gtest.h>

#include <limits>

namespace espalier {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
/// The sender's clock is far from the receiver's.
constexpr std::int64_t kZero = 7'000'000'000;

/// One connection: messages sent at `sent` and taken up at `taken` by the same clock.
struct Connection {
  QueueClock clock;
  std::int64_t zero = kZero;

  std::int64_t take(std::int64_t sent, std::int64_t taken, std::string_view peer = "r") {
    return clock.waited_us(peer, sent + zero, taken);
  }
  /// Messages that don't wait, each after an empty queue, every 10 ms.
  void quiet(std::int64_t from, std::int64_t until) {
    for (std::int64_t t = from; t < until; t += 10'000) {
      clock.was_empty();
      take(t, t + 50);
    }
  }
};

TEST(QueueClock, SaysNothingOfTheFirstMessage) {
  Connection connection;
  EXPECT_EQ(connection.take(0, 3 * kSecondUs), 0) << "it may have waited for three seconds, but nobody knows";
}

TEST(QueueClock, CountsFromTheMessageThatWaitedLeast) {
  Connection connection;
  EXPECT_EQ(connection.take(1000, 1050), 0);
  EXPECT_EQ(connection.take(2000, 2150), 100);
  EXPECT_EQ(connection.take(3000, 3030), 0) << "quicker than all before";
  EXPECT_EQ(connection.take(4000, 4050), 20);
  EXPECT_EQ(connection.take(4000, 14'030), 9'999) << "sent with the one before; clocks may run apart by a microsecond";
}

TEST(QueueClock, AReceiverThatWasStoppedKnowsHowLong) {
  Connection connection;
  connection.quiet(0, 5 * kSecondUs);
  // Stopped for ten seconds with a message every millisecond; goes on and takes them up one behind the other.
  const std::int64_t begin = 5 * kSecondUs, end = 15 * kSecondUs;
  std::int64_t now = end;
  for (std::int64_t sent = begin; sent < end; sent += 1000) {
    const std::int64_t told = connection.take(sent, now);
    EXPECT_LE(told, now - sent);
    EXPECT_GE(told, now - sent - 2000) << "sent " << sent;
    now += 5;
  }
  connection.clock.was_empty();
  connection.quiet(now, now + 5 * kSecondUs);
  EXPECT_EQ(connection.take(30 * kSecondUs, 30 * kSecondUs + 50), 0);
}

TEST(QueueClock, AQueueThatNeverEmptiesIsNotTakenForTheWay) {
  Connection connection;
  connection.quiet(0, 2 * kSecondUs);
  // A minute in which everything waits for 100 ms and more.
  for (std::int64_t t = 2 * kSecondUs; t < 62 * kSecondUs; t += 10'000) {
    const std::int64_t told = connection.take(t, t + 100'050);
    EXPECT_LE(told, 100'050);
    EXPECT_GE(told, 90'000) << "at " << t;
  }
}

TEST(QueueClock, AClockThatJumpedIsForgivenWithinTwoSeconds) {
  Connection connection;
  connection.quiet(0, 5 * kSecondUs);
  connection.zero -= kSecondUs / 2;  // the sender's machine stood still for half a second
  connection.clock.was_empty();
  EXPECT_GT(connection.take(5 * kSecondUs + kSecondUs, 6 * kSecondUs + 50), 400'000);
  connection.quiet(6 * kSecondUs + 100, 8 * kSecondUs + 200'000);
  connection.clock.was_empty();
  EXPECT_EQ(connection.take(8'300'000, 8'300'050), 0);
}

TEST(QueueClock, ASenderThatBeganAnewIsAnotherClock) {
  Connection connection;
  connection.quiet(0, 5 * kSecondUs);
  connection.zero = -4 * kSecondUs;  // its stamps are less than any before
  EXPECT_EQ(connection.take(6 * kSecondUs, 6 * kSecondUs + 50), 0);
  EXPECT_EQ(connection.take(6 * kSecondUs + 100, 6 * kSecondUs + 250), 100);
}

TEST(QueueClock, ClocksThatRunApartAreNoWaiting) {
  for (const std::int64_t ppm : {-90, 90}) {
    QueueClock clock;
    for (std::int64_t t = 0; t < 600 * kSecondUs; t += 20'000) {
      clock.was_empty();
      EXPECT_LE(clock.waited_us("r", kZero + t + t * ppm / 1'000'000, t + 50), 200) << "at " << t;
    }
    const std::int64_t later = 4200 * kSecondUs;  // after an hour without a message
    EXPECT_LE(clock.waited_us("r", kZero + later + later * ppm / 1'000'000, later + 50), 200);
  }
}

TEST(QueueClock, AStampThatCanNotBeSaysNothing) {
  using Limits = std::numeric_limits<std::int64_t>;
  for (const std::int64_t odd :
       {Limits::min(), std::int64_t{-1}, std::int64_t{0}, (std::int64_t{1} << 62) + 1, Limits::max()}) {
    Connection connection;
    EXPECT_EQ(connection.clock.waited_us("r", odd, 10), 0) << odd;
    EXPECT_FALSE(connection.clock.sets_least("r", odd, 10)) << odd;
    connection.take(1000, 1050);
    EXPECT_EQ(connection.clock.waited_us("r", odd, 1060), 0) << odd;
    EXPECT_EQ(connection.take(2000, 2150), 100) << odd << ": as if it hadn't been";
  }
  QueueClock clock;
  EXPECT_EQ(clock.waited_us("r", std::int64_t{1} << 62, 5000), 0);
  EXPECT_EQ(clock.waited_us("r", 1, 5000), 0) << "of another clock";
}

TEST(QueueClock, SaysWhichMessagesOthersCountFrom) {
  Connection connection;
  const auto sets_least = [&](std::int64_t sent, std::int64_t now, std::string_view peer = "r") {
    return connection.clock.sets_least(peer, sent + kZero, now);
  };
  EXPECT_TRUE(sets_least(1000, 1050)) << "the first";
  connection.take(1000, 1050);
  EXPECT_TRUE(sets_least(1000, 1050)) << "as quick";
  EXPECT_TRUE(sets_least(2000, 2040)) << "quicker";
  EXPECT_FALSE(sets_least(2000, 2060)) << "slower";
  EXPECT_TRUE(sets_least(900, 2060)) << "of another clock";
  EXPECT_TRUE(sets_least(2000, 2060, "another"));
  EXPECT_FALSE(sets_least(2'000'000, 2'002'000)) << "nothing was empty since";
  connection.clock.was_empty();
  EXPECT_TRUE(sets_least(2'000'000, 2'002'000)) << "the first of another second";
}

TEST(QueueClock, ConnectionsAreApart) {
  QueueClock clock;
  for (int i = 0; i < 25'000; ++i) {
    const std::string peer = "peer " + std::to_string(i);
    EXPECT_EQ(clock.waited_us(peer, kZero + 1000 * i, 5000), 0);
    EXPECT_EQ(clock.waited_us(peer, kZero + 1000 * i, 5070), 70);
  }
}

}  // namespace
}  // namespace espalier
