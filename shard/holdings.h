// Which nodes this shard holds under the view that it knows: what it is asked for, what it will be asked for next, and
// for a while what it was asked for before, because a router may not have heard of the new view yet
// (docs/membership.md).
//
// Thread safety: belongs to one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/placement.h"
#include "cluster/view.h"
#include "model/ids.h"

namespace espalier::shard {

class Holdings {
 public:
  /// `self` is held to be joining also before the registry says so: it takes in what will be its own. What was in force
  /// before is held for `kept_us` more.
  explicit Holdings(cluster::ShardInfo self, std::int64_t kept_us = 0);

  /// One of the number that is known already changes nothing; 0 is never known. `now_us`: monotonic.
  void set_view(cluster::View view, std::int64_t now_us = 0);
  const cluster::View& view() const { return view_; }
  /// Views of another registry follow, whose numbers say nothing of those before.
  void forget_number() { view_.number = 0; }
  /// Forgets what has been kept for long enough. True: less is held than before.
  bool forget_old(std::int64_t now_us);

  bool holds_tenant(std::string_view tenant);
  /// `levels`: how many the model has below the root.
  bool holds(std::string_view tenant, std::string_view model, std::size_t levels,
             const std::vector<std::string>& partition);

 private:
  /// One placement, and this shard's place in it.
  struct Layout {
    Layout(const cluster::View& view, cluster::Phase phase, std::uint32_t self) : placement(view, phase), index(self) {}
    const cluster::Placement::TenantShards& shards_of(std::string_view tenant);
    bool holds_tenant(std::string_view tenant);

    cluster::Placement placement;
    std::uint32_t index;
    cluster::Placement::TenantShards last;  ///< of the tenant asked for last
    std::int64_t until_us = 0;              ///< kept: monotonic
  };
  static constexpr std::size_t kMostKept = 4;

  const cluster::ShardInfo self_;
  const std::int64_t kept_us_;
  cluster::View view_;  ///< with self_ in it
  bool is_in_view_ = false;
  std::optional<Layout> in_force_;
  std::optional<Layout> next_;
  std::deque<Layout> kept_;
};

}  // namespace espalier::shard
