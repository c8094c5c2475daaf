// How much of this process's memory is mapped files of one kind, and how much of that is in memory: /proc/self/smaps.
//
// Takes as long as the kernel walks the process's pages: to be called at a scrape, not on a request's way. Thread
// safety: pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace espalier::metrics {

struct MappedFiles {
  std::uint64_t files = 0;  ///< mappings
  std::uint64_t mapped_bytes = 0;
  std::uint64_t resident_bytes = 0;
};

/// Of the files whose name ends so. Nothing where the kernel doesn't tell.
MappedFiles mapped_files(std::string_view suffix);

}  // namespace espalier::metrics
