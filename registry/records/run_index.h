// Table Y: what searches find runs by. docs/runs.md says which entry there is when, docs/registry-keys.md has the
// bytes.
//
// An entry says from which epoch on it holds and is never taken back, but for the mark that a run is running. So all
// entries of a run follow from its records, as they are written and when they are checked.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "wire/run_messages.h"

namespace espalier::registry {

/// Of one run.
class RunIndex {
 public:
  using Take = std::function<void(std::string_view key, std::string_view value)>;

  /// `run`: its tenant, model, epoch and UUID.
  explicit RunIndex(const wire::RunRecord& run);
  /// What holds since the start: name, principal, spec, dataset, properties, and the parameters given then.
  void each_at_start(const wire::RunRecord& run, const Take& take) const;
  /// Parameters that came with the commit `epoch`: of `params_json` those that `before` lacks.
  void each_of_params(std::string_view before, std::string_view params_json, std::uint64_t epoch,
                      const Take& take) const;
  /// What an end in `epoch` adds; open_key() goes with it.
  void each_at_end(wire::RunStatus status, const std::map<std::string, wire::RunMetric>& metrics, std::uint64_t epoch,
                   const Take& take) const;
  std::string open_key() const;

 private:
  void attribute(std::string_view name, std::string_view text, std::uint64_t epoch, const Take& take) const;
  void number(const std::string& name, double number, std::uint64_t epoch, const Take& take) const;

  const std::string tenant_, model_, place_;
};

}  // namespace espalier::registry
