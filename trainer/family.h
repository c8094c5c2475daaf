// A family of models: how parameters are found from rows. One file a family; families know nothing of trees, files or
// messages.
//
// A fit minimises  (sum of losses over the rows) + l2 * (sum of squared weights) / 2 ; docs/training.md says how, and
// what comes out where the rows say little (no rows, one class, a constant target, features that are all missing).
// Parameters are always finite.
//
// Thread safety: fit() from any thread; the same arguments give the same bits. Ownership: values.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/artefact.h"
#include "trainer/matrix.h"

namespace espalier::trainer {

class Family {
 public:
  virtual ~Family() = default;
  /// Parameters for each strength of the penalty, in the order of `l2`, fitted on the problem's rows that `rows` names.
  virtual std::vector<model::LinearParameters> fit(const Problem& problem, std::span<const std::uint32_t> rows,
                                                   std::span<const double> l2, std::uint64_t seed) const = 0;
  /// Whether several strengths in one call cost much less than a call for each.
  virtual bool shares_work() const = 0;
};

std::unique_ptr<Family> make_ridge();
std::unique_ptr<Family> make_logistic();
std::unique_ptr<Family> make_softmax();

/// Ridge, logistic or softmax regression.
std::unique_ptr<Family> make_family(model::Task task);

/// No weights, no bias: where there is nothing to learn from.
model::LinearParameters no_parameters(const Problem& problem);

}  // namespace espalier::trainer
