// The options of the commands in inside_commands.h.
#include "cli/command_options.h"
#include "cli/inside/inside_commands.h"

namespace espalier::cli {

void add_inside_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* level = app.add_subcommand("log-level", "Show or set what goes into the logs of running processes");
  const auto asked = options_of<LogLevelOptions>(*level, shared, chosen, run_log_level);
  level->add_option("process", asked->process, "registry, a shard's or router's name, or all")->required();
  level->add_option("level", asked->level, "debug, info, warn or error; left out: it is shown")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
}

}  // namespace espalier::cli
