// How shards keep their place in the view, and how people change it. As messages.h: twin of
// docs/wire-protocol/membership.md; what it means is docs/membership.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/view.h"
#include "common/uuid.h"

namespace espalier::wire {

/// A node of the depth that placement looks at, as one shard is asked for it.
struct BusyNode {
  std::string tenant, model;
  std::vector<std::string> partition;
  double requests_per_second = 0;
};

/// Renews a shard's lease.
struct RenewRequest {
  static constexpr std::string_view op = "renew";
  std::string shard;
  Uuid process;           ///< of this run of the shard
  bool is_ready = false;  ///< it holds what it owns, or answers from its own disk
  std::uint64_t nodes_ready = 0, nodes_wanted = 0;
  double requests_per_second = 0;
  std::vector<BusyNode> busiest;  ///< the most asked for first
};
struct RenewReply {
  std::uint64_t generation = 0, epoch = 0;
  std::int64_t lease_us = 0;  ///< from now
  cluster::ShardState state = cluster::ShardState::serving;
};

/// Hands over what a shard owns, then takes it out of the view. The reply is an EpochReply, as that of
/// SetTenantRequest.
struct DrainRequest {
  static constexpr std::string_view op = "drain";
  Uuid idem;
  std::string shard;
};

/// All that is set for a tenant, as cluster::TenantSettings; nothing: the defaults again.
struct SetTenantRequest {
  static constexpr std::string_view op = "set_tenant";
  Uuid idem;
  std::string tenant;
  std::uint32_t spread = 0, replicas = 0;
  std::uint32_t requests_per_second = 0, requests_in_flight = 0;
};

}  // namespace espalier::wire
