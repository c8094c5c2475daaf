// espalier-router: takes requests from clients to the shards that hold what they ask for.

#include <sys/eventfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "client/key_watch.h"
#include "client/registry_client.h"
#include "common/core_files.h"
#include "common/files.h"
#include "common/folder_lock.h"
#include "common/key_file.h"
#include "common/log.h"
#include "common/process_log.h"
#include "common/scheduling.h"
#include "common/signals.h"
#include "metrics/disk.h"
#include "metrics/endpoint.h"
#include "router/router.h"
#include "router/router_metrics.h"
#include "router/routes_feed.h"
#include "router/routes_file.h"
#include "wire/endpoint.h"

namespace {

using espalier::Status;

struct Options {
  std::vector<std::string> registry;
  std::vector<std::string> endpoints;
  espalier::router::Limits limits;
  std::string metrics;    ///< HOST:PORT to tell Prometheus at; empty: nowhere
  std::string key;        ///< file of its key; empty: it has none
  bool insecure = false;  ///< listens and connects without keys where others could, too
  std::string folder;     ///< of its routes; empty: they are not kept
};

/// What the router itself doesn't know of the process.
void complete(espalier::wire::RouterStatusReply& reply, const Options& options,
              const espalier::metrics::FeedProgress& progress, const espalier::Uuid& process, std::int64_t started_us) {
  const espalier::Clock& clock = espalier::Clock::system();
  const std::int64_t now_us = clock.monotonic_us();
  reply.epoch = progress.served();
  espalier::wire::Health& health = reply.health;
  health.process = process;
  health.wall_us = clock.wall_us();
  health.running_us = now_us - started_us;
  health.newest = progress.served() + progress.lag();
  health.behind_us = static_cast<std::int64_t>(progress.behind_seconds(now_us) * 1e6);
  if (options.folder.empty()) return;
  const espalier::metrics::Disk disk = espalier::metrics::disk_of(options.folder);
  health.disk_free = disk.free_bytes;
  health.disk_size = disk.size_bytes;
  health.is_disk_read_only = disk.is_read_only;
}

/// Answers until a stop is asked for; ready once the routes are known.
Status run(const Options& options, const espalier::StopSignals& stop) {
  espalier::Files& files = espalier::Files::system();
  espalier::FolderLock lock;
  std::unique_ptr<espalier::router::RoutesFile> file;
  if (!options.folder.empty()) {
    RETURN_IF_ERROR(files.create_directories(options.folder));
    ASSIGN_OR_RETURN(lock, espalier::FolderLock::take(options.folder, "a router"));
    file = std::make_unique<espalier::router::RoutesFile>(files, options.folder + "/routes");
  }
  espalier::KeyFile own;
  if (!options.key.empty()) {
    espalier::forbid_core_files();
    ASSIGN_OR_RETURN(own, espalier::read_key_file(options.key));
  }
  for (const std::string& endpoint : options.endpoints) {
    RETURN_IF_ERROR(espalier::wire::check_listen("router", endpoint, own.pair != nullptr, options.insecure));
  }
  espalier::wire::Context context;
  std::unique_ptr<espalier::client::KeyWatch> keys;
  espalier::router::Access access;
  if (own.pair != nullptr) {
    const std::string file = options.folder.empty() ? "" : options.folder + "/keys";
    ASSIGN_OR_RETURN(
        keys, espalier::client::KeyWatch::start(context, {"router", options.registry, own.pair, file, options.insecure},
                                                files, espalier::Clock::system()));
    access = {own.pair, &keys->keyring()};
  }
  access.insecure = options.insecure;
  espalier::router::LiveRoutes live(std::make_unique<const espalier::router::Routes>(espalier::cluster::View()));
  {
    ASSIGN_OR_RETURN(auto router, espalier::router::Router::make(context, options.endpoints, live,
                                                                 espalier::Clock::system(), options.limits, access));
    ASSIGN_OR_RETURN(auto registry,
                     espalier::client::RegistryClient::connect(options.registry, own.pair, options.insecure));
    const int routes_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (routes_fd < 0) return Status(espalier::Code::resource_exhausted, "no file descriptor is free");
    espalier::router::RoutesEvents events;
    events.published = [&] { eventfd_write(routes_fd, 1); };
    std::unique_ptr<espalier::metrics::Endpoint> endpoint;
    events.ready = [&] {
      const nlohmann::json line = {{"ready", "router"},
                                   {"name", "router"},
                                   {"endpoints", router->endpoints()},
                                   {"metrics", endpoint == nullptr ? "" : endpoint->address()}};
      std::printf("%s\n", line.dump().c_str());
      std::fflush(stdout);
    };
    espalier::router::RoutesFeed feed(*registry, live, file.get(), stop, espalier::Clock::system(), std::move(events));
    router->complete_status([&, process = espalier::UuidSource(espalier::Clock::system()).next(),
                             started_us = espalier::Clock::system().monotonic_us()](auto& reply) {
      complete(reply, options, feed.progress(), process, started_us);
    });
    espalier::router::RouterMetrics metrics(*router, feed.progress(), live, espalier::Clock::system());
    if (!options.metrics.empty()) {
      const auto fill = [&](espalier::metrics::Page& page) { metrics.fill(page); };
      ASSIGN_OR_RETURN(endpoint, espalier::metrics::Endpoint::open(options.metrics, fill));
    }
    feed.restore();
    std::thread control([&] {
      espalier::yield_to_requests();
      feed.run();
    });
    router->run(stop.fd(), routes_fd);
    control.join();
    endpoint.reset();  // it reads what follows
    close(routes_fd);
    const auto& counters = router->counters();
    espalier::log::info("router", "stopped",
                        {{"requests", counters.requests.value()},
                         {"refused", counters.refused.value()},
                         {"asked_again", counters.asked_again.value()},
                         {"not_asked_again", counters.not_asked_again.value()},
                         {"overloaded", counters.overloaded.value()},
                         {"hedged", counters.hedged.value()},
                         {"limited", counters.limited.value()},
                         {"waited", counters.waited.value()},
                         {"late", counters.late.value()},
                         {"slow", counters.slow.value()},
                         {"dropped", counters.dropped.value()}});
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  espalier::StopSignals stop;
  Options options;
  CLI::App app("Takes requests from clients to the shards that hold what they ask for.", "espalier-router");
  app.add_option("--registry", options.registry, "endpoint of the registry (repeat for others that reach it)")
      ->required();
  app.add_option("--bind", options.endpoints, "endpoint for clients (repeat)")->required();
  app.add_option("--dir", options.folder,
                 "folder where it keeps what it knows of the cluster, so that it can start while the registry is away; "
                 "made when missing");
  app.add_option("--metrics", options.metrics, "HOST:PORT to tell Prometheus at (port 0 picks one)");
  app.add_option("--key", options.key, "file of its key: who connects needs a key, too");
  app.add_flag("--insecure", options.insecure,
               "listen without a key where others could connect, and connect where others could listen");
  app.set_config("--config", "", "TOML file with these options by name; deploy/config/router.toml is the reference")
      ->check(CLI::ExistingFile);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_flag("--hedge", options.limits.hedges,
               "ask a second replica as well once the first takes longer than 95 % of its answers did lately; costs of "
               "the retry budget");
  espalier::ProcessLog log(app);
  std::int64_t slow_ms = options.limits.slow_us / 1000;
  app.add_option("--slow-ms", slow_ms,
                 "a request that takes so many milliseconds longer than its rows may is slow, and logged; 0: none is")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{3'600'000}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.limits.slow_us = slow_ms * 1000;
  log.start(argc, argv);
  espalier::prefer_throughput();
  espalier::raise_open_files_limit();

  const Status status = run(options, stop);
  if (status.ok()) return 0;
  espalier::log::write_end("espalier-router", status);
  return 1;
}
