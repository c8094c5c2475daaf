#include "model/pack_compaction.h"

#include <algorithm>

#include "common/log.h"

namespace espalier::model {

std::optional<std::uint32_t> choose_segment(const std::vector<Pack::SegmentUse>& segments, Thoroughness how,
                                            const std::set<std::uint32_t>& left_alone) {
  const Pack::SegmentUse* chosen = nullptr;
  for (const Pack::SegmentUse& use : segments) {
    if (use.is_open || left_alone.contains(use.number)) continue;
    const bool is_wanted = how == Thoroughness::all ? use.dead_bytes > 0 || use.live_bytes == 0 || use.is_damaged
                                                    : !use.is_damaged && use.live_bytes < use.bytes / 2;
    if (is_wanted && (chosen == nullptr || use.live_bytes < chosen->live_bytes)) chosen = &use;
  }
  if (chosen == nullptr) return std::nullopt;
  return chosen->number;
}

bool has_dead(const std::vector<Pack::SegmentUse>& segments) {
  return std::ranges::any_of(segments, [](const auto& use) { return use.dead_bytes > 0 || use.is_damaged; });
}

Result<bool> PackCompaction::step(std::uint64_t most, Thoroughness how) {
  if (how == Thoroughness::all) {
    const auto uses = pack_.segments();
    if (!uses.empty() && uses.back().is_open && uses.back().dead_bytes > 0) RETURN_IF_ERROR(pack_.close_segment());
  }
  const auto segment =
      choose_segment(pack_.segments(), how, how == Thoroughness::all ? std::set<std::uint32_t>() : left_alone_);
  if (!segment) return false;
  const auto moved = pack_.move_out(*segment, most);
  if (moved.ok()) {
    if (*moved) RETURN_IF_ERROR(pack_.remove_segment(*segment));
    return true;
  }
  if (moved.status().code() != Code::corrupt) return moved.status();
  if (how == Thoroughness::worthwhile) {
    log::error("pack", "a segment is left as it is", {{"why", moved.status()}});
    left_alone_.insert(*segment);
    return true;
  }
  for (const Hash256& hash : pack_.hashes_in(*segment))
    static_cast<void>(pack_.verify(hash));  // forgets what is damaged
  return true;
}

}  // namespace espalier::model
