// What `espalier doctor` finds, and what to do about it (docs/operations.md, "The doctor").
//
// Thread safety: values; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::cli {

/// ok: looked at, and well. unknown: could not be looked at. warning: will do harm, or does under load. problem: does
/// harm now.
enum class Severity { ok, unknown, warning, problem };
std::string_view severity_name(Severity severity);

struct Finding {
  Severity severity = Severity::ok;
  std::string check;    ///< limits, clock, disk, versions, keys, ports
  std::string subject;  ///< whose: a process, a folder, a file, an endpoint
  std::string found;    ///< one sentence
  std::string to_do;    ///< what helps; empty where there is nothing to do
};

class Findings {
 public:
  void add(Severity severity, std::string check, std::string subject, std::string found, std::string to_do = {}) {
    all_.push_back({severity, std::move(check), std::move(subject), std::move(found), std::move(to_do)});
  }
  /// The worst first, else in the order added.
  std::vector<Finding> sorted() const;
  std::size_t count(Severity severity) const;

 private:
  std::vector<Finding> all_;
};

}  // namespace espalier::cli
