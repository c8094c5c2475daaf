// The probes section of an artefact: sample inputs with the outputs that the trainer got (docs/artefact-format.md,
// "Probes").
//
// Thread safety: a ProbeReader belongs to one thread; copies are independent. Ownership: it borrows the section.
// Errors: corrupt, naming the probe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/artefact.h"
#include "model/value.h"

namespace espalier::model {

/// Largest difference from the expected output, relative to max(1, |expected|).
inline constexpr double kProbeTolerance = 1e-6;

class ProbeReader {
 public:
  /// Checks the whole section. `is_there`: whether the artefact has one; `outputs` is how many numbers a probe expects.
  static Result<ProbeReader> open(std::string_view section, bool is_there, std::span<const Field> fields,
                                  std::size_t outputs);

  std::uint32_t count() const { return count_; }
  /// Reads the next probe; `inputs` has one value for each field. REQUIRES: at most count() calls.
  void next(std::span<Value> inputs, std::vector<double>& expected);

 private:
  Status check_probe(std::span<const Field> fields, std::string_view& rest) const;

  std::string_view rest_;
  std::uint32_t count_ = 0;
  std::size_t outputs_ = 0;
};

/// The bytes of a probes section.
std::string encode_probes(const std::vector<Probe>& probes);

}  // namespace espalier::model
