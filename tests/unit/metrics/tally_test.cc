#include "metrics/tally.h"

#include <gtest/gtest.h>

#include "metrics/feed_progress.h"
#include "metrics/mapped_files.h"

namespace espalier::metrics {
namespace {

TEST(Durations, CountAndSumAreExactAndAValueIsWithinAnEighthOfItsPower) {
  Durations durations;
  std::uint64_t sum = 0;
  for (std::uint64_t us = 0; us < 5000; us += 7) durations.record(static_cast<std::int64_t>(us)), sum += us;
  const DurationCounts counts = durations.read();
  EXPECT_EQ(counts.count(), 715u);
  EXPECT_EQ(counts.sum_us, sum);
  for (std::uint64_t us = 1; us < Durations::kMostUs; us = us * 9 / 8 + 1) {
    const double middle = static_cast<double>(Durations::middle_of(Durations::bucket_of(us)));
    EXPECT_NEAR(middle / static_cast<double>(us), 1, 0.063) << us;
  }
  for (std::uint64_t us = 0; us < 8; ++us) EXPECT_EQ(Durations::middle_of(Durations::bucket_of(us)), us);
  EXPECT_LT(Durations::bucket_of(Durations::kMostUs), Durations::kBuckets);
}

TEST(Durations, WhatIsOutOfRangeCountsAsTheNearestThatIsnt) {
  Durations durations;
  durations.record(-5);
  durations.record(std::int64_t{1} << 50);
  EXPECT_EQ(durations.read().count(), 2u);
  EXPECT_EQ(durations.read().sum_us, Durations::kMostUs);
  EXPECT_EQ(durations.read().percentile(0.5), 0u);
}

TEST(Durations, PercentilesAndBoundsAndWhatCameSince) {
  Durations durations;
  for (int i = 0; i < 90; ++i) durations.record(100);
  const DurationCounts before = durations.read();
  for (int i = 0; i < 10; ++i) durations.record(10'000);
  const DurationCounts now = durations.read();
  EXPECT_NEAR(static_cast<double>(now.percentile(0.5)), 100, 7);
  EXPECT_NEAR(static_cast<double>(now.percentile(0.99)), 10'000, 630);
  const double bounds[] = {50e-6, 250e-6, 1};
  EXPECT_EQ(now.counts_up_to(bounds), (std::vector<std::uint64_t>{0, 90, 100}));
  EXPECT_EQ(now.since(before).count(), 10u);
  EXPECT_EQ(now.since(before).sum_us, 100'000u);
  DurationCounts sum = before;
  sum += now;
  EXPECT_EQ(sum.count(), 190u);
  EXPECT_EQ(DurationCounts().percentile(0.5), 0u);
}

TEST(FeedProgress, IsBehindFromTheFirstThatItLacksUntilItServesIt) {
  FeedProgress progress;
  progress.serves(4, 1'000'000);
  progress.heard(4, 1'000'000);
  EXPECT_EQ(progress.behind_seconds(9'000'000), 0);
  progress.heard(6, 10'000'000);
  progress.heard(9, 11'000'000);
  EXPECT_EQ(progress.lag(), 5u);
  EXPECT_EQ(progress.behind_seconds(12'000'000), 2);
  progress.serves(8, 12'000'000);
  EXPECT_EQ(progress.behind_seconds(13'000'000), 3);
  progress.serves(9, 13'000'000);
  EXPECT_EQ(progress.lag(), 0u);
  EXPECT_EQ(progress.behind_seconds(14'000'000), 0);
}

TEST(FeedProgress, WithoutTheRegistryItIsBehindSinceItHeardLast) {
  FeedProgress progress;
  progress.serves(4, 1'000'000);
  progress.heard(4, 2'000'000);
  progress.lost(5'000'000);
  EXPECT_EQ(progress.lag(), 0u);
  EXPECT_EQ(progress.behind_seconds(6'000'000), 4);
  progress.heard(4, 7'000'000);
  EXPECT_EQ(progress.behind_seconds(8'000'000), 0);
}

TEST(MappedFiles, SaysWhatIsMappedAndHowMuchOfItIsThere) {
  // The test's own program and its libraries are.
  const MappedFiles libraries = mapped_files(".so.6");
  EXPECT_GT(libraries.files, 0u);
  EXPECT_GE(libraries.mapped_bytes, libraries.resident_bytes);
  EXPECT_GT(libraries.resident_bytes, 0u);
  EXPECT_EQ(mapped_files(".no-such-thing").files, 0u);
}

}  // namespace
}  // namespace espalier::metrics
