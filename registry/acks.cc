#include "registry/acks.h"

#include <algorithm>
#include <optional>

namespace espalier::registry {
namespace {

bool is_asked(const cluster::ShardInfo& shard) {
  return shard.state == cluster::ShardState::serving || shard.state == cluster::ShardState::draining;
}

}  // namespace

bool Acks::take(const wire::AckRequest& ack) {
  Said& said = shards_[ack.shard];
  if (said.process != ack.process) said = {};
  said.process = ack.process;
  if (ack.held != 0) {
    const bool did_save = said.held <= said.newest();
    said.held = std::max(said.held, ack.held);
    return did_save && said.held > said.newest();
  }
  if (ack.epoch < said.newest()) return false;
  said.epochs[ack.epoch] = ack.failed;
  if (said.epochs.size() > kKept) said.epochs.erase(said.epochs.begin());
  return false;
}

void Acks::forget(const std::string& shard) { shards_.erase(shard); }

void Acks::forget_others(const std::string& shard, const Uuid& process) {
  const Said* of_shard = said(shard);
  if (of_shard != nullptr && !of_shard->process.is_nil() && of_shard->process != process) forget(shard);
}

const Acks::Said* Acks::said(const std::string& shard) const {
  const auto found = shards_.find(shard);
  return found == shards_.end() ? nullptr : &found->second;
}

wire::WaitReply Acks::state(const cluster::View& view, std::uint64_t epoch, Of of) const {
  wire::WaitReply reply;
  bool is_any = false;
  for (const auto& shard : view.shards) {
    if (of == Of::asked && !is_asked(shard)) continue;
    is_any = true;
    const Said* found = said(shard.name);
    if (found == nullptr || found->epochs.empty() || found->newest() < epoch) {
      reply.missing.push_back(shard.name);
      continue;
    }
    const auto& failed = found->epochs.lower_bound(epoch)->second;
    reply.failed.insert(reply.failed.end(), failed.begin(), failed.end());
  }
  reply.served = reply.missing.empty() && is_any;
  return reply;
}

std::uint64_t Acks::newest(const std::string& shard) const {
  const Said* found = said(shard);
  return found == nullptr ? 0 : found->newest();
}

std::uint64_t Acks::newest_held(const std::string& shard) const {
  const Said* found = said(shard);
  return found == nullptr ? 0 : found->newest_held();
}

bool Acks::is_lacking(const std::string& shard) const {
  const Said* found = said(shard);
  if (found == nullptr) return false;
  if (found->held > found->newest()) return true;
  if (found->epochs.empty()) return false;
  // Of the artefact, wherever it is taken in.
  constexpr Code kEverywhere[] = {Code::corrupt, Code::not_found, Code::failed_precondition, Code::invalid_argument,
                                  Code::unimplemented};
  return std::ranges::any_of(found->epochs.rbegin()->second, [&](const wire::AckFailure& failed) {
    return std::ranges::none_of(kEverywhere, [&](Code code) { return failed.why.starts_with(code_name(code)); });
  });
}

std::uint64_t Acks::all_have(const cluster::View& view) const {
  std::optional<std::uint64_t> least;
  for (const auto& shard : view.shards) {
    if (!is_asked(shard)) continue;
    const Said* found = said(shard.name);
    if (found == nullptr || found->epochs.empty()) return 0;
    const std::uint64_t newest = found->newest();
    least = std::min(least.value_or(newest), newest);
  }
  return least.value_or(0);
}

}  // namespace espalier::registry
