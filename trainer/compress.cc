#include "trainer/compress.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "trainer/metrics.h"

namespace espalier::trainer {
namespace {

/// By how much the log-loss may grow. On few rows the accuracy alone can't tell shares apart.
constexpr double kMostLossGrowth = 1.1;

}  // namespace

model::LinearParameters pruned(const model::LinearParameters& parameters, double share) {
  model::LinearParameters result = parameters;
  const auto kept = static_cast<std::size_t>(std::ceil(share * static_cast<double>(result.weight.size())));
  if (kept >= result.weight.size()) return result;
  std::vector<float> amounts;
  for (const float weight : result.weight) {
    if (weight != 0) amounts.push_back(std::fabs(weight));
  }
  if (kept >= amounts.size()) return result;
  std::ranges::nth_element(amounts, amounts.begin() + static_cast<std::ptrdiff_t>(kept), std::greater<>());
  const float border = amounts[kept];
  for (float& weight : result.weight) {
    if (!(std::fabs(weight) > border)) weight = 0;
  }
  return result;
}

model::LinearParameters rounded(model::LinearParameters parameters) {
  constexpr float kSteps = 127;
  std::vector<float> step(parameters.outputs, 0);
  for (std::size_t i = 0; i < parameters.weight.size(); ++i) {
    float& largest = step[i % parameters.outputs];
    largest = std::max(largest, std::fabs(parameters.weight[i]));
  }
  for (float& s : step) s /= kSteps;
  for (std::size_t i = 0; i < parameters.weight.size(); ++i) {
    const float s = step[i % parameters.outputs];
    parameters.weight[i] = s > 0 ? std::nearbyint(parameters.weight[i] / s) * s : 0;
  }
  return parameters;
}

std::optional<double> choose_share(const Problem& problem, const model::TargetSpec& target,
                                   const model::LinearParameters& parameters, std::span<const std::uint32_t> rows,
                                   double tolerance) {
  if (rows.empty()) return std::nullopt;
  const Metrics full = evaluate(problem, target, parameters, rows);
  for (const double share : {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0}) {
    const Metrics metrics = evaluate(problem, target, rounded(pruned(parameters, share)), rows);
    const bool is_calm = metrics.loss <= kMostLossGrowth * full.loss;
    if (is_calm && metrics.accuracy() >= full.accuracy() - tolerance) return share;
  }
  return std::nullopt;
}

}  // namespace espalier::trainer
