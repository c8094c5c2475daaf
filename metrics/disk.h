// How much room there is on the file system of a folder.
//
// Thread safety: pure.
#pragma once

#include <cstdint>
#include <string>

#include "metrics/page.h"

namespace espalier::metrics {

struct Disk {
  std::uint64_t free_bytes = 0;  ///< that this process may take
  std::uint64_t size_bytes = 0;  ///< 0: not known
  bool is_read_only = false;
};

Disk disk_of(const std::string& folder);
/// `prefix`: of the process's metrics, "espalier_shard".
void add_disk(Page& page, const std::string& prefix, const std::string& folder);

}  // namespace espalier::metrics
