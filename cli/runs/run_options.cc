// The options of the commands in run_commands.h.
#include <memory>

#include "cli/command_options.h"
#include "cli/runs/run_commands.h"
#include "cli/validators.h"

namespace espalier::cli {
namespace {

template <class Options>
void add_run(CLI::App& command, Options& options) {
  command.add_option("tenant", options.tenant, "Tenant")->required()->check(kName);
  command.add_option("run", options.run, "UUID of the run")->required()->check(kUuid);
}

}  // namespace

void add_run_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* run = app.add_subcommand("run", "What was tried: parameters, metrics by step, files");
  run->require_subcommand(1);

  auto* list = run->add_subcommand("list", "Runs of a tenant or model, the newest first");
  const auto listed = options_of<RunListOptions>(*list, shared, chosen, run_run_list);
  list->add_option("what", listed->what, "TENANT or TENANT/MODEL")->required()->check(kTenantOrModel);
  list->add_option("--where", listed->where, "E.g. \"status = 'failed' and params.seed = 7\" (default: all)");
  list->add_option("--order", listed->order, "E.g. \"metrics.rmse\"")->capture_default_str();
  list->add_option("--limit", listed->limit, "Stop after so many (default: all)")->check(CLI::Range(1u, UINT32_MAX));
  list->add_option("--as-of", listed->as_of, "As it was at an epoch, or a time in UTC");

  auto* show = run->add_subcommand("show", "One run: parameters, last metrics, files");
  add_run(*show, *options_of<RunShowOptions>(*show, shared, chosen, run_run_show));

  auto* compare = run->add_subcommand("compare", "Many runs in one table: a column a run");
  const auto compared = options_of<RunCompareOptions>(*compare, shared, chosen, run_run_compare);
  compare->add_option("what", compared->what, "TENANT or TENANT/MODEL")->required()->check(kTenantOrModel);
  auto* runs = compare->add_option("runs", compared->runs, "UUIDs of the runs")->check(kUuid);
  compare->add_option("--where", compared->where, "Those that a filter finds")->excludes(runs);
  compare->add_option("--order", compared->order, "Of what the filter finds")->capture_default_str()->excludes(runs);
  compare->add_flag("--all", compared->all, "Parameters that are the same in all runs, too");

  auto* log = run->add_subcommand("log", "What a run measured, step by step");
  const auto logged = options_of<RunLogOptions>(*log, shared, chosen, run_run_log);
  add_run(*log, *logged);
  log->add_option("--metric", logged->metric, "Of this metric only");

  auto* files = run->add_subcommand("files", "The files of a run, or one of them");
  const auto filed = options_of<RunFilesOptions>(*files, shared, chosen, run_run_files);
  add_run(*files, *filed);
  auto* get = files->add_option("--get", filed->get, "Print the content of the file of this name");
  files->add_option("--to", filed->to, "Write it to this path instead")->needs(get);
}

void add_dataset_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  auto* dataset = app.add_subcommand("dataset", "What versions and runs were made from");
  dataset->require_subcommand(1);

  auto* list = dataset->add_subcommand("list", "Datasets of a tenant, the newest first");
  const auto listed = options_of<DatasetListOptions>(*list, shared, chosen, run_dataset_list);
  list->add_option("tenant", listed->tenant, "Tenant")->required()->check(kName);
  list->add_option("--where", listed->where, "E.g. \"source = 'rides.csv' and rows > 1000\" (default: all)");
  list->add_option("--order", listed->order, "E.g. \"rows desc\"")->capture_default_str();
  list->add_option("--as-of", listed->as_of, "As it was at an epoch, or a time in UTC");

  auto* show = dataset->add_subcommand("show", "One dataset: where it is from, and what each column holds");
  const auto shown = options_of<DatasetShowOptions>(*show, shared, chosen, run_dataset_show);
  show->add_option("tenant", shown->tenant, "Tenant")->required()->check(kName);
  show->add_option("dataset", shown->dataset, "Fingerprint, or its first digits, 8 at least")->required();
}

}  // namespace espalier::cli
