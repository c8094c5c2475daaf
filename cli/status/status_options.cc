// The options of the commands in status_commands.h.
#include "cli/status/status_commands.h"

namespace espalier::cli {

void add_status_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* status = app.add_subcommand("status", "What is wrong with the cluster, the worst first, and what to do");
  status->callback([&shared, &chosen] { chosen = [&shared] { return run_status(shared); }; });
}

}  // namespace espalier::cli
