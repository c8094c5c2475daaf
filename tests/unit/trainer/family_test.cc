#include "trainer/family.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "trainer/metrics.h"

namespace espalier::trainer {
namespace {

using model::LinearParameters;
using model::Task;

/// Numbers in [0, 1), the same in every run.
class Random {
 public:
  double next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_ = 42;
};

void add_row(Problem& problem, const std::vector<float>& values) {
  problem.x.features = static_cast<std::uint32_t>(values.size());
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) continue;
    problem.x.index.push_back(i);
    problem.x.value.push_back(values[i]);
  }
  problem.x.start.push_back(problem.x.index.size());
}

std::vector<std::uint32_t> all_rows(const Problem& problem) {
  std::vector<std::uint32_t> rows(problem.x.rows());
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

LinearParameters fit(const Problem& problem, double l2) {
  const std::vector<double> strengths = {l2};
  return make_family(problem.task)->fit(problem, all_rows(problem), strengths, 1).front();
}

void expect_finite(const LinearParameters& parameters) {
  for (const float bias : parameters.bias) EXPECT_TRUE(std::isfinite(bias));
  for (const float weight : parameters.weight) EXPECT_TRUE(std::isfinite(weight));
}

std::vector<double> probabilities(const LinearParameters& parameters, const Problem& problem, std::size_t row) {
  std::vector<double> scores(parameters.outputs);
  score(parameters, problem.x, row, scores);
  if (problem.task == Task::binary) scores.insert(scores.begin(), 0.0);
  const double top = *std::ranges::max_element(scores);
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - top);
  for (double& s : scores) s /= sum;
  return scores;
}

/// The largest part of the gradient of (sum of losses + l2/2 * squares) over weights: 0 at the optimum.
double largest_slope(const Problem& problem, const LinearParameters& parameters, double l2) {
  const std::size_t outputs = parameters.outputs;
  std::vector<double> slopes(parameters.weight.size());
  for (std::size_t i = 0; i < slopes.size(); ++i) slopes[i] = l2 * static_cast<double>(parameters.weight[i]);
  for (std::size_t row = 0; row < problem.x.rows(); ++row) {
    auto p = probabilities(parameters, problem, row);
    p[problem.label[row]] -= 1;
    if (problem.task == Task::binary) p.erase(p.begin());
    const auto index = problem.x.indices(row);
    const auto value = problem.x.values(row);
    for (std::size_t k = 0; k < index.size(); ++k) {
      for (std::size_t o = 0; o < outputs; ++o) slopes[index[k] * outputs + o] += static_cast<double>(value[k]) * p[o];
    }
  }
  double largest = 0;
  for (const double slope : slopes) largest = std::max(largest, std::fabs(slope));
  return largest;
}

Problem noisy_line(std::size_t rows, std::size_t spare_features = 0) {
  Random random;
  Problem problem;
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<float> values(2 + spare_features, 0.0f);
    values[0] = static_cast<float>(random.next());
    values[1] = static_cast<float>(random.next());
    if (spare_features > 0) values[2 + i % spare_features] = 0.01f;
    problem.target.push_back(3 + 2 * static_cast<double>(values[0]) - static_cast<double>(values[1]) +
                             0.01 * (random.next() - 0.5));
    add_row(problem, values);
  }
  return problem;
}

Problem clusters(Task task, std::uint32_t classes, std::size_t rows, double spread) {
  Random random;
  Problem problem;
  problem.task = task;
  problem.classes = classes;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto label = static_cast<std::uint32_t>(i % classes);
    std::vector<float> values(classes + 1, 0.0f);
    values[label] = 1;
    for (float& value : values) value += static_cast<float>(spread * (random.next() - 0.5));
    problem.label.push_back(label);
    add_row(problem, values);
  }
  return problem;
}

TEST(Ridge, FindsTheLine) {
  const LinearParameters found = fit(noisy_line(500), 1e-6);
  EXPECT_NEAR(found.bias[0], 3, 0.01);
  EXPECT_NEAR(found.weight[0], 2, 0.01);
  EXPECT_NEAR(found.weight[1], -1, 0.01);
}

TEST(Ridge, PenalisesWeightsAndNotTheIntercept) {
  const Problem problem = noisy_line(500);
  const LinearParameters found = fit(problem, 1e9);
  const double mean = std::accumulate(problem.target.begin(), problem.target.end(), 0.0) / 500;
  EXPECT_NEAR(found.bias[0], mean, 1e-4);
  EXPECT_NEAR(found.weight[0], 0, 1e-4);
}

// Many features are solved for without ever forming their products: the answer must not depend on it.
TEST(Ridge, AgreesWithItselfOnManyFeatures) {
  const Problem few = noisy_line(400, 500);
  const Problem many = noisy_line(400, 600);
  for (const double l2 : {0.01, 1.0, 100.0}) {
    const LinearParameters a = fit(few, l2);
    const LinearParameters b = fit(many, l2);
    EXPECT_NEAR(a.weight[0], b.weight[0], 1e-3) << l2;
    EXPECT_NEAR(a.weight[1], b.weight[1], 1e-3) << l2;
    EXPECT_NEAR(a.bias[0], b.bias[0], 1e-3) << l2;
  }
}

