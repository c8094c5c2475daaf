// That something which answers was found to be damaged: told by whoever finds it, taken up by the control thread
// (docs/damage.md).
//
// Thread safety: any thread.
#pragma once

#include <atomic>

#include "shard/model_table.h"

namespace espalier::shard {

class Damage {
 public:
  /// No request uses it from now on.
  void report(const Servable& servable) {
    if (servable.mark_damaged()) is_reported_.store(true);
  }
  /// Whether something was reported since the last time that this was asked.
  bool take() { return is_reported_.exchange(false); }

 private:
  std::atomic<bool> is_reported_{false};
};

}  // namespace espalier::shard
