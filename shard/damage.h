// That something which answers was found to be damaged: told by whoever finds it, taken up by the control thread
// (docs/damage.md).
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "shard/model_table.h"

namespace espalier::shard {

class Damage {
 public:
  /// No request uses it from now on.
  void report(const Servable& servable) {
    if (!servable.mark_damaged()) return;
    found_.fetch_add(1, std::memory_order_relaxed);
    is_reported_.store(true);
  }
  /// Whether something was reported since the last time that this was asked.
  bool take() { return is_reported_.exchange(false); }
  /// How many were reported.
  std::uint64_t found() const { return found_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> is_reported_{false};
  std::atomic<std::uint64_t> found_{0};
};

}  // namespace espalier::shard
