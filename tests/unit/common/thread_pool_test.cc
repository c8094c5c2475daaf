#include "common/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>

namespace espalier {
namespace {

TEST(ThreadPool, EveryIndexOnceWhateverTheThreads) {
  for (const std::size_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::size_t count : {0u, 1u, 2u, 7u, 1000u}) {
      std::vector<int> calls(count, 0);
      pool.parallel_for(count, [&](std::size_t index) { ++calls[index]; });
      EXPECT_EQ(calls, std::vector<int>(count, 1)) << threads << " threads, " << count << " indices";
    }
  }
}

TEST(ThreadPool, WorkerNumbersAreOwnedByOneThreadAtATime) {
  ThreadPool pool(4);
  std::vector<std::size_t> sums(pool.size(), 0);
  pool.parallel_for(10'000, [&](std::size_t index, std::size_t worker) { sums.at(worker) += index; });
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), std::size_t{0}), 10'000u * 9'999u / 2);
}

TEST(ThreadPool, ManyShortLoops) {
  ThreadPool pool(3);
  std::vector<int> values(8, 0);
  for (int loop = 0; loop < 2'000; ++loop) {
    pool.parallel_for(values.size(), [&](std::size_t index) { ++values[index]; });
  }
  EXPECT_EQ(values, std::vector<int>(8, 2'000));
}

TEST(ThreadPool, ZeroMeansOneACore) { EXPECT_GE(ThreadPool().size(), 1u); }

}  // namespace
}  // namespace espalier
