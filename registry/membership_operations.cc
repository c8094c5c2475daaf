// The registry's operations on the view, and the transitions that it decides itself (docs/membership.md).
#include <algorithm>

#include "common/log.h"
#include "model/ids.h"
#include "registry/change.h"
#include "registry/hot_nodes.h"
#include "registry/operations.h"
#include "registry/registry.h"
#include "wire/endpoint.h"

namespace espalier::registry {
namespace {

constexpr std::int64_t kTryAgainUs = 1'000'000;
constexpr std::size_t kMaxBusiest = 256;
/// For what a shard can't take in a transition waits so long.
constexpr std::int64_t kLeasesForLacking = 3;

std::string_view state_word(cluster::ShardState state) {
  switch (state) {
    case cluster::ShardState::serving: return "serving";
    case cluster::ShardState::joining: return "joining";
    case cluster::ShardState::draining: return "draining";
    case cluster::ShardState::gone: return "gone";
  }
  return "";
}

const cluster::ShardInfo* find_shard(const cluster::View& view, std::string_view name) {
  const auto at = std::ranges::lower_bound(view.shards, name, {}, &cluster::ShardInfo::name);
  return at == view.shards.end() || at->name != name ? nullptr : &*at;
}

/// A shard with a key listens with that key, or nowhere that others could answer.
Status check_own_endpoints(const wire::KeyRecord& key, const cluster::ShardInfo& shard) {
  for (const std::string& endpoint : shard.endpoints) {
    const auto half = wire::parse_endpoint(endpoint).key;
    const bool is_own = half && std::ranges::find(key.halves, *half, &wire::KeyHalf::key) != key.halves.end();
    if (is_own || (!half && endpoint.starts_with("ipc://"))) continue;
    return Status(Code::permission_denied, "shard.endpoints: " + wire::parse_endpoint(endpoint).address +
                                               " is not secured with key " + key.name);
  }
  return {};
}

/// Says what the new view changes.
void log_changes(const cluster::View& from, const cluster::View& to) {
  for (const auto& shard : to.shards) {
    const cluster::ShardInfo* before = find_shard(from, shard.name);
    if (before != nullptr && before->state == shard.state) continue;
    log::info("registry", "shard", {{"name", shard.name}, {"is", state_word(shard.state)}, {"view", to.number}});
  }
  for (const auto& shard : from.shards) {
    if (find_shard(to, shard.name) != nullptr) continue;
    log::info("registry", "shard left the view", {{"name", shard.name}, {"was", state_word(shard.state)}});
  }
}

void note_shard(AuditNote& note, const std::string& shard, const cluster::View& from,
                const std::optional<cluster::View>& to) {
  note = {"shard " + shard, audit::shard_json(from, shard), to ? audit::shard_json(*to, shard) : ""};
}

}  // namespace

Result<wire::EpochReply> Registry::change_view(const std::optional<cluster::View>& view, Batch& batch) {
  wire::EpochReply reply;
  reply.generation = store_->generation();
  if (!view) {
    ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
    return reply;
  }
  Membership::put(batch, *view);
  wire::Change change;
  change.kind = wire::ChangeKind::view;
  RETURN_IF_ERROR(records_.feed.put(batch, std::move(change)));
  reply.epoch = batch.epoch();
  is_view_due_ = true;
  return reply;
}

Result<wire::EpochReply> Registry::join(const Principal& principal, const wire::JoinRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(check_shard(request.shard));
  if (!request.process.is_nil()) {
    RETURN_IF_ERROR(leases_.check_newest(request.shard.name, request.process, clock_.monotonic_us()));
  }
  if (!principal.may_operate()) {
    ASSIGN_OR_RETURN(const auto key, records_.keys.find(principal.name()));
    if (key) RETURN_IF_ERROR(check_own_endpoints(*key, request.shard));
  }
  bool is_new = false;
  const auto put = [&](Batch& batch, AuditNote& note) -> Result<wire::EpochReply> {
    ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
    is_new = find_shard(view, request.shard.name) == nullptr;
    wire::ModelsRequest any;
    any.limit = 1;
    ASSIGN_OR_RETURN(const wire::ModelsReply models,
                     records_.models.page(any, PageCursor(), store_->epoch(), [](std::string_view) { return true; }));
    // Without a model there is nothing to take over.
    const auto as = models.models.empty() ? cluster::ShardState::serving : cluster::ShardState::joining;
    const auto changed = with_shard(view, request.shard, as);
    if (changed && changed->shards.size() > kMaxShards) {
      return Status(Code::resource_exhausted, "shard: the view has " + std::to_string(kMaxShards) + " shards already");
    }
    note_shard(note, request.shard.name, view, changed);
    return change_view(changed, batch);
  };
  auto reply = change<wire::EpochReply>(principal, request, {}, put);
  if (!reply.ok()) return reply;
  if (is_new) acks_.forget(request.shard.name);
  if (!request.process.is_nil()) acks_.forget_others(request.shard.name, request.process);
  leases_.join(request.shard.name, request.process, is_new, clock_.monotonic_us());
  return reply;
}

Result<wire::EpochReply> Registry::leave(const Principal& principal, const wire::LeaveRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(model::check_name("shard", request.shard));
  const auto put = [&](Batch& batch, AuditNote& note) -> Result<wire::EpochReply> {
    ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
    const auto changed = without_shard(view, request.shard);
    note_shard(note, request.shard, view, changed);
    return change_view(changed, batch);
  };
  auto reply = change<wire::EpochReply>(principal, request, {}, put);
  if (!reply.ok()) return reply;
  acks_.forget(request.shard);
  ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
  leases_.keep(view);
  note_served(view);
  return reply;
}

Result<wire::RenewReply> Registry::renew(const Principal& principal, const wire::RenewRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
  const cluster::ShardInfo* shard = find_shard(view, request.shard);
  wire::RenewReply reply;
  if (shard == nullptr && leases_.was_drained(request)) {
    reply.generation = store_->generation();
    ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
    reply.lease_us = leases_.lease_us();
    reply.state = cluster::ShardState::draining;
    return reply;
  }
  if (shard == nullptr) return not_found("shard " + request.shard + " is not in the view");
  if (request.busiest.size() > kMaxBusiest) {
    return invalid_argument("busiest: at most " + std::to_string(kMaxBusiest) + " are allowed");
  }
  ASSIGN_OR_RETURN(const bool is_another, leases_.renew(request, clock_.monotonic_us()));
  if (is_another) {
    acks_.forget(request.shard);
    log::info("registry", "another process of a shard", {{"name", request.shard}, {"is_ready", request.is_ready}});
  } else {
    acks_.forget_others(request.shard, request.process);  // after a start of this registry
  }
  if (is_another || shard->state == cluster::ShardState::gone) is_view_due_ = true;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
  reply.lease_us = leases_.lease_us();
  reply.state = shard->state;
  return reply;
}

Result<wire::EpochReply> Registry::drain(const Principal& principal, const wire::DrainRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(model::check_name("shard", request.shard));
  const auto put = [&](Batch& batch, AuditNote& note) -> Result<wire::EpochReply> {
    ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
    ASSIGN_OR_RETURN(const auto changed, with_drained(view, request.shard));
    note_shard(note, request.shard, view, changed);
    return change_view(changed, batch);
  };
  return change<wire::EpochReply>(principal, request, {}, put);
}

Result<wire::EpochReply> Registry::set_tenant(const Principal& principal, const wire::SetTenantRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  RETURN_IF_ERROR(model::check_name("tenant", request.tenant));
  if (request.spread > kMaxShards) {
    return invalid_argument("spread: at most " + std::to_string(kMaxShards) + " are allowed");
  }
  if (request.replicas > kMaxReplicas) {
    return invalid_argument("replicas: at most " + std::to_string(kMaxReplicas) + " are allowed");
  }
  const auto put = [&](Batch& batch, AuditNote& note) -> Result<wire::EpochReply> {
    ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
    const cluster::TenantSettings settings{request.spread, request.replicas, request.requests_per_second,
                                           request.requests_in_flight};
    const auto changed = with_tenant(view, request.tenant, settings);
    note = {"tenant " + request.tenant, audit::settings_json(view, request.tenant), audit::settings_json(settings)};
    return change_view(changed, batch);
  };
  return change<wire::EpochReply>(principal, request, {}, put);
}

Result<wire::ViewReply> Registry::view(const Principal& principal, const wire::ViewRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  wire::ViewReply reply;
  reply.generation = store_->generation();
  ASSIGN_OR_RETURN(reply.epoch, records_.feed.newest());
  ASSIGN_OR_RETURN(reply.view, records_.membership.view(reply.epoch));
  return reply;
}

Result<wire::AckReply> Registry::ack(const Principal& principal, const wire::AckRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (request.generation != store_->generation()) {
    return failed_precondition("generation: " + std::to_string(request.generation) + " is not this registry's");
  }
  RETURN_IF_ERROR(records_.feed.check_committed(std::max(request.epoch, request.held)));
  ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
  if (find_shard(view, request.shard) == nullptr) return not_found("shard " + request.shard);
  if (!leases_.may_be_of(request.shard, request.process)) {
    return failed_precondition("shard " + request.shard + ": another process of this name has the lease");
  }
  if (acks_.take(request)) {
    log::error("registry", "a shard can't save what went out of service",
               {{"shard", request.shard}, {"epoch", request.held}, {"why", request.unsaved}});
  }
  if (served_times_.waits_for(request.epoch)) note_served(view);
  is_view_due_ = is_view_due_ || is_view_moving_;
  ++activity_;
  return wire::AckReply{};
}

/// Not the cluster's: waits for changes of its tenants only, and isn't told which shards there are.
Status Registry::check_waits_for_own(const Principal& principal, std::uint64_t epoch) const {
  const auto change = records_.feed.get(epoch);
  if (!change.ok() && change.status().code() != Code::not_found) return change.status();
  if (change.ok() && !change->tenant.empty() && principal.may_read(change->tenant)) return {};
  return Status(Code::permission_denied,
                "principal " + principal.name() + " may wait for changes of its tenants only, by their epoch");
}

Result<wire::WaitReply> Registry::wait(const Principal& principal, const wire::WaitRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (!principal.may_serve()) RETURN_IF_ERROR(check_waits_for_own(principal, request.epoch));
  RETURN_IF_ERROR(records_.feed.check_committed(request.epoch));
  std::uint64_t epoch = request.epoch;
  if (epoch == 0) {
    ASSIGN_OR_RETURN(epoch, records_.feed.newest());
  }
  ASSIGN_OR_RETURN(const cluster::View view, records_.membership.view(store_->epoch()));
  wire::WaitReply reply = acks_.state(view, epoch);
  std::erase_if(reply.failed, [&](const wire::AckFailure& failed) { return !principal.may_read(failed.tenant); });
  hide_shards(principal, reply.missing);
  return reply;
}

// ----------------------------------------------------------------------------------------------------- transitions

std::int64_t Registry::next_view_us() const {
  return is_view_due_ ? 0 : std::max<std::int64_t>(0, look_at_view_us_ - clock_.monotonic_us());
}

void Registry::tend_view() {
  const std::int64_t now = clock_.monotonic_us();
  leases_.tick(now);
  if (!is_view_due_ && now < look_at_view_us_) return;
  is_view_due_ = false;
  const Status looked = look_at_view();
  look_at_view_us_ = now + (looked.ok() ? leases_.next_us(now) : kTryAgainUs);
  if (!looked.ok() && looked.text() != view_waits_for_) {
    log::warn("registry", "the view can't be changed now", {{"why", looked}});
  }
  view_waits_for_ = looked.ok() ? "" : looked.text();
}

Status Registry::look_at_view() {
  ASSIGN_OR_RETURN(const wire::ViewReply now, records_.membership.dated(store_->epoch()));
  is_view_moving_ = is_moving(now.view);
  const std::int64_t now_us = clock_.monotonic_us();
  const bool is_patient =
      now.epoch != waits_epoch_ || now_us - lacks_since_us_ < kLeasesForLacking * leases_.lease_us();
  const auto standings = [&](const std::string& shard) {
    const std::uint64_t acknowledged = acks_.newest_held(shard);
    return Standing{leases_.holds(shard, now_us), acknowledged, leases_.is_empty(shard) && acknowledged == 0,
                    is_patient && acks_.is_lacking(shard)};
  };
  const auto next = next_view(now.view, now.epoch, standings);
  if (next) return commit_view(now.view, *next);
  if (is_view_moving_) say_who_is_waited_for(now, waited_for(now.view, now.epoch, standings), now_us);
  if (is_view_moving_ || now_us < look_at_load_us_) return {};
  look_at_load_us_ = now_us + leases_.lease_us();
  std::vector<const wire::RenewRequest*> said;
  for (const auto& shard : now.view.shards) {
    const auto* last = leases_.said(shard.name);
    if (last != nullptr && shard.state == cluster::ShardState::serving) said.push_back(last);
  }
  const auto hot = with_hot_nodes(now.view, add_up(said));
  if (!hot) return {};
  log::info("registry", "hot nodes", {{"entries", hot->hot_nodes.size()}, {"view", hot->number}});
  return commit_view(now.view, *hot);
}

/// Once a lease; what is missing where everybody has acknowledged can't be taken in there.
void Registry::say_who_is_waited_for(const wire::ViewReply& view, const std::vector<std::string>& names,
                                     std::int64_t now_us) {
  if (view.epoch != waits_epoch_) {
    waits_epoch_ = view.epoch;
    waits_since_us_ = waits_said_us_ = lacks_since_us_ = now_us;
  }
  const bool is_lacking = std::ranges::all_of(
      names, [&](const std::string& name) { return acks_.newest_held(name) >= view.epoch && acks_.is_lacking(name); });
  if (!is_lacking) lacks_since_us_ = now_us;
  if (names.empty() || now_us - waits_said_us_ < leases_.lease_us()) return;
  waits_said_us_ = now_us;
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : " ") + name;
  log::write(is_lacking ? log::Level::error : log::Level::info, "registry",
             is_lacking ? "shards can't take in what they are to own" : "the view's transition waits",
             {{"shards", all}, {"view", view.view.number}, {"ms", (now_us - waits_since_us_) / 1000}});
}

