// Which segments of a pack are given back, and the steps of doing it (docs/artefact-format.md, "Compaction").
//
// Thread safety: as the Pack. Ownership: borrows the pack.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "model/pack.h"

namespace espalier::model {

enum class Thoroughness {
  tight,  ///< every segment of which an eighth doesn't live, the emptiest first; before them, and in any case, those
          ///< that are larger than segments are made now: to copy them takes more room than there may be later
  worthwhile,  ///< segments of which less than half lives: at least as much comes back as is written
  all,         ///< every segment with a dead frame, and damaged ones: nothing that was forgotten is left
};

/// The next segment to be given back: what holds nothing alive first, because that needs no space, then the one with
/// least (tight: the smallest share); nothing when none is worth it. The open segment is never chosen.
std::optional<std::uint32_t> choose_segment(const std::vector<Pack::SegmentUse>& segments, Thoroughness how,
                                            const std::set<std::uint32_t>& left_alone);

/// Whether any segment has something that was forgotten, or is damaged.
bool has_dead(const std::vector<Pack::SegmentUse>& segments);

/// Whether any segment is larger than segments are made now, for no artefact's sake.
bool has_oversized(const std::vector<Pack::SegmentUse>& segments);

class PackCompaction {
 public:
  explicit PackCompaction(Pack& pack) : pack_(pack) {}

  /// A piece of the work: writes about `most` bytes at most, or removes a segment. False: nothing is left to be done.
  /// tight: there may always be something to be done, where artefacts don't fill segments; the caller knows when to
  /// stop. worthwhile: a segment with an artefact that has lost its hash is logged and left as it is until the next
  /// start. tight, all: such an artefact is forgotten. Errors: the disk's; nothing is lost, and the next call goes on.
  Result<bool> step(std::uint64_t most, Thoroughness how);
  /// How many segments were left as they are.
  std::size_t left_alone() const { return left_alone_.size(); }

 private:
  Pack& pack_;
  std::set<std::uint32_t> left_alone_;
};

}  // namespace espalier::model
