// The commands about what is kept and what goes: what each was asked for, and the function that does it. As commands.h.
//
// Thread safety: one command runs in a process, on the main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace CLI {
class App;
}

namespace espalier::cli {

struct RetentionOptions {
  std::string model;
  bool keep_all = false;
  std::uint32_t keep_last = 0;
  bool keep_tagged = false;
  std::vector<std::string> tagged;  ///< empty: any tag
  std::uint32_t keep_days = 0;
};
Status run_retention_show(const RetentionOptions& options, const Shared& shared);
Status run_retention_set(const RetentionOptions& options, const Shared& shared);

struct CollectOptions {
  std::string what;     ///< TENANT or TENANT/MODEL
  std::string receipt;  ///< UUID: only print that one
  bool dry_run = false;
};
Status run_collect(const CollectOptions& options, const Shared& shared);

struct EraseOptions {
  std::string tenant;
  bool yes = false;
  bool dry_run = false;  ///< only count what would go
  std::string verify;    ///< UUID of a receipt: only look whether it holds
  std::string receipt;   ///< UUID: only print that one
  std::uint32_t wait_s = 60;
};
Status run_erase(const EraseOptions& options, const Shared& shared);

/// Adds the commands; the one that the command line names is left in `chosen`. `shared` and `chosen` outlive the app.
void add_space_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
