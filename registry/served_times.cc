#include "registry/served_times.h"

#include <algorithm>

namespace espalier::registry {

void ServedTimes::committed(std::uint64_t epoch) {
  while (!waiting_.empty() && waiting_.back().epoch >= epoch) waiting_.pop_back();
  if (waiting_.size() == kMostWaiting) {
    waiting_.pop_front();
    ++not_timed_;
  }
  waiting_.push_back({epoch, clock_.monotonic_us()});
}

void ServedTimes::served(std::uint64_t epoch) {
  const std::int64_t now = clock_.monotonic_us();
  for (; waits_for(epoch); waiting_.pop_front()) {
    histogram_->record(static_cast<std::uint64_t>(std::max<std::int64_t>(now - waiting_.front().committed_us, 0)));
  }
}

void ServedTimes::report(wire::StatusReply& to) const {
  to.served = {histogram_->count(), histogram_->percentile(0.5), histogram_->percentile(0.9),
               histogram_->percentile(0.99), histogram_->max()};
  to.being_served = waiting_.size();
  to.not_timed = not_timed_;
}

}  // namespace espalier::registry
