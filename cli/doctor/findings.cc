#include "cli/doctor/findings.h"

#include <algorithm>

namespace espalier::cli {

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::ok: return "ok";
    case Severity::unknown: return "unknown";
    case Severity::warning: return "warning";
    case Severity::problem: break;
  }
  return "problem";
}

std::vector<Finding> Findings::sorted() const {
  std::vector<Finding> sorted = all_;
  std::ranges::stable_sort(sorted, std::ranges::greater{}, &Finding::severity);
  return sorted;
}

std::size_t Findings::count(Severity severity) const {
  return static_cast<std::size_t>(std::ranges::count(all_, severity, &Finding::severity));
}

}  // namespace espalier::cli
