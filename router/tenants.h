// What a router knows of the tenants that ask it: where their requests go, what each may ask, and what is under way.
//
// A tenant's own limits (cluster::TenantSettings) hold always: requests a second as a token bucket that holds a tenth
// of a second's, and requests in flight. Where there is a crowd (Backends::crowd_work_us()) and others ask, too, now or
// in the last second or two, a tenant that holds more than its share of the work in flight is refused, so that its
// flood waits at its own door and not in the shards' queues, where it would be before everybody.
//
// Thread safety: the router's thread. Ownership: a Tenant stays where it is while something of it is under way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "cluster/placement.h"
#include "common/status.h"
#include "router/routes.h"

namespace espalier::router {

struct TenantCounts;

struct Tenant {
  cluster::Placement::TenantShards shards;
  std::uint32_t requests_per_second = 0;  ///< 0: no limit
  std::uint32_t most_in_flight = 0;       ///< 0: no limit
  double tokens = 0;                      ///< requests that it may send now
  std::int64_t filled_us = 0;             ///< when `tokens` was reckoned
  std::uint64_t routes_number = 0;        ///< of the routes that the above is of
  std::uint32_t in_flight = 0;            ///< requests
  std::uint64_t work_us = 0;              ///< in flight, as Flow::send() is told it
  std::int64_t asked_in = -1;             ///< the second in which it was last taken in
  TenantCounts* counts = nullptr;         ///< once it has asked for a model that there is
};

/// Whether a request is taken in; and if not, when it may be worth asking again.
struct Admission {
  Status status;
  std::int64_t retry_after_us = 0;
};

class Tenants {
 public:
  /// Named by a client, known or not. Valid until the next call unless something of it is under way.
  Tenant& at(const Routes& routes, std::string_view name, std::int64_t now_us);

  /// overloaded: the tenant is over a limit of its own, or, where there is a crowd, over its share of what is in flight
  /// and of what makes a crowd (`crowd_work_us`; 0: there is none). Takes a token.
  Admission admit(Tenant& tenant, std::uint64_t crowd_work_us, std::int64_t now_us);
  void begin(Tenant& tenant, std::uint64_t work_us, std::int64_t now_us);
  /// REQUIRES: begin() with the same amount.
  void end(Tenant& tenant, std::uint64_t work_us);

  /// With something under way, or taken in within the last second or two.
  std::size_t active(std::int64_t now_us);
  std::size_t size() const { return tenants_.size(); }

 private:
  void look_at_clock(std::int64_t now_us);
  void refresh(Tenant& tenant, const Routes& routes, std::string_view name, std::int64_t now_us) const;

  std::unordered_map<std::string, Tenant> tenants_;
  std::string name_;        ///< reused
  std::size_t active_ = 0;  ///< with something under way
  std::int64_t second_ = 0;
  std::size_t asked_before_ = 0, asked_now_ = 0;  ///< tenants taken in, in the second before `second_` and in it
  std::uint64_t work_us_ = 0;
};

}  // namespace espalier::router
