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

std::uint32_t or_default(std::uint32_t value, std::uint32_t otherwise) { return value == 0 ? otherwise : value; }

}  // namespace

std::uint32_t replicated_until(std::uint32_t levels) { return levels == 0 ? 0 : levels - 1; }

Placement::Placement(const View& view)
    : default_spread_(view.default_spread),
      default_replicas_(view.default_replicas),
      tenants_(view.tenants.begin(), view.tenants.end()) {
  shards_.reserve(view.shards.size());
  for (const ShardInfo& info : view.shards) {
    Shard shard{{}, info.weight};
    model::append_component(shard.component, info.name);
    if (info.weight > 0 && std::isfinite(info.weight)) {
      usable_.push_back(static_cast<std::uint32_t>(shards_.size()));
      equal_weights_ = equal_weights_ && info.weight == view.shards[usable_.front()].weight;
    }
    shards_.push_back(std::move(shard));
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
  return result;
}

std::size_t Placement::node_shards_into(const TenantShards& tenant, std::string_view model,
                                        const model::Partition& partition, std::uint32_t replicated_until,
                                        std::span<std::uint32_t> out) const {
  const bool is_replicated = partition.depth() <= replicated_until;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const std::size_t owners = is_replicated ? tenant.shards.size() : tenant.replicas;
  return best_of(key, tenant.shards, out.first(std::min(out.size(), owners)));
}

std::size_t Placement::node_shards_into(const TenantShards& tenant, std::string_view model,
                                        std::span<const std::string_view> values, std::uint32_t replicated_until,
                                        std::span<std::uint32_t> out) const {
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  const bool is_replicated = values.size() <= replicated_until;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, values, std::size_t{replicated_until} + 1);
  const std::size_t owners = is_replicated ? tenant.shards.size() : tenant.replicas;
  return best_of(key, tenant.shards, out.first(std::min(out.size(), owners)));
}

bool Placement::holds(std::uint32_t shard, const TenantShards& tenant, std::string_view model,
                      const model::Partition& partition, std::uint32_t replicated_until) const {
  if (std::ranges::find(tenant.shards, shard) == tenant.shards.end()) return false;
  if (partition.depth() <= replicated_until || tenant.replicas == tenant.shards.size()) return true;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const Candidate asked = candidate(key, shard);
  std::uint32_t better = 0;
  for (const std::uint32_t other : tenant.shards) {
    if (other != shard && goes_before(candidate(key, other), asked) && ++better == tenant.replicas) return false;
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
