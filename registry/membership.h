// Which shards there are: the numbered view, and the rules by which it changes (docs/membership.md).
//
// Thread safety: Membership as the Store; the rest are pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/view.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxShards = 4096;
inline constexpr std::size_t kMaxEndpoints = 256;
inline constexpr std::uint32_t kMaxReplicas = 64;

/// invalid_argument names the member of `shard` that is wrong.
Status check_shard(const cluster::ShardInfo& shard);
/// The view with the shard as it says it is, numbered on; nothing when the view says so already. A shard that is new
/// gets the state `as`; one that is there keeps its own.
std::optional<cluster::View> with_shard(const cluster::View& view, const cluster::ShardInfo& shard,
                                        cluster::ShardState as = cluster::ShardState::serving);
/// The view without the shard, numbered on; nothing when it has no such shard.
std::optional<cluster::View> without_shard(const cluster::View& view, std::string_view shard);
/// The view with the shard draining, numbered on; nothing when it is already. not_found; failed_precondition: it is
/// joining, or no other serves or joins.
Result<std::optional<cluster::View>> with_drained(const cluster::View& view, std::string_view shard);
/// The view with a tenant's settings, numbered on; nothing when it has them. Limits hold at once; another spread or
/// other replicas are to come (cluster::kNextSettings).
std::optional<cluster::View> with_tenant(const cluster::View& view, const std::string& tenant,
                                         const cluster::TenantSettings& settings);

/// What the registry knows of a shard beside the view.
struct Standing {
  bool is_live = false;            ///< its lease holds
  std::uint64_t acknowledged = 0;  ///< the newest epoch that its present process answers from, saved or not
  bool is_empty = false;           ///< its process took the place of another, began with nothing and isn't there yet
  bool is_lacking = false;  ///< it named nodes that it could not take in, though the registry has them, or can't save
};
using Standings = std::function<Standing(const std::string& shard)>;

/// Whether a placement is to come that isn't in force: somebody joins, drains or is gone, or settings change.
bool is_moving(const cluster::View& view);
/// The view once what is next is in force.
cluster::View in_force(cluster::View next);
/// The view that follows now from that of `epoch`; nothing: it stays.
std::optional<cluster::View> next_view(const cluster::View& view, std::uint64_t epoch, const Standings& standings);
/// Whom the transition of the view of `epoch` waits for, by name: those of the next placement, and the draining ones
/// that are live, so that they know that they were drained when they find themselves out of the view.
std::vector<std::string> waited_for(const cluster::View& view, std::uint64_t epoch, const Standings& standings);

class Membership {
 public:
  explicit Membership(Store& store) : store_(store) {}

  /// The view as of `epoch`; number 0 and empty before the first shard.
  Result<cluster::View> view(std::uint64_t epoch);
  /// The same with the epoch in which it was written.
  Result<wire::ViewReply> dated(std::uint64_t epoch);
  static void put(Batch& batch, const cluster::View& view);

 private:
  Store& store_;
};

}  // namespace espalier::registry
