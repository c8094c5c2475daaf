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

  auto* doctor = app.add_subcommand(
      "doctor", "Look for what is wrong with hosts, disks, clocks, keys and processes, and say what to do");
  const auto looked = options_of<DoctorOptions>(*doctor, shared, chosen, run_doctor);
  doctor
      ->add_option("--config", looked->configurations,
                   "Configuration file of a process of this host; may be repeated (default, without a cluster: "
                   "/etc/espalier/*.toml)")
      ->allow_extra_args(false)
      ->check(CLI::ExistingFile);
  doctor->add_option("--dir", looked->folders, "Folder of data to look at besides; may be repeated")
      ->allow_extra_args(false);
  doctor->add_flag("--all", looked->all, "Also what is as it should be");

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
