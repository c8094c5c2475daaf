#include "trainer/family.h"

namespace espalier::trainer {

std::unique_ptr<Family> make_family(model::Task task) {
  switch (task) {
    case model::Task::regression: return make_ridge();
    case model::Task::binary: return make_logistic();
    case model::Task::multiclass: return make_softmax();
  }
  return nullptr;
}

model::LinearParameters no_parameters(const Problem& problem) {
  model::LinearParameters parameters;
  parameters.outputs = problem.outputs();
  parameters.bias.assign(parameters.outputs, 0.0f);
  parameters.weight.assign(std::size_t{problem.x.features} * parameters.outputs, 0.0f);
  return parameters;
}

}  // namespace espalier::trainer
