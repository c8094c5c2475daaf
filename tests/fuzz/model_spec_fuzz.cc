// Specs and expressions of any bytes: refused, or written the same way for ever.

#include <cstdlib>
#include <string>

#include "model/features.h"
#include "model/spec.h"
#include "tests/support/fuzz_driver.h"

namespace {

using espalier::model::FeatureSet;
using espalier::model::Spec;

constexpr char kSpec[] = R"toml([model]
name = "price"
task = "regression"
target = "log(price)"
levels = ["country", "city"]
[features]
size = "standardise(size ^ 2) * onehot(kind, max=3)"
said = "words(said, 1, 2, min_rows=2, sublinear)"
[training]
l2 = [1, 0.5]
seed = 7
)toml";

bool target(std::string_view input) {
  bool is_taken = FeatureSet::parse({{"f", std::string(input)}}).ok();
  for (const auto& spec : {Spec::parse_toml(input, "fuzz.toml"), Spec::parse_json(input)}) {
    if (!spec.ok()) continue;
    is_taken = true;
    const auto again = Spec::parse_json(spec->json());
    if (!again.ok() || again->json() != spec->json()) abort();
  }
  return is_taken;
}

}  // namespace

int main() {
  const auto spec = Spec::parse_toml(kSpec, "seed.toml");
  if (!spec.ok()) return 1;
  return espalier::testing::run_fuzzer({kSpec, spec->json(), "fill(log(x), median) + -2 ^ `a b` / max(x, y, 3)",
                                        "cross(onehot(a, min_rows=2), buckets(x, 1, 2))"},
                                       target);
}
