#include "cluster/placement.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "common/hash.h"

namespace espalier::cluster {
namespace {

/// The key buffer of this thread, empty. It keeps its memory, so that the request path allocates nothing.
std::string& empty_key() {
  thread_local std::string key;
  key.clear();
  return key;
}

/// Appends what places the node: tenant, model and the first `depth` values, trailing empty ones dropped.
template <class Values>
void append_node(std::string& key, std::string_view tenant, std::string_view model, const Values& values,
                 std::size_t depth) {
  model::append_component(key, tenant);
  model::append_component(key, model);
  depth = std::min(depth, values.size());
  while (depth > 0 && values[depth - 1].empty()) --depth;
  for (std::size_t i = 0; i < depth; ++i) model::append_component(key, values[i]);
}

bool counts(ShardState state, Phase phase) {
  if (phase == Phase::in_force) return state != ShardState::joining;
  return state == ShardState::serving || state == ShardState::joining;
}

std::uint32_t or_default(std::uint32_t value, std::uint32_t otherwise) { return value == 0 ? otherwise : value; }

}  // namespace

std::uint32_t replicated_until(std::uint32_t levels) { return levels == 0 ? 0 : levels - 1; }

Placement::Placement(const View& view, Phase phase)
    : default_spread_(view.default_spread), default_replicas_(view.default_replicas) {
  std::map<std::string_view, std::uint32_t> zones;
  shards_.reserve(view.shards.size());
  for (const ShardInfo& info : view.shards) {
    const auto zone = info.zone.empty() ? zones_++ : zones.try_emplace(info.zone, zones_).first->second;
    zones_ = std::max(zones_, zone + 1);
    Shard shard{{}, info.weight, zone};
    model::append_component(shard.component, info.name);
    if (counts(info.state, phase) && info.weight > 0 && std::isfinite(info.weight)) {
      usable_.push_back(static_cast<std::uint32_t>(shards_.size()));
      equal_weights_ = equal_weights_ && info.weight == view.shards[usable_.front()].weight;
      has_zones_ = has_zones_ || !info.zone.empty();
    }
    shards_.push_back(std::move(shard));
  }
  for (const auto& [name, settings] : view.tenants) {
    if (!name.ends_with(kNextSettings)) {
      tenants_.try_emplace(name, settings);
    } else if (phase == Phase::next) {
      tenants_.insert_or_assign(name.substr(0, name.size() - kNextSettings.size()), settings);
    }
  }
  for (const HotNode& node : view.hot_nodes) {
    std::string key;
    append_node(key, node.tenant, node.model, node.partition, node.partition.size());
    // Of two entries of a node the first is in force, the second is next.
    if (phase == Phase::in_force) {
      hot_nodes_.try_emplace(std::move(key), node.replicas);
    } else {
      hot_nodes_.insert_or_assign(std::move(key), node.replicas);
    }
    hot_tenants_.insert(node.tenant);
  }
}

// The number decides before the name, so that among equal weights the order of the scores is the order of the numbers
// even where the logarithm rounds two of them to one score: that spares the logarithm.
bool Placement::goes_before(const Candidate& a, const Candidate& b) const {
  if (a.score != b.score) return a.score > b.score;
  if (a.number != b.number) return a.number > b.number;
  return shards_[a.shard].component < shards_[b.shard].component;
}

Placement::Candidate Placement::candidate(std::string& key, std::uint32_t shard) const {
  const std::size_t size = key.size();
  key.append(shards_[shard].component);
  const std::uint64_t number = xxh3_64(key) >> 12;
  key.resize(size);
  if (equal_weights_) return {0, number, shard};
  const double u = (static_cast<double>(number) + 0.5) * 0x1p-52;
  return {-shards_[shard].weight / std::log(u), number, shard};
}

std::size_t Placement::best_of(std::string& key, std::span<const std::uint32_t> among,
                               std::span<std::uint32_t> out) const {
  if (has_zones_) return best_in_zones(key, among, out);
  const std::size_t wanted = std::min(out.size(), among.size());
  constexpr std::size_t kFew = 32;
  if (wanted > kFew) {
    std::vector<Candidate> all;
    for (const std::uint32_t shard : among) all.push_back(candidate(key, shard));
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), all.end(),
                      [this](const Candidate& a, const Candidate& b) { return goes_before(a, b); });
    for (std::size_t i = 0; i < wanted; ++i) out[i] = all[i].shard;
    return wanted;
  }
  std::array<Candidate, kFew> best;
  std::size_t count = 0;
  for (const std::uint32_t shard : among) {
    const Candidate next = candidate(key, shard);
    std::size_t place = count;
    while (place > 0 && goes_before(next, best[place - 1])) --place;
    if (place >= wanted) continue;
    if (count < wanted) ++count;
    for (std::size_t i = count - 1; i > place; --i) best[i] = best[i - 1];
    best[place] = next;
  }
  for (std::size_t i = 0; i < count; ++i) out[i] = best[i].shard;
  return count;
}

// In rounds: each takes the best of every zone that has one left. So a shard's round is how many of its zone score
// better.
std::size_t Placement::best_in_zones(std::string& key, std::span<const std::uint32_t> among,
                                     std::span<std::uint32_t> out) const {
  thread_local std::vector<Candidate> all;
  thread_local std::vector<std::uint32_t> taken;  // of each zone
  all.clear();
  taken.assign(zones_, 0);
  for (const std::uint32_t shard : among) all.push_back(candidate(key, shard));
  std::ranges::sort(all, [this](const Candidate& a, const Candidate& b) { return goes_before(a, b); });
  const std::size_t wanted = std::min(out.size(), among.size());
  std::size_t count = 0;
  for (std::uint32_t round = 0; count < wanted; ++round) {
    std::ranges::fill(taken, 0);
    for (const Candidate& next : all) {
      if (taken[shards_[next.shard].zone]++ != round) continue;
      out[count++] = next.shard;
      if (count == wanted) break;
    }
  }
  return wanted;
}

