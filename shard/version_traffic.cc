#include "shard/version_traffic.h"

#include <algorithm>
#include <utility>

#include "metrics/tally.h"

namespace espalier::shard {

void add_traffic(wire::TrafficRow& to, const wire::TrafficRow& more) {
  to.requests += more.requests;
  to.failed += more.failed;
  to.answered += more.answered;
  to.unexpected += more.unexpected;
  to.took.resize(std::max(to.took.size(), more.took.size()));
  for (std::size_t i = 0; i < more.took.size(); ++i) to.took[i] += more.took[i];
}

void VersionTraffic::look_at(const Seen& seen) {
  wire::TrafficRow row;
  row.requests = std::exchange(unseen_, 0);
  const std::lock_guard lock(mutex_);
  wire::TrafficRow* to = &rest_;
  if (!seen.version.is_nil()) {
    auto found = versions_.find(seen.version);
    if (found == versions_.end()) {
      if (versions_.size() == kVersions) {
        const auto least =
            std::ranges::min_element(versions_, {}, [](const auto& each) { return each.second.requests; });
        add_traffic(rest_, least->second);
        versions_.erase(least);
      }
      found = versions_.try_emplace(seen.version).first;
      found->second.tenant = *seen.tenant;
      found->second.model = *seen.model;
      found->second.version = seen.version;
    }
    to = &found->second;
    row.answered = row.requests;
    row.unexpected = seen.is_unexpected ? row.requests : 0;
  }
  row.failed = seen.has_failed ? row.requests : 0;
  const std::size_t bucket = metrics::Durations::bucket_of(
      std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(seen.took_us, 0)), metrics::Durations::kMostUs));
  row.took.resize(bucket + 1);
  row.took[bucket] = row.requests;
  add_traffic(*to, row);
}

void VersionTraffic::add_to(std::map<Uuid, wire::TrafficRow>& rows) const {
  const std::lock_guard lock(mutex_);
  const auto add = [&](const wire::TrafficRow& row) {
    const auto [found, is_new] = rows.try_emplace(row.version, row);
    if (!is_new) add_traffic(found->second, row);
  };
  for (const auto& [version, row] : versions_) add(row);
  if (rest_.requests > 0) add(rest_);
}

}  // namespace espalier::shard
