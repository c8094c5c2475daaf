#include "cluster/placement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

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

double score_of(std::uint64_t number, double weight) {
  return -weight / std::log((static_cast<double>(number) + 0.5) * 0x1p-52);
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
  std::uint32_t most_seats = or_default(default_spread_, 1);
  for (const auto& [name, settings] : tenants_) most_seats = std::max(most_seats, settings.spread);
  for (std::uint32_t seat = 0; seat < std::min(most_seats, kMostSeats); ++seat) {
    model::append_component(seats_.emplace_back(), std::to_string(seat));
  }
}

// Among equal weights the order of the scores is the order of the numbers, even where the logarithm rounds two of them
// to one score: that spares the logarithm.
Placement::Score Placement::score(std::string& key, const std::string& component, double weight) const {
  const std::size_t size = key.size();
  key.append(component);
  const std::uint64_t number = xxh3_64(key) >> 12;
  key.resize(size);
  return {equal_weights_ ? 0 : score_of(number, weight), number};
}

Placement::Candidate Placement::candidate(std::string& key, const TenantShards& tenant, std::uint32_t place) const {
  return {score(key, seats_[tenant.seats[place]], shards_[tenant.shards[place]].weight), place};
}

bool Placement::goes_before(const Candidate& a, const Candidate& b) {
  if (a.score.score != b.score.score) return a.score.score > b.score.score;
  if (a.score.number != b.score.number) return a.score.number > b.score.number;
  return a.place < b.place;
}

std::size_t Placement::best_of(std::string& key, const TenantShards& tenant, std::span<std::uint32_t> out) const {
  if (has_zones_) return best_in_zones(key, tenant, out);
  const auto among = static_cast<std::uint32_t>(tenant.shards.size());
  const std::size_t wanted = std::min<std::size_t>(out.size(), among);
  constexpr std::size_t kFew = 32;
  if (wanted > kFew) {
    std::vector<Candidate> all;
    for (std::uint32_t place = 0; place < among; ++place) all.push_back(candidate(key, tenant, place));
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), all.end(), goes_before);
    for (std::size_t i = 0; i < wanted; ++i) out[i] = tenant.shards[all[i].place];
    return wanted;
  }
  std::array<Candidate, kFew> best;
  std::size_t count = 0;
  for (std::uint32_t place = 0; place < among; ++place) {
    const Candidate next = candidate(key, tenant, place);
    std::size_t at = count;
    while (at > 0 && goes_before(next, best[at - 1])) --at;
    if (at >= wanted) continue;
    if (count < wanted) ++count;
    for (std::size_t i = count - 1; i > at; --i) best[i] = best[i - 1];
    best[at] = next;
  }
  for (std::size_t i = 0; i < count; ++i) out[i] = tenant.shards[best[i].place];
  return count;
}

// In rounds: each takes the best of every zone that has one left. So a shard's round is how many of its zone score
// better.
std::size_t Placement::best_in_zones(std::string& key, const TenantShards& tenant, std::span<std::uint32_t> out) const {
  thread_local std::vector<Candidate> all;
  thread_local std::vector<std::uint32_t> taken;  // of each zone
  all.clear();
  for (std::uint32_t place = 0; place < tenant.shards.size(); ++place) all.push_back(candidate(key, tenant, place));
  std::ranges::sort(all, goes_before);
  const std::size_t wanted = std::min(out.size(), all.size());
  std::size_t count = 0;
  for (std::uint32_t round = 0; count < wanted; ++round) {
    taken.assign(zones_, 0);
    for (const Candidate& next : all) {
      const std::uint32_t shard = tenant.shards[next.place];
      if (taken[shards_[shard].zone]++ != round) continue;
      out[count++] = shard;
      if (count == wanted) break;
    }
  }
  return wanted;
}

std::vector<Placement::Claim> Placement::claims(std::string_view tenant, std::uint32_t seats) const {
  std::vector<Claim> all;
  all.reserve(std::size_t{seats} * usable_.size());
  std::string key;
  for (std::uint32_t seat = 0; seat < seats; ++seat) {
    key.clear();
    model::append_component(key, tenant);
    key.append(seats_[seat]);
    for (const std::uint32_t shard : usable_) {
      all.push_back({score(key, shards_[shard].component, shards_[shard].weight), seat, shard});
    }
  }
  std::ranges::sort(all, [this](const Claim& a, const Claim& b) {
    if (a.score.score != b.score.score) return a.score.score > b.score.score;
    if (a.score.number != b.score.number) return a.score.number > b.score.number;
    if (a.seat != b.seat) return a.seat < b.seat;
    return shards_[a.shard].component < shards_[b.shard].component;
  });
  return all;
}

void Placement::take_seats(const std::vector<Claim>& claims, std::uint32_t seats, TenantShards& to) const {
  constexpr std::uint32_t kFree = ~std::uint32_t{0};
  std::vector<std::uint32_t> shard_at(seats, kFree);
  std::vector<bool> is_seated(shards_.size());
  std::vector<std::uint32_t> taken(zones_);
  std::size_t left = std::min<std::size_t>(seats, usable_.size());
  for (std::uint32_t round = 1; left > 0; ++round) {
    for (const Claim& claim : claims) {
      std::uint32_t& of_zone = taken[shards_[claim.shard].zone];
      if (shard_at[claim.seat] != kFree || is_seated[claim.shard] || (has_zones_ && of_zone >= round)) continue;
      shard_at[claim.seat] = claim.shard;
      is_seated[claim.shard] = true;
      ++of_zone;
      --left;
    }
  }
  for (std::uint32_t seat = 0; seat < seats; ++seat) {
    if (shard_at[seat] == kFree) continue;
    to.shards.push_back(shard_at[seat]);
    to.seats.push_back(seat);
  }
}

