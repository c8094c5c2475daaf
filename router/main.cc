// espalier-router: takes requests from clients to the shards that hold what they ask for.

#include <sys/eventfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "client/registry_client.h"
#include "common/log.h"
#include "common/scheduling.h"
#include "common/signals.h"
#include "router/router.h"
#include "router/routes_feed.h"

namespace {

using espalier::Status;

struct Options {
  std::vector<std::string> registry;
  std::vector<std::string> endpoints;
};

/// Answers until a stop is asked for; ready once the routes are known.
Status run(const Options& options, const espalier::StopSignals& stop) {
  espalier::wire::Context context;
  espalier::router::LiveRoutes live(std::make_unique<const espalier::router::Routes>(espalier::cluster::View()));
  {
    ASSIGN_OR_RETURN(auto router,
                     espalier::router::Router::make(context, options.endpoints, live, espalier::Clock::system()));
    ASSIGN_OR_RETURN(auto registry, espalier::client::RegistryClient::connect(options.registry));
    const int routes_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (routes_fd < 0) return Status(espalier::Code::resource_exhausted, "no file descriptor is free");
    bool is_ready = false;
    espalier::router::RoutesFeed feed(*registry, live, stop, [&] {
      eventfd_write(routes_fd, 1);
      if (std::exchange(is_ready, true)) return;
      const nlohmann::json line = {{"ready", "router"}, {"name", "router"}, {"endpoints", router->endpoints()}};
      std::printf("%s\n", line.dump().c_str());
      std::fflush(stdout);
    });
    std::thread control([&] { feed.run(); });
    router->run(stop.fd(), routes_fd);
    control.join();
    close(routes_fd);
    const auto& counters = router->counters();
    espalier::log::info("router", "stopped",
                        {{"requests", counters.requests.value()},
                         {"refused", counters.refused.value()},
                         {"asked_again", counters.asked_again.value()},
                         {"late", counters.late.value()},
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
  CLI11_PARSE(app, argc, argv);
  espalier::prefer_throughput();
  espalier::raise_open_files_limit();

  const Status status = run(options, stop);
  if (status.ok()) return 0;
  std::fprintf(stderr, "espalier-router: %s\n", status.text().c_str());
  return 1;
}
