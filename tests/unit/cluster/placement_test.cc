#include "cluster/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <ranges>
#include <set>
#include <sstream>

#include "common/hash.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace espalier::cluster {
namespace {

using model::Partition;

View view_of(std::vector<std::string> names, std::uint32_t spread = 4, std::uint32_t replicas = 2) {
  View view;
  for (std::string& name : names) view.shards.push_back({std::move(name), {}, 1});
  view.default_spread = spread;
  view.default_replicas = replicas;
  return view;
}

View numbered_view(int shards, std::uint32_t spread, std::uint32_t replicas) {
  std::vector<std::string> names;
  for (int i = 0; i < shards; ++i) names.push_back("s" + std::to_string(100 + i));
  return view_of(std::move(names), spread, replicas);
}

Partition partition(std::string_view text) {
  auto parsed = Partition::parse(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status().text();
  return *parsed;
}

std::vector<std::string> names_of(const View& view, const std::vector<std::uint32_t>& shards) {
  std::vector<std::string> names;
  for (const std::uint32_t shard : shards) names.push_back(view.shards[shard].name);
  return names;
}

std::vector<std::string> owners(const View& view, const std::string& tenant, const std::string& leaf) {
  return names_of(view, node_shards(view, tenant, "m", partition(leaf), 0));
}

// The page's definition, written down a second time without any of the shortcuts.

std::string with(std::string key, const std::string& component) { return key + component + std::string("\x00\x01", 2); }

std::pair<double, std::uint64_t> plain_score(const std::string& key, double weight) {
  const std::uint64_t number = xxh3_64(key) >> 12;
  return {-weight / std::log((static_cast<double>(number) + 0.5) / 4503599627370496.0), number};
}

/// Who sits where: the best claim, of a shard without a seat for a free one, until one of the two has run out.
std::map<std::uint32_t, std::uint32_t> plain_seats(const View& view, const std::string& tenant) {
  std::map<std::uint32_t, std::uint32_t> seats;
  std::set<std::uint32_t> seated;
  while (seats.size() < view.default_spread && seated.size() < view.shards.size()) {
    std::pair<double, std::uint64_t> best{-1, 0};
    std::uint32_t best_seat = 0, best_shard = 0;
    for (std::uint32_t seat = 0; seat < view.default_spread; ++seat) {
      for (std::uint32_t shard = 0; shard < view.shards.size(); ++shard) {
        if (seats.contains(seat) || seated.contains(shard)) continue;
        const std::string key = with(with(with("", tenant), std::to_string(seat)), view.shards[shard].name);
        const auto score = plain_score(key, view.shards[shard].weight);
        if (score > best) best = score, best_seat = seat, best_shard = shard;
      }
    }
    seats[best_seat] = best_shard;
    seated.insert(best_shard);
  }
  return seats;
}

std::vector<std::uint32_t> plain_order(const View& view, const std::map<std::uint32_t, std::uint32_t>& seats,
                                       const std::string& key) {
  std::vector<std::pair<std::pair<double, std::uint64_t>, std::uint32_t>> scored;
  for (const auto& [seat, shard] : seats) {
    scored.emplace_back(plain_score(with(key, std::to_string(seat)), view.shards[shard].weight), shard);
  }
  std::ranges::stable_sort(scored, std::greater<>(), [](const auto& each) { return each.first; });
  std::vector<std::uint32_t> order;
  for (const auto& each : scored) order.push_back(each.second);
  return order;
}

TEST(ReplicatedUntil, AllLevelsButTheLast) {
  EXPECT_EQ(replicated_until(0), 0u);
  EXPECT_EQ(replicated_until(1), 0u);
  EXPECT_EQ(replicated_until(2), 1u);
  EXPECT_EQ(replicated_until(8), 7u);
}

TEST(Placement, IsTheDefinitionOfThePage) {
  for (const bool weighted : {false, true}) {
    View view = numbered_view(7, 5, 5);
    if (weighted) {
      view.shards[2].weight = 0.25;
      view.shards[5].weight = 3;
    }
    for (int i = 0; i < 200; ++i) {
      const std::string tenant = "t" + std::to_string(i);
      const auto seats = plain_seats(view, tenant);
      const auto in_order = std::views::values(seats);
      EXPECT_EQ(tenant_shards(view, tenant), std::vector(in_order.begin(), in_order.end()));
      const Partition leaf = partition("a/b" + std::to_string(i));
      EXPECT_EQ(node_shards(view, tenant, "m", leaf, 1), plain_order(view, seats, model::node_key(tenant, "m", leaf)));
    }
  }
}

TEST(Placement, SpreadAndReplicasAtTheirEdges) {
  struct Case {
    int shards;
    std::uint32_t spread, replicas, tenant_spread, tenant_replicas;
    std::size_t expected_spread, expected_replicas;
  };
  const Case cases[] = {
      {0, 4, 2, 0, 0, 0, 0},     {1, 4, 2, 0, 0, 1, 1}, {3, 4, 2, 0, 0, 3, 2},      {8, 4, 2, 0, 0, 4, 2},
      {8, 4, 9, 0, 0, 4, 4},     {8, 0, 0, 0, 0, 1, 1}, {8, 4, 2, 1, 0, 1, 1},      {8, 4, 2, 6, 3, 6, 3},
      {8, 4, 2, 100, 100, 8, 8}, {8, 4, 2, 0, 1, 4, 1}, {60, 50, 40, 0, 0, 50, 40},
  };
  for (const Case& c : cases) {
    View view = numbered_view(c.shards, c.spread, c.replicas);
    view.tenants["acme"] = {c.tenant_spread, c.tenant_replicas};
    const auto all = tenant_shards(view, "acme");
    EXPECT_EQ(all.size(), c.expected_spread);
    EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size());
    EXPECT_EQ(node_shards(view, "acme", "m", Partition(), 0).size(), c.expected_spread);
    const auto some = node_shards(view, "acme", "m", partition("usa"), 0);
    EXPECT_EQ(some.size(), c.expected_replicas);
    for (const std::uint32_t shard : some) EXPECT_NE(std::ranges::find(all, shard), all.end());
  }
}

TEST(Placement, AShardWithoutPositiveWeightGetsNothing) {
  for (const double weight : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    View view = numbered_view(3, 3, 3);
    view.shards[1].weight = weight;
    EXPECT_EQ(tenant_shards(view, "acme").size(), 2u);
    EXPECT_FALSE(holds(view, "s101", "acme", "m", Partition(), 0));
  }
}

TEST(Placement, WhoeverHoldsANodeHoldsItsAncestors) {
  const View view = numbered_view(9, 6, 2);
  for (int i = 0; i < 300; ++i) {
    const Partition leaf =
        partition("c" + std::to_string(i % 7) + "/s" + std::to_string(i % 31) + "/t" + std::to_string(i));
    for (std::uint32_t until = 0; until <= 3; ++until) {
      for (const std::uint32_t shard : node_shards(view, "acme", "m", leaf, until)) {
        for (std::size_t depth = 0; depth <= leaf.depth(); ++depth) {
          EXPECT_TRUE(holds(view, view.shards[shard].name, "acme", "m", leaf.ancestor(depth), until));
        }
      }
    }
  }
}

TEST(Placement, HoldsAgreesWithNodeShards) {
  const View view = numbered_view(9, 5, 2);
  const Placement placement(view);
  const auto tenant = placement.tenant("acme");
  for (const char* text : {"", "usa", "usa/ca", "usa/ca/fresno", "russia//ivanovo"}) {
    for (std::uint32_t until = 0; until < 3; ++until) {
      const auto shards = node_shards(view, "acme", "m", partition(text), until);
      for (std::uint32_t shard = 0; shard < view.shards.size(); ++shard) {
        EXPECT_EQ(placement.holds(shard, tenant, "m", partition(text), until), std::ranges::count(shards, shard) == 1);
      }
    }
  }
}

TEST(Placement, ValuesOfAMessagePlaceAsTheirPartition) {
  const View view = numbered_view(9, 5, 2);
  const Placement placement(view);
  const auto tenant = placement.tenant("acme");
  const std::vector<std::string_view> cases[] = {
      {}, {"usa"}, {"usa", "ca", "fresno"}, {"russia", "", "ivanovo"}, {"usa", "", ""}, {"", ""}};
  for (const auto& values : cases) {
    const auto parsed = Partition::from_values(values);
    ASSERT_OK(parsed);
    for (std::uint32_t until = 0; until < 3; ++until) {
      std::vector<std::uint32_t> shards(9);
      shards.resize(placement.node_shards_into(tenant, "m", values, until, shards));
      EXPECT_EQ(shards, node_shards(view, "acme", "m", *parsed, until));
    }
  }
}

TEST(Placement, ASmallSpanGetsTheBest) {
  const View view = numbered_view(40, 40, 40);
  const Placement placement(view);
  const auto tenant = placement.tenant("acme");
  std::vector<std::uint32_t> all(40);
  ASSERT_EQ(placement.node_shards_into(tenant, "m", partition("usa"), 0, all), 40u);
  for (const std::size_t size : {0u, 1u, 3u, 32u, 33u}) {
    std::vector<std::uint32_t> best(size);
    ASSERT_EQ(placement.node_shards_into(tenant, "m", partition("usa"), 0, best), size);
    EXPECT_TRUE(std::equal(best.begin(), best.end(), all.begin()));
  }
}

TEST(Placement, BalancesKeysByWeight) {
  View view = numbered_view(5, 5, 1);
  view.shards[0].weight = 2;
  view.shards[3].weight = 0.5;
  const Placement placement(view);
  const auto tenant = placement.tenant("acme");
  constexpr int kKeys = 20000;
  std::vector<int> count(5);
  for (int i = 0; i < kKeys; ++i) {
    std::uint32_t owner = 0;
    placement.node_shards_into(tenant, "m", partition("town" + std::to_string(i)), 0, {&owner, 1});
    ++count[owner];
  }
  for (int i = 0; i < 5; ++i) {
    const double share = view.shards[static_cast<std::size_t>(i)].weight / 5.5;
    EXPECT_NEAR(count[static_cast<std::size_t>(i)], kKeys * share, 5 * std::sqrt(kKeys * share)) << i;
  }
}

TEST(Placement, SpreadsTenantsEvenly) {
  const View view = numbered_view(10, 3, 2);
  std::vector<int> count(10);
  for (int i = 0; i < 5000; ++i) {
    for (const std::uint32_t shard : tenant_shards(view, "t" + std::to_string(i))) ++count[shard];
  }
  for (const int tenants : count) EXPECT_NEAR(tenants, 1500, 150);
}

TEST(Placement, AJoiningShardTakesOnlyWhatItGets) {
  const View before = view_of({"a", "b", "c", "d"}, 8, 2);
  const View after = view_of({"a", "b", "c", "d", "e"}, 8, 2);
  int moved = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string leaf = "t" + std::to_string(i);
    auto now = owners(after, "acme", leaf);
    const auto then = owners(before, "acme", leaf);
    if (std::erase(now, "e") == 0) {
      EXPECT_EQ(now, then);
    } else {
      ++moved;
      EXPECT_EQ(now, std::vector<std::string>{then[0]});
    }
  }
  EXPECT_NEAR(moved, 3000 * 2 / 5, 150);
}

