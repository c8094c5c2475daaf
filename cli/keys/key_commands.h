// The commands on keys: who may do what (docs/keys.md).
//
// A secret is made by the command, goes into a file that only its owner can read, and nowhere else. As commands.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "common/status.h"

namespace espalier::cli {

struct KeyOptions {
  std::string name;
  std::vector<std::string> roles, tenants;
  bool all_tenants = false;
  std::string expires;  ///< time in UTC; empty: never, or as it is
  std::string out;      ///< file to make; empty: NAME.key
  double overlap_seconds = 24 * 3600;
};
Status run_key_create(const KeyOptions& options, const Shared& shared);
Status run_key_list(const KeyOptions& options, const Shared& shared);
Status run_key_limit(const KeyOptions& options, const Shared& shared);
Status run_key_rotate(const KeyOptions& options, const Shared& shared);
Status run_key_revoke(const KeyOptions& options, const Shared& shared);
/// The public half of the key in a file, for endpoints.
Status run_key_public(const KeyOptions& options, const Shared& shared);

struct AuditOptions {
  std::string tenant, who, operation, since, until;
  std::uint64_t limit = 100;
};
Status run_audit(const AuditOptions& options, const Shared& shared);

/// Adds the command keys; the one that the command line names is left in `chosen`. `shared` and `chosen` outlive the
/// app.
void add_key_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
