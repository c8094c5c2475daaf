// espalier-shard: answers predictions for the nodes it holds.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/log.h"
#include "common/process_log.h"
#include "common/scheduling.h"
#include "common/signals.h"
#include "shard/shard.h"

using espalier::shard::Verify;

int main(int argc, char** argv) {
  espalier::StopSignals stop;
  espalier::shard::ShardOptions options;
  CLI::App app("Answers predictions for the nodes it holds.", "espalier-shard");
  app.add_option("--name", options.name, "this shard's name in the view, for ever the same")->required();
  app.add_option("--dir", options.folder, "folder of its artefacts and state; made when missing")->required();
  app.add_option("--registry", options.registry, "endpoint of the registry (repeat for others that reach it)")
      ->required();
  app.add_option("--bind", options.endpoints, "endpoint to answer at, one a worker thread (repeat)")->required();
  app.add_option("--key", options.key, "file of its key, which is called as the shard: who connects needs a key, too");
  app.add_flag("--insecure", options.insecure,
               "listen without a key where others could connect, and connect where others could listen");
  app.add_option("--weight", options.weight, "share of keys relative to other shards")->check(CLI::PositiveNumber);
  app.add_option("--zone", options.zone, "what fails together with it, a host or a rack: replicas avoid to share one");
  app.add_option("--verify", options.verify, "when artefacts are checked besides the scrub: admission, or always")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Verify>{{"admission", Verify::admission}, {"always", Verify::always}}));
  double scrub_seconds = 3600;
  app.add_option("--scrub-interval", scrub_seconds, "seconds in which all that answers is checked once; 0: never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--memory-budget", options.memory_budget,
                 "bytes of artefacts that may answer (also 512M, 2G); the least recently used leaves go first; 0: none")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--metrics", options.metrics, "HOST:PORT to tell Prometheus at (port 0 picks one)");
  app.add_option("--disk-budget", options.disk_budget,
                 "bytes of the artefacts' files on its disk (also 512M, 2G; at least 1M); the least recently used "
                 "leaves go first; 0: none")
      ->transform(CLI::AsSizeValue(false));
  app.set_config("--config", "", "TOML file with these options by name; deploy/config/shard.toml is the reference")
      ->check(CLI::ExistingFile);
  app.allow_config_extras(CLI::config_extras_mode::error);
  espalier::ProcessLog log(app);
  CLI11_PARSE(app, argc, argv);
  log.start(argc, argv);
  options.scrub_interval_us = static_cast<std::int64_t>(scrub_seconds * 1e6);
  espalier::prefer_throughput();
  espalier::raise_open_files_limit();

  const auto say = [](const nlohmann::json& line) {
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  };
  const espalier::Status status = espalier::shard::run(
      options, stop,
      [&](const espalier::shard::Addresses& at) {
        say({{"ready", "shard"}, {"name", options.name}, {"endpoints", at.endpoints}, {"metrics", at.metrics}});
      },
      [&] {
        say({{"drained", options.name}});
      });
  if (status.ok()) return 0;
  espalier::log::write_end("espalier-shard", status);
  return 1;
}
