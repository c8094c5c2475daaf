#include "registry/acks.h"

#include <algorithm>
#include <optional>

namespace espalier::registry {
namespace {

bool is_asked(const cluster::ShardInfo& shard) {
  return shard.state == cluster::ShardState::serving || shard.state == cluster::ShardState::draining;
}

}  // namespace

void Acks::take(const std::string& shard, std::uint64_t epoch, std::vector<wire::AckFailure> failed) {
  auto& epochs = shards_[shard];
  if (!epochs.empty() && epoch < epochs.rbegin()->first) return;
  epochs[epoch] = std::move(failed);
  if (epochs.size() > kKept) epochs.erase(epochs.begin());
}

void Acks::forget(const std::string& shard) { shards_.erase(shard); }

wire::WaitReply Acks::state(const cluster::View& view, std::uint64_t epoch, Of of) const {
  wire::WaitReply reply;
  bool is_any = false;
  for (const auto& shard : view.shards) {
    if (of == Of::asked && !is_asked(shard)) continue;
    is_any = true;
    const auto found = shards_.find(shard.name);
    if (found == shards_.end() || found->second.empty() || found->second.rbegin()->first < epoch) {
      reply.missing.push_back(shard.name);
      continue;
    }
    const auto& failed = found->second.lower_bound(epoch)->second;
    reply.failed.insert(reply.failed.end(), failed.begin(), failed.end());
  }
  reply.served = reply.missing.empty() && is_any;
  return reply;
}

std::uint64_t Acks::newest(const std::string& shard) const {
  const auto found = shards_.find(shard);
  return found == shards_.end() || found->second.empty() ? 0 : found->second.rbegin()->first;
}

bool Acks::is_lacking(const std::string& shard) const {
  const auto found = shards_.find(shard);
  if (found == shards_.end() || found->second.empty()) return false;
  // Of the artefact, wherever it is taken in.
  constexpr Code kEverywhere[] = {Code::corrupt, Code::not_found, Code::failed_precondition, Code::invalid_argument,
                                  Code::unimplemented};
  return std::ranges::any_of(found->second.rbegin()->second, [&](const wire::AckFailure& failed) {
    return std::ranges::none_of(kEverywhere, [&](Code code) { return failed.why.starts_with(code_name(code)); });
  });
}

std::uint64_t Acks::all_have(const cluster::View& view) const {
  std::optional<std::uint64_t> least;
  for (const auto& shard : view.shards) {
    if (!is_asked(shard)) continue;
    const auto found = shards_.find(shard.name);
    if (found == shards_.end() || found->second.empty()) return 0;
    const std::uint64_t newest = found->second.rbegin()->first;
    least = std::min(least.value_or(newest), newest);
  }
  return least.value_or(0);
}

}  // namespace espalier::registry
