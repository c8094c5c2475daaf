// Words in a row, as tables of keys and of the audit show them.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

namespace espalier::cli {

/// "admin,publisher"
inline std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

}  // namespace espalier::cli
