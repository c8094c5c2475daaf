// Programs of any bytes: refused, or run on odd rows without reading out of bounds and with indices that ascend.

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "model/features.h"
#include "tests/support/fuzz_driver.h"

namespace {

using namespace espalier::model;

class SomeRows : public Rows {
 public:
  explicit SomeRows(std::vector<Field> fields) : fields_(std::move(fields)) {}
  std::size_t count() const override { return 12; }
  void read(std::size_t row, std::span<Value> out) const override {
    static const std::string texts[] = {"good morning", "2017-01-05", "Good  night\xFF", ""};
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      out[i] = fields_[i].type == FieldType::number ? Value::of(static_cast<double>(row * i))
                                                    : Value::of(texts[(row + i) % 4]);
      if (row % 5 == 4) out[i] = {};
    }
  }

 private:
  std::vector<Field> fields_;
};

std::string fitted(const std::vector<FeatureDefinition>& definitions) {
  const auto set = FeatureSet::parse(definitions);
  if (!set.ok()) abort();
  auto bytes = set->fit(SomeRows(set->inputs()));
  if (!bytes.ok()) abort();
  return *std::move(bytes);
}

bool target(std::string_view input) {
  // open() asks for 8-byte alignment; a vector of doubles has it, and its end is the allocation's end.
  std::vector<double> aligned((input.size() + 7) / 8);
  if (input.empty()) return false;
  std::memcpy(aligned.data(), input.data(), input.size());
  const auto program = Program::open({reinterpret_cast<const char*>(aligned.data()), input.size()});
  if (!program.ok()) return false;
  const SomeRows rows(program->inputs());
  std::vector<Value> inputs(program->inputs().size());
  Program::Scratch scratch;
  FeatureVector out;
  for (std::size_t row = 0; row < rows.count(); ++row) {
    rows.read(row, inputs);
    program->run(inputs, scratch, out);
    for (std::size_t i = 0; i < out.index.size(); ++i) {
      if (out.index[i] >= program->feature_count() || !std::isfinite(out.value[i])) abort();
      if (i > 0 && out.index[i - 1] >= out.index[i]) abort();
    }
  }
  for (std::uint32_t i = 0; i < std::min(program->feature_count(), 100u); ++i) (void)program->feature_name(i);
  return true;
}

}  // namespace

int main() {
  return espalier::testing::run_fuzzer(
      {fitted(
           {{"a", "onehot(s) * standardise(x)"}, {"b", "fill(log(x), median) + y ^ 2"}, {"c", "year(d) - month(d)"}}),
       fitted({{"a", "cross(s, buckets(x, 3))"}, {"b", "onehot(x + 1, max=3)"}, {"c", "buckets(y, 1, 2)"}}),
       fitted({{"a", "words(s, 1, 2, min_rows=1)"}, {"b", "chars(s, 2, 3, hash=4, weights=tfidf) * x"}})},
      target);
}
