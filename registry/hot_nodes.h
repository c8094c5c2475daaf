// Which leaves get more replicas because they are asked for more than one shard should bear (docs/membership.md, "Hot
// nodes"): bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018), applied to measured requests.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cluster/view.h"
#include "wire/membership_messages.h"

namespace espalier::registry {

struct HotNodeRules {
  double slack = 0.25;            ///< so much more than the average shard one node may ask of a shard
  double least_per_second = 200;  ///< below that a node is never hot: a small cluster's average says little
  /// A taken replica is given back when so many times the load would still not need it.
  double giving_back = 1.5;
  std::uint32_t most_replicas = 4;  ///< routers ask no more for one part
};

/// What the shards that serve are asked for, all together.
struct MeasuredLoad {
  double requests_per_second = 0;
  std::vector<wire::BusyNode> nodes;  ///< each once
};
/// What several shards said, added up.
MeasuredLoad add_up(const std::vector<const wire::RenewRequest*>& said);

/// The view with other hot nodes to come, numbered on; nothing when those that it has are right. REQUIRES: nothing is
/// moving in it (is_moving()).
std::optional<cluster::View> with_hot_nodes(const cluster::View& view, const MeasuredLoad& load,
                                            const HotNodeRules& rules = {});

}  // namespace espalier::registry
