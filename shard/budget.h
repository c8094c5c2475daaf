// Which artefacts have to go when a shard's memory or disk budget is used up, and which of those that went come back
// (docs/shard-memory.md).
//
// Thread safety: pure functions over values.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace espalier::shard {

/// When something was last asked for, to about an eighth of a second. Written by any thread, and only where it changes,
/// so that threads which ask for the same node don't take its cache line from each other. Its copies go on for
/// themselves.
class LastUse {
 public:
  LastUse() = default;
  LastUse(const LastUse& other) : at_(other.at()) {}
  LastUse& operator=(const LastUse& other) {
    at_.store(other.at(), std::memory_order_relaxed);
    return *this;
  }
  static std::uint32_t time_of(std::int64_t now_us) { return static_cast<std::uint32_t>(now_us >> 17); }

  void note(std::int64_t now_us) const {
    const std::uint32_t now = time_of(now_us);
    if (at() != now) at_.store(now, std::memory_order_relaxed);
  }
  std::uint32_t at() const { return at_.load(std::memory_order_relaxed); }

 private:
  mutable std::atomic<std::uint32_t> at_{0};
};

/// How a disk budget is made use of: the pack's files are never larger than it.
struct DiskShares {
  std::uint64_t segment = 0;  ///< size of the pack's files
  std::uint64_t added = 0;    ///< nothing is added that makes the files larger; the rest is compaction's
  std::uint64_t live = 0;     ///< most that artefacts take, so that compaction always finds something to give back
};
inline constexpr std::uint64_t kLeastDiskBudget = 1u << 20;
/// REQUIRES: budget >= kLeastDiskBudget
DiskShares disk_shares(std::uint64_t budget);

/// An artefact that a shard wants, for however many nodes.
struct BudgetItem {
  std::uint64_t bytes = 0;
  std::uint32_t used = 0;   ///< when one of its nodes was last asked for, or taken in
  std::uint32_t asked = 0;  ///< looks since it went out at which it had been asked for anew
  bool is_in = false;
  bool may_go = false;  ///< it answers for leaves only, and other nodes answer for these
  bool is_new = false;  ///< of a release: takes the place of what was used earlier without being asked for
};

struct BudgetChoice {
  std::vector<std::size_t> out, in;  ///< places in the list
  std::uint64_t bytes = 0;           ///< of what is in afterwards
};

/// What must stay and is out comes in. What may go goes, least recently used first, until the rest fits. Then what is
/// out and was asked for, most recently used first: where there is room at once; else, asked for at two looks or more,
/// in the place of what was used earlier, up to an eighth of the budget at a time, so that a scan over all nodes does
/// not drive out what is used all the time. What is new comes like what was asked for, and as much of it as there is.
/// The result may be over the budget where what must stay is.
BudgetChoice choose_for_budget(std::span<const BudgetItem> items, std::uint64_t budget);

}  // namespace espalier::shard
