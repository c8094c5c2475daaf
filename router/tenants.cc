#include "router/tenants.h"

#include <algorithm>
#include <utility>

namespace espalier::router {
namespace {

/// Tenants kept at hand; names come from outside, so the number is bounded.
constexpr std::size_t kMostTenants = 100'000;
/// What a token bucket holds: requests of so long, and never less than this many.
constexpr double kBurstSeconds = 0.1;
constexpr double kLeastBurst = 1;
/// When to ask again where nobody can tell when there will be room.
constexpr std::int64_t kUsualWaitUs = 20'000;
constexpr std::int64_t kSecondUs = 1'000'000;

double burst(const Tenant& tenant) { return std::max(kLeastBurst, tenant.requests_per_second * kBurstSeconds); }

Admission refused(std::string message, std::int64_t retry_after_us) {
  return {Status(Code::overloaded, std::move(message)), retry_after_us};
}

}  // namespace

Tenant& Tenants::at(const Routes& routes, std::string_view name, std::int64_t now_us) {
  name_.assign(name);
  auto found = tenants_.find(name_);
  if (found == tenants_.end()) {
    if (tenants_.size() >= kMostTenants) {
      // Those with a limit of their own are as many as the view has; forgotten, their buckets would be full again.
      std::erase_if(tenants_, [](const auto& each) {
        return each.second.in_flight == 0 && each.second.requests_per_second == 0;
      });
    }
    found = tenants_.emplace(name_, Tenant()).first;
  }
  Tenant& tenant = found->second;
  if (tenant.routes_number != routes.number) refresh(tenant, routes, name, now_us);
  return tenant;
}

void Tenants::refresh(Tenant& tenant, const Routes& routes, std::string_view name, std::int64_t now_us) const {
  tenant.shards = routes.placement.tenant(name);
  cluster::TenantSettings settings;
  if (const auto set = routes.view.tenants.find(name_); set != routes.view.tenants.end()) settings = set->second;
  const bool begins_limited = tenant.requests_per_second == 0;
  tenant.requests_per_second = settings.requests_per_second;
  tenant.most_in_flight = settings.requests_in_flight;
  if (begins_limited) {
    tenant.tokens = burst(tenant);
    tenant.filled_us = now_us;
  }
  tenant.routes_number = routes.number;
}

Admission Tenants::admit(Tenant& tenant, std::uint64_t crowd_work_us, std::int64_t now_us) {
  const auto limit_text = [&] { return "tenant " + tenant.shards.tenant; };
  if (tenant.most_in_flight > 0 && tenant.in_flight >= tenant.most_in_flight) {
    return refused(limit_text() + " has " + std::to_string(tenant.in_flight) + " requests in flight, as many as it may",
                   kUsualWaitUs);
  }
  // Its share is an equal part of what is in flight; who holds nothing is never over it. Alone, all of it is.
  if (crowd_work_us > 0 && tenant.work_us * active(now_us) > std::max(work_us_, crowd_work_us)) {
    return refused(limit_text() + " has more than its share of what is in flight", kUsualWaitUs);
  }
  if (tenant.requests_per_second == 0) return {};
  const double rate = tenant.requests_per_second;
  tenant.tokens = std::min(burst(tenant), tenant.tokens + static_cast<double>(now_us - tenant.filled_us) * rate / 1e6);
  tenant.filled_us = now_us;
  if (tenant.tokens < 1) {
    return refused(limit_text() + " sends more than its limit of " + std::to_string(tenant.requests_per_second) +
                       " requests a second",
                   static_cast<std::int64_t>((1 - tenant.tokens) * 1e6 / rate) + 1);
  }
  tenant.tokens -= 1;
  return {};
}

void Tenants::look_at_clock(std::int64_t now_us) {
  const std::int64_t second = now_us / kSecondUs;
  if (second == second_) return;
  asked_before_ = second == second_ + 1 ? asked_now_ : 0;
  asked_now_ = 0;
  second_ = second;
}

std::size_t Tenants::active(std::int64_t now_us) {
  look_at_clock(now_us);
  return std::max({active_, asked_before_, asked_now_});
}

void Tenants::begin(Tenant& tenant, std::uint64_t work_us, std::int64_t now_us) {
  look_at_clock(now_us);
  if (tenant.asked_in != second_) {
    tenant.asked_in = second_;
    ++asked_now_;
  }
  if (tenant.in_flight++ == 0) ++active_;
  tenant.work_us += work_us;
  work_us_ += work_us;
}

void Tenants::end(Tenant& tenant, std::uint64_t work_us) {
  if (--tenant.in_flight == 0) --active_;
  tenant.work_us -= work_us;
  work_us_ -= work_us;
}

}  // namespace espalier::router
