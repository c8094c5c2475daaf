// espalier-shard: answers predictions for the nodes it holds.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/scheduling.h"
#include "common/signals.h"
#include "shard/shard.h"

int main(int argc, char** argv) {
  espalier::StopSignals stop;
  espalier::shard::ShardOptions options;
  CLI::App app("Answers predictions for the nodes it holds.", "espalier-shard");
  app.add_option("--name", options.name, "this shard's name in the view, for ever the same")->required();
  app.add_option("--dir", options.folder, "folder of its artefacts and state; made when missing")->required();
  app.add_option("--registry", options.registry, "endpoint of the registry (repeat for others that reach it)")
      ->required();
  app.add_option("--bind", options.endpoints, "endpoint to answer at, one a worker thread (repeat)")->required();
  app.add_option("--weight", options.weight, "share of keys relative to other shards")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  espalier::prefer_throughput();
  espalier::raise_open_files_limit();

  const espalier::Status status = espalier::shard::run(options, stop, [&](const std::vector<std::string>& endpoints) {
    const nlohmann::json line = {{"ready", "shard"}, {"name", options.name}, {"endpoints", endpoints}};
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  });
  if (status.ok()) return 0;
  std::fprintf(stderr, "espalier-shard: %s\n", status.text().c_str());
  return 1;
}
