// What expressions compute, step by step, before anything is fitted: between the syntax tree and the program.
//
// Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "model/feature_parse.h"
#include "model/feature_program.h"
#include "model/features.h"

namespace espalier::model {

/// What a step learns from training rows.
enum class Learns : std::uint8_t { nothing, mean, median, scale, quantiles, texts, numbers, pairs, grams };

/// One step. `a` and `b` are earlier steps, except that a text operation's `a` is an input and a date's `b` its part.
struct Step {
  Op op = Op::constant;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  double x = 0;
  Learns learns = Learns::nothing;
  std::uint32_t quantiles = 0;
  std::vector<double> edges = {};  ///< buckets with given edges
  std::uint64_t min_rows = 1;      ///< categories, pairs and n-grams in fewer training rows are left out
  std::uint64_t max = 0;           ///< at most so many, the most frequent ones
  GramHead grams{};                ///< emit_words and emit_chars; `bits` and `count` of a vocabulary are learnt
  std::uint32_t wave = 0;          ///< passes over the rows that have to end before this step can be fitted or run
  std::uint32_t ready = 0;         ///< passes after which its result can be used

  bool operator==(const Step& other) const;
};

/// A definition's features.
struct PlanOutput {
  std::string name;
  enum class Kind : std::uint8_t { number, category, grams } kind = Kind::number;
  std::uint32_t step = 0;
  std::uint32_t scale = kNone;  ///< a number that multiplies them
};

struct Plan {
  std::vector<Field> inputs;
  std::vector<Step> steps;
  std::vector<PlanOutput> outputs;
};

/// invalid_argument names the feature and puts a caret under the place of the error.
Result<Plan> make_plan(const std::vector<FeatureDefinition>& definitions);

/// Passes over `rows` until every step is fitted; the program's bytes.
Result<std::string> fit_plan(const Plan& plan, const Rows& rows);

}  // namespace espalier::model
