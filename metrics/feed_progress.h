// How far a reader of the registry's change feed is: the epoch that it serves, the newest that it has heard of, and for
// how long it hasn't been known to serve the newest.
//
// Thread safety: one thread tells, any reads. Times are monotonic.
#pragma once

#include <atomic>
#include <cstdint>

#include "metrics/page.h"
#include "metrics/tally.h"

namespace espalier::metrics {

class FeedProgress {
 public:
  /// The registry has answered: `newest` is its last change.
  void heard(std::uint64_t newest, std::int64_t now_us) {
    heard_us_ = now_us;
    is_lost_ = false;
    newest_.set(newest);
    look(now_us);
  }
  void serves(std::uint64_t epoch, std::int64_t now_us) {
    served_.set(epoch);
    look(now_us);
  }
  /// The registry doesn't answer.
  void lost(std::int64_t now_us) {
    is_lost_ = true;
    look(heard_us_ == 0 ? now_us : heard_us_);
  }

  std::uint64_t served() const { return served_.value(); }
  /// Epochs between what it has heard of and what it serves.
  std::uint64_t lag() const;
  /// Since the registry last said something that it serves all of; 0 while it does.
  double behind_seconds(std::int64_t now_us) const;
  /// `prefix`: of the process's metrics, "espalier_shard".
  void fill(Page& page, const std::string& prefix, std::int64_t now_us) const;

 private:
  void look(std::int64_t now_us);

  Gauge served_, newest_;
  std::atomic<std::int64_t> behind_since_us_{0};  ///< 0: it isn't
  // Of the thread that tells.
  std::int64_t heard_us_ = 0;
  bool is_lost_ = false;
};

}  // namespace espalier::metrics
