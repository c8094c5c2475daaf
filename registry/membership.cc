#include "registry/membership.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cluster/placement.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {

using cluster::ShardState;

namespace {

constexpr std::size_t kMaxEndpointBytes = 1024;
constexpr double kLeastWeight = 1e-3, kMostWeight = 1e3;

bool says_the_same(const cluster::ShardInfo& a, const cluster::ShardInfo& b) {
  return a.name == b.name && a.endpoints == b.endpoints && a.weight == b.weight && a.zone == b.zone;
}

bool is_of_next(const cluster::ShardInfo& shard) {
  return shard.state == ShardState::serving || shard.state == ShardState::joining;
}

bool is_to_come(const std::string& tenant) { return tenant.ends_with(cluster::kNextSettings); }

bool is_default(const cluster::TenantSettings& settings) {
  return settings.spread == 0 && settings.replicas == 0 && settings.requests_per_second == 0 &&
         settings.requests_in_flight == 0;
}

bool same_settings(const std::pair<const std::string, cluster::TenantSettings>& a,
                   const std::pair<const std::string, cluster::TenantSettings>& b) {
  const auto all = [](const cluster::TenantSettings& s) {
    return std::tie(s.spread, s.replicas, s.requests_per_second, s.requests_in_flight);
  };
  return a.first == b.first && all(a.second) == all(b.second);
}

bool are_of_one_node(const cluster::HotNode& a, const cluster::HotNode& b) {
  return std::tie(a.tenant, a.model, a.partition) == std::tie(b.tenant, b.model, b.partition);
}

}  // namespace

Status check_shard(const cluster::ShardInfo& shard) {
  RETURN_IF_ERROR(model::check_name("shard", shard.name).at("shard.name"));
  if (shard.endpoints.empty()) return invalid_argument("shard.endpoints: at least one is needed");
  if (shard.endpoints.size() > kMaxEndpoints) {
    return invalid_argument("shard.endpoints: at most " + std::to_string(kMaxEndpoints) + " are allowed");
  }
  for (std::size_t i = 0; i < shard.endpoints.size(); ++i) {
    const std::string& endpoint = shard.endpoints[i];
    const bool known = endpoint.starts_with("tcp://") || endpoint.starts_with("ipc://");
    if (!known || endpoint.size() <= 6 || endpoint.size() > kMaxEndpointBytes) {
      return invalid_argument("shard.endpoints[" + std::to_string(i) + "]: tcp://HOST:PORT or ipc://PATH is needed");
    }
  }
  if (!(shard.weight >= kLeastWeight && shard.weight <= kMostWeight)) {
    return invalid_argument("shard.weight: a number from 0.001 to 1000 is needed");
  }
  if (!shard.zone.empty()) RETURN_IF_ERROR(model::check_name("zone", shard.zone).at("shard.zone"));
  return {};
}

std::optional<cluster::View> with_shard(const cluster::View& view, const cluster::ShardInfo& shard, ShardState as) {
  cluster::View changed = view;
  const auto at = std::ranges::lower_bound(changed.shards, shard.name, {}, &cluster::ShardInfo::name);
  const bool is_there = at != changed.shards.end() && at->name == shard.name;
  if (is_there) {
    if (says_the_same(*at, shard)) return std::nullopt;
    const ShardState state = at->state;
    *at = shard;
    at->state = state;
  } else {
    changed.shards.insert(at, shard)->state = as;
  }
  ++changed.number;
  return changed;
}

std::optional<cluster::View> without_shard(const cluster::View& view, std::string_view shard) {
  cluster::View changed = view;
  if (std::erase_if(changed.shards, [&](const auto& s) { return s.name == shard; }) == 0) return std::nullopt;
  ++changed.number;
  return changed;
}

Result<std::optional<cluster::View>> with_drained(const cluster::View& view, std::string_view shard) {
  cluster::View changed = view;
  const auto at = std::ranges::lower_bound(changed.shards, shard, {}, &cluster::ShardInfo::name);
  if (at == changed.shards.end() || at->name != shard) return not_found("shard " + std::string(shard));
  if (at->state == ShardState::draining) return std::optional<cluster::View>();
  if (at->state == ShardState::joining) {
    return failed_precondition("shard " + at->name + " is still joining: drain it once it serves, or end it");
  }
  at->state = ShardState::draining;
  if (std::ranges::none_of(changed.shards, is_of_next)) {
    return failed_precondition("shard " + at->name + " is the last one that serves: let another join first");
  }
  ++changed.number;
  return std::optional(std::move(changed));
}

