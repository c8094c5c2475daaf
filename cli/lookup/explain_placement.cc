#include "cli/lookup/explain_placement.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cluster/placement.h"

namespace espalier::cli {
namespace {

using cluster::Placement;
using cluster::ShardState;

/// "the 2nd of 3"
std::string place_text(std::size_t place, std::size_t of) {
  const char* ends[] = {"th", "st", "nd", "rd"};
  const std::size_t last = place % 10;
  const bool is_teen = place / 10 % 10 == 1;
  return "the " + std::to_string(place) + ends[last < 4 && !is_teen ? last : 0] + " of " + std::to_string(of);
}

std::string why_not_asked(const cluster::ShardInfo& shard) {
  if (shard.state == ShardState::joining) return "is joining: it is asked once it holds what it will own";
  return "has no positive weight";
}

/// Of a shard that isn't chosen though it could be.
std::string why_not_chosen(const Placement::Ranked& ranked, const cluster::ShardInfo& shard, std::size_t chosen,
                           const std::string& what) {
  if (ranked.round > 0)
    return std::to_string(ranked.round) + " of zone " + shard.zone + " score better for the " + what;
  return "not among the best " + std::to_string(chosen) + " for the " + what;
}

}  // namespace

std::string shard_state_text(ShardState state) {
  switch (state) {
    case ShardState::serving: return "serving";
    case ShardState::joining: return "joining";
    case ShardState::draining: return "draining";
    case ShardState::gone: return "gone";
  }
  return "";
}

NodePlacement explain_placement(const cluster::View& view, const model::NodeName& node, std::uint32_t levels) {
  const Placement placement(view);
  const std::uint32_t until = cluster::replicated_until(levels);
  const Placement::TenantShards tenant = placement.tenant(node.tenant);
  const auto for_tenant = placement.rank_tenant(node.tenant);
  const auto for_node = placement.rank_node(tenant, node.model, node.partition, until);
  const bool is_inner = node.partition.depth() <= until;
  NodePlacement result;
  const std::size_t depth = std::min<std::size_t>(node.partition.depth(), until + 1);
  result.key = model::NodeName{node.tenant, node.model, node.partition.ancestor(depth)}.text();
  result.replicas = static_cast<std::uint32_t>(std::ranges::count(for_node, true, &Placement::Ranked::is_chosen));
  result.is_hot = !is_inner && result.replicas > tenant.replicas;

  std::map<std::uint32_t, double> tenant_scores;
  for (const auto& ranked : for_tenant) tenant_scores[ranked.shard] = ranked.score;
  for (std::size_t i = 0; i < for_node.size(); ++i) {
    const auto& ranked = for_node[i];
    const auto& shard = view.shards[ranked.shard];
    PlacedShard placed{&shard, tenant_scores[ranked.shard], ranked.score, ranked.is_chosen, {}};
    if (is_inner) {
      placed.why = "an inner node: all of the tenant's shards hold it, " + place_text(i + 1, for_node.size());
    } else if (ranked.is_chosen) {
      placed.why = place_text(i + 1, result.replicas) + " for the node";
    } else {
      placed.why = why_not_chosen(ranked, shard, result.replicas, "node");
    }
    result.shards.push_back(std::move(placed));
  }
  for (const auto& ranked : for_tenant) {
    if (ranked.is_chosen) continue;
    const auto& shard = view.shards[ranked.shard];
    result.shards.push_back(
        {&shard, ranked.score, 0, false, why_not_chosen(ranked, shard, tenant.shards.size(), "tenant")});
  }
  for (std::uint32_t i = 0; i < view.shards.size(); ++i) {
    if (!tenant_scores.contains(i))
      result.shards.push_back({&view.shards[i], 0, 0, false, why_not_asked(view.shards[i])});
  }
  return result;
}

void print_placement(const NodePlacement& placement) {
  print_line("placed by " + placement.key + ", on " + std::to_string(placement.replicas) +
             (placement.replicas == 1 ? " shard" : " shards") +
             (placement.is_hot ? ": more than the tenant's others, because it is asked for more" : ""));
  Table table({"shard", "state", "zone", "weight", "score for tenant", "for node", "holds it", "why"});
  for (const PlacedShard& placed : placement.shards) {
    const auto score = [](double value) { return value > 0 ? number_text(value) : "-"; };
    table.add({placed.shard->name, shard_state_text(placed.shard->state),
               placed.shard->zone.empty() ? "-" : placed.shard->zone, number_text(placed.shard->weight),
               score(placed.tenant_score), score(placed.score), placed.holds ? "yes" : "no", placed.why});
  }
  print_line(table.text());
}

nlohmann::json placement_json(const NodePlacement& placement) {
  auto shards = nlohmann::json::array();
  for (const PlacedShard& placed : placement.shards) {
    shards.push_back({{"shard", placed.shard->name},
                      {"state", shard_state_text(placed.shard->state)},
                      {"zone", placed.shard->zone},
                      {"weight", placed.shard->weight},
                      {"tenant_score", placed.tenant_score},
                      {"score", placed.score},
                      {"holds", placed.holds},
                      {"why", placed.why}});
  }
  return {{"key", placement.key}, {"replicas", placement.replicas}, {"hot", placement.is_hot}, {"shards", shards}};
}

}  // namespace espalier::cli
