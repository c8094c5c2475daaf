// The options of the commands in space_commands.h.
#include <memory>
#include <vector>

#include "cli/space/space_commands.h"
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

void add_erase(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  const auto options = std::make_shared<EraseOptions>();
  auto* erase = app.add_subcommand("erase", "Remove a tenant with all that it has, for good, on registry and shards");
  erase->add_option("tenant", options->tenant, "TENANT")->required()->check(kName);
  auto* yes = erase->add_flag("--yes", options->yes, "Do it: there is no way back");
  auto* dry_run = erase->add_flag("--dry-run", options->dry_run, "Only count what would go");
  auto* verify =
      erase->add_option("--verify", options->verify, "Look whether the erasure of this receipt holds, everywhere")
          ->check(kUuid);
  auto* receipt = erase->add_option("--receipt", options->receipt, "Print this receipt again")->check(kUuid);
  erase->add_option("--wait-seconds", options->wait_s, "How long to wait for shards that have not acknowledged it")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  const std::vector<CLI::Option*> ways = {yes, dry_run, verify, receipt};
  for (auto* way : ways) {
    for (auto* other : ways) {
      if (way != other) way->excludes(other);
    }
  }
  erase->callback([=, &shared, &chosen] {
    if (yes->count() + dry_run->count() + verify->count() + receipt->count() == 0) {
      throw CLI::RequiredError(
          "--yes (nothing of the tenant is left afterwards, and its name can't be used again), --dry-run, --verify or "
          "--receipt");
    }
    chosen = [=, &shared] { return run_erase(*options, shared); };
  });
}

}  // namespace

void add_space_commands(CLI::App& app, const Shared& shared, std::function<Status()>& chosen) {
  add_retention(app, shared, chosen);
  add_collect(app, shared, chosen);
  add_erase(app, shared, chosen);
}

}  // namespace espalier::cli
