#include "tests/unit/model/artefact_test_support.h"

#include <cstdio>
#include <cstdlib>

namespace espalier::model {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().text().c_str());
    std::abort();
  }
  return *std::move(result);
}

class SmallRows final : public Rows {
 public:
  explicit SmallRows(const std::vector<Field>& fields) : fields_(fields) {}
  std::size_t count() const override { return 4; }
  void read(std::size_t row, std::span<Value> out) const override {
    static constexpr double kAges[] = {20, 30, 40, 50};
    static constexpr std::string_view kTexts[] = {"good morning", "good night", "bad night", "good bad"};
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      out[i] = fields_[i].type == FieldType::number ? Value::of(kAges[row]) : Value::of(kTexts[row]);
    }
  }

 private:
  const std::vector<Field>& fields_;
};

/// Multiples of an eighth, a quarter of them zero, so that every format holds something else.
float weight_at(std::size_t place) { return static_cast<float>(static_cast<int>(place * 5 % 8) - 4) / 8; }

LinearParameters parameters_of(const std::string& program, std::uint32_t outputs) {
  const Program opened = must(Program::open(program));
  LinearParameters parameters{outputs, {}, {}};
  for (std::uint32_t o = 0; o < outputs; ++o) parameters.bias.push_back(static_cast<float>(o % 5) / 4);
  const std::size_t count = std::size_t{opened.feature_count()} * outputs;
  for (std::size_t i = 0; i < count; ++i) parameters.weight.push_back(weight_at(i));
  return parameters;
}

ArtefactContents contents_of(Task task, WeightFormat format, std::uint32_t outputs) {
  ArtefactContents contents;
  contents.task = task;
  contents.program = small_program();
  contents.parameters = parameters_of(contents.program, outputs);
  contents.format = format;
  return contents;
}

}  // namespace

std::string small_program() {
  const FeatureSet set =
      must(FeatureSet::parse({{"age", "standardise(age)"}, {"words", "words(text, 1, 1, min_rows=1)"}}));
  return must(set.fit(SmallRows(set.inputs())));
}

std::vector<Value> small_row(double age, std::string_view text) { return {Value::of(age), Value::of(text)}; }

ArtefactContents regression_contents(WeightFormat format) {
  ArtefactContents contents = contents_of(Task::regression, format, 1);
  contents.transform = TargetTransform::log;
  return contents;
}

ArtefactContents binary_contents(WeightFormat format) {
  ArtefactContents contents = contents_of(Task::binary, format, 1);
  contents.classes = {"no", "yes"};
  return contents;
}

ArtefactContents multiclass_contents(WeightFormat format, std::uint32_t classes) {
  ArtefactContents contents = contents_of(Task::multiclass, format, classes);
  for (std::uint32_t i = 0; i < classes; ++i) contents.classes.push_back("class " + std::to_string(i));
  return contents;
}

std::vector<std::vector<Value>> small_probes() {
  return {small_row(35, "Good morning"), {Value{}, Value{}}, small_row(-1e30, "\xff\xfe bad \xc3")};
}

std::vector<NamedContents> all_contents() {
  std::vector<NamedContents> all;
  for (const auto& [format, name] :
       {std::pair{WeightFormat::dense_f32, "dense_f32"}, std::pair{WeightFormat::sparse_f32, "sparse_f32"},
        std::pair{WeightFormat::sparse_i8, "sparse_i8"}}) {
    all.push_back({std::string("regression_") + name, regression_contents(format)});
    all.push_back({std::string("binary_") + name, binary_contents(format)});
    all.push_back({std::string("multiclass_") + name, multiclass_contents(format)});
  }
  return all;
}

std::string must_build(const ArtefactContents& contents) { return must(build_artefact(contents, small_probes())); }

}  // namespace espalier::model