std::vector<Placement::Ranked> Placement::rank(std::string& key, std::span<const std::uint32_t> among,
                                               std::size_t chosen) const {
  std::vector<std::uint32_t> order(among.size());
  best_of(key, among, order);
  std::vector<std::uint32_t> taken(zones_);
  std::vector<Ranked> ranked;
  for (const std::uint32_t shard : order) {
    const double u = (static_cast<double>(candidate(key, shard).number) + 0.5) * 0x1p-52;
    ranked.push_back(
        {shard, -shards_[shard].weight / std::log(u), taken[shards_[shard].zone]++, ranked.size() < chosen});
  }
  return ranked;
}

std::vector<Placement::Ranked> Placement::rank_tenant(std::string_view tenant) const {
  const std::size_t chosen = this->tenant(tenant).shards.size();
  std::string key;
  model::append_component(key, tenant);
  return rank(key, usable_, chosen);
}

std::vector<Placement::Ranked> Placement::rank_node(const TenantShards& tenant, std::string_view model,
                                                    const model::Partition& partition,
                                                    std::uint32_t replicated_until) const {
  std::string key;
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  return rank(key, tenant.shards,
              partition.depth() <= replicated_until ? tenant.shards.size() : owners_of(tenant, key));
}

std::size_t Placement::owners_of(const TenantShards& tenant, const std::string& key) const {
  if (!tenant.has_hot_nodes) return tenant.replicas;
  const auto it = hot_nodes_.find(std::string_view(key));
  if (it == hot_nodes_.end()) return tenant.replicas;
  return std::clamp<std::size_t>(it->second, tenant.replicas, tenant.shards.size());
}

Placement::TenantShards Placement::tenant(std::string_view tenant) const {
  TenantSettings asked;
  if (const auto it = tenants_.find(tenant); it != tenants_.end()) asked = it->second;
  const std::size_t spread = std::max<std::uint32_t>(1, or_default(asked.spread, default_spread_));
  TenantShards result{std::string(tenant), std::vector<std::uint32_t>(std::min(spread, usable_.size())), 0};
  std::string& key = empty_key();
  model::append_component(key, tenant);
  best_of(key, usable_, result.shards);
  const std::uint32_t replicas = std::max<std::uint32_t>(1, or_default(asked.replicas, default_replicas_));
  result.replicas = std::min(replicas, static_cast<std::uint32_t>(result.shards.size()));
  result.has_hot_nodes = hot_tenants_.contains(tenant);
  return result;
}

std::size_t Placement::node_shards_into(const TenantShards& tenant, std::string_view model,
                                        const model::Partition& partition, std::uint32_t replicated_until,
                                        std::span<std::uint32_t> out) const {
  const bool is_replicated = partition.depth() <= replicated_until;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const std::size_t owners = is_replicated ? tenant.shards.size() : owners_of(tenant, key);
  return best_of(key, tenant.shards, out.first(std::min(out.size(), owners)));
}

std::size_t Placement::node_shards_into(const TenantShards& tenant, std::string_view model,
                                        std::span<const std::string_view> values, std::uint32_t replicated_until,
                                        std::span<std::uint32_t> out) const {
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  const bool is_replicated = values.size() <= replicated_until;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, values, std::size_t{replicated_until} + 1);
  const std::size_t owners = is_replicated ? tenant.shards.size() : owners_of(tenant, key);
  return best_of(key, tenant.shards, out.first(std::min(out.size(), owners)));
}

bool Placement::holds(std::uint32_t shard, const TenantShards& tenant, std::string_view model,
                      const model::Partition& partition, std::uint32_t replicated_until) const {
  if (std::ranges::find(tenant.shards, shard) == tenant.shards.end()) return false;
  if (partition.depth() <= replicated_until || tenant.replicas == tenant.shards.size()) return true;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const std::size_t owners = owners_of(tenant, key);
  if (has_zones_) {
    std::vector<std::uint32_t> chosen(owners);
    best_of(key, tenant.shards, chosen);
    return std::ranges::find(chosen, shard) != chosen.end();
  }
  const Candidate asked = candidate(key, shard);
  std::uint32_t better = 0;
  for (const std::uint32_t other : tenant.shards) {
    if (other != shard && goes_before(candidate(key, other), asked) && ++better == owners) return false;
  }
  return true;
}

std::vector<std::uint32_t> tenant_shards(const View& view, std::string_view tenant) {
  return Placement(view).tenant(tenant).shards;
}

std::vector<std::uint32_t> node_shards(const View& view, std::string_view tenant, std::string_view model,
                                       const model::Partition& partition, std::uint32_t replicated_until) {
  const Placement placement(view);
  const Placement::TenantShards shards = placement.tenant(tenant);
  std::vector<std::uint32_t> owners(shards.shards.size());
  owners.resize(placement.node_shards_into(shards, model, partition, replicated_until, owners));
  return owners;
}

bool holds(const View& view, std::string_view shard, std::string_view tenant, std::string_view model,
           const model::Partition& partition, std::uint32_t replicated_until) {
  for (const std::uint32_t owner : node_shards(view, tenant, model, partition, replicated_until)) {
    if (view.shards[owner].name == shard) return true;
  }
  return false;
}

}  // namespace espalier::cluster