/// For who asks how the cluster is: the view says no more that it was there.
void Registry::note_lost(const cluster::ShardInfo& shard) {
  constexpr std::size_t kMost = 100;
  std::erase_if(lost_, [&](const wire::LostShard& lost) { return lost.name == shard.name; });
  if (lost_.size() == kMost) lost_.erase(lost_.begin());
  lost_.push_back({shard.name, shard.endpoints, clock_.wall_us()});
}

Status Registry::commit_view(const cluster::View& from, const cluster::View& to) {
  ASSIGN_OR_RETURN(Batch batch, store_->begin());
  RETURN_IF_ERROR(change_view(to, batch).status());
  RETURN_IF_ERROR(records_.audit.put(batch, records_.keys, {"registry", "view", {}, {}}, audit::view_note(from, to)));
  RETURN_IF_ERROR(store_->apply(batch));
  RETURN_IF_ERROR(settle());
  ++activity_;
  upkeep_->drop_idle();
  for (const auto& shard : from.shards) {
    if (find_shard(to, shard.name) != nullptr) continue;
    acks_.forget(shard.name);
    if (shard.state == cluster::ShardState::draining) leases_.note_drained(shard.name);
    if (shard.state == cluster::ShardState::gone) note_lost(shard);
  }
  leases_.keep(to);
  note_served(to);
  log_changes(from, to);
  return {};
}

}  // namespace espalier::registry
