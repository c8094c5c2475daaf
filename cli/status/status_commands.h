// The commands that say how a cluster is. As commands.h.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "cli/commands.h"

namespace espalier::cli {

/// What is wrong with the cluster, the worst first, then what it is. failed_precondition: something is wrong.
Status run_status(const Shared& shared);

void add_status_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen);

}  // namespace espalier::cli