TEST(Ridge, GivesSomethingFiniteWhereRowsSayLittle) {
  struct Case {
    const char* name;
    std::vector<std::vector<float>> rows;
    std::vector<double> targets;
    double expected;  ///< prediction for the first row
  };
  const std::vector<Case> cases = {
      {"one row", {{1, 2}}, {5}, 5},
      {"constant target", {{1, 2}, {3, 4}, {5, 7}}, {5, 5, 5}, 5},
      {"all features missing", {{0, 0}, {0, 0}}, {4, 6}, 5},
      {"constant feature", {{7, 0}, {7, 0}}, {4, 6}, 5},
      {"repeated feature", {{1, 1}, {2, 2}, {3, 3}}, {1, 2, 3}, 1},
      {"large values", {{1e9f, 1}, {2e9f, 1}, {3e9f, 2}}, {1, 2, 3}, 1},
      {"large targets", {{1, 0}, {2, 0}, {3, 0}}, {1e29, 2e29, 3e29}, 1e29},
      {"largest values", {{1e38f, 0}, {2e38f, 0}}, {1, 2}, 1},
  };
  for (const Case& test : cases) {
    for (const double l2 : {0.0, 1e-9}) {
      Problem problem;
      for (const auto& row : test.rows) add_row(problem, row);
      problem.target = test.targets;
      const LinearParameters found = fit(problem, l2);
      expect_finite(found);
      double predicted = 0;
      score(found, problem.x, 0, {&predicted, 1});
      EXPECT_NEAR(predicted, test.expected, 1e-3 * std::fabs(test.expected)) << test.name << " " << l2;
    }
  }
}

TEST(AnyFamily, GivesZerosWithoutRows) {
  for (const Task task : {Task::regression, Task::binary, Task::multiclass}) {
    Problem problem = clusters(task, 2, 10, 0);
    problem.target.assign(10, 1);
    const std::vector<double> strengths = {1, 2};
    const auto found = make_family(task)->fit(problem, {}, strengths, 1);
    ASSERT_EQ(found.size(), 2u);
    for (const float weight : found[1].weight) EXPECT_EQ(weight, 0);
    EXPECT_EQ(found[1].bias.size(), problem.outputs());
  }
}

class Classes : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  Task task() const { return GetParam() == 2 ? Task::binary : Task::multiclass; }
};

TEST_P(Classes, AreFoundWhereTheyOverlap) {
  for (const double l2 : {0.01, 0.1, 1.0, 10.0}) {
    const Problem problem = clusters(task(), GetParam(), 600, 3);
    const LinearParameters found = fit(problem, l2);
    expect_finite(found);
    // Dual ascent stops a little before the optimum; the gradient at zero is about a hundred.
    EXPECT_LT(largest_slope(problem, found, l2), 2.5) << l2;
  }
}

// With many features another solver is used: it must find the same.
TEST_P(Classes, AreFoundAmongManyFeatures) {
  Problem problem = clusters(task(), GetParam(), 600, 3);
  problem.x.features = 1000;
  for (const double l2 : {0.01, 0.1, 1.0, 10.0}) {
    const LinearParameters found = fit(problem, l2);
    expect_finite(found);
    const Metrics many = evaluate(problem, {}, found, all_rows(problem));
    Problem few = problem;
    few.x.features = GetParam() + 1;
    const Metrics exact = evaluate(few, {}, fit(few, l2), all_rows(few));
    EXPECT_NEAR(many.loss / many.rows, exact.loss / exact.rows, 0.02 * exact.loss / exact.rows) << l2;
  }
}

TEST_P(Classes, OfManyFeaturesAreFoundWhereTheyAreFarApart) {
  Problem problem = clusters(task(), GetParam(), 200, 0.1);
  problem.x.features = 1000;
  for (const double l2 : {0.0, 1e-3, 1.0}) {
    const LinearParameters found = fit(problem, l2);
    expect_finite(found);
    EXPECT_EQ(evaluate(problem, {}, found, all_rows(problem)).accuracy(), 1) << l2;
  }
  for (float& value : problem.x.value) value *= 1e9f;
  for (const double l2 : {0.0, 1.0, 1e6}) expect_finite(fit(problem, l2));
}

TEST_P(Classes, AreFoundWhereTheyAreFarApart) {
  const Problem problem = clusters(task(), GetParam(), 200, 0.1);
  for (const double l2 : {0.0, 1e-3, 1.0}) {
    const LinearParameters found = fit(problem, l2);
    expect_finite(found);
    EXPECT_EQ(evaluate(problem, {}, found, all_rows(problem)).accuracy(), 1) << l2;
  }
}

TEST_P(Classes, KeepTheirSharesWhereFeaturesSayNothing) {
  Problem problem;
  problem.task = task();
  problem.classes = GetParam();
  for (std::size_t i = 0; i < 1000; ++i) {
    add_row(problem, {0, 0});
    problem.label.push_back(i % 10 == 0 ? 1 : 0);
  }
  const LinearParameters found = fit(problem, 0.01);
  expect_finite(found);
  EXPECT_NEAR(probabilities(found, problem, 0)[1], 0.1, 0.02);
}

TEST_P(Classes, AreCertainWhereThereIsOnlyOne) {
  Problem problem = clusters(task(), GetParam(), 100, 1);
  std::ranges::fill(problem.label, 1u);
  const LinearParameters found = fit(problem, 0.1);
  expect_finite(found);
  EXPECT_GT(probabilities(found, problem, 0)[1], 0.9);
}

TEST_P(Classes, StayFiniteWithLargeValues) {
  for (const float scale : {1e9f, 1e30f}) {
    Problem problem = clusters(task(), GetParam(), 50, 1);
    for (float& value : problem.x.value) value *= scale;
    for (const double l2 : {0.0, 1.0, 1e6}) expect_finite(fit(problem, l2));
  }
}

TEST_P(Classes, GiveTheSameBitsTwice) {
  const Problem problem = clusters(task(), GetParam(), 300, 3);
  EXPECT_EQ(fit(problem, 0.1).weight, fit(problem, 0.1).weight);
}

INSTANTIATE_TEST_SUITE_P(Counts, Classes, ::testing::Values(2, 3, 16, 20));

}  // namespace
}  // namespace espalier::trainer
