// The commands about runs and datasets: what each was asked for, and the function that does it. As commands.h.
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

struct RunListOptions {
  std::string what;  ///< TENANT or TENANT/MODEL
  std::string where;
  std::string order = "created desc";
  std::uint64_t limit = 0;  ///< 0: all
  std::string as_of;
};
Status run_run_list(const RunListOptions& options, const Shared& shared);

struct RunShowOptions {
  std::string tenant, run;
};
Status run_run_show(const RunShowOptions& options, const Shared& shared);

struct RunCompareOptions {
  std::string what;               ///< TENANT or TENANT/MODEL
  std::vector<std::string> runs;  ///< UUIDs; empty: those that `where` finds
  std::string where;
  std::string order = "created";
  bool all = false;  ///< parameters that are the same in all runs, too
};
Status run_run_compare(const RunCompareOptions& options, const Shared& shared);

struct RunLogOptions {
  std::string tenant, run, metric;
};
Status run_run_log(const RunLogOptions& options, const Shared& shared);

struct RunFilesOptions {
  std::string tenant, run;
  std::string get;  ///< name of a file; empty: list them
  std::string to;   ///< path; empty: standard output
};
Status run_run_files(const RunFilesOptions& options, const Shared& shared);

struct DatasetListOptions {
  std::string tenant, where;
  std::string order = "created desc";
  std::string as_of;
};
Status run_dataset_list(const DatasetListOptions& options, const Shared& shared);

struct DatasetShowOptions {
  std::string tenant, dataset;  ///< fingerprint, or what it begins with
};
Status run_dataset_show(const DatasetShowOptions& options, const Shared& shared);

/// Adds the commands; the one that the command line names is left in `chosen`. `shared` and `chosen` outlive the app.
void add_run_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);
void add_dataset_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