TEST(Placement, ALeavingShardMovesOnlyWhatItHad) {
  const View before = view_of({"a", "b", "c", "d", "e"}, 4, 2);
  const View after = view_of({"a", "b", "d", "e"}, 4, 2);
  for (int i = 0; i < 2000; ++i) {
    const std::string tenant = "t" + std::to_string(i);
    const auto all_then = names_of(before, tenant_shards(before, tenant));
    auto remaining = owners(before, tenant, "x");
    std::erase(remaining, "c");
    const auto now = owners(after, tenant, "x");
    // The tenant's shard that takes the leaver's place may also take a leaf over from another.
    if (std::ranges::find(all_then, "c") == all_then.end()) {
      EXPECT_EQ(now, remaining);
    }
    for (const std::string& kept : remaining) {
      const bool tenant_lost_one = std::ranges::find(all_then, "c") != all_then.end();
      if (!tenant_lost_one) {
        EXPECT_NE(std::ranges::find(now, kept), now.end());
      }
    }
  }
}

TEST(Placement, AnotherWeightMovesKeysOnlyToOrFromThatShard) {
  const View before = numbered_view(6, 6, 1);
  View after = before;
  after.shards[2].weight = 1.5;
  for (int i = 0; i < 2000; ++i) {
    const auto then = owners(before, "acme", "t" + std::to_string(i));
    const auto now = owners(after, "acme", "t" + std::to_string(i));
    if (then != now) {
      EXPECT_EQ(now, std::vector<std::string>{"s102"});
    }
  }
}

