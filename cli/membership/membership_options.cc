// The options of the commands in membership_commands.h.
#include "cli/command_options.h"
#include "cli/membership/membership_commands.h"
#include "cli/validators.h"

namespace espalier::cli {

void add_membership_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* drain = app.add_subcommand("drain", "Hand over what a shard owns; then it leaves the view and ends");
  const auto drained = options_of<DrainOptions>(*drain, shared, chosen, run_drain);
  drain->add_option("shard", drained->shard, "Name of the shard")->required()->check(kName);
  drain->add_flag("--wait", drained->wait, "Return only when others hold all of it and the shard has left the view");

  auto* tenant = app.add_subcommand("tenant", "What a tenant gets of the cluster");
  tenant->require_subcommand(1);
  auto* set = tenant->add_subcommand("set", "Set some of it; the rest stays as it is");
  const auto settings = options_of<TenantOptions>(*set, shared, chosen, run_tenant_set);
  set->add_option("tenant", settings->tenant, "Tenant")->required()->check(kName);
  set->add_option("--spread", settings->spread, "Shards that serve the tenant (0: the view's default)");
  set->add_option("--replicas", settings->replicas, "Shards that hold each leaf (0: the view's default)");
  set->add_option("--requests-per-second", settings->requests_per_second, "At each router (0: no limit)");
  set->add_option("--in-flight", settings->in_flight, "Requests under way at each router (0: no limit)");
  set->add_option("--models", settings->models, "Models that it may have (0: no limit)");
  set->add_option("--nodes", settings->nodes,
                  "Nodes for which its tags may name a version, for each tag (0: no limit)");
  set->add_option("--bytes", settings->bytes, "Bytes of artefacts that it may store (0: no limit)");
  auto* show = tenant->add_subcommand("show", "What is set and used, and on which shards the tenant is");
  const auto shown = options_of<TenantOptions>(*show, shared, chosen, run_tenant_show);
  show->add_option("tenant", shown->tenant, "Tenant")->required()->check(kName);
}

}  // namespace espalier::cli
