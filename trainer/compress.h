// Making the weights of a model of many classes small: the largest ones only, rounded to 8 bits.
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <span>

#include "model/artefact.h"
#include "model/spec.h"
#include "trainer/matrix.h"

namespace espalier::trainer {

/// The weights that are largest by amount, `share` of all of them; the others are 0.
model::LinearParameters pruned(const model::LinearParameters& parameters, double share);

/// As an artefact of 8-bit weights will have them.
model::LinearParameters rounded(model::LinearParameters parameters);

/// The smallest share (of 1, 2, 5, 10, 20, 50 and 100 hundredths) that costs at most `tolerance` of the accuracy on the
/// rows and lets the log-loss grow by a tenth at most; nothing when none does, or there are no rows.
std::optional<double> choose_share(const Problem& problem, const model::TargetSpec& target,
                                   const model::LinearParameters& parameters, std::span<const std::uint32_t> rows,
                                   double tolerance);

}  // namespace espalier::trainer
