#include <CLI/CLI.hpp>

#include "cli/upkeep/upkeep.h"
#include "cli/validators.h"

namespace espalier::cli {
namespace {

void add_moving_commands(CLI::App& registry, UpkeepOptions& options, const Shared& shared,
                         std::function<Status()>& chosen) {
  auto* out = registry.add_subcommand("export", "Write the histories of a tenant's models, or of one, into one file");
  out->add_option("of", options.of, "TENANT or TENANT/MODEL")->required();
  out->add_option("--to", options.file, "File to write; a dry run needs none");
  out->add_option("--dir", options.dir, "Folder of a stopped registry (of a cluster: DIR/registry)");
  out->add_flag("--dry-run", options.dry_run, "Say what would be written, and write nothing");
  out->callback([&] {
    if (options.file.empty() && !options.dry_run) throw CLI::RequiredError("--to");
    chosen = [&] { return run_registry_export(options, shared); };
  });

  auto* in = registry.add_subcommand("import", "Take in the histories of a file that export wrote");
  auto* from = in->add_option("--from", options.file, "File that export wrote");
  auto* dry_run = in->add_flag("--dry-run", options.dry_run, "Say what would come, and what is in its way");
  auto* abandon = in->add_flag("--abandon", options.abandon,
                               "Take away what came of imports and was not finished: of the file's models, or of one");
  abandon->excludes(dry_run);
  in->add_option("of", options.of, "With --abandon: TENANT/MODEL, whatever it was imported from")
      ->check(kModel)
      ->needs(abandon)
      ->excludes(from);
  in->callback([&] {
    if (options.file.empty() && options.of.empty()) throw CLI::RequiredError("--from");
    chosen = [&] { return run_registry_import(options, shared); };
  });

  auto* table =
      registry.add_subcommand("import-history", "Take in a history that was kept elsewhere: a table of versions");
  table->add_option("table", options.file, "CSV, TSV or JSON lines: each row a version")
      ->required()
      ->check(CLI::ExistingFile);
  table->add_option("--tenant", options.tenant, "Who owns the model")->required()->check(kName);
  table->add_option("--model", options.model, "The model; it isn't there yet")->required()->check(kName);
  table->add_option("--spec", options.spec, "The model's spec, a TOML file")->required()->check(CLI::ExistingFile);
  table->add_option("--tag", options.tag, "Tag that versions moved when they were made, where the table doesn't say")
      ->capture_default_str()
      ->check(kName);
  table->add_flag("--dry-run", options.dry_run, "Say what would come, and what is in its way");
  table->callback([&] { chosen = [&] { return run_registry_import_history(options, shared); }; });
}

}  // namespace

void add_registry_commands(CLI::App& app, UpkeepOptions& options, const Shared& shared,
                           std::function<Status()>& chosen) {
  auto* registry = app.add_subcommand(
      "registry", "Look after a registry: status, check, repair, backup, restore; move histories out and in");
  registry->require_subcommand(1);
  const auto stopped = [&options](CLI::App* command) {
    return command->add_option("--dir", options.dir, "Folder of a stopped registry (of a cluster: DIR/registry)");
  };

  registry->add_subcommand("status", "Where it stands, and how long releases take until all shards serve them")
      ->callback([&] { chosen = [&] { return run_registry_status(shared); }; });

  auto* check =
      registry->add_subcommand("check", "Look whether everything in it holds; the cluster's while it answers");
  stopped(check);
  check->callback([&] { chosen = [&] { return run_registry_check(options, shared); }; });

  auto* repair = registry->add_subcommand("repair", "Make anew what follows from other records of a stopped registry");
  stopped(repair)->required();
  repair->add_flag("--dry-run", options.dry_run, "Say what would be done, and change nothing");
  repair->add_flag("--leveldb", options.leveldb, "First gather what LevelDB can still read; what it can't is lost");
  repair->callback([&] { chosen = [&] { return run_registry_repair(options, shared); }; });

  auto* backup =
      registry->add_subcommand("backup", "Write everything in it into one file; the cluster's while it answers");
  stopped(backup);
  backup->add_option("--to", options.file, "File to write, or a folder to put it into")->required();
  backup->callback([&] { chosen = [&] { return run_registry_backup(options, shared); }; });

  auto* restore = registry->add_subcommand("restore", "Make a registry of a backup");
  restore->add_option("--dir", options.dir, "Folder to make it in: an empty one, or a new one");
  restore->add_option("--from", options.file, "File that backup wrote")->required();
  restore->add_flag("--dry-run", options.dry_run, "Only look whether the file is whole");
  restore->callback([&] {
    if (options.dir.empty() && !options.dry_run) throw CLI::RequiredError("--dir");
    chosen = [&] { return run_registry_restore(options, shared); };
  });
  add_moving_commands(*registry, options, shared, chosen);
}

}  // namespace espalier::cli
