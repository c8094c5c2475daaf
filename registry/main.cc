// espalier-registry: options, wiring, signals. registry/server.h is what runs.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/core_files.h"
#include "common/key_file.h"
#include "common/log.h"
#include "common/process_log.h"
#include "common/scheduling.h"
#include "metrics/endpoint.h"
#include "registry/server.h"
#include "wire/endpoint.h"

namespace {

struct Options {
  std::string folder;
  std::vector<std::string> endpoints;
  std::string metrics;
  std::string key;  ///< file; empty: none
  bool insecure = false;
  espalier::registry::RegistryOptions registry;
};

/// The process's key; made where its file is missing.
espalier::Result<std::shared_ptr<const espalier::KeyPair>> own_key(const std::string& path) {
  if (path.empty()) return std::shared_ptr<const espalier::KeyPair>();
  espalier::forbid_core_files();
  auto file = espalier::read_key_file(path);
  if (file.status().code() == espalier::Code::not_found) {
    RETURN_IF_ERROR(espalier::write_key_file(path, {"registry", espalier::KeyPair::make()}));
    file = espalier::read_key_file(path);
  }
  if (!file.ok()) return file.status();
  return file->pair;
}

espalier::Status serve(const Options& options, const espalier::StopSignals& stop) {
  using espalier::registry::Registry;
  using espalier::registry::Server;
  const espalier::Clock& clock = espalier::Clock::system();
  ASSIGN_OR_RETURN(auto key, own_key(options.key));
  for (const std::string& endpoint : options.endpoints) {
    RETURN_IF_ERROR(espalier::wire::check_listen("registry", endpoint, key != nullptr, options.insecure));
  }
  ASSIGN_OR_RETURN(const auto registry,
                   Registry::open(espalier::Files::system(), clock, options.folder, options.registry));
  espalier::wire::Context context;
  ASSIGN_OR_RETURN(const auto server, Server::make(*registry, clock, context, std::move(key)));
  nlohmann::json ready = {{"ready", "registry"}, {"name", "registry"}, {"endpoints", nlohmann::json::array()}};
  for (const auto& endpoint : options.endpoints) {
    ASSIGN_OR_RETURN(const std::string bound, server->bind(endpoint));
    ready["endpoints"].push_back(bound);
  }
  std::unique_ptr<espalier::metrics::Endpoint> metrics;
  if (!options.metrics.empty()) {
    const auto fill = [&](espalier::metrics::Page& page) { server->metrics().fill(page); };
    ASSIGN_OR_RETURN(metrics, espalier::metrics::Endpoint::open(options.metrics, fill));
    ready["metrics"] = metrics->address();
  }
  std::cout << ready.dump() << std::endl;
  server->run(stop);
  espalier::log::info("registry", "stopped");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The registry of an Espalier cluster: models, versions, tags and releases.");
  Options options;
  app.add_option("--dir", options.folder, "Folder for its records and artefacts; made when it is missing")->required();
  app.add_option("--bind", options.endpoints,
                 "Endpoint to answer on: ipc://PATH or tcp://HOST:PORT (* picks a port); repeat")
      ->required();
  app.add_option("--key", options.key, "File of its key, made where it is missing: who connects needs a key, too");
  app.add_flag("--insecure", options.insecure, "Listen without a key where others could connect");
  app.add_option("--keep-changes", options.registry.kept_epochs,
                 "Epochs whose changes stay in the feed (0: all); readers further behind take a snapshot")
      ->capture_default_str();
  std::int64_t lease_ms = options.registry.lease_us / 1000;
  app.add_option("--lease-ms", lease_ms, "A shard that isn't heard of for so many milliseconds is gone")
      ->check(CLI::Range(std::int64_t{200}, std::int64_t{3'600'000}))
      ->capture_default_str();
  app.add_option("--metrics", options.metrics, "HOST:PORT to tell Prometheus at (port 0 picks one)");
  app.set_config("--config", "", "TOML file with these options by name; deploy/config/registry.toml is the reference")
      ->check(CLI::ExistingFile);
  app.allow_config_extras(CLI::config_extras_mode::error);
  espalier::ProcessLog log(app);
  CLI11_PARSE(app, argc, argv);
  log.start(argc, argv);
  options.registry.lease_us = lease_ms * 1000;
  espalier::yield_to_requests();
  espalier::raise_open_files_limit();
  const espalier::StopSignals stop;
  const espalier::Status status = serve(options, stop);
  if (status.ok()) return 0;
  espalier::log::error("registry", "cannot serve", {{"error", status}});
  return 1;
}
