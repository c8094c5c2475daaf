#include <algorithm>

#include "cli/json_records.h"
#include "cli/membership/membership_commands.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "common/clock.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kHandedOverWithinUs = 600'000'000;
constexpr std::int64_t kLookUs = 1'000'000;

/// Waits until the shard has left the view.
Status wait_until_left(client::RegistryClient& registry, const std::string& shard, wire::EpochReply at) {
  const std::int64_t end = Clock::system().monotonic_us() + kHandedOverWithinUs;
  for (;;) {
    ASSIGN_OR_RETURN(const wire::ViewReply view, registry.call(wire::ViewRequest{}));
    const auto& shards = view.view.shards;
    if (std::ranges::find(shards, shard, &cluster::ShardInfo::name) == shards.end()) return {};
    if (Clock::system().monotonic_us() > end)
      return unavailable(shard + " is draining, but others don't hold all of it yet");
    // Returns at the next change, whatever it is.
    wire::FeedRequest feed;
    feed.generation = view.generation;
    feed.after = std::max(view.epoch, at.epoch);
    feed.wait_us = kLookUs;
    RETURN_IF_ERROR(registry.call(feed).status());
  }
}

}  // namespace

Status run_drain(const DrainOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::EpochReply reply, registry->call(wire::DrainRequest{new_uuid(), options.shard}));
  if (options.wait) RETURN_IF_ERROR(wait_until_left(*registry, options.shard, reply));
  if (shared.json) {
    print_json({{"shard", options.shard}, {"epoch", reply.epoch}, {"left", options.wait}});
  } else {
    print_line(options.shard + (options.wait ? " has left the view: others hold what it owned"
                                             : " is draining: it leaves once others hold what it owns"));
  }
  return {};
}

}  // namespace espalier::cli
