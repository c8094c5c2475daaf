// How good parameters are on rows that they were not fitted on.
//
// Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/artefact.h"
#include "model/spec.h"
#include "trainer/matrix.h"

namespace espalier::trainer {

/// Sums over rows, so that nodes can be added up.
struct Metrics {
  double rows = 0;
  double loss = 0;            ///< what fitting minimises: squared errors as fitted, or log-loss
  double squared_error = 0;   ///< regression, on the scale of the predictions
  double absolute_error = 0;  ///< the same
  double sum = 0;             ///< of the truth
  double sum_of_squares = 0;  ///< of the truth
  double correct = 0;         ///< classification

  /// A JSON object: {"rows", "rmse", "mae", "r2"} or {"rows", "accuracy", "log_loss"}; only "rows" when there are none.
  std::string json(model::Task task) const;
  void add(const Metrics& other);
  double accuracy() const { return rows > 0 ? correct / rows : 0; }
};

Metrics evaluate(const Problem& problem, const model::TargetSpec& target, const model::LinearParameters& parameters,
                 std::span<const std::uint32_t> rows);

/// The number that `transform` made into `transformed`.
double inverse_transform(model::TargetTransform transform, double transformed);

}  // namespace espalier::trainer
