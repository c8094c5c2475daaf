// The search for damage in what a shard answers from: each artefact once an interval, a little at a time
// (docs/damage.md).
//
// Thread safety: control thread. Ownership: borrows everything it is made with; keeps no artefact in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "shard/damage.h"
#include "shard/model_table.h"

namespace espalier::shard {

class Scrub {
 public:
  /// `interval_us`: within any such time all is looked at; 0: nothing is. A round takes half of it: what is admitted
  /// during one waits for the next.
  Scrub(std::int64_t interval_us, Damage& damage, const Clock& clock)
      : round_us_(interval_us / 2), damage_(damage), clock_(clock) {}

  /// Looks at what is due, a few milliseconds' worth at most.
  void step(const ModelTable& table);
  /// Of all artefacts looked at.
  std::uint64_t bytes() const { return bytes_; }

 private:
  void begin_round(const ModelTable& table);

  const std::int64_t round_us_;
  Damage& damage_;
  const Clock& clock_;
  std::int64_t began_us_ = -1;  ///< the round; -1: none yet
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_before_ = 0;                    ///< of earlier rounds
  std::uint64_t round_bytes_ = 0;                     ///< all that this round is to look at
  std::vector<std::weak_ptr<const Servable>> to_do_;  ///< of this round
};

}  // namespace espalier::shard
