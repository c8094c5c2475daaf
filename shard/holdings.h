// Which nodes this shard holds under the view that it knows.
//
// Thread safety: belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/placement.h"
#include "cluster/view.h"
#include "model/ids.h"

namespace espalier::shard {

class Holdings {
 public:
  /// `self` is held to be in the view also before the registry says so: a joining shard takes in what will be its own.
  explicit Holdings(cluster::ShardInfo self);

  void set_view(cluster::View view);
  const cluster::View& view() const { return view_; }

  bool holds_tenant(std::string_view tenant);
  /// `levels`: how many the model has below the root.
  bool holds(std::string_view tenant, std::string_view model, std::size_t levels,
             const std::vector<std::string>& partition);

 private:
  const cluster::Placement::TenantShards& shards_of(std::string_view tenant);

  const cluster::ShardInfo self_;
  cluster::View view_;  ///< with self_ in it
  std::uint32_t index_ = 0;
  std::unique_ptr<const cluster::Placement> placement_;
  cluster::Placement::TenantShards last_;  ///< of the tenant asked for last
};

}  // namespace espalier::shard