TEST(Placement, AViewGivesThePlacementInForceAndTheNext) {
  View view = view_of({"a", "b", "c", "d", "e", "f"}, 6, 3);
  view.shards[1].state = ShardState::joining;
  view.shards[2].state = ShardState::draining;
  view.shards[3].state = ShardState::gone;
  view.tenants["acme"] = {5, 2};
  view.tenants["acme/next"] = {6, 3};
  const Placement now(view), next(view, Phase::next);
  const auto set = [&](const Placement& placement, const std::string& tenant) {
    auto names = names_of(view, placement.tenant(tenant).shards);
    std::ranges::sort(names);
    return names;
  };
  EXPECT_EQ(set(now, "acme"), (std::vector<std::string>{"a", "c", "d", "e", "f"}));
  EXPECT_EQ(set(next, "acme"), (std::vector<std::string>{"a", "b", "e", "f"}));
  EXPECT_EQ(now.tenant("acme").replicas, 2u);
  EXPECT_EQ(next.tenant("acme").replicas, 3u);
  EXPECT_EQ(next.tenant("other").replicas, 3u);
}

TEST(Placement, AHotNodeIsHeldByMore) {
  View view = numbered_view(8, 6, 2);
  view.hot_nodes = {{"acme", "m", {"hot"}, 4},
                    {"acme", "m", {"hot"}, 9},
                    {"acme", "m", {"new"}, 0},
                    {"acme", "m", {"new"}, 3},
                    {"acme", "m", {"some"}, 1}};
  const Placement now(view), next(view, Phase::next);
  const auto owners = [&](const Placement& placement, const std::string& tenant, const char* leaf) {
    std::vector<std::uint32_t> shards(8);
    const auto of = placement.tenant(tenant);
    shards.resize(placement.node_shards_into(of, "m", partition(leaf), 0, shards));
    for (std::uint32_t shard = 0; shard < 8; ++shard) {
      EXPECT_EQ(placement.holds(shard, of, "m", partition(leaf), 0), std::ranges::count(shards, shard) == 1);
    }
    return shards;
  };
  EXPECT_EQ(owners(now, "acme", "hot").size(), 4u);
  EXPECT_EQ(owners(now, "acme", "hot/below").size(), 4u);
  EXPECT_EQ(owners(next, "acme", "hot").size(), 6u);  // all the tenant has
  EXPECT_EQ(owners(now, "acme", "new").size(), 2u);
  EXPECT_EQ(owners(next, "acme", "new").size(), 3u);
  EXPECT_EQ(owners(next, "acme", "some").size(), 2u);
  EXPECT_EQ(owners(next, "other", "hot").size(), 2u);
  // The ones it had stay the first.
  auto more = owners(next, "acme", "hot");
  more.resize(4);
  EXPECT_EQ(more, owners(now, "acme", "hot"));
}

