#include "registry/membership.h"

#include <algorithm>
#include <cmath>

#include "model/ids.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

constexpr std::size_t kMaxEndpointBytes = 1024;
constexpr double kLeastWeight = 1e-3, kMostWeight = 1e3;

bool says_the_same(const cluster::ShardInfo& a, const cluster::ShardInfo& b) {
  return a.name == b.name && a.endpoints == b.endpoints && a.weight == b.weight;
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
  return {};
}

std::optional<cluster::View> with_shard(const cluster::View& view, const cluster::ShardInfo& shard) {
  cluster::View changed = view;
  const auto at = std::ranges::lower_bound(changed.shards, shard.name, {}, &cluster::ShardInfo::name);
  if (at != changed.shards.end() && at->name == shard.name) {
    if (says_the_same(*at, shard)) return std::nullopt;
    *at = shard;
  } else {
    changed.shards.insert(at, shard);
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

Result<cluster::View> Membership::view(std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, keys::table(keys::Table::view), epoch));
  if (!dated) return cluster::View{};
  auto record = wire::decode<wire::ViewReply>(dated->value);
  if (!record.ok()) return bad_record("W", record.status());
  return std::move(record->view);
}

void Membership::put(Batch& batch, const cluster::View& view) {
  wire::ViewReply record;
  record.epoch = batch.epoch();
  record.view = view;
  batch.put(keys::view(batch.epoch()), wire::encode(record));
}

}  // namespace espalier::registry
