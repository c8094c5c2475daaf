#include "trainer/metrics.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace espalier::trainer {
namespace {

/// Squares of anything larger would not be finite.
constexpr double kLargest = 1e150;

double bounded(double number) { return std::clamp(number, -kLargest, kLargest); }

void add_regression(const Problem& problem, const model::TargetSpec& target, std::size_t row, double score,
                    Metrics& metrics) {
  const double miss = bounded(score - problem.target[row]);
  metrics.loss += miss * miss;
  double truth = problem.target[row];
  double predicted = score;
  if (target.original_scale) {
    truth = inverse_transform(target.transform, truth);
    predicted = bounded(inverse_transform(target.transform, predicted));
  }
  const double error = predicted - truth;
  metrics.squared_error += error * error;
  metrics.absolute_error += std::fabs(error);
  metrics.sum += truth;
  metrics.sum_of_squares += truth * truth;
}

void add_classes(std::span<const double> scores, std::uint32_t label, Metrics& metrics) {
  const auto best = std::ranges::max_element(scores);
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - *best);
  metrics.loss += bounded(std::log(sum) + *best - scores[label]);
  if (static_cast<std::size_t>(best - scores.begin()) == label) ++metrics.correct;
}

}  // namespace

double inverse_transform(model::TargetTransform transform, double transformed) {
  switch (transform) {
    case model::TargetTransform::identity: return transformed;
    case model::TargetTransform::log: return std::exp(std::min(transformed, 300.0));
    case model::TargetTransform::log1p: return std::expm1(std::min(transformed, 300.0));
    case model::TargetTransform::sqrt: return transformed > 0 ? transformed * transformed : 0;
  }
  return transformed;
}

Metrics evaluate(const Problem& problem, const model::TargetSpec& target, const model::LinearParameters& parameters,
                 std::span<const std::uint32_t> rows) {
  Metrics metrics;
  std::vector<double> scores(parameters.outputs);
  for (const std::uint32_t row : rows) {
    ++metrics.rows;
    score(parameters, problem.x, row, scores);
    if (problem.task == model::Task::regression) {
      add_regression(problem, target, row, scores[0], metrics);
    } else if (problem.task == model::Task::binary) {
      const double both[] = {0, scores[0]};
      add_classes(both, problem.label[row], metrics);
    } else {
      add_classes(scores, problem.label[row], metrics);
    }
  }
  return metrics;
}

void Metrics::add(const Metrics& other) {
  rows += other.rows;
  loss += other.loss;
  squared_error += other.squared_error;
  absolute_error += other.absolute_error;
  sum += other.sum;
  sum_of_squares += other.sum_of_squares;
  correct += other.correct;
}

std::string Metrics::json(model::Task task) const {
  nlohmann::json result = {{"rows", static_cast<std::uint64_t>(rows)}};
  if (rows > 0 && task == model::Task::regression) {
    result["rmse"] = std::sqrt(squared_error / rows);
    result["mae"] = absolute_error / rows;
    const double spread = sum_of_squares - sum * sum / rows;
    if (spread > 0) result["r2"] = 1 - squared_error / spread;
  } else if (rows > 0) {
    result["accuracy"] = correct / rows;
    result["log_loss"] = loss / rows;
  }
  return result.dump();
}

}  // namespace espalier::trainer
