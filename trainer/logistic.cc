// Logistic regression for two classes.
#include "trainer/family.h"
#include "trainer/newton.h"

namespace espalier::trainer {
namespace {

class Logistic final : public Family {
 public:
  std::vector<model::LinearParameters> fit(const Problem& problem, std::span<const std::uint32_t> rows,
                                           std::span<const double> l2, std::uint64_t) const override {
    std::vector<model::LinearParameters> fitted;
    std::vector<double> weights;  // each penalty begins where the one before ended
    for (const double strength : l2) fitted.push_back(fit_by_newton(problem, rows, strength, weights));
    return fitted;
  }
  bool shares_work() const override { return true; }
};

}  // namespace

std::unique_ptr<Family> make_logistic() { return std::make_unique<Logistic>(); }

}  // namespace espalier::trainer
