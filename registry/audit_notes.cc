#include "registry/audit_notes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/ids.h"

namespace espalier::registry::audit {
namespace {

using nlohmann::json;

/// Of free text so much is told: what follows stands in the change's own records.
constexpr std::size_t kTextBytes = 256;

std::string text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }
std::string cut(std::string_view words) { return std::string(words.substr(0, kTextBytes)); }

AuditNote of_tag(const std::string& tag) { return {"tag " + tag, {}, {}}; }
AuditNote of_run(const Uuid& run, const json& after) { return {"run " + run.text(), {}, text(after)}; }

const cluster::ShardInfo* find_shard(const cluster::View& view, std::string_view name) {
  const auto at = std::ranges::find(view.shards, name, &cluster::ShardInfo::name);
  return at == view.shards.end() ? nullptr : &*at;
}

}  // namespace

AuditNote note_of(const wire::PublishRequest& request) { return of_tag(request.tag); }
AuditNote note_of(const wire::MoveRequest& request) { return of_tag(request.tag); }
AuditNote note_of(const wire::RollbackRequest& request) { return of_tag(request.tag); }
AuditNote note_of(const wire::PromoteRequest& request) { return of_tag(request.to); }
AuditNote note_of(const wire::OverlayRequest& request) { return of_tag(request.tag); }

AuditNote note_of(const wire::QuarantineRequest& request) {
  json after = {{"quarantined", !request.lift}};
  if (!request.reason.empty()) after["reason"] = cut(request.reason);
  return {"version " + request.version.text(), text({{"quarantined", request.lift}}), text(after)};
}

AuditNote note_of(const wire::ImportRequest& request) {
  const char* const steps[] = {"look", "begin", "records", "finish", "abandon", "datasets"};
  const auto step = std::min<std::size_t>(static_cast<std::size_t>(request.step), std::size(steps) - 1);
  return {"history " + request.history.hex().substr(0, 16), {}, text({{"step", steps[step]}, {"from", request.from}})};
}

AuditNote note_of(const wire::RunStartRequest& request) {
  return of_run(request.run, {{"status", "running"}, {"name", cut(request.name)}});
}
AuditNote note_of(const wire::RunLogRequest& request) {
  json after = {{"points", request.metrics.size()}};
  if (!request.params_json.empty()) after["params"] = true;
  return of_run(request.run, after);
}
AuditNote note_of(const wire::RunEndRequest& request) {
  const bool failed = request.status == wire::RunStatus::failed;
  AuditNote note = of_run(request.run, {{"status", failed ? "failed" : "finished"}});
  note.before = text({{"status", "running"}});
  return note;
}
AuditNote note_of(const wire::RunAttachRequest& request) {
  return of_run(request.run, {{"file", cut(request.name)}, {"bytes", request.content.size()}});
}

AuditNote note_of(const wire::DatasetPutRequest& request) {
  return {"dataset " + request.dataset.dataset.hex(),
          {},
          text({{"source", cut(request.dataset.source)}, {"rows", request.dataset.rows}})};
}

AuditNote note_of(const wire::CollectRequest& request) {
  return {request.model.empty() ? "tenant " + request.tenant : "model " + request.model,
          {},
          text({{"receipt", request.receipt.text()}})};
}
AuditNote note_of(const wire::EraseRequest& request) {
  return {"tenant " + request.tenant, {}, text({{"receipt", request.receipt.text()}})};
}

// Written without a JSON library: there is one of each with every release.
std::string release_json(const Uuid& release) {
  return release.is_nil() ? std::string() : R"({"release":")" + release.text() + "\"}";
}
std::string release_json(const wire::ReleaseReply& reply) {
  return R"({"release":")" + reply.release.text() + R"(","moved":)" + std::to_string(reply.moved) + "}";
}

std::string rule_json(const wire::RetentionRule& rule) {
  if (rule.keep_all) return text({{"keep_all", true}});
  return text({{"keep_last", rule.keep_last},
               {"keep_tagged", rule.keep_tagged},
               {"tagged", rule.tagged},
               {"keep_days", rule.keep_days}});
}

std::string key_json(const wire::KeyRecord& key) {
  auto halves = json::array();
  for (const wire::KeyHalf& half : key.halves) {
    halves.push_back({{"public", half.key.hex()}, {"until_us", half.until_us}});
  }
  json told = {{"roles", key.roles}, {"halves", halves}, {"expires_us", key.expires_us}};
  if (key.all_tenants) told["all_tenants"] = true;
  if (!key.tenants.empty()) told["tenants"] = key.tenants;
  if (key.revoked_us != 0) told["revoked_us"] = key.revoked_us;
  return text(told);
}

std::string quota_json(const wire::Quota& quota) {
  return text({{"models", quota.models}, {"nodes", quota.nodes}, {"bytes", quota.bytes}});
}

std::string overlay_json(const wire::ModelRecord& model, const std::string& tag) {
  const auto at = std::ranges::find(model.overlays, tag, &wire::Overlay::tag);
  return at == model.overlays.end() ? std::string() : text({{"on", at->on}});
}

std::string shard_json(const cluster::View& view, std::string_view shard) {
  const cluster::ShardInfo* const found = find_shard(view, shard);
  if (found == nullptr) return {};
  return text({{"state", cluster::shard_state_name(found->state)},
               {"endpoints", found->endpoints},
               {"weight", found->weight},
               {"zone", found->zone}});
}

std::string settings_json(const cluster::View& view, const std::string& tenant) {
  const auto at = view.tenants.find(tenant);
  return at == view.tenants.end() ? std::string() : settings_json(at->second);
}
std::string settings_json(const cluster::TenantSettings& settings) {
  return text({{"spread", settings.spread},
               {"replicas", settings.replicas},
               {"requests_per_second", settings.requests_per_second},
               {"requests_in_flight", settings.requests_in_flight}});
}

AuditNote view_note(const cluster::View& from, const cluster::View& to) {
  json before = {{"view", from.number}}, after = {{"view", to.number}};
  for (const cluster::ShardInfo& shard : to.shards) {
    const cluster::ShardInfo* const was = find_shard(from, shard.name);
    if (was != nullptr && was->state == shard.state) continue;
    if (was != nullptr) before["shards"][shard.name] = cluster::shard_state_name(was->state);
    after["shards"][shard.name] = cluster::shard_state_name(shard.state);
  }
  for (const cluster::ShardInfo& shard : from.shards) {
    if (find_shard(to, shard.name) == nullptr) before["shards"][shard.name] = cluster::shard_state_name(shard.state);
  }
  if (from.hot_nodes.size() != to.hot_nodes.size()) {
    before["hot_nodes"] = from.hot_nodes.size();
    after["hot_nodes"] = to.hot_nodes.size();
  }
  return {"view", text(before), text(after)};
}

}  // namespace espalier::registry::audit
