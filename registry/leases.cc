#include "registry/leases.h"

#include <algorithm>

namespace espalier::registry {

const wire::RenewRequest* Leases::said(const std::string& shard) const {
  const auto it = leases_.find(shard);
  return it == leases_.end() || it->second.said.shard.empty() ? nullptr : &it->second.said;
}

void Leases::keep(const cluster::View& view) {
  std::erase_if(leases_, [&](const auto& lease) {
    return std::ranges::find(view.shards, lease.first, &cluster::ShardInfo::name) == view.shards.end();
  });
}

void Leases::tick(std::int64_t now_us) {
  if (has_ticked_ && now_us - ticked_us_ > lease_us_ / 2) {
    for (auto& [shard, lease] : leases_) lease.until_us = std::max(lease.until_us, now_us + lease_us_);
  }
  has_ticked_ = true;
  ticked_us_ = now_us;
}

std::int64_t Leases::next_us(std::int64_t now_us) const {
  std::int64_t next = lease_us_ / 4;
  for (const auto& [shard, lease] : leases_) {
    if (lease.until_us > now_us) next = std::min(next, lease.until_us - now_us);
  }
  return next;
}

}  // namespace espalier::registry