View zoned_view(int shards, int zones, std::uint32_t spread, std::uint32_t replicas) {
  View view = numbered_view(shards, spread, replicas);
  for (int i = 0; i < shards; ++i) view.shards[static_cast<std::size_t>(i)].zone = "z" + std::to_string(i % zones);
  return view;
}

TEST(Placement, ReplicasShareAZoneOnlyWhereTheyMust) {
  struct Case {
    int shards, zones;
    std::uint32_t spread, replicas;
    std::size_t leaf_zones, tenant_zones;
  };
  for (const Case& c : {Case{9, 3, 6, 2, 2, 3}, Case{9, 3, 2, 2, 2, 2}, Case{9, 3, 6, 4, 3, 3}, Case{8, 2, 4, 2, 2, 2},
                        Case{6, 1, 4, 2, 1, 1}, Case{4, 4, 4, 3, 3, 4}}) {
    const View view = zoned_view(c.shards, c.zones, c.spread, c.replicas);
    const Placement placement(view);
    const auto zones = [&](std::span<const std::uint32_t> shards) {
      std::set<std::string> distinct;
      for (const auto shard : shards) distinct.insert(view.shards[shard].zone);
      return distinct.size();
    };
    for (int t = 0; t < 50; ++t) {
      const auto tenant = placement.tenant("t" + std::to_string(t));
      EXPECT_EQ(zones(tenant.shards), c.tenant_zones);
      for (int i = 0; i < 50; ++i) {
        std::vector<std::uint32_t> shards(8);
        shards.resize(placement.node_shards_into(tenant, "m", partition("x" + std::to_string(i)), 0, shards));
        EXPECT_EQ(shards.size(), c.replicas);
        EXPECT_EQ(zones(shards), c.leaf_zones);
        for (std::uint32_t shard = 0; shard < view.shards.size(); ++shard) {
          EXPECT_EQ(placement.holds(shard, tenant, "m", partition("x" + std::to_string(i)), 0),
                    std::ranges::count(shards, shard) == 1);
        }
      }
    }
  }
}

TEST(Placement, WithoutZonesOrAllInOneNothingIsDifferent) {
  const View plain = numbered_view(7, 5, 2);
  const View one = zoned_view(7, 1, 5, 2), each = zoned_view(7, 7, 5, 2);
  for (int i = 0; i < 300; ++i) {
    const std::string tenant = "t" + std::to_string(i);
    EXPECT_EQ(tenant_shards(plain, tenant), tenant_shards(one, tenant));
    EXPECT_EQ(tenant_shards(plain, tenant), tenant_shards(each, tenant));
    EXPECT_EQ(node_shards(plain, tenant, "m", partition("x"), 0), node_shards(each, tenant, "m", partition("x"), 0));
  }
}

