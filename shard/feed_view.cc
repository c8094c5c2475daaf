// The shard's own place in the view: entering it, keeping it, leaving it (docs/membership.md).
#include <algorithm>
#include <utility>

#include "common/log.h"
#include "shard/feed.h"

namespace espalier::shard {

Status Feed::join() {
  if (has_joined_ || is_drained_) return {};
  if (was_in_view_) {
    // It left while this process ran, and may have slept through its draining: the registry knows.
    const auto renewed = upstream_.call(renewal());
    if (renewed.status().code() == Code::unavailable) return renewed.status();
    if (renewed.ok() && renewed->state == cluster::ShardState::draining) {
      is_draining_ = true;
      if (!is_in_view_) is_drained_ = true;  // else a view to come says it
      return {};
    }
  }
  wire::JoinRequest request;
  request.idem = UuidSource(clock_).next();
  request.shard = options_.self;
  request.process = options_.process;
  const auto reply = upstream_.call(request);
  if (reply.status().code() == Code::failed_precondition) {
    // Another process of the name has the lease: it is asked again at each turn, and releases don't wait for that.
    if (reply.status().text() != join_refused_for_) log::warn("shard", "not joined", {{"why", reply.status()}});
    join_refused_for_ = reply.status().text();
    return {};
  }
  RETURN_IF_ERROR(reply.status());
  join_refused_for_.clear();
  if (reply->generation != generation_) needs_snapshot_ = true;
  has_joined_ = true;
  return {};
}

void Feed::take_view(cluster::View view) {
  const auto self = std::ranges::find(view.shards, options_.self.name, &cluster::ShardInfo::name);
  if (self != view.shards.end()) {
    is_draining_ = self->state == cluster::ShardState::draining;
    was_in_view_ = is_in_view_ = true;
  } else {
    is_in_view_ = false;
    has_joined_ = false;
    if (is_draining_) is_drained_ = true;
  }
  holdings_.set_view(std::move(view), clock_.monotonic_us());
  has_new_view_ = has_unsaved_ = true;
}

/// A router that hasn't heard of the last view for so long asks whom it knows, and is told what is missing there.
void Feed::forget_old_views() {
  if (holdings_.forget_old(clock_.monotonic_us())) has_new_view_ = true;
}

/// The registry doesn't have it in the view.
void Feed::not_in_view() {
  has_joined_ = false;
  if (is_draining_) is_drained_ = true;
}

wire::RenewRequest Feed::renewal() const {
  wire::RenewRequest request;
  request.shard = options_.self.name;
  request.process = options_.process;
  request.is_ready = epoch_ != 0;
  request.nodes_ready = live_.current().counts.ready;
  request.nodes_wanted = live_.current().counts.wanted;
  return request;
}

void Feed::look_at_renewal() {
  const auto renewed = upstream_.take_renewal();
  if (!renewed) return;
  if (renewed->status().code() == Code::not_found) not_in_view();
  if (renewed->status().code() == Code::failed_precondition) {
    log::warn("shard", "lease not renewed", {{"why", renewed->status()}});
  }
  if (renewed->ok() && (*renewed)->state == cluster::ShardState::draining) is_draining_ = true;
}

}  // namespace espalier::shard
