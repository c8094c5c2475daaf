// The numbered view of the cluster: which shards there are and how keys are spread over them. Published by the registry
// in its change feed; routers, shards and clients compute placement from it.
//
// Thread safety: a value; share it as const.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace espalier::cluster {

struct ShardInfo {
  std::string name;
  /// One endpoint a thread of the shard; all answer alike.
  std::vector<std::string> endpoints;
  double weight = 1;  ///< share of keys relative to other shards
};

struct TenantSpread {
  std::uint32_t spread = 0;    ///< shards that serve the tenant; 0: the view's default
  std::uint32_t replicas = 0;  ///< shards that hold each leaf; 0: the view's default
};

struct View {
  std::uint64_t number = 0;
  std::vector<ShardInfo> shards;  ///< sorted by name
  std::uint32_t default_spread = 4;
  std::uint32_t default_replicas = 2;
  std::map<std::string, TenantSpread> tenants;  ///< those that differ from the defaults
};

}  // namespace espalier::cluster
