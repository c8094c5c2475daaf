#include "metrics/feed_progress.h"

#include <algorithm>

namespace espalier::metrics {

void FeedProgress::look(std::int64_t now_us) {
  if (!is_lost_ && served() >= newest_.value()) {
    behind_since_us_.store(0, std::memory_order_relaxed);
  } else if (behind_since_us_.load(std::memory_order_relaxed) == 0) {
    behind_since_us_.store(std::max<std::int64_t>(now_us, 1), std::memory_order_relaxed);
  }
}

std::uint64_t FeedProgress::lag() const {
  const std::uint64_t at = served();
  return std::max(newest_.value(), at) - at;
}

double FeedProgress::behind_seconds(std::int64_t now_us) const {
  const std::int64_t since_us = behind_since_us_.load(std::memory_order_relaxed);
  return since_us == 0 ? 0 : static_cast<double>(std::max<std::int64_t>(now_us - since_us, 0)) / 1e6;
}

void FeedProgress::fill(Page& page, const std::string& prefix, std::int64_t now_us) const {
  page.gauge(prefix + "_lag_epochs", "Between the newest epoch that it has heard of and the one that it serves.",
             static_cast<double>(lag()));
  page.gauge(prefix + "_behind_seconds",
             "For how long it has not been known to serve the registry's newest epoch: 0 while it is.",
             behind_seconds(now_us));
}

}  // namespace espalier::metrics
