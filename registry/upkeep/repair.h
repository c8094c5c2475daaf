// Mends what can be made anew from what is there: indexes, records of artefacts, a pack's table of contents. docs/
// upkeep.md says what. What can't be is named and left as it is.
//
// Thread safety: as the Store. Errors: as open_stopped(); the disk's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/files.h"
#include "registry/upkeep/findings.h"

namespace espalier::registry::upkeep {

struct RepairOptions {
  bool dry_run = false;  ///< only say what would be done
  bool leveldb = false;  ///< first let LevelDB gather what it can still read: what it can't is lost
};

struct Repaired {
  std::vector<Finding> mended, left;
  std::uint64_t salvaged = 0;    ///< artefacts found again behind a damaged place of a pack
  std::uint64_t generation = 0;  ///< a new one where anything was changed
  bool is_changed = false;
};

/// Of the stopped registry in `folder`.
Result<Repaired> repair(Files& files, const Clock& clock, const std::string& folder, const RepairOptions& options);

}  // namespace espalier::registry::upkeep