std::optional<cluster::View> with_tenant(const cluster::View& view, const std::string& tenant,
                                         const cluster::TenantSettings& settings) {
  cluster::View changed = view;
  const std::string to_come = tenant + std::string(cluster::kNextSettings);
  cluster::TenantSettings& now = changed.tenants[tenant];
  now.requests_per_second = settings.requests_per_second;
  now.requests_in_flight = settings.requests_in_flight;
  changed.tenants.erase(to_come);
  if (now.spread != settings.spread || now.replicas != settings.replicas) changed.tenants[to_come] = settings;
  if (is_default(changed.tenants[tenant])) changed.tenants.erase(tenant);
  if (std::ranges::equal(changed.tenants, view.tenants, same_settings)) return std::nullopt;
  // Nobody holds anything: nothing has to be waited for.
  if (view.shards.empty()) changed = in_force(std::move(changed));
  ++changed.number;
  return changed;
}

bool is_moving(const cluster::View& view) {
  if (std::ranges::any_of(view.shards, [](const auto& shard) { return shard.state != ShardState::serving; }))
    return true;
  if (std::ranges::any_of(view.tenants, [](const auto& tenant) { return is_to_come(tenant.first); })) return true;
  return std::ranges::adjacent_find(view.hot_nodes, are_of_one_node) != view.hot_nodes.end();
}

cluster::View in_force(cluster::View next) {
  std::erase_if(next.shards, [](const auto& shard) { return !is_of_next(shard); });
  for (auto& shard : next.shards) shard.state = ShardState::serving;
  std::map<std::string, cluster::TenantSettings> tenants;
  for (auto& [name, settings] : next.tenants) {
    if (is_to_come(name)) {
      tenants[name.substr(0, name.size() - cluster::kNextSettings.size())] = settings;
    } else {
      tenants[name] = settings;
    }
  }
  std::erase_if(tenants, [](const auto& tenant) { return is_default(tenant.second); });
  next.tenants = std::move(tenants);
  std::vector<cluster::HotNode> hot;
  for (auto& node : next.hot_nodes) {
    if (!hot.empty() && are_of_one_node(hot.back(), node)) hot.pop_back();
    hot.push_back(std::move(node));
  }
  std::erase_if(hot, [](const auto& node) { return node.replicas == 0; });
  next.hot_nodes = std::move(hot);
  return next;
}

std::optional<cluster::View> next_view(const cluster::View& view, std::uint64_t epoch, const Standings& standings) {
  cluster::View changed = view;
  std::erase_if(changed.shards, [&](const auto& shard) {
    return shard.state == ShardState::joining && !standings(shard.name).is_live;
  });
  bool is_changed = changed.shards.size() != view.shards.size();
  for (auto& shard : changed.shards) {
    const Standing now = standings(shard.name);
    const bool is_there = now.is_live && !now.is_empty;
    if (shard.state == ShardState::serving && !is_there) {
      shard.state = ShardState::gone;
    } else if (shard.state == ShardState::gone && is_there && now.acknowledged >= epoch) {
      shard.state = ShardState::serving;
    } else {
      continue;
    }
    is_changed = true;
  }
  if (!is_changed) {
    if (!is_moving(view) || std::ranges::none_of(view.shards, is_of_next)) return std::nullopt;
    if (!waited_for(view, epoch, standings).empty()) return std::nullopt;
    changed = in_force(std::move(changed));
  }
  ++changed.number;
  return changed;
}

std::vector<std::string> waited_for(const cluster::View& view, std::uint64_t epoch, const Standings& standings) {
  std::vector<std::string> names;
  for (const auto& shard : view.shards) {
    const Standing now = standings(shard.name);
    const bool must_hold = is_of_next(shard);
    const bool must_know = shard.state == ShardState::draining && now.is_live;
    if ((must_hold || must_know) && (now.acknowledged < epoch || (must_hold && now.is_lacking))) {
      names.push_back(shard.name);
    }
  }
  return names;
}

Result<wire::ViewReply> Membership::dated(std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, keys::table(keys::Table::view), epoch));
  if (!dated) return wire::ViewReply{};
  auto record = wire::decode<wire::ViewReply>(dated->value);
  if (!record.ok()) return bad_record("W", record.status());
  return *std::move(record);
}

Result<cluster::View> Membership::view(std::uint64_t epoch) {
  ASSIGN_OR_RETURN(wire::ViewReply record, dated(epoch));
  return std::move(record.view);
}

void Membership::put(Batch& batch, const cluster::View& view) {
  wire::ViewReply record;
  record.epoch = batch.epoch();
  record.view = view;
  batch.put(keys::view(batch.epoch()), wire::encode(record));
}

}  // namespace espalier::registry
