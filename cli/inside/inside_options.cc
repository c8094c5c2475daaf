// The options of the commands in inside_commands.h.
#include "cli/command_options.h"
#include "cli/inside/inside_commands.h"
#include "cli/validators.h"

namespace espalier::cli {

void add_inside_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* level = app.add_subcommand("log-level", "Show or set what goes into the logs of running processes");
  const auto asked = options_of<LogLevelOptions>(*level, shared, chosen, run_log_level);
  level->add_option("process", asked->process, "registry, a shard's or router's name, or all")->required();
  level->add_option("level", asked->level, "debug, info, warn or error; left out: it is shown")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));

  auto* trace = app.add_subcommand("trace", "Ask for one prediction and say where its time went and what answered");
  const auto traced = options_of<TraceOptions>(*trace, shared, chosen, run_trace);
  trace->add_option("node", traced->node, "TENANT/MODEL@PARTITION")->required()->check(kNode);
  trace->add_option("--row", traced->rows, "A JSON object of features; may be repeated (default: a row without values)")
      ->allow_extra_args(false);
  trace->add_option("--ref", traced->ref, "tag:NAME or version:UUID (default tag:production)");
  trace->add_option("--budget-ms", traced->budget_ms, "Milliseconds that it may take")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600'000));
}

}  // namespace espalier::cli
