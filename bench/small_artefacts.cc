#include "bench/small_artefacts.h"

#include <cstdio>
#include <cstdlib>

#include "model/features.h"

namespace espalier {
namespace {

template <class T>
T must(Result<T> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "an artefact can't be built: %s\n", result.status().text().c_str());
  std::exit(1);
}

class TwoRows final : public model::Rows {
 public:
  std::size_t count() const override { return 2; }
  void read(std::size_t row, std::span<model::Value> out) const override {
    out[0] = model::Value::of(static_cast<double>(row));
  }
};

}  // namespace

SmallArtefacts::SmallArtefacts() {
  const auto set = must(model::FeatureSet::parse({{"age", "standardise(age)"}}));
  contents_.program = must(set.fit(TwoRows()));
  contents_.parameters.weight.assign(must(model::Program::open(contents_.program)).feature_count(), 0.5f);
}

std::string SmallArtefacts::with_bias(float bias) {
  contents_.parameters.bias = {bias};
  return must(model::build_artefact(contents_, {{model::Value::of(1.0)}}));
}

}  // namespace espalier
