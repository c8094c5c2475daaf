// What a shard does for one row, and what it does to admit an artefact, without wires or threads.
//
// Simulates: a regression on 12 tabular features; an intent model of 150 classes over 40,000 n-grams with 8-bit
// weights, about seven to an n-gram, asked with sentences of ten words; everything warm in the cache. Does not
// simulate: many models competing for the cache, page faults, the reading of messages.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "model/artefact.h"
#include "model/features.h"

namespace {

using namespace espalier;
using namespace espalier::model;

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().text().c_str());
    std::abort();
  }
  return *std::move(result);
}

std::uint64_t next(std::uint64_t& state) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return state >> 33;
}

std::string sentence(std::uint64_t& state) {
  std::string text;
  for (int word = 0; word < 10; ++word) text += "word" + std::to_string(next(state) % 4000) + " ";
  return text;
}

/// Rows made from a function of the row's number and the field's place.
class MadeRows final : public Rows {
 public:
  MadeRows(const std::vector<Field>& fields, std::size_t count) : fields_(fields), texts_(count) {
    std::uint64_t state = 1;
    for (std::string& text : texts_) text = sentence(state);
  }
  std::size_t count() const override { return texts_.size(); }
  void read(std::size_t row, std::span<Value> out) const override {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      out[i] = fields_[i].type == FieldType::text ? Value::of(texts_[row])
                                                  : Value::of(static_cast<double>(row * (i + 3) % 97));
    }
  }

 private:
  const std::vector<Field>& fields_;
  std::vector<std::string> texts_;
};

struct Made {
  std::string bytes;
  std::vector<std::vector<Value>> rows;
  std::vector<std::string> texts;  ///< that the rows borrow
};

/// Every `sparsity`-th weight is not zero.
Made make(const std::vector<FeatureDefinition>& definitions, Task task, std::uint32_t outputs, std::uint64_t sparsity,
          WeightFormat format) {
  const FeatureSet set = must(FeatureSet::parse(definitions));
  ArtefactContents contents;
  contents.task = task;
  contents.program = must(set.fit(MadeRows(set.inputs(), 10'000)));
  contents.format = format;
  const Program program = must(Program::open(contents.program));
  contents.parameters = {outputs, std::vector<float>(outputs, 0.5f),
                         std::vector<float>(std::size_t{program.feature_count()} * outputs)};
  std::uint64_t state = 7;
  for (float& weight : contents.parameters.weight) {
    if (next(state) % sparsity == 0) weight = static_cast<float>(next(state) % 200) / 100 - 1;
  }
  if (task == Task::multiclass) {
    for (std::uint32_t i = 0; i < outputs; ++i) contents.classes.push_back("intent " + std::to_string(i));
  }
  Made made;
  made.texts.resize(64);
  for (std::string& text : made.texts) text = sentence(state);
  for (std::size_t row = 0; row < made.texts.size(); ++row) {
    made.rows.emplace_back();
    for (const Field& field : program.inputs()) {
      made.rows.back().push_back(field.type == FieldType::text ? Value::of(made.texts[row])
                                                               : Value::of(static_cast<double>(row)));
    }
  }
  made.bytes = must(build_artefact(contents, {made.rows[0], made.rows[1], made.rows[2], made.rows[3]}));
  return made;
}

const Made& tabular() {
  static const Made made = make({{"a", "standardise(a)"},
                                 {"b", "standardise(b)"},
                                 {"c", "fill(c)"},
                                 {"d", "log1p(abs(d))"},
                                 {"aa", "standardise(a ^ 2)"},
                                 {"ab", "standardise(a * b)"},
                                 {"no_a", "missing(a)"},
                                 {"no_b", "missing(b)"},
                                 {"e", "buckets(e, 5)"}},
                                Task::regression, 1, 1, WeightFormat::dense_f32);
  return made;
}

const Made& intents() {
  static const Made made =
      make({{"words", "words(text, 1, 2, min_rows=1, max=40000)"}}, Task::multiclass, 150, 21, WeightFormat::sparse_i8);
  return made;
}

void predict(benchmark::State& state, const Made& made) {
  const Artefact artefact = must(Artefact::open(made.bytes));
  Artefact::Scratch scratch;
  Output out;
  std::size_t row = 0;
  for (auto _ : state) {
    artefact.predict(made.rows[row++ % made.rows.size()], scratch, out);
    benchmark::DoNotOptimize(out.value);
  }
  state.counters["features"] = artefact.program().feature_count();
  state.counters["bytes"] = static_cast<double>(made.bytes.size());
}

void admit(benchmark::State& state, const Made& made) {
  Artefact::Scratch scratch;
  for (auto _ : state) {
    const Artefact artefact = must(Artefact::open(made.bytes));
    if (!artefact.replay_probes(scratch).ok()) std::abort();
  }
  state.counters["bytes"] = static_cast<double>(made.bytes.size());
}

BENCHMARK_CAPTURE(predict, tabular, tabular());
BENCHMARK_CAPTURE(predict, intents, intents());
BENCHMARK_CAPTURE(admit, tabular, tabular());
BENCHMARK_CAPTURE(admit, intents, intents());

}  // namespace

BENCHMARK_MAIN();
