// Why a node is where it is: each shard of the view, what it scores for the tenant and for the node, and what follows.
//
// Thread safety: main thread only.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/view.h"
#include "model/ids.h"

namespace espalier::cli {

struct PlacedShard {
  const cluster::ShardInfo* shard = nullptr;
  double tenant_score = 0;  ///< 0: it isn't asked at present
  double score = 0;         ///< for the node; 0: the tenant has others
  bool holds = false;
  std::string why;
};

struct NodePlacement {
  std::string key;             ///< of the node that decides: it, or the ancestor that it is placed with
  std::uint32_t replicas = 0;  ///< how many shards hold it
  bool is_hot = false;
  std::vector<PlacedShard> shards;  ///< best for the node first, then best for the tenant, then the rest
};

/// `view` stays while the result is used. `levels`: below the root.
NodePlacement explain_placement(const cluster::View& view, const model::NodeName& node, std::uint32_t levels);
void print_placement(const NodePlacement& placement);
nlohmann::json placement_json(const NodePlacement& placement);
std::string shard_state_text(cluster::ShardState state);

}  // namespace espalier::cli
