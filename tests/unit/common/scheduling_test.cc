#include "common/scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <thread>

namespace espalier {
namespace {

long switches_asked_for() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

long own_cpu_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

TEST(Scheduling, OnlyTheThreadThatAskedIsChanged) {
  std::thread([] {
    yield_to_requests();
    EXPECT_EQ(sched_getscheduler(0), SCHED_BATCH);
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 10);
  }).join();
  EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

/// Two threads on one core: the background one works in pieces until the other, which counts, has had its turn often.
/// Without giving way it would have to wait for the end of a slice, milliseconds, each time.
TEST(Scheduling, AnotherThreadGetsTheCoreBetweenPieces) {
  std::thread([] {
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(sched_getcpu(), &core);
    ASSERT_EQ(sched_setaffinity(0, sizeof core, &core), 0);
    std::atomic<bool> is_done{false};
    std::thread other([&] {
      while (!is_done.load(std::memory_order_relaxed)) sched_yield();
    });
    yield_to_requests();
    const long before = switches_asked_for();
    while (switches_asked_for() - before < 100) give_way();
    EXPECT_LT(own_cpu_ms(), 100);
    is_done.store(true);
    other.join();
  }).join();
}

}  // namespace
}  // namespace espalier
