#include "trainer/compress.h"

#include <gtest/gtest.h>

#include "trainer/metrics.h"

namespace espalier::trainer {
namespace {

model::LinearParameters parameters() { return {2, {0, 0}, {5, -1, 0, 4, -3, 2, 0.5f, 0}}; }

TEST(Compress, KeepsTheLargestWeights) {
  EXPECT_EQ(pruned(parameters(), 0.25).weight, (std::vector<float>{5, 0, 0, 4, 0, 0, 0, 0}));
  EXPECT_EQ(pruned(parameters(), 0.26).weight, (std::vector<float>{5, 0, 0, 4, -3, 0, 0, 0}));
  EXPECT_EQ(pruned(parameters(), 1).weight, parameters().weight);
  EXPECT_EQ(pruned(parameters(), 0.9).weight, parameters().weight);
  EXPECT_EQ(pruned(parameters(), 0).weight, std::vector<float>(8, 0));
}

// Weights that are equal go together, so that their order in memory decides nothing.
TEST(Compress, KeepsOrDropsEqualWeightsTogether) {
  model::LinearParameters equal{1, {0}, {1, 2, 1, 1}};
  EXPECT_EQ(pruned(equal, 0.5).weight, (std::vector<float>{0, 2, 0, 0}));
}

TEST(Compress, RoundsToAHundredAndTwentySevenSteps) {
  const auto weights = rounded(parameters()).weight;
  EXPECT_FLOAT_EQ(weights[0], 5);
  EXPECT_FLOAT_EQ(weights[4], -76 * (5.0f / 127));
  EXPECT_FLOAT_EQ(weights[3], 4);
  EXPECT_EQ(rounded({1, {0}, {0, 0}}).weight, (std::vector<float>{0, 0}));
}

TEST(Compress, ChoosesTheSmallestShareThatCostsNothing) {
  Problem problem;
  problem.task = model::Task::multiclass;
  problem.classes = 2;
  problem.x.features = 100;
  model::LinearParameters p{2, {0, 0}, std::vector<float>(200, 0.001f)};
  std::vector<std::uint32_t> rows;
  for (std::uint32_t i = 0; i < 10; ++i) {
    p.weight[i * 2 + i % 2] = 1;
    problem.x.index.push_back(i);
    problem.x.value.push_back(1);
    problem.x.start.push_back(i + 1);
    problem.label.push_back(i % 2);
    rows.push_back(i);
  }
  EXPECT_EQ(choose_share(problem, {}, p, rows, 0.001), 0.05);
  // Whatever it may cost, the answers must not become much less certain.
  EXPECT_EQ(choose_share(problem, {}, p, rows, 0.9), 0.05);
  EXPECT_EQ(choose_share(problem, {}, p, {}, 0.001), std::nullopt);
}

}  // namespace
}  // namespace espalier::trainer
