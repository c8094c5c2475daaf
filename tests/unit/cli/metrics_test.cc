#include "cli/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace espalier::cli {
namespace {

double metric(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics)
    if (key == name) return value;
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

TEST(RegressionScore, NoRowsNoMetrics) { EXPECT_TRUE(RegressionScore().metrics().empty()); }

TEST(RegressionScore, ByHand) {
  RegressionScore score;
  score.add(1, 2);
  score.add(2, 2);
  score.add(6, 4);
  const Metrics metrics = score.metrics();
  EXPECT_EQ(score.rows(), 3u);
  EXPECT_DOUBLE_EQ(metric(metrics, "rmse"), std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(metric(metrics, "mae"), 1);
  EXPECT_DOUBLE_EQ(metric(metrics, "r2"), 1 - 5.0 / 14);
}

TEST(RegressionScore, ATruthThatDoesNotVaryHasNoR2) {
  RegressionScore score;
  score.add(3, 3);
  score.add(3, 4);
  EXPECT_EQ(score.metrics().size(), 2u);
}

TEST(RegressionScore, LargeOffsetsKeepTheirPrecision) {
  RegressionScore score;
  for (int i = 0; i < 1000; ++i) score.add(1e9 + i % 2, 1e9 + 0.5);
  EXPECT_NEAR(metric(score.metrics(), "r2"), 0, 1e-6);
}

TEST(ClassScore, NoRowsNoMetrics) { EXPECT_TRUE(ClassScore().metrics().empty()); }

TEST(ClassScore, ByHand) {
  ClassScore score;
  score.add("a", "a", 0.5);
  score.add("a", "b", 0.25);
  score.add("b", "b", 1);
  score.add("c", "a", 0);  // a label that the model has never seen
  const Metrics metrics = score.metrics();
  EXPECT_DOUBLE_EQ(metric(metrics, "accuracy"), 0.5);
  // a: 1 of (2 true, 2 predicted); b: 1 of (1, 2); c: 0 of (1, 0)
  EXPECT_DOUBLE_EQ(metric(metrics, "macro_f1"), (2.0 / 4 + 2.0 / 3 + 0) / 3);
  EXPECT_DOUBLE_EQ(metric(metrics, "log_loss"), -(std::log(0.5) + std::log(0.25) + std::log(1e-15)) / 4);
}

}  // namespace
}  // namespace espalier::cli
