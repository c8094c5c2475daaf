#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/membership/membership_commands.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "client/audit_replies.h"
#include "cluster/placement.h"

namespace espalier::cli {
namespace {

/// What is set, or will be once the shards hold it.
cluster::TenantSettings settings_of(const cluster::View& view, const std::string& tenant) {
  for (const std::string& name : {tenant + std::string(cluster::kNextSettings), tenant}) {
    if (const auto at = view.tenants.find(name); at != view.tenants.end()) return at->second;
  }
  return {};
}

std::string or_word(std::uint32_t value, const std::string& otherwise) {
  return value == 0 ? otherwise : count_text(value);
}

nlohmann::json quota_json(const wire::Quota& quota) {
  return {{"models", quota.models}, {"nodes", quota.nodes}, {"bytes", quota.bytes}};
}

std::string of_allowed(std::uint64_t used, std::uint64_t allowed) {
  return count_text(used) + " of " + (allowed == 0 ? "any number" : count_text(allowed));
}

std::string quota_text(const wire::QuotaReply& reply) {
  const wire::Quota &used = reply.used, &set = reply.set.quota;
  Table table({"models", "nodes", "bytes"});
  table.add(
      {of_allowed(used.models, set.models), of_allowed(used.nodes, set.nodes), of_allowed(used.bytes, set.bytes)});
  return table.text();
}

Status show(const std::string& tenant, const cluster::View& view, const wire::QuotaReply& quota, const Shared& shared) {
  const cluster::TenantSettings settings = settings_of(view, tenant);
  const bool is_held = !view.tenants.contains(tenant + std::string(cluster::kNextSettings));
  const cluster::Placement::TenantShards placed = cluster::Placement(view).tenant(tenant);
  auto shards = nlohmann::json::array();
  std::string names;
  for (const std::uint32_t shard : placed.shards) {
    shards.push_back(view.shards[shard].name);
    names += (names.empty() ? "" : " ") + view.shards[shard].name;
  }
  if (shared.json) {
    print_json({{"tenant", tenant},
                {"spread", settings.spread},
                {"replicas", settings.replicas},
                {"requests_per_second", settings.requests_per_second},
                {"requests_in_flight", settings.requests_in_flight},
                {"in_force", is_held},
                {"shards", shards},
                {"quota", quota_json(quota.set.quota)},
                {"used", quota_json(quota.used)},
                {"leaf_replicas", placed.replicas}});
    return {};
  }
  Table table({"spread", "replicas", "requests/s at a router", "in flight at a router", "shards"});
  table.add({or_word(settings.spread, "default (" + count_text(view.default_spread) + ")"),
             or_word(settings.replicas, "default (" + count_text(view.default_replicas) + ")"),
             or_word(settings.requests_per_second, "no limit"), or_word(settings.requests_in_flight, "no limit"),
             names});
  print_line(table.text());
  print_line(quota_text(quota));
  if (!is_held) print_line("spread and replicas come into force once the shards hold what they gain");
  return {};
}

}  // namespace

Status run_tenant_set(const TenantOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::ViewReply reply, registry->call(wire::ViewRequest{}));
  const cluster::TenantSettings now = settings_of(reply.view, options.tenant);
  wire::SetTenantRequest request;
  request.idem = new_uuid();
  request.tenant = options.tenant;
  request.spread = options.spread.value_or(now.spread);
  request.replicas = options.replicas.value_or(now.replicas);
  request.requests_per_second = options.requests_per_second.value_or(now.requests_per_second);
  request.requests_in_flight = options.in_flight.value_or(now.requests_in_flight);
  const bool sets_quota = options.models || options.nodes || options.bytes;
  const bool sets_others = options.spread || options.replicas || options.requests_per_second || options.in_flight;
  if (sets_others || !sets_quota) RETURN_IF_ERROR(registry->call(request).status());
  if (sets_quota) {
    ASSIGN_OR_RETURN(const wire::QuotaReply before, registry->call(wire::QuotaRequest{options.tenant}));
    wire::SetQuotaRequest set{new_uuid(), options.tenant, before.set.quota};
    set.quota.models = options.models.value_or(set.quota.models);
    set.quota.nodes = options.nodes.value_or(set.quota.nodes);
    set.quota.bytes = options.bytes.value_or(set.quota.bytes);
    RETURN_IF_ERROR(registry->call(set).status());
  }
  return run_tenant_show(options, shared);
}

Status run_tenant_show(const TenantOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::QuotaReply quota, registry->call(wire::QuotaRequest{options.tenant}));
  const auto reply = registry->call(wire::ViewRequest{});
  if (reply.ok()) return show(options.tenant, reply->view, quota, shared);
  // The view is the cluster's matter; what a tenant may have is its own, too.
  if (reply.status().code() != Code::permission_denied) return reply.status();
  if (shared.json) {
    print_json({{"tenant", options.tenant}, {"quota", quota_json(quota.set.quota)}, {"used", quota_json(quota.used)}});
  } else {
    print_line(quota_text(quota));
  }
  return {};
}

}  // namespace espalier::cli
