// Newton's method for log-losses, each step found by conjugate gradients on the rows themselves, so that sparse input
// stays sparse. Exact, and quick where there are few features; for many features and many classes softmax.cc has a
// quicker way.
//
// Thread safety: pure function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/artefact.h"
#include "trainer/matrix.h"

namespace espalier::trainer {

/// Fits a binary or multiclass problem's rows. `weights` is where the search begins ((features + 1) x outputs, the
/// intercepts last; empty: at zero) and where it ended. The intercept's penalty is a thousandth of the weights', which
/// keeps it finite where all rows are of one class.
model::LinearParameters fit_by_newton(const Problem& problem, std::span<const std::uint32_t> rows, double l2,
                                      std::vector<double>& weights);

}  // namespace espalier::trainer
