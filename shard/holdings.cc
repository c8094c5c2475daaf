#include "shard/holdings.h"

#include <algorithm>
#include <utility>

namespace espalier::shard {

Holdings::Holdings(cluster::ShardInfo self) : self_(std::move(self)) { set_view({}); }

void Holdings::set_view(cluster::View view) {
  view_ = std::move(view);
  auto it = std::ranges::lower_bound(view_.shards, self_.name, {}, &cluster::ShardInfo::name);
  if (it == view_.shards.end() || it->name != self_.name) it = view_.shards.insert(it, self_);
  index_ = static_cast<std::uint32_t>(it - view_.shards.begin());
  placement_ = std::make_unique<const cluster::Placement>(view_);
  last_ = {};
}

const cluster::Placement::TenantShards& Holdings::shards_of(std::string_view tenant) {
  if (last_.tenant != tenant) last_ = placement_->tenant(tenant);
  return last_;
}

bool Holdings::holds_tenant(std::string_view tenant) {
  const std::vector<std::uint32_t>& shards = shards_of(tenant).shards;
  return std::ranges::find(shards, index_) != shards.end();
}

bool Holdings::holds(std::string_view tenant, std::string_view model, std::size_t levels,
                     const std::vector<std::string>& values) {
  const Result<model::Partition> partition = model::Partition::from_values(values);
  if (!partition.ok()) return false;
  return placement_->holds(index_, shards_of(tenant), model, *partition,
                           cluster::replicated_until(static_cast<std::uint32_t>(levels)));
}

}  // namespace espalier::shard
