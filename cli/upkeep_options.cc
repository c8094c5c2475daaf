#include <CLI/CLI.hpp>

#include "cli/upkeep.h"

namespace espalier::cli {

void add_registry_commands(CLI::App& app, UpkeepOptions& options, const Shared& shared,
                           std::function<Status()>& chosen) {
  auto* registry = app.add_subcommand("registry", "Look after a registry: check it");
  registry->require_subcommand(1);
  const auto stopped = [&options](CLI::App* command) {
    return command->add_option("--dir", options.dir, "Folder of a stopped registry (of a cluster: DIR/registry)");
  };

  auto* check =
      registry->add_subcommand("check", "Look whether everything in it holds; the cluster's while it answers");
  stopped(check);
  check->callback([&] { chosen = [&] { return run_registry_check(options, shared); }; });
}

}  // namespace espalier::cli
