#include "registry/leases.h"

#include <algorithm>

namespace espalier::registry {

const wire::RenewRequest* Leases::said(const std::string& shard) const {
  const auto it = leases_.find(shard);
  return it == leases_.end() || it->second.said.shard.empty() ? nullptr : &it->second.said;
}

Status Leases::check_newest(const std::string& shard, const Uuid& process, std::int64_t now_us) const {
  const auto it = leases_.find(shard);
  // A process's UUID begins with the time at which it was made.
  if (it == leases_.end() || it->second.until_us <= now_us || process >= it->second.process) return {};
  return failed_precondition("shard " + shard + ": a newer process of this name is there");
}

bool Leases::may_be_of(const std::string& shard, const Uuid& process) const {
  const auto it = leases_.find(shard);
  return it == leases_.end() || process.is_nil() || it->second.process.is_nil() || it->second.process == process;
}

void Leases::join(const std::string& shard, const Uuid& process, bool is_new, std::int64_t now_us) {
  Lease& lease = leases_[shard];
  if (is_new) lease = {.is_new = true};
  if (!process.is_nil()) lease.process = process;
  lease.until_us = now_us + lease_us_;
  drained_.erase(shard);
}

Result<bool> Leases::renew(const wire::RenewRequest& request, std::int64_t now_us) {
  RETURN_IF_ERROR(check_newest(request.shard, request.process, now_us));
  Lease& lease = leases_[request.shard];
  const Uuid before = lease.said.process;
  const bool is_another = request.process != before && !(before.is_nil() && lease.is_new);
  if (is_another) lease.is_empty = !request.is_ready;
  lease.said = request;
  lease.process = request.process;
  lease.is_new = false;
  lease.until_us = now_us + lease_us_;
  return is_another && !before.is_nil();
}

bool Leases::is_empty(const std::string& shard) const {
  const auto it = leases_.find(shard);
  return it != leases_.end() && it->second.is_empty;
}

void Leases::note_drained(const std::string& shard) {
  if (const auto* last = said(shard)) drained_[shard] = last->process;
}

bool Leases::was_drained(const wire::RenewRequest& request) const {
  const auto it = drained_.find(request.shard);
  return it != drained_.end() && !request.process.is_nil() && it->second == request.process;
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
