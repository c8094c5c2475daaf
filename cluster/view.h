// The numbered view of the cluster: which shards there are and how keys are spread over them. Published by the registry
// in its change feed; routers, shards and clients compute placement from it.
//
// Thread safety: a value; share it as const.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace espalier::cluster {

/// Where a shard stands (docs/membership.md). On the wire and in records: never change.
enum class ShardState : std::uint8_t {
  serving = 0,   ///< is asked
  joining = 1,   ///< takes in what will be its own; is not asked yet
  draining = 2,  ///< is asked until others hold what it owns
  gone = 3,      ///< its lease has ended: as draining, but it is not there to answer
};
/// "serving", "joining", "draining" or "gone"; "?" for a number that is none.
std::string_view shard_state_name(ShardState state);

struct ShardInfo {
  std::string name;
  /// One endpoint a thread of the shard; all answer alike.
  std::vector<std::string> endpoints;
  double weight = 1;  ///< share of keys relative to other shards
  std::string zone;   ///< what fails together: a host, a rack; empty: none is said
  ShardState state = ShardState::serving;
};

/// What is set for a tenant; 0: the view's default, or no limit.
struct TenantSettings {
  std::uint32_t spread = 0;               ///< shards that serve the tenant
  std::uint32_t replicas = 0;             ///< shards that hold each leaf
  std::uint32_t requests_per_second = 0;  ///< at each router
  std::uint32_t requests_in_flight = 0;   ///< at each router
};

/// A node of the depth that placement looks at, held by more shards than the tenant's others since it is asked for
/// more.
struct HotNode {
  std::string tenant, model;
  std::vector<std::string> partition;
  std::uint32_t replicas = 0;
};

struct View {
  std::uint64_t number = 0;
  std::vector<ShardInfo> shards;  ///< sorted by name
  std::uint32_t default_spread = 4;
  std::uint32_t default_replicas = 2;
  std::map<std::string, TenantSettings> tenants;  ///< those for which something is set
  std::vector<HotNode> hot_nodes;                 ///< by tenant, model and partition
};

}  // namespace espalier::cluster