TEST(Placement, AJoinInAZoneTakesFromItsZoneOnly) {
  View view = zoned_view(8, 2, 8, 2);
  view.shards[7].state = ShardState::joining;
  const Placement before(view), after(view, Phase::next);
  int moved = 0;
  for (int i = 0; i < 2000; ++i) {
    const Partition leaf = partition("x" + std::to_string(i));
    std::vector<std::uint32_t> had(2), has(2);
    before.node_shards_into(before.tenant("acme"), "m", leaf, 0, had);
    after.node_shards_into(after.tenant("acme"), "m", leaf, 0, has);
    std::set<std::uint32_t> gained(has.begin(), has.end());
    for (const auto shard : had) gained.erase(shard);
    if (gained.empty()) continue;
    ++moved;
    EXPECT_EQ(gained, std::set<std::uint32_t>{7});
    // Its zone's other replica is the one that goes.
    for (const auto shard : had) {
      if (std::ranges::find(has, shard) != has.end()) continue;
      EXPECT_EQ(view.shards[shard].zone, view.shards[7].zone);
    }
  }
  EXPECT_NEAR(moved, 2000 / 4, 100);
}

TEST(Placement, TheRankingIsTheChoice) {
  const View view = zoned_view(9, 3, 6, 3);
  const Placement placement(view);
  const auto tenant = placement.tenant("acme");
  const auto ranked = placement.rank_node(tenant, "m", partition("usa"), 0);
  ASSERT_EQ(ranked.size(), 6u);
  std::vector<std::uint32_t> chosen;
  for (const auto& shard : ranked) {
    if (shard.is_chosen) chosen.push_back(shard.shard);
    EXPECT_GT(shard.score, 0);
  }
  EXPECT_EQ(chosen, node_shards(view, "acme", "m", partition("usa"), 0));
  EXPECT_EQ(placement.rank_tenant("acme").size(), 9u);
  EXPECT_EQ(ranked[3].round, 1u);
}

TEST(Placement, ComponentsCannotRunTogether) {
  const View view = numbered_view(50, 50, 50);
  EXPECT_NE(node_shards(view, "ab", "c", Partition(), 0), node_shards(view, "a", "bc", Partition(), 0));
  EXPECT_NE(node_shards(view, "a", "b", partition("c/d"), 1), node_shards(view, "a", "b", partition("cd"), 1));
}

/// The vectors of docs/placement.md: each line of its fenced block, made anew.
std::string vectors() {
  View view = view_of({"shard-1", "shard-2", "shard-3", "shard-4", "shard-5"}, 4, 2);
  View weighted = view;
  weighted.shards[0].weight = 2;
  weighted.shards[4].weight = 0.5;
  View zoned = weighted;
  for (std::size_t i = 0; i < 4; ++i) zoned.shards[i].zone = i < 2 ? "a" : "b";
  std::string text;
  const auto line = [&text](const char* name, const View& v, const std::string& tenant, const std::string& leaf,
                            std::uint32_t until) {
    text += std::string(name) + " " + tenant + "/total@" + leaf + " " + std::to_string(until) + " ->";
    for (const auto& shard : names_of(v, node_shards(v, tenant, "total", partition(leaf), until))) text += " " + shard;
    text += "\n";
  };
  for (const auto& [name, v] : {std::pair{"equal", view}, std::pair{"weighted", weighted}, std::pair{"zoned", zoned}}) {
    for (const char* tenant : {"acme", "globex"}) {
      text += std::string(name) + " " + tenant + " ->";
      for (const auto& shard : names_of(v, tenant_shards(v, tenant))) text += " " + shard;
      text += "\n";
    }
    for (const char* leaf :
         {"", "usa", "usa/ca", "usa/ca/fresno", "usa/ca/reno", "russia//ivanovo", "m%00n/o", "österreich/wien"}) {
      line(name, v, "acme", leaf, 1);
    }
  }
  return text;
}

TEST(Placement, VectorsOfThePage) {
  std::ifstream page(testing::source_folder() + "/docs/placement.md");
  std::stringstream text;
  text << page.rdbuf();
  const std::string expected = "```vectors\n" + vectors() + "```";
  EXPECT_NE(text.str().find(expected), std::string::npos) << "docs/placement.md lacks this block:\n" << expected;
}

}  // namespace
}  // namespace espalier::cluster
