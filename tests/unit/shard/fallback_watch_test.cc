// Answers are counted by reason, and too many unexpected ones raise an alert (docs/fallback.md).
#include "shard/fallback_watch.h"

#include <gtest/gtest.h>

#include <thread>

#include "shard/answer_counts.h"

namespace espalier::shard {
namespace {

using wire::Reason;

constexpr std::int64_t kSecond = 1'000'000;

Model model_named(const std::string& name) {
  Model model;
  model.tenant = "acme";
  model.model = name;
  model.key = model::model_key("acme", name);
  return model;
}

class Watching : public ::testing::Test {
 protected:
  void answer(Reason reason, int times, const Model& model) {
    for (int i = 0; i < times; ++i) counts_.add(model, SnapshotMap<Model>::hash_of(model.key), reason);
  }
  void answer(Reason reason, int times) { answer(reason, times, total_); }
  /// A second later.
  std::vector<wire::FallbackAlert> look() {
    clock_.advance(kSecond);
    watch_.step(sum_of({&counts_}));
    return watch_.alerts();
  }

  const Model total_ = model_named("total");
  ManualClock clock_;
  AnswerCounts counts_;
  FallbackWatch watch_{clock_};
};

TEST_F(Watching, ExpectedAnswersRaiseNothing) {
  answer(Reason::exact, 10);
  answer(Reason::no_version, 1000);
  answer(Reason::removed, 1000);
  EXPECT_TRUE(look().empty());
}

TEST_F(Watching, TooManyUnexpectedOnesRaiseAnAlertThatSaysWhichAndHowMany) {
  answer(Reason::exact, 900);
  answer(Reason::cold, 11);
  answer(Reason::corrupt, 20);
  const auto alerts = look();
  ASSERT_EQ(alerts.size(), 2u);
  EXPECT_EQ(alerts[0].tenant, "acme");
  EXPECT_EQ(alerts[0].model, "total");
  EXPECT_EQ(alerts[0].reason, Reason::corrupt);
  EXPECT_EQ(alerts[0].answered, 931u);
  EXPECT_EQ(alerts[0].unexpected, 31u) << "the most frequent fault stands for all of them";
  EXPECT_EQ(alerts[1].reason, Reason::cold);
  EXPECT_EQ(alerts[1].answered, 931u);
  EXPECT_EQ(alerts[1].unexpected, 11u);
}

TEST_F(Watching, WhatSomebodyDecidedOnHidesNoFault) {
  answer(Reason::exact, 100);
  answer(Reason::over_budget, 50'000);
  answer(Reason::quarantined, 60'000);
  answer(Reason::corrupt, 12);
  const auto alerts = look();
  ASSERT_EQ(alerts.size(), 3u);
  EXPECT_EQ(alerts[0].reason, Reason::quarantined);
  EXPECT_EQ(alerts[1].reason, Reason::over_budget);
  EXPECT_EQ(alerts[2].reason, Reason::corrupt);
  EXPECT_EQ(alerts[2].unexpected, 12u);
  EXPECT_EQ(alerts[2].answered, 112u);
}

TEST_F(Watching, OneFaultDoesNotHideAnotherThatComesLater) {
  answer(Reason::exact, 1000);
  answer(Reason::cold, 500);
  ASSERT_EQ(look().size(), 1u);
  answer(Reason::corrupt, 100);
  const auto alerts = look();
  ASSERT_EQ(alerts.size(), 2u);
  EXPECT_EQ(alerts[0].reason, Reason::cold);
  EXPECT_EQ(alerts[1].reason, Reason::corrupt);
  EXPECT_EQ(alerts[1].unexpected, 100u);
}

TEST_F(Watching, AFewRaiseNothing) {
  answer(Reason::cold, 10);
  EXPECT_TRUE(look().empty()) << "ten may be chance";
  answer(Reason::exact, 10'000);
  answer(Reason::cold, 50);
  EXPECT_TRUE(look().empty()) << "0.6 % of what was asked";
}

TEST_F(Watching, AnAlertEndsOnceTheLastTenSecondsAreGood) {
  answer(Reason::exact, 100);
  answer(Reason::cold, 30);
  EXPECT_EQ(look().size(), 1u);
  for (int i = 0; i < 9; ++i) {
    answer(Reason::exact, 100);
    EXPECT_EQ(look().size(), 1u) << i;
  }
  answer(Reason::exact, 100);
  EXPECT_TRUE(look().empty());
  // Between the two shares it stays as it was.
  answer(Reason::exact, 10'000);
  answer(Reason::cold, 90);
  EXPECT_TRUE(look().empty());
  answer(Reason::cold, 60);
  EXPECT_EQ(look().size(), 1u);
  answer(Reason::exact, 8'000);
  EXPECT_EQ(look().size(), 1u) << "still more than 0.5 %";
}

TEST_F(Watching, AnAlertEndsWhenNobodyAsksAnyMore) {
  answer(Reason::cold, 30);
  EXPECT_EQ(look().size(), 1u);
  for (int i = 0; i < 10; ++i) look();
  EXPECT_TRUE(watch_.alerts().empty());
}

TEST_F(Watching, OneModelDoesNotHideInAnothersTraffic) {
  answer(Reason::exact, 100'000, model_named("busy"));
  answer(Reason::over_budget, 20);
  const auto alerts = look();
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].model, "total");
}

TEST_F(Watching, ModelsBeyondTheLimitAreCountedTogether) {
  for (std::size_t i = 0; i < AnswerCounts::kModels + 30; ++i) {
    answer(Reason::cold, 1, model_named("m" + std::to_string(i)));
  }
  const ModelReasons sums = sum_of({&counts_});
  EXPECT_EQ(sums.size(), AnswerCounts::kModels + 1);
  EXPECT_EQ(count_of(sums.at({"", ""})), 30u);
  EXPECT_EQ(count_of(sums.at({"acme", "m0"})), 1u);
  const auto alerts = look();
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].tenant, "");
}

TEST_F(Watching, CountsMayBeReadWhileTheyAreWritten) {
  std::thread worker([&] {
    for (int i = 0; i < 20'000; ++i)
      answer(i % 2 == 0 ? Reason::exact : Reason::cold, 1, model_named("m" + std::to_string(i % 50)));
  });
  std::uint64_t seen = 0;
  while (seen < 20'000) {
    std::uint64_t now = 0;
    for (const auto& [model, reasons] : sum_of({&counts_})) now += count_of(reasons);
    ASSERT_GE(now, seen);
    seen = now;
  }
  worker.join();
}

}  // namespace
}  // namespace espalier::shard