std::uint32_t Placement::seats_of(std::string_view tenant) const {
  const auto it = tenants_.find(tenant);
  const std::uint32_t asked = or_default(it == tenants_.end() ? 0 : it->second.spread, default_spread_);
  return std::clamp<std::uint32_t>(asked, 1, kMostSeats);
}

std::vector<Placement::Ranked> Placement::rank_tenant(std::string_view tenant) const {
  const std::vector<Claim> all = claims(tenant, seats_of(tenant));
  const TenantShards seated = this->tenant(tenant);
  const auto seat_of = [&](std::uint32_t shard) -> std::optional<std::uint32_t> {
    const auto at = std::ranges::find(seated.shards, shard);
    if (at == seated.shards.end()) return std::nullopt;
    return seated.seats[static_cast<std::size_t>(at - seated.shards.begin())];
  };
  std::vector<Ranked> chosen, others;
  std::vector<bool> was_seen(shards_.size());
  for (const Claim& claim : all) {
    const auto seat = seat_of(claim.shard);
    if (was_seen[claim.shard] || (seat && *seat != claim.seat)) continue;
    was_seen[claim.shard] = true;
    (seat ? chosen : others)
        .push_back({claim.shard, score_of(claim.score.number, shards_[claim.shard].weight), 0, seat.has_value()});
  }
  chosen.insert(chosen.end(), others.begin(), others.end());
  number_rounds(chosen);
  return chosen;
}

std::vector<Placement::Ranked> Placement::rank_node(const TenantShards& tenant, std::string_view model,
                                                    const model::Partition& partition,
                                                    std::uint32_t replicated_until) const {
  std::string key;
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const std::size_t owners = partition.depth() <= replicated_until ? tenant.shards.size() : owners_of(tenant, key);
  std::vector<std::uint32_t> order(tenant.shards.size());
  best_of(key, tenant, order);
  std::vector<Ranked> ranked;
  for (const std::uint32_t shard : order) {
    const auto place = static_cast<std::uint32_t>(std::ranges::find(tenant.shards, shard) - tenant.shards.begin());
    const double scored = score_of(candidate(key, tenant, place).score.number, shards_[shard].weight);
    ranked.push_back({shard, scored, 0, ranked.size() < owners});
  }
  number_rounds(ranked);
  return ranked;
}

void Placement::number_rounds(std::vector<Ranked>& ranked) const {
  std::vector<std::uint32_t> taken(zones_);
  for (Ranked& each : ranked) each.round = taken[shards_[each.shard].zone]++;
}

std::size_t Placement::owners_of(const TenantShards& tenant, const std::string& key) const {
  if (!tenant.has_hot_nodes) return tenant.replicas;
  const auto it = hot_nodes_.find(std::string_view(key));
  if (it == hot_nodes_.end()) return tenant.replicas;
  return std::clamp<std::size_t>(it->second, tenant.replicas, tenant.shards.size());
}

Placement::TenantShards Placement::tenant(std::string_view tenant) const {
  const std::uint32_t seats = seats_of(tenant);
  TenantShards result{std::string(tenant), {}, {}, 0, hot_tenants_.contains(tenant)};
  take_seats(claims(tenant, seats), seats, result);
  const auto it = tenants_.find(tenant);
  const std::uint32_t asked = or_default(it == tenants_.end() ? 0 : it->second.replicas, default_replicas_);
  result.replicas = std::min(std::max<std::uint32_t>(1, asked), static_cast<std::uint32_t>(result.shards.size()));
  return result;
}

std::size_t Placement::node_shards_into(const TenantShards& tenant, std::string_view model,
                                        const model::Partition& partition, std::uint32_t replicated_until,
                                        std::span<std::uint32_t> out) const {
  const bool is_replicated = partition.depth() <= replicated_until;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const std::size_t owners = is_replicated ? tenant.shards.size() : owners_of(tenant, key);
  return best_of(key, tenant, out.first(std::min(out.size(), owners)));
}

std::size_t Placement::node_shards_into(const TenantShards& tenant, std::string_view model,
                                        std::span<const std::string_view> values, std::uint32_t replicated_until,
                                        std::span<std::uint32_t> out) const {
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  const bool is_replicated = values.size() <= replicated_until;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, values, std::size_t{replicated_until} + 1);
  const std::size_t owners = is_replicated ? tenant.shards.size() : owners_of(tenant, key);
  return best_of(key, tenant, out.first(std::min(out.size(), owners)));
}

bool Placement::holds(std::uint32_t shard, const TenantShards& tenant, std::string_view model,
                      const model::Partition& partition, std::uint32_t replicated_until) const {
  const auto at = std::ranges::find(tenant.shards, shard);
  if (at == tenant.shards.end()) return false;
  if (partition.depth() <= replicated_until || tenant.replicas == tenant.shards.size()) return true;
  std::string& key = empty_key();
  append_node(key, tenant.tenant, model, partition.values(), std::size_t{replicated_until} + 1);
  const std::size_t owners = owners_of(tenant, key);
  if (has_zones_) {
    std::vector<std::uint32_t> chosen(owners);
    best_of(key, tenant, chosen);
    return std::ranges::find(chosen, shard) != chosen.end();
  }
  const auto asked_place = static_cast<std::uint32_t>(at - tenant.shards.begin());
  const Candidate asked = candidate(key, tenant, asked_place);
  std::uint32_t better = 0;
  for (std::uint32_t place = 0; place < tenant.shards.size(); ++place) {
    if (place != asked_place && goes_before(candidate(key, tenant, place), asked) && ++better == owners) return false;
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
