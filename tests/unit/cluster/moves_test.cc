// How much of the cluster's leaves a join moves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cluster/placement.h"

namespace espalier::cluster {
namespace {

using model::Partition;

/// What of 1,000 tenants with 40 leaves each moves between two views, as a share of all (leaf, replica) pairs.
struct Moves {
  double share = 0;
  double worst = 0;  ///< of one tenant
  std::string worst_tenant;
};

/// REQUIRES: both are of one view.
Moves moves_between(const Placement& from, const Placement& to) {
  constexpr int kTenants = 1000, kLeaves = 40;
  Moves moves;
  int moved = 0, pairs = 0;
  for (int t = 0; t < kTenants; ++t) {
    const std::string tenant = "tenant-" + std::to_string(t);
    const auto then = from.tenant(tenant), now = to.tenant(tenant);
    int moved_here = 0, pairs_here = 0;
    for (int i = 0; i < kLeaves; ++i) {
      const Partition leaf = *Partition::parse("country/town-" + std::to_string(i));
      std::vector<std::uint32_t> had(8), has(8);
      had.resize(from.node_shards_into(then, "m", leaf, 1, had));
      has.resize(to.node_shards_into(now, "m", leaf, 1, has));
      for (const std::uint32_t shard : has) {
        ++pairs_here;
        moved_here += std::ranges::find(had, shard) == had.end();
      }
    }
    moved += moved_here;
    pairs += pairs_here;
    if (moved_here > moves.worst * pairs_here) {
      moves.worst = static_cast<double>(moved_here) / pairs_here;
      moves.worst_tenant = tenant;
    }
  }
  moves.share = static_cast<double>(moved) / pairs;
  return moves;
}

TEST(Moves, AJoinMovesLittleMoreThanTheShareOfWhoJoins) {
  for (int shards = 3; shards <= 12; ++shards) {
    View view;
    for (int i = 0; i < shards; ++i) view.shards.push_back({"s" + std::to_string(100 + i), {}, 1});
    view.shards.back().state = ShardState::joining;
    const Placement before(view), after(view, Phase::next);
    const Moves moves = moves_between(before, after);
    std::printf("%d shards after the join: %.2f/N of the pairs move; the worst tenant is %s: %.0f %%\n", shards,
                moves.share * shards, moves.worst_tenant.c_str(), moves.worst * 100);
    EXPECT_LE(moves.share, 1.3 / shards) << shards;
  }
}

}  // namespace
}  // namespace espalier::cluster
