// Raises an alert, for each reason its own, where a model is too often answered for by another node or version than it
// should be, and ends it when that is over (docs/fallback.md). A fallback that nobody sees would hide a fault.
//
// Thread safety: step() from one thread; alerts() from any. Ownership: borrows the counts.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "shard/answer_counts.h"
#include "wire/shard_status_messages.h"

namespace espalier::shard {

/// Of all workers together, by tenant and model; empty names: of the models that have no place of their own.
using ModelReasons = std::map<std::pair<std::string, std::string>, Reasons>;
ModelReasons sum_of(const std::vector<const AnswerCounts*>& counts);

struct WatchOptions {
  std::int64_t window_us = 10'000'000;
  double raised_above = 0.01;    ///< share of unexpected answers within the window
  std::uint64_t and_above = 10;  ///< such answers
  double ended_below = 0.005;
};

class FallbackWatch {
 public:
  explicit FallbackWatch(const Clock& clock, WatchOptions options = {}) : clock_(clock), options_(options) {}

  /// To be called about once a second.
  void step(const ModelReasons& now);
  /// What goes on; the most unexpected answers first.
  std::vector<wire::FallbackAlert> alerts() const;

 private:
  struct Sample {
    std::int64_t at_us;
    Reasons reasons;
  };
  struct Watched {
    std::deque<Sample> samples;                                   ///< the first is as old as the window, or older
    std::array<std::int64_t, NodeCounts::kReasons> raised_at_us;  ///< by reason; -1: not
    Watched() { raised_at_us.fill(-1); }
  };
  void look(const std::pair<std::string, std::string>& model, Watched& watched, std::int64_t now_us,
            std::vector<wire::FallbackAlert>& alerts) const;

  const Clock& clock_;
  const WatchOptions options_;
  std::map<std::pair<std::string, std::string>, Watched> watched_;
  mutable std::mutex mutex_;
  std::vector<wire::FallbackAlert> alerts_;  ///< guarded by mutex_
};

}  // namespace espalier::shard
