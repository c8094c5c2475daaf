#include "router/request_counts.h"

namespace espalier::router {

RequestCounts::~RequestCounts() = default;

TenantCounts& RequestCounts::of(std::string_view tenant) {
  const auto found = by_name_.find(tenant);
  if (found != by_name_.end()) return *found->second;
  const std::size_t taken = taken_.load(std::memory_order_relaxed);
  if (taken == kTenants) return rest_;
  places_[taken] = std::make_unique<TenantCounts>();
  TenantCounts& counts = *places_[taken];
  counts.tenant = tenant;
  by_name_.emplace(counts.tenant, &counts);
  taken_.store(taken + 1, std::memory_order_release);
  return counts;
}

void RequestCounts::answered(TenantCounts& tenant, std::string_view reply, std::int64_t began_us, std::int64_t now_us) {
  failed(tenant, wire::peek_reply(reply, peeked_), began_us, now_us);
  for (const wire::PartPeek& part : peeked_) {
    if (part.code != Code::ok) {
      parts_failed_[static_cast<std::size_t>(part.code)].add();
      tenant.failed.add();
      continue;
    }
    const auto reason = static_cast<std::size_t>(part.reason);
    parts_[part.levels_above][reason].add();
    tenant.answered[reason].add();
  }
}

void RequestCounts::unused(std::string_view reply) {
  wire::peek_reply(reply, peeked_);
  for (const wire::PartPeek& part : peeked_) {
    if (part.code == Code::ok) {
      parts_unused_[part.levels_above][static_cast<std::size_t>(part.reason)].add();
    } else {
      parts_unused_failed_[static_cast<std::size_t>(part.code)].add();
    }
  }
}

void RequestCounts::failed(TenantCounts& tenant, Code code, std::int64_t began_us, std::int64_t now_us) {
  tenant.requests[static_cast<std::size_t>(code)].add();
  if (began_us != 0) tenant.took.record(now_us - began_us);
}

}  // namespace espalier::router
