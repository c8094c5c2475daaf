// espalier-trainer: trains the trees that a spec and a file describe, and publishes them.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "trainer/progress.h"
#include "trainer/trainer.h"

int main(int argc, char** argv) {
  using namespace espalier;
  std::signal(SIGPIPE, SIG_IGN);
  trainer::TrainerOptions options;
  CLI::App app("Trains the trees that a spec and a file describe, and publishes them.", "espalier-trainer");
  app.add_option("--registry", options.registry, "Endpoint of the registry; again for further ways to it")->required();
  app.add_option("--key", options.key, "File of the key that says who publishes");
  app.add_flag("--insecure", options.insecure, "Connect without keys, too, where others could listen in");
  app.add_option("--spec", options.spec, "The model's spec, a TOML file")->required();
  app.add_option("--data", options.source.path, "Rows: .csv, .tsv, .jsonl")->required();
  app.add_option("--where", options.source.where, "Only rows that pass, such as \"split = train\"");
  auto* const tenant = app.add_option("--tenant", options.source.tenant, "Tenant of all rows");
  auto* const column = app.add_option("--tenant-column", options.source.tenant_column, "Column with each row's tenant");
  tenant->excludes(column);
  app.add_option("--tag", options.tag, "Tag that the release moves")->capture_default_str();
  app.add_option("--run-name", options.run_name, "What to call the run");
  app.add_option("--description", options.description, "What to say of the run and each version");
  std::vector<std::string> properties;
  app.add_option("--property", properties, "KEY=VALUE of the run and each version; again for more")
      ->allow_extra_args(false);
  std::string if_release;
  app.add_option("--if-release", if_release, "Only if this is the last release of the tag")->excludes(column);
  app.add_option("--threads", options.threads, "Threads; 0: one a core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_flag("--wait", options.wait, "Wait until the shards answer from the release");
  try {
    app.parse(argc, argv);
    if (tenant->empty() && column->empty()) throw CLI::RequiredError("--tenant or --tenant-column");
    if (!if_release.empty()) {
      const auto release = Uuid::parse(if_release);
      if (!release.ok()) throw CLI::ValidationError("--if-release", release.status().message());
      options.expected_release = *release;
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  trainer::Progress progress;
  auto parsed = model::parse_properties(properties);
  if (parsed.ok()) options.properties = *std::move(parsed);
  const Status status = parsed.ok() ? trainer::run_trainer(options, progress) : parsed.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "espalier-trainer: %s\n", status.text().c_str());
  return 1;
}
