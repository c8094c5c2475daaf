#include "registry/acks.h"

namespace espalier::registry {

void Acks::take(const std::string& shard, std::uint64_t epoch, std::vector<wire::AckFailure> failed) {
  auto& epochs = shards_[shard];
  if (!epochs.empty() && epoch < epochs.rbegin()->first) return;
  epochs[epoch] = std::move(failed);
  if (epochs.size() > kKept) epochs.erase(epochs.begin());
}

void Acks::forget(const std::string& shard) { shards_.erase(shard); }

wire::WaitReply Acks::state(const cluster::View& view, std::uint64_t epoch) const {
  wire::WaitReply reply;
  for (const auto& shard : view.shards) {
    const auto found = shards_.find(shard.name);
    if (found == shards_.end() || found->second.empty() || found->second.rbegin()->first < epoch) {
      reply.missing.push_back(shard.name);
      continue;
    }
    const auto& failed = found->second.lower_bound(epoch)->second;
    reply.failed.insert(reply.failed.end(), failed.begin(), failed.end());
  }
  reply.served = reply.missing.empty() && !view.shards.empty();
  return reply;
}

}  // namespace espalier::registry
