// Which shards there are: the numbered view, changed by joining and leaving.
//
// Thread safety: Membership as the Store; the rest are pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "cluster/view.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxShards = 4096;
inline constexpr std::size_t kMaxEndpoints = 256;

/// invalid_argument names the member of `shard` that is wrong.
Status check_shard(const cluster::ShardInfo& shard);
/// The view with the shard as it says it is, numbered on; nothing when the view says so already.
std::optional<cluster::View> with_shard(const cluster::View& view, const cluster::ShardInfo& shard);
/// The view without the shard, numbered on; nothing when it has no such shard.
std::optional<cluster::View> without_shard(const cluster::View& view, std::string_view shard);

class Membership {
 public:
  explicit Membership(Store& store) : store_(store) {}

  /// The view as of `epoch`; number 0 and empty before the first shard.
  Result<cluster::View> view(std::uint64_t epoch);
  static void put(Batch& batch, const cluster::View& view);

 private:
  Store& store_;
};

}  // namespace espalier::registry
