// The spec of a model: a TOML file that says what is predicted, from what, down which levels, and how it is trained.
// examples/*.toml and docs/spec.md are the reference. Versioned by the BLAKE2b-256 of its canonical JSON.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "model/features.h"
#include "model/value.h"

namespace espalier::model {

/// How a regression's target is transformed before fitting: `log(price)` predicts log(price) inside.
enum class TargetTransform : std::uint8_t { identity = 0, log = 1, log1p = 2, sqrt = 3 };

struct TargetSpec {
  std::string column;
  TargetTransform transform = TargetTransform::identity;
  /// true: predictions are given on the column's own scale (exp of the inside); false: on the transformed scale.
  bool original_scale = true;
};

struct TrainingSpec {
  std::uint64_t seed = 1;
  /// Share of each node's rows held out for evaluation and for choosing regularisation, by a hash of the row.
  double holdout = 0.2;
  /// A node with fewer training rows gets no version of its own. The root always gets one.
  std::uint64_t min_rows = 50;
  /// Candidate strengths of the L2 penalty, tried on held-out rows of training data; one value: no search.
  std::vector<double> l2 = {0.01, 0.1, 1, 10, 100};
  /// Multiclass text models: largest loss of held-out accuracy (absolute) that pruning and 8-bit weights may cost. 0
  /// switches off.
  double compression_tolerance = 0.001;
  /// Probes carried by each artefact.
  std::uint32_t probes = 4;
};

struct EvaluationSpec {
  /// Columns by whose values the held-out metrics of each node are told too.
  std::vector<std::string> slices;
};

struct Spec {
  std::string model;  ///< name of the model
  Task task = Task::regression;
  TargetSpec target;
  /// Columns of the levels below the root, outermost first; empty: only the root.
  std::vector<std::string> levels;
  std::vector<FeatureDefinition> features;
  TrainingSpec training;
  EvaluationSpec evaluation;

  /// invalid_argument names file, line and column, the wrong key, and the keys that exist there. `source` names the
  /// file in messages.
  static Result<Spec> parse_toml(std::string_view text, std::string_view source);
  /// The canonical form: what is stored, hashed and sent. parse_json(json()) gives an equal spec.
  std::string json() const;
  static Result<Spec> parse_json(std::string_view text);
  Hash256 hash() const;
};

}  // namespace espalier::model
