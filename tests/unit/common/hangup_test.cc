#include "common/hangup.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace espalier {
namespace {

TEST(Hangup, EachSignalIsHeardAndNoneEndsTheProcess) {
  std::mutex mutex;
  std::condition_variable changed;
  int heard = 0;
  {
    Hangup hangup([&] {
      const std::lock_guard lock(mutex);
      ++heard;
      changed.notify_one();
    });
    for (int i = 1; i <= 3; ++i) {
      ASSERT_EQ(kill(getpid(), SIGHUP), 0);
      std::unique_lock lock(mutex);
      ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return heard == i; }));
    }
  }
  EXPECT_EQ(heard, 3);
}

}  // namespace
}  // namespace espalier
