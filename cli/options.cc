#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "cli/commands.h"
#include "cli/inside/inside_commands.h"
#include "cli/keys/key_commands.h"
#include "cli/membership/membership_commands.h"
#include "cli/output.h"
#include "cli/runs/run_commands.h"
#include "cli/space/space_commands.h"
#include "cli/status/status_commands.h"
#include "cli/tags/tag_commands.h"
#include "cli/upkeep/upkeep.h"
#include "cli/validators.h"
#include "common/log.h"
#include "common/process_log.h"
#include "common/version.h"

namespace espalier::cli {
namespace {

/// Every command's options, and the one that was chosen.
struct CommandLine {
  Shared shared;
  UpOptions up;
  TrainOptions train;
  PredictOptions predict;
  EvaluateOptions evaluate;
  BatchOptions batch;
  VersionsOptions versions;
  SearchOptions search;
  TagsOptions tags;
  ReleaseOptions release;
  ExplainOptions explain;
  InspectOptions inspect;
  SampleDataOptions sample_data;
  UpkeepOptions upkeep;
  std::function<Status()> chosen;
};

void add_as_of(CLI::App& command, std::string& as_of) {
  command.add_option("--as-of", as_of, "As it was: an epoch, or a time in UTC such as \"2026-11-17 14:03\"");
}

void add_cluster_commands(CLI::App& app, CommandLine& line) {
  auto* up = app.add_subcommand("up", "Run a cluster on this machine until Ctrl-C; says \"ready\" when it answers");
  up->add_option("--dir", line.up.dir, "Folder of the cluster; made where missing")->required();
  up->add_option("--shards", line.up.shards, "Shards")->capture_default_str()->check(CLI::Range(1, 64));
  up->add_option("--routers", line.up.routers, "Routers")->capture_default_str()->check(CLI::Range(1, 16));
  up->add_option("--workers", line.up.workers, "Threads of each shard")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  up->add_option("--keep-changes", line.up.keep_changes, "Epochs whose changes stay in the registry's feed (0: all)")
      ->capture_default_str();
  up->add_option("--verify", line.up.verify, "When shards check what answers, besides the scrub")
      ->check(CLI::IsMember({"admission", "always"}))
      ->capture_default_str();
  up->add_option("--scrub-interval", line.up.scrub_seconds, "Seconds in which shards check all of it once (0: never)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  up->add_option("--memory-budget", line.up.memory_budget,
                 "Bytes of artefacts in each shard (also 512M, 2G; 0: no budget)")
      ->transform(CLI::AsSizeValue(false));
  up->add_option("--disk-budget", line.up.disk_budget,
                 "Bytes of artefacts' files on each shard's disk (also 512M, 2G; at least 1M; 0: no budget)")
      ->transform(CLI::AsSizeValue(false));
  up->add_option("--lease-ms", line.up.lease_ms, "A shard that isn't heard of for so many milliseconds is gone")
      ->capture_default_str()
      ->check(CLI::Range(200, 3'600'000));
  up->add_flag("--metrics", line.up.metrics, "Each process tells Prometheus, at the addresses that metrics.json names");
  up->add_flag("--tcp", line.up.tcp, "TCP inside the cluster as well");
  up->add_flag("--insecure", line.up.insecure, "No keys: everybody who reaches a TCP endpoint may do everything");
  up->callback([&line] { line.chosen = [&line] { return run_up(line.up, line.shared); }; });

  app.add_subcommand("shards", "How each shard is doing: ready nodes, bytes, answers, alerts; the worst first")
      ->callback([&line] { line.chosen = [&line] { return run_shards(line.shared); }; });

  auto* train = app.add_subcommand("train", "Train the tree of a model from a file and publish it as one release");
  train->add_option("spec", line.train.spec, "The model's spec, a TOML file")->required()->check(CLI::ExistingFile);
  train->add_option("--data", line.train.data, "CSV, TSV or JSON lines")->required()->check(CLI::ExistingFile);
  train->add_option("--where", line.train.where, "Take these rows only, e.g. 'split = train'");
  auto* tenant = train->add_option("--tenant", line.train.tenant, "Who owns the model")->check(kName);
  auto* column = train->add_option("--tenant-column", line.train.tenant_column, "Column that names each row's tenant");
  tenant->excludes(column);
  train->add_option("--tag", line.train.tag, "Tag that the release moves")->capture_default_str()->check(kName);
  train->add_option("--run-name", line.train.run_name, "What to call the run");
  train->add_option("--description", line.train.description, "What to say of the run and each version");
  train->add_option("--property", line.train.properties, "KEY=VALUE to find run and versions by; may be repeated")
      ->allow_extra_args(false);
  train->add_option("--if-release", line.train.if_release, "Only if this is the last release of the tag")
      ->check(kUuid)
      ->excludes(column);
  train->add_option("--threads", line.train.threads, "Threads (0: one a core)")->check(CLI::Range(0, 1024));
  train->add_flag("--wait", line.train.wait, "Return only when all shards answer from the release");
  train->callback([&line] {
    if (line.train.tenant.empty() == line.train.tenant_column.empty())
      throw CLI::RequiredError("one of --tenant and --tenant-column");
    line.chosen = [&line] { return run_train(line.train, line.shared); };
  });
}

void add_prediction_commands(CLI::App& app, CommandLine& line) {
  auto* predict = app.add_subcommand("predict", "Ask for predictions of one partition and say what answered and why");
  predict->add_option("node", line.predict.node, "TENANT/MODEL@PARTITION")->required()->check(kNode);
  predict->add_option("--row", line.predict.rows, "A JSON object of features; may be repeated")
      ->required()
      ->allow_extra_args(false);
  predict->add_option("--ref", line.predict.ref, "tag:NAME or version:UUID (default tag:production)");
  predict->add_option("--unit", line.predict.unit, "Who is assigned in experiments");
  predict->add_flag("--scores", line.predict.scores, "The probability of every class");
  predict->callback([&line] { line.chosen = [&line] { return run_predict(line.predict, line.shared); }; });

  auto* evaluate = app.add_subcommand("evaluate", "Send a labelled file through the router and measure the answers");
  evaluate->add_option("model", line.evaluate.model, "TENANT/MODEL; with --tenant-column: MODEL")->required();
  evaluate->add_option("--data", line.evaluate.data, "CSV, TSV or JSON lines")->required()->check(CLI::ExistingFile);
  evaluate->add_option("--where", line.evaluate.where, "Take these rows only, e.g. 'split = test'");
  evaluate->add_option("--tenant-column", line.evaluate.tenant_column, "Column that names each row's tenant");
  evaluate->add_option("--ref", line.evaluate.ref, "tag:NAME or version:UUID (default tag:production)");
  evaluate->callback([&line] { line.chosen = [&line] { return run_evaluate(line.evaluate, line.shared); }; });

  auto* batch = app.add_subcommand("batch", "Predict every row of a file into a CSV file with provenance columns");
  batch->add_option("model", line.batch.model, "TENANT/MODEL; with --tenant-column: MODEL")->required();
  batch->add_option("--in", line.batch.in, "CSV, TSV or JSON lines")->required()->check(CLI::ExistingFile);
  batch->add_option("--out", line.batch.out, "CSV file to write; - for stdout")->required();
  batch->add_option("--where", line.batch.where, "Take these rows only");
  batch->add_option("--tenant-column", line.batch.tenant_column, "Column that names each row's tenant");
  batch->add_option("--ref", line.batch.ref, "tag:NAME or version:UUID (default tag:production)");
  batch->callback([&line] { line.chosen = [&line] { return run_batch(line.batch, line.shared); }; });
}

void add_record_commands(CLI::App& app, CommandLine& line) {
  auto* versions = app.add_subcommand("versions", "List the versions of a model, or of a subtree of it");
  versions->add_option("node", line.versions.node, "TENANT/MODEL or TENANT/MODEL@PARTITION")->required()->check(kNode);
  add_as_of(*versions, line.versions.as_of);
  versions->callback([&line] { line.chosen = [&line] { return run_versions(line.versions, line.shared); }; });

  auto* tags =
      app.add_subcommand("tags", "List a model's tags, what one tag says of each node, or all that it ever said");
  auto* of_model = tags->add_option("model", line.tags.model, "TENANT/MODEL")->check(kModel);
  tags->add_option("--tag", line.tags.tag, "Show this tag's entries")->check(kName);
  add_as_of(*tags, line.tags.as_of);
  tags->callback([&line, tags, of_model] {
    if (!tags->get_subcommands().empty()) return;
    if (of_model->count() == 0) throw CLI::RequiredError("model");
    line.chosen = [&line] { return run_tags(line.tags, line.shared); };
  });

  auto* release =
      app.add_subcommand("release", "Releases: list them, show one, compare two, move a tag to the state of one");
  release->require_subcommand(1);
  auto* list = release->add_subcommand("list", "A model's releases, newest first");
  list->add_option("model", line.release.model, "TENANT/MODEL")->required()->check(kModel);
  add_as_of(*list, line.release.as_of);
  list->callback([&line] { line.chosen = [&line] { return run_release_list(line.release, line.shared); }; });
  auto* show = release->add_subcommand("show", "One release: when, by whom, from which data");
  show->add_option("model", line.release.model, "TENANT/MODEL")->required()->check(kModel);
  show->add_option("release", line.release.release, "UUID; left out: the newest");
  add_as_of(*show, line.release.as_of);
  show->callback([&line] { line.chosen = [&line] { return run_release_show(line.release, line.shared); }; });
  auto* move = release->add_subcommand("move", "Give a tag the whole state that an earlier release left: a way back");
  move->add_option("model", line.release.model, "TENANT/MODEL")->required()->check(kModel);
  move->add_option("release", line.release.release, "UUID of the earlier release")->required();
  move->add_option("--tag", line.release.tag, "Tag to move")->capture_default_str()->check(kName);
  move->add_option("--if-release", line.release.if_release, "Only if this is the last release of the tag")
      ->check(kUuid);
  move->add_option("--note", line.release.note, "Why");
  move->add_flag("--wait", line.release.wait, "Return only when all shards answer from it");
  move->callback([&line] { line.chosen = [&line] { return run_release_move(line.release, line.shared); }; });

  auto* explain =
      app.add_subcommand("explain", "Who would answer for a partition, level by level, and on which shards");
  explain->add_option("node", line.explain.node, "TENANT/MODEL@PARTITION")->required()->check(kNode);
  explain->add_option("--tag", line.explain.tag, "Tag")->capture_default_str()->check(kName);
  add_as_of(*explain, line.explain.as_of);
  explain->callback([&line] { line.chosen = [&line] { return run_explain(line.explain, line.shared); }; });

  auto* inspect = app.add_subcommand("inspect", "What an artefact is made of");
  inspect->add_option("artefact", line.inspect.artefact, "A file, or a version's UUID")->required();
  inspect->add_option("--model", line.inspect.model, "TENANT/MODEL of the version")->check(kModel);
  inspect->callback([&line] { line.chosen = [&line] { return run_inspect(line.inspect, line.shared); }; });

  auto* sample = app.add_subcommand("sample-data", "Write made-up ride durations by country and city");
  sample->add_option("file", line.sample_data.file, "CSV file to write")->required();
  sample->add_option("--rows", line.sample_data.rows, "Rides")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  sample->add_option("--seed", line.sample_data.seed, "The same seed gives the same bytes")->capture_default_str();
  sample->callback([&line] { line.chosen = [&line] { return run_sample_data(line.sample_data, line.shared); }; });
}

void add_search_command(CLI::App& app, CommandLine& line) {
  auto* search =
      app.add_subcommand("search", "Find versions, releases, nodes, models, tenants, runs or datasets by a filter");
  search->add_option("kind", line.search.kind, "versions, releases, nodes, models, tenants, runs or datasets")
      ->required();
  search->add_option("where", line.search.where, "E.g. \"metrics.rmse < 85 and partition under 'br'\" (default: all)");
  search->add_option("--tenant", line.search.tenant, "Of this tenant only")->check(kName);
  search->add_option("--model", line.search.model, "Of this model only: NAME with --tenant, or TENANT/MODEL");
  search->add_option("--order", line.search.order, "E.g. \"metrics.rmse desc, created\"");
  search->add_option("--limit", line.search.limit, "Stop after so many (default: all)")
      ->check(CLI::Range(1u, UINT32_MAX));
  add_as_of(*search, line.search.as_of);
  search->callback([&line] { line.chosen = [&line] { return run_search(line.search, line.shared); }; });
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Trains and serves a tree of small models.", "espalier");
  CommandLine line;
  app.add_option("--cluster", line.shared.cluster, "Folder of the cluster")->envname("ESPALIER_CLUSTER");
  app.add_option("--key", line.shared.key, "File of the key that says who asks")->envname("ESPALIER_KEY");
  app.add_flag("--insecure", line.shared.insecure, "Connect without keys, too, where others could listen in");
  app.add_flag("--json", line.shared.json, "Print JSON");
  LogOptions log;
  add_log_options(app, log);
  app.set_version_flag("--version", "espalier " + std::string(version()));
  app.require_subcommand(1);
  app.fallthrough();  // --json and --cluster are taken after the command too
  add_cluster_commands(app, line);
  add_prediction_commands(app, line);
  add_record_commands(app, line);
  add_membership_commands(app, line.shared, line.chosen);
  add_key_commands(app, line.shared, line.chosen);
  add_inside_commands(app, line.shared, line.chosen);
  add_space_commands(app, line.shared, line.chosen);
  add_run_commands(app, line.shared, line.chosen);
  add_dataset_commands(app, line.shared, line.chosen);
  add_search_command(app, line);
  add_tag_commands(app, *app.get_subcommand("release"), *app.get_subcommand("tags"), line.shared, line.chosen);
  add_registry_commands(app, line.upkeep, line.shared, line.chosen);
  add_status_commands(app, line.shared, line.chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> unknown = app.remaining(true);
    if (unknown.empty()) return app.exit(error), 2;
    std::fprintf(stderr, "espalier: no command '%s'; espalier --help lists them\n", unknown.front().c_str());
    return 2;
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);  // prints help or the mistake
    return code == 0 ? 0 : 2;
  }
  use_log_options(log);
  line.shared.log_format = log.format;
  line.shared.log_level = log.level;
  const Status status = line.chosen();
  if (status.ok()) return 0;
  log::write_end("espalier", status);
  return 1;
}

}  // namespace espalier::cli
