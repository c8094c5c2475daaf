#include "cli/metrics.h"

#include <algorithm>
#include <cmath>

namespace espalier::cli {

void RegressionScore::add(double truth, double predicted) {
  const double error = predicted - truth;
  squared_ += error * error;
  absolute_ += std::abs(error);
  ++rows_;
  // Welford's update: no difference of large sums.
  const double before = truth - mean_;
  mean_ += before / static_cast<double>(rows_);
  spread_ += before * (truth - mean_);
}

Metrics RegressionScore::metrics() const {
  if (rows_ == 0) return {};
  const auto rows = static_cast<double>(rows_);
  Metrics metrics = {{"rmse", std::sqrt(squared_ / rows)}, {"mae", absolute_ / rows}};
  if (spread_ > 0) metrics.emplace_back("r2", 1 - squared_ / spread_);
  return metrics;
}

ClassScore::Counts& ClassScore::counts(std::string_view label) {
  const auto found = labels_.find(label);
  return found != labels_.end() ? found->second : labels_[std::string(label)];
}

void ClassScore::add(std::string_view truth, std::string_view predicted, double probability) {
  ++rows_;
  log_loss_ -= std::log(std::clamp(probability, 1e-15, 1.0));
  ++counts(truth).truth;
  ++counts(predicted).predicted;
  if (truth != predicted) return;
  ++right_;
  ++counts(truth).both;
}

Metrics ClassScore::metrics() const {
  if (rows_ == 0) return {};
  const auto rows = static_cast<double>(rows_);
  double f1 = 0;
  for (const auto& [label, count] : labels_)
    f1 += 2 * static_cast<double>(count.both) / static_cast<double>(count.truth + count.predicted);
  return {{"accuracy", static_cast<double>(right_) / rows},
          {"macro_f1", f1 / static_cast<double>(labels_.size())},
          {"log_loss", log_loss_ / rows}};
}

}  // namespace espalier::cli
