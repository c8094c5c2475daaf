#include "registry/hot_nodes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "registry/membership.h"

namespace espalier::registry {
namespace {

/// Shards that serve, all of them the tenants'; a leaf has two replicas.
cluster::View cluster_of(int shards) {
  cluster::View view;
  for (int i = 0; i < shards; ++i) view.shards.push_back({"s" + std::to_string(i), {}, 1});
  view.default_spread = 8;
  return view;
}

MeasuredLoad load_of(double all, double leaf) { return {all, {{"acme", "m", {"x"}, leaf}}}; }

/// How many replicas acme/m@x has, or is to have, beyond its tenant's; -1: nothing changes.
int wanted(const cluster::View& view, const MeasuredLoad& load) {
  const auto changed = with_hot_nodes(view, load);
  return changed ? static_cast<int>(changed->hot_nodes.back().replicas) : -1;
}

TEST(HotNodes, GetWhatBoundsEachShardsShare) {
  struct Case {
    const char* name;
    int shards;
    double all, leaf;
    int now, wanted;  ///< now: 0: none
  };
  const Case cases[] = {
      {"nothing is asked", 6, 0, 0, 0, -1},
      {"an even load", 6, 6000, 1000, 0, -1},
      {"just within the bound of two", 6, 6000, 2500, 0, -1},
      {"three are needed", 6, 6000, 2600, 0, 3},
      {"all of the load", 6, 6000, 6000, 0, 4},  // five, but routers ask four
      {"too little to be sure", 6, 190, 190, 0, -1},
      {"as many as it has", 6, 6000, 2600, 3, -1},
      {"more than it has", 6, 6000, 4500, 3, 4},
      {"a little less keeps them", 6, 6000, 2000, 3, -1},
      {"a lot less gives them back", 6, 6000, 1600, 3, 0},
      {"four go down to three", 6, 6000, 2300, 4, 3},
      {"nobody asks any more", 6, 6000, 0, 4, 0},
      {"no load at all", 6, 0, 0, 4, 0},
      {"a small cluster has no more", 2, 6000, 6000, 0, -1},
      {"three shards", 3, 6000, 6000, 0, 3},
      {"one shard", 1, 6000, 6000, 0, -1},
  };
  for (const Case& c : cases) {
    cluster::View view = cluster_of(c.shards);
    if (c.now != 0) view.hot_nodes = {{"acme", "m", {"x"}, static_cast<std::uint32_t>(c.now)}};
    EXPECT_EQ(wanted(view, load_of(c.all, c.leaf)), c.wanted) << c.name;
  }
}

TEST(HotNodes, WhatTheyHaveStaysInForceUntilTheRestIsHeld) {
  cluster::View view = cluster_of(6);
  view.hot_nodes = {{"acme", "m", {"a"}, 3}, {"acme", "m", {"x"}, 3}};
  MeasuredLoad load = load_of(6000, 4500);
  load.nodes.push_back({"acme", "m", {"a"}, 2600});
  const auto changed = with_hot_nodes(view, load);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->number, view.number + 1);
  ASSERT_EQ(changed->hot_nodes.size(), 3u);
  EXPECT_EQ(changed->hot_nodes[1].replicas, 3u);
  EXPECT_EQ(changed->hot_nodes[2].replicas, 4u);
  EXPECT_TRUE(is_moving(*changed));
  const cluster::View after = in_force(*changed);
  EXPECT_FALSE(is_moving(after));
  ASSERT_EQ(after.hot_nodes.size(), 2u);
  EXPECT_EQ(after.hot_nodes[1].replicas, 4u);
  EXPECT_FALSE(with_hot_nodes(after, load));
  EXPECT_TRUE(in_force(*with_hot_nodes(after, {})).hot_nodes.empty());
}

TEST(HotNodes, ALoadThatSwaysByAFifthDoesNotMoveThem) {
  cluster::View view = cluster_of(8);
  int changes = 0;
  for (int i = 0; i < 200; ++i) {
    const double leaf = 2600 * (1 + 0.2 * std::sin(i));
    const auto changed = with_hot_nodes(view, load_of(8000, leaf));
    if (!changed) continue;
    ++changes;
    view = in_force(*changed);
  }
  EXPECT_LE(changes, 2);
  EXPECT_EQ(view.hot_nodes.size(), 1u);
}

TEST(HotNodes, WhatShardsSayIsAddedUp) {
  const wire::RenewRequest one{"s0", {}, true, 1, 1, 100, {{"acme", "m", {"x"}, 60}, {"acme", "m", {"y"}, 10}}};
  wire::RenewRequest other{"s1", {}, true, 1, 1, 50, {{"acme", "m", {"x"}, 40}}};
  other.busiest.push_back({"acme", "m", {"z"}, std::nan("")});
  other.busiest.push_back({"acme", "m", {"z"}, -5});
  const MeasuredLoad load = add_up({&one, &other});
  EXPECT_EQ(load.requests_per_second, 150);
  ASSERT_EQ(load.nodes.size(), 2u);
  EXPECT_EQ(load.nodes[0].requests_per_second, 100);
}

}  // namespace
}  // namespace espalier::registry
