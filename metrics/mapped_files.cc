#include "metrics/mapped_files.h"

#include <fstream>
#include <sstream>
#include <string>

namespace espalier::metrics {

/// A mapping begins with a line "from-to perms offset device inode path", whose sizes follow as "Rss:   12 kB".
MappedFiles mapped_files(std::string_view suffix) {
  MappedFiles sum;
  std::ifstream smaps("/proc/self/smaps");
  bool is_one = false;
  for (std::string line; std::getline(smaps, line);) {
    const std::size_t colon = line.find(':');
    const std::size_t space = line.find(' ');
    if (space != std::string::npos && line.find('-') < space) {
      // What was deleted while it is mapped is still there.
      constexpr std::string_view kDeleted = " (deleted)";
      if (line.ends_with(kDeleted)) line.resize(line.size() - kDeleted.size());
      is_one = line.ends_with(suffix);
      sum.files += is_one;
    } else if (is_one && colon != std::string::npos) {
      const std::string name = line.substr(0, colon);
      if (name != "Size" && name != "Rss") continue;
      std::istringstream value(line.substr(colon + 1));
      std::uint64_t kilobytes = 0;
      value >> kilobytes;
      (name == "Size" ? sum.mapped_bytes : sum.resident_bytes) += kilobytes * 1024;
    }
  }
  return sum;
}

}  // namespace espalier::metrics
