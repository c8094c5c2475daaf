// The commands that say how a cluster is. As commands.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "cli/commands.h"

namespace espalier::cli {

/// What is wrong with the cluster, the worst first, then what it is. failed_precondition: something is wrong.
Status run_status(const Shared& shared);

struct TopOptions {
  std::string by = "tenant";  ///< tenant, model, shard, version
  std::string sort = "rate";  ///< rate, p50, p99, fallback, errors, name
  double interval = 2;        ///< seconds between two looks
  std::uint32_t limit = 20;   ///< rows
  bool once = false;
};
/// Who asks how much, look after look, until it is ended.
Status run_top(const TopOptions& options, const Shared& shared);

void add_status_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
