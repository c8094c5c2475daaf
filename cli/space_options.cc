// The options of the commands in space_commands.h.
#include <memory>

#include "cli/space_commands.h"
#include "cli/validators.h"

namespace espalier::cli {
namespace {

void add_retention(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  const auto options = std::make_shared<RetentionOptions>();
  auto* retention = app.add_subcommand("retention", "Which versions of a model a collection leaves alone");
  retention->require_subcommand(1);
  auto* show = retention->add_subcommand("show", "The model's rule, and those that it had before");
  show->add_option("model", options->model, "TENANT/MODEL")->required()->check(kModel);
  show->callback([=, &shared, &chosen] { chosen = [=, &shared] { return run_retention_show(*options, shared); }; });

  auto* set = retention->add_subcommand("set", "A version is kept if any part of the rule keeps it, or a tag names it");
  set->add_option("model", options->model, "TENANT/MODEL")->required()->check(kModel);
  auto* last = set->add_option("--keep-last", options->keep_last, "The newest so many versions of each node");
  auto* tagged = set->add_option("--keep-tagged", options->tagged,
                                 "What these tags have ever named, e.g. production,staging; without names: any tag")
                     ->expected(0, 64)
                     ->delimiter(',')
                     ->check(kName);
  auto* days = set->add_option("--keep-days", options->keep_days,
                               "What was made, or named by a tag, within the last so many days");
  auto* all = set->add_flag("--keep-all", options->keep_all, "Everything: as if there had never been a rule");
  for (auto* part : {last, tagged, days}) all->excludes(part);
  set->callback([=, &shared, &chosen] {
    options->keep_tagged = tagged->count() > 0;
    std::erase(options->tagged, "");
    if (!options->keep_all && last->count() + tagged->count() + days->count() == 0)
      throw CLI::RequiredError("one of --keep-last, --keep-tagged, --keep-days and --keep-all");
    chosen = [=, &shared] { return run_retention_set(*options, shared); };
  });
}

void add_collect(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  const auto options = std::make_shared<CollectOptions>();
  auto* collect = app.add_subcommand("collect", "Give back the space of what no retention rule and no tag keeps");
  collect->add_option("what", options->what, "TENANT or TENANT/MODEL")->required()->check(kTenantOrModel);
  auto* dry_run = collect->add_flag("--dry-run", options->dry_run, "Only say what would go");
  collect->add_option("--receipt", options->receipt, "Print the receipt of an earlier collection: its UUID")
      ->check(kUuid)
      ->excludes(dry_run);
  collect->callback([=, &shared, &chosen] { chosen = [=, &shared] { return run_collect(*options, shared); }; });
}

}  // namespace

void add_space_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  add_retention(app, shared, chosen);
  add_collect(app, shared, chosen);
}

}  // namespace espalier::cli
