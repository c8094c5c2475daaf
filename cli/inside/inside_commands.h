// The commands that look inside a running cluster (docs/logs.md, docs/operations.md). As commands.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "common/status.h"

namespace espalier::cli {

struct LogLevelOptions {
  std::string process;  ///< its name, or all
  std::string level;    ///< empty: it is shown only
};
Status run_log_level(const LogLevelOptions& options, const Shared& shared);

struct TraceOptions {
  std::string node;
  std::vector<std::string> rows;  ///< JSON objects; none: a row without values
  std::string ref;
  std::int64_t budget_ms = 1000;
};
/// One prediction with the time each station took.
Status run_trace(const TraceOptions& options, const Shared& shared);

struct DoctorOptions {
  std::vector<std::string> configurations;  ///< files that processes are started with; none: those in /etc/espalier
  std::vector<std::string> folders;         ///< of data, besides
  bool all = false;                         ///< also what is well
};
/// What is wrong with hosts, disks, clocks, keys and processes, and what to do. failed_precondition: a problem was
/// found.
Status run_doctor(const DoctorOptions& options, const Shared& shared);

/// Adds these commands; the one that the command line names is left in `chosen`. `shared` and `chosen` outlive
/// the app.
void add_inside_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
