#include "registry/hot_nodes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "cluster/placement.h"

namespace espalier::registry {
namespace {

using NodeId = std::tuple<std::string, std::string, std::vector<std::string>>;

/// How many replicas the node should have; `now`: those that it has beyond its tenant's, 0: none.
std::uint32_t wanted_replicas(double load, double bound, std::uint32_t own, std::uint32_t now, std::uint32_t most,
                              const HotNodeRules& rules) {
  const auto shards_for = [&](double asked) {
    return asked < rules.least_per_second ? 1.0 : std::max(1.0, std::ceil(asked / bound));
  };
  const double needed = shards_for(load);
  const double kept = shards_for(load * rules.giving_back);
  double replicas = std::max(needed, std::min<double>(now, kept));
  replicas = std::min<double>(replicas, most);
  return replicas > own ? static_cast<std::uint32_t>(replicas) : 0;
}

}  // namespace

MeasuredLoad add_up(const std::vector<const wire::RenewRequest*>& said) {
  MeasuredLoad load;
  std::map<NodeId, double> nodes;
  for (const wire::RenewRequest* shard : said) {
    if (std::isfinite(shard->requests_per_second))
      load.requests_per_second += std::max(0.0, shard->requests_per_second);
    for (const wire::BusyNode& node : shard->busiest) {
      if (std::isfinite(node.requests_per_second) && node.requests_per_second > 0) {
        nodes[{node.tenant, node.model, node.partition}] += node.requests_per_second;
      }
    }
  }
  for (auto& [id, requests] : nodes) {
    load.nodes.push_back({std::get<0>(id), std::get<1>(id), std::get<2>(id), requests});
  }
  return load;
}

std::optional<cluster::View> with_hot_nodes(const cluster::View& view, const MeasuredLoad& load,
                                            const HotNodeRules& rules) {
  const auto serving = std::ranges::count(view.shards, cluster::ShardState::serving, &cluster::ShardInfo::state);
  if (serving == 0) return std::nullopt;
  const double bound = (1 + rules.slack) * load.requests_per_second / static_cast<double>(serving);
  const cluster::Placement placement(view);
  std::map<NodeId, std::pair<std::uint32_t, double>> nodes;  // what it has, and what it is asked for
  for (const cluster::HotNode& hot : view.hot_nodes) {
    nodes[{hot.tenant, hot.model, hot.partition}].first = hot.replicas;
  }
  for (const wire::BusyNode& busy : load.nodes) {
    nodes[{busy.tenant, busy.model, busy.partition}].second = busy.requests_per_second;
  }
  cluster::View changed = view;
  changed.hot_nodes.clear();
  bool is_changed = false;
  for (const auto& [id, node] : nodes) {
    const auto& [now, asked] = node;
    const auto tenant = placement.tenant(std::get<0>(id));
    const auto most = std::min(rules.most_replicas, static_cast<std::uint32_t>(tenant.shards.size()));
    const std::uint32_t wanted = wanted_replicas(asked, bound, tenant.replicas, now, most, rules);
    if (now != 0 || wanted != 0) changed.hot_nodes.push_back({std::get<0>(id), std::get<1>(id), std::get<2>(id), now});
    if (wanted == now) continue;
    // The first is in force until the shards hold the second.
    changed.hot_nodes.push_back({std::get<0>(id), std::get<1>(id), std::get<2>(id), wanted});
    is_changed = true;
  }
  if (!is_changed) return std::nullopt;
  ++changed.number;
  return changed;
}

}  // namespace espalier::registry
