#include "common/signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <thread>

namespace espalier {
namespace {

bool is_readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

TEST(StopSignals, NothingIsAskedAtFirst) {
  const StopSignals stop;
  EXPECT_FALSE(stop.requested());
  EXPECT_FALSE(is_readable(stop.fd()));
  EXPECT_FALSE(stop.wait(0));
}

TEST(StopSignals, EitherSignalIsSeenAndStays) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const StopSignals stop;
    ASSERT_EQ(::raise(signal), 0);
    ASSERT_EQ(::raise(signal), 0);
    EXPECT_TRUE(stop.requested());
    EXPECT_TRUE(is_readable(stop.fd()));
    EXPECT_TRUE(is_readable(stop.fd()));
    EXPECT_TRUE(stop.wait(-1));
  }
}

TEST(StopSignals, ARequestWakesAWaiter) {
  StopSignals stop;
  std::thread waiter([&] { EXPECT_TRUE(stop.wait(-1)); });
  stop.request();
  waiter.join();
}

TEST(StopSignals, AVanishedReaderIsAnErrorAndNotTheEnd) {
  const StopSignals stop;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  EXPECT_EQ(::write(ends[1], "x", 1), -1);
  ::close(ends[1]);
}

}  // namespace
}  // namespace espalier
