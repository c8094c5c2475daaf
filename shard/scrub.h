// The search for damage in what a shard answers from: each artefact once an interval, a little at a time
// (docs/damage.md).
//
// Thread safety: control thread. Ownership: borrows everything it is made with; keeps no artefact in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "shard/damage.h"
#include "shard/model_table.h"

namespace espalier::shard {

class Scrub {
 public:
  /// `interval_us`: within any such time all is looked at; 0: nothing is. A round takes less than half of it: what is
  /// admitted during one waits for the next, and the step that ends it may come late.
  Scrub(std::int64_t interval_us, Damage& damage, const Clock& clock, std::uint64_t bytes_at_once = 4u << 20)
      : half_us_(interval_us / 2),
        round_us_(half_us_ - std::min(half_us_ / 4, kLateUs)),
        bytes_at_once_(bytes_at_once),
        damage_(damage),
        clock_(clock) {}

  /// Looks at what is due: a millisecond's worth and, where that isn't enough, for a twentieth of the time since the
  /// step before; for half of it once a twentieth of the round is late. Never for more than 0.2 s.
  void step(const ModelTable& table);
  /// Of all artefacts looked at.
  std::uint64_t bytes() const { return bytes_; }
  /// The disk, or the steps, are too slow for the interval.
  bool is_late() const { return is_late_; }

 private:
  static constexpr std::int64_t kLateUs = 10'000'000;  ///< while the registry is away a step takes so long

  void begin_round(const ModelTable& table);
  void look_at_due(std::int64_t began_us, std::int64_t passed_us);
  void note_lateness(std::int64_t now_us);

  const std::int64_t half_us_;
  const std::int64_t round_us_;
  const std::uint64_t bytes_at_once_;
  Damage& damage_;
  const Clock& clock_;
  std::int64_t began_us_ = -1;  ///< the round; -1: none yet
  std::int64_t stepped_us_ = -1;
  bool is_late_ = false;
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_before_ = 0;                    ///< of earlier rounds
  std::uint64_t round_bytes_ = 0;                     ///< all that this round is to look at
  std::vector<std::weak_ptr<const Servable>> to_do_;  ///< of this round
};

}  // namespace espalier::shard
