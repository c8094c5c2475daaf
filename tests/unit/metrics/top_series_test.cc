#include "metrics/top_series.h"

#include <gtest/gtest.h>

#include <random>

namespace espalier::metrics {
namespace {

using Counts = TopSeries::Counts;
using All = std::map<std::string, Counts>;

All look(TopSeries& series, const All& totals) {
  All seen;
  series.update(totals, [&](const std::string& name, const Counts& counts) { seen[name] = counts; });
  return seen;
}

TEST(TopSeries, ThoseThatGrowMostHaveTheirOwn) {
  TopSeries series(2);
  EXPECT_EQ(look(series, {{"a", {1, 0}}, {"b", {5, 1}}, {"c", {2, 2}}}),
            (All{{"b", {5, 1}}, {"c", {2, 2}}, {"_others", {1, 0}}}));
}

TEST(TopSeries, NothingCountedIsNothingSaid) {
  TopSeries series(2);
  EXPECT_TRUE(look(series, {}).empty());
}

TEST(TopSeries, OneIsReplacedByOneThatGrowsMoreThanTwiceAsFast) {
  TopSeries series(1);
  EXPECT_EQ(look(series, {{"a", {10}}, {"b", {9}}}), (All{{"a", {10}}, {"_others", {9}}}));
  EXPECT_EQ(look(series, {{"a", {11}}, {"b", {11}}}), (All{{"a", {11}}, {"_others", {11}}})) << "twice is not more";
  EXPECT_EQ(look(series, {{"a", {12}}, {"b", {14}}}), (All{{"b", {3}}, {"_others", {23}}}))
      << "what it counted before stays with the others";
}

TEST(TopSeries, WhatIsCountedNoMoreStaysWithTheOthers) {
  TopSeries series(1);
  look(series, {{"a", {10}}, {"b", {3}}});
  EXPECT_EQ(look(series, {{"b", {3}}}), (All{{"_others", {13}}}));
}

TEST(TopSeries, EverySeriesOnlyGrowsAndAllMakeTheSum) {
  std::mt19937 chance(7);
  TopSeries series(3);
  All totals, last;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 50; ++i) {
      Counts& counts = totals[std::string(1, static_cast<char>('a' + chance() % 9))];
      counts.resize(2);
      ++counts[chance() % 2];
    }
    Counts sum = {0, 0}, all = {0, 0};
    for (const auto& [name, counts] : totals) sum[0] += counts[0], sum[1] += counts[1];
    const All now = look(series, totals);
    ASSERT_LE(now.size(), 4u);
    for (const auto& [name, counts] : now) {
      all[0] += counts[0], all[1] += counts[1];
      const auto before = last.find(name);
      if (before == last.end()) continue;
      EXPECT_GE(counts[0], before->second[0]) << name;
      EXPECT_GE(counts[1], before->second[1]) << name;
    }
    EXPECT_EQ(all, sum);
    last = now;
  }
}

}  // namespace
}  // namespace espalier::metrics
