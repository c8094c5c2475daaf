// The commands of `espalier registry`, which look after a registry: docs/upkeep.md.
//
// As commands.h. Errors: corrupt, after everything is printed, where a check found something.
#pragma once

#include <functional>
#include <string>

#include "cli/commands.h"

namespace CLI {
class App;
}

namespace espalier::cli {

struct UpkeepOptions {
  std::string dir;   ///< folder of a stopped registry; empty: the cluster's
  std::string file;  ///< an archive
  bool dry_run = false;
  bool leveldb = false;
  std::string of;                                     ///< TENANT or TENANT/MODEL
  bool abandon = false;                               ///< an import
  std::string tenant, model, spec, tag = "imported";  ///< a history from a table
};
Status run_registry_status(const Shared& shared);
Status run_registry_check(const UpkeepOptions& options, const Shared& shared);
Status run_registry_repair(const UpkeepOptions& options, const Shared& shared);
Status run_registry_backup(const UpkeepOptions& options, const Shared& shared);
Status run_registry_restore(const UpkeepOptions& options, const Shared& shared);

/// Moving histories out and in: docs/moving.md.
Status run_registry_export(const UpkeepOptions& options, const Shared& shared);
Status run_registry_import(const UpkeepOptions& options, const Shared& shared);
Status run_registry_import_history(const UpkeepOptions& options, const Shared& shared);

/// `chosen` is set when one of them stands on the command line.
void add_registry_commands(CLI::App& app, UpkeepOptions& options, const Shared& shared,
                           std::function<Status()>& chosen);

}  // namespace espalier::cli
