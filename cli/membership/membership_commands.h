// The commands on the view: a shard that is to go, and what is set for a tenant.
//
// As commands.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "common/status.h"

namespace espalier::cli {

struct DrainOptions {
  std::string shard;
  bool wait = false;
};
Status run_drain(const DrainOptions& options, const Shared& shared);

struct TenantOptions {
  std::string tenant;
  // What is not given stays as it is; 0: the default again, or no limit.
  std::optional<std::uint32_t> spread, replicas, requests_per_second, in_flight;
  std::optional<std::uint64_t> models, nodes, bytes;  ///< the quota; likewise
};
Status run_tenant_set(const TenantOptions& options, const Shared& shared);
Status run_tenant_show(const TenantOptions& options, const Shared& shared);

/// Adds the commands drain and tenant; the one that the command line names is left in `chosen`. `shared` and `chosen`
/// outlive the app.
void add_membership_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
