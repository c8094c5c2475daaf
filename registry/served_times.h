// How long releases take from their commit until every shard of the view answers from them: the last step of
// docs/life-of-a-publish.md, as a histogram.
//
// In memory, since the registry's start; its size is bounded. Thread safety: one thread owns it. Ownership: the clock
// outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "common/clock.h"
#include "common/metrics.h"
#include "wire/status_messages.h"

namespace espalier::registry {

class ServedTimes {
 public:
  static constexpr std::size_t kMostWaiting = 65'536;

  explicit ServedTimes(const Clock& clock) : clock_(clock), histogram_(std::make_unique<Histogram>()) {}

  /// The release of that epoch is committed. One of the same epoch or a later one that was told of before was lost with
  /// a failed write, and is forgotten. Where too many are waited for, the oldest gets no time.
  void committed(std::uint64_t epoch);
  /// Whether an acknowledgement of `epoch` can say something new.
  bool waits_for(std::uint64_t epoch) const { return !waiting_.empty() && waiting_.front().epoch <= epoch; }
  /// Every shard of the view answers from `epoch` on.
  void served(std::uint64_t epoch);
  const Histogram& times() const { return *histogram_; }
  std::size_t being_served() const { return waiting_.size(); }
  /// Fills in what a status says of this.
  void report(wire::StatusReply& to) const;

 private:
  struct Waiting {
    std::uint64_t epoch;
    std::int64_t committed_us;  ///< monotonic
  };

  const Clock& clock_;
  std::deque<Waiting> waiting_;  ///< ascending
  std::unique_ptr<Histogram> histogram_;
  std::uint64_t not_timed_ = 0;
};

}  // namespace espalier::registry
