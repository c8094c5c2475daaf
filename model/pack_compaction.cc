#include "model/pack_compaction.h"

#include <algorithm>

#include "common/log.h"

namespace espalier::model {

std::optional<std::uint32_t> choose_segment(const std::vector<Pack::SegmentUse>& segments, Thoroughness how,
                                            const std::set<std::uint32_t>& left_alone) {
  const auto is_wanted = [&](const Pack::SegmentUse& use) {
    if (how == Thoroughness::all) return use.dead_bytes > 0 || use.live_bytes == 0 || use.is_damaged;
    if (how == Thoroughness::tight) return use.is_oversized || use.live_bytes < use.bytes - use.bytes / 8;
    return !use.is_damaged && use.live_bytes < use.bytes / 2;
  };
  const auto is_before = [&](const Pack::SegmentUse& a, const Pack::SegmentUse& b) {
    if (how != Thoroughness::tight) return a.live_bytes < b.live_bytes;
    if (a.is_oversized != b.is_oversized) return a.is_oversized;
    const auto share = [](const auto& use) {
      return static_cast<double>(use.live_bytes) / static_cast<double>(use.bytes);
    };
    return share(a) < share(b);
  };
  const Pack::SegmentUse* chosen = nullptr;
  for (const Pack::SegmentUse& use : segments) {
    if (use.is_open || left_alone.contains(use.number) || !is_wanted(use)) continue;
    if (chosen == nullptr || is_before(use, *chosen)) chosen = &use;
  }
  if (chosen == nullptr) return std::nullopt;
  return chosen->number;
}

bool has_oversized(const std::vector<Pack::SegmentUse>& segments) {
  return std::ranges::any_of(segments, [](const auto& use) { return use.is_oversized; });
}

bool has_dead(const std::vector<Pack::SegmentUse>& segments) {
  return std::ranges::any_of(segments, [](const auto& use) { return use.dead_bytes > 0 || use.is_damaged; });
}

Result<bool> PackCompaction::step(std::uint64_t most, Thoroughness how) {
  const auto uses = pack_.segments();
  const bool has_open = !uses.empty() && uses.back().is_open;
  const bool closes = has_open && ((how == Thoroughness::all && uses.back().dead_bytes > 0) ||
                                   (how == Thoroughness::tight && uses.back().is_oversized));
  if (closes) RETURN_IF_ERROR(pack_.close_segment());
  const auto segment =
      choose_segment(pack_.segments(), how, how == Thoroughness::worthwhile ? left_alone_ : std::set<std::uint32_t>());
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
