#include "shard/holdings.h"

#include <algorithm>
#include <utility>

namespace espalier::shard {

const cluster::Placement::TenantShards& Holdings::Layout::shards_of(std::string_view tenant) {
  if (last.tenant != tenant || last.shards.empty()) last = placement.tenant(tenant);
  return last;
}

bool Holdings::Layout::holds_tenant(std::string_view tenant) {
  const std::vector<std::uint32_t>& shards = shards_of(tenant).shards;
  return std::ranges::find(shards, index) != shards.end();
}

Holdings::Holdings(cluster::ShardInfo self, std::int64_t kept_us) : self_(std::move(self)), kept_us_(kept_us) {
  set_view({});
}

void Holdings::set_view(cluster::View view, std::int64_t now_us) {
  auto it = std::ranges::lower_bound(view.shards, self_.name, {}, &cluster::ShardInfo::name);
  const bool is_in_it = it != view.shards.end() && it->name == self_.name;
  if (view.number != 0 && view.number == view_.number && is_in_it == is_in_view_) return;
  if (is_in_view_ && kept_us_ > 0) {
    in_force_->until_us = now_us + kept_us_;
    kept_.push_back(*std::move(in_force_));
    if (kept_.size() > kMostKept) kept_.pop_front();
  }
  view_ = std::move(view);
  it = std::ranges::lower_bound(view_.shards, self_.name, {}, &cluster::ShardInfo::name);
  is_in_view_ = is_in_it;
  if (!is_in_view_) {
    it = view_.shards.insert(it, self_);
    it->state = cluster::ShardState::joining;
  }
  const auto index = static_cast<std::uint32_t>(it - view_.shards.begin());
  in_force_.emplace(view_, cluster::Phase::in_force, index);
  next_.emplace(view_, cluster::Phase::next, index);
}

bool Holdings::forget_old(std::int64_t now_us) {
  const std::size_t before = kept_.size();
  while (!kept_.empty() && kept_.front().until_us <= now_us) kept_.pop_front();
  return kept_.size() != before;
}

bool Holdings::holds_tenant(std::string_view tenant) {
  if (in_force_->holds_tenant(tenant) || next_->holds_tenant(tenant)) return true;
  return std::ranges::any_of(kept_, [&](Layout& layout) { return layout.holds_tenant(tenant); });
}

bool Holdings::holds(std::string_view tenant, std::string_view model, std::size_t levels,
                     const std::vector<std::string>& values) {
  const Result<model::Partition> partition = model::Partition::from_values(values);
  if (!partition.ok()) return false;
  const std::uint32_t until = cluster::replicated_until(static_cast<std::uint32_t>(levels));
  const auto holds = [&](Layout& layout) {
    return layout.placement.holds(layout.index, layout.shards_of(tenant), model, *partition, until);
  };
  return holds(*in_force_) || holds(*next_) || std::ranges::any_of(kept_, holds);
}

}  // namespace espalier::shard
