// An artefact: the bytes of a version. Mapped, checked once when admitted, read in place after that; never parsed into
// objects. docs/artefact-format.md is its twin: byte tables, a worked hexdump, what a reader rejects.
//
// Thread safety: Artefact is immutable after open(): any number of threads may predict, each with a Scratch of its own.
// Ownership: Artefact borrows its bytes (usually inside a mapped pack), which must stay mapped while it lives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "model/features.h"
#include "model/spec.h"
#include "model/value.h"

namespace espalier::model {

inline constexpr std::uint64_t kMaxArtefactBytes = 256ull << 20;

/// Parameters of a linear model as the trainer found them: `weight[feature * outputs + output]`, `bias[output]`.
/// outputs: 1 for regression and binary, the number of classes for multiclass.
struct LinearParameters {
  std::uint32_t outputs = 1;
  std::vector<float> bias;
  std::vector<float> weight;
};

/// How the weights are stored. The numbers are in artefacts.
enum class WeightFormat : std::uint8_t {
  dense_f32 = 0,   ///< every weight
  sparse_f32 = 1,  ///< weights that are not zero, by feature
  sparse_i8 = 2,   ///< the same, rounded to 8 bits with one scale an output
};

/// A sample input with the output that the trainer got for it from the finished artefact.
struct Probe {
  std::vector<Value> inputs;     ///< in the order of the program's inputs
  std::vector<double> expected;  ///< regression: {value}; otherwise one probability a class
};

/// Everything that goes into an artefact. The same contents give the same bytes: no UUID, time, host or thread count.
struct ArtefactContents {
  Task task = Task::regression;
  TargetTransform transform = TargetTransform::identity;
  bool original_scale = true;
  std::vector<std::string> classes;  ///< binary: {negative, positive}; multiclass: one an output; regression: empty
  Hash256 base;                      ///< artefact that this one is a difference from; none: it stands alone
  std::string program;               ///< bytes of a fitted feature program
  LinearParameters parameters;
  WeightFormat format = WeightFormat::dense_f32;
};

class Artefact {
 public:
  struct Scratch {
    Program::Scratch program;
    FeatureVector features;
    std::vector<double> scores;
  };

  /// Checks magic, version, checksums, every offset and count. corrupt: damaged; unimplemented: made by a newer
  /// Espalier.
  static Result<Artefact> open(std::string_view bytes);
  Artefact(Artefact&&) noexcept;
  Artefact& operator=(Artefact&&) noexcept;
  ~Artefact();

  Task task() const;
  TargetTransform transform() const;
  bool original_scale() const;
  /// Views into the bytes, in the order of the scores.
  std::span<const std::string_view> classes() const;
  const Hash256& base() const;
  const Program& program() const;
  std::uint64_t size() const;
  std::uint32_t probe_count() const;
  WeightFormat weight_format() const;
  /// Stored weights (dense: features x outputs; sparse: those that are not zero).
  std::uint64_t weight_count() const;

  /// What predict() takes for the row at most, in steps of about a nanosecond or two. REQUIRES: as predict().
  std::uint64_t steps(std::span<const Value> inputs) const;

  /// REQUIRES: as Program::run(). Never fails; a non-finite score can't come from finite weights and is an assert.
  void predict(std::span<const Value> inputs, Scratch& scratch, Output& out) const;

  /// Runs every probe; corrupt names the first whose output differs by more than 1e-6 (relative to max(1, |expected|)).
  Status replay_probes(Scratch& scratch) const;

  /// For people: JSON of everything but the weights, and the largest weights by name.
  std::string describe_json() const;

 private:
  struct Layout;
  Status check_probe_steps() const;
  explicit Artefact(std::unique_ptr<Layout> layout);
  std::unique_ptr<Layout> layout_;
};

/// The bytes of an artefact without its probes' outputs known: opens what it built, predicts `probe_inputs`, and stores
/// both. invalid_argument: sizes that don't fit each other, a weight that is not finite, more than kMaxArtefactBytes,
/// probes whose replay would take too long.
Result<std::string> build_artefact(const ArtefactContents& contents,
                                   const std::vector<std::vector<Value>>& probe_inputs);

}  // namespace espalier::model
