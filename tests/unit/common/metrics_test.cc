#include "common/metrics.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace espalier {
namespace {

TEST(Counter, CountsUp) {
  Counter counter;
  counter.add();
  counter.add(4);
  EXPECT_EQ(counter.value(), 5u);
}

TEST(Histogram, NothingRecorded) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(0.5), 0u);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 20; ++value) histogram.record(value);
  EXPECT_EQ(histogram.percentile(0), 0u);
  EXPECT_EQ(histogram.percentile(0.05), 0u);
  EXPECT_EQ(histogram.percentile(0.5), 9u);
  EXPECT_EQ(histogram.percentile(1), 19u);
  EXPECT_EQ(histogram.percentile(7), 19u);
  EXPECT_EQ(histogram.mean(), 9.5);
}

TEST(Histogram, CountsUpToEachBound) {
  Histogram histogram;
  const std::vector<double> bounds = {0.001, 0.01, 1};
  std::vector<std::uint64_t> counts;
  EXPECT_EQ(histogram.counts_up_to(bounds, 1e6, counts), 0u);
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{0, 0, 0}));
  for (const std::uint64_t us : {1, 900, 1100, 5000, 2'000'000}) histogram.record(us);
  EXPECT_EQ(histogram.counts_up_to(bounds, 1e6, counts), 5u);
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{2, 4, 4}));
}

TEST(Histogram, EverySizeIsWithinItsError) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t offset : {0ull, 1ull, (1ull << bit) / 3, (1ull << bit) - 1}) {
      const std::uint64_t value = (1ull << bit) + offset;
      Histogram histogram;
      histogram.record(value);
      histogram.record(~0ull);
      EXPECT_NEAR(static_cast<double>(histogram.percentile(0.5)), static_cast<double>(value),
                  0.016 * static_cast<double>(value))
          << value;
      EXPECT_EQ(histogram.max(), ~0ull);
    }
  }
}

TEST(Histogram, PercentilesOfARange) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100'000; ++value) histogram.record(value);
  EXPECT_NEAR(static_cast<double>(histogram.percentile(0.5)), 50'000, 800);
  EXPECT_NEAR(static_cast<double>(histogram.percentile(0.99)), 99'000, 1'600);
  EXPECT_LE(histogram.percentile(1), 100'000u);
  EXPECT_EQ(histogram.mean(), 50'000.5);
}

TEST(Histogram, MergesAndClears) {
  Histogram one;
  Histogram two;
  one.record(10);
  two.record(20);
  two.record(30);
  one.merge(two);
  EXPECT_EQ(one.count(), 3u);
  EXPECT_EQ(one.sum(), 60u);
  EXPECT_EQ(one.max(), 30u);
  EXPECT_EQ(one.percentile(0.5), 20u);
  one.clear();
  EXPECT_EQ(one.count(), 0u);
  EXPECT_EQ(one.max(), 0u);
  EXPECT_EQ(one.percentile(0.5), 0u);
}

TEST(Histogram, ManyThreadsLoseNothing) {
  const auto histogram = std::make_unique<Histogram>();
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < 10'000; ++i) histogram->record(thread * 10'000 + i);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(histogram->count(), 40'000u);
  EXPECT_EQ(histogram->max(), 39'999u);
  EXPECT_EQ(histogram->sum(), 40'000ull * 39'999 / 2);
}

}  // namespace
}  // namespace espalier
