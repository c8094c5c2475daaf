// The router's control thread: follows the registry's change feed for the view and the models' levels, and publishes
// new routes.
//
// A gap in the feed, a collected epoch or another generation leads to reading everything anew; the old routes hold
// until then, also while the registry is away. Thread safety: run() on a thread of its own. Ownership: borrows
// everything it is made with.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/registry_client.h"
#include "common/signals.h"
#include "common/status.h"
#include "router/routes.h"
#include "wire/messages.h"

namespace espalier::router {

class RoutesFeed {
 public:
  /// `published` is called on the control thread after each publish.
  RoutesFeed(client::RegistryClient& registry, LiveRoutes& live, const StopSignals& stop,
             std::function<void()> published);

  /// Until a stop is asked for.
  void run();

 private:
  Status step();
  Status read_all();
  Status follow();
  Status read_models(const std::string& tenant, const std::string& model, SnapshotMap<ModelShape>& models);
  void publish(cluster::View view, SnapshotMap<ModelShape> models);

  template <class Request>
  auto ask(const Request& request) -> Result<typename client::ReplyTo<Request>::type>;
  Result<client::Answer> wait_for(client::Ticket ticket);

  client::RegistryClient& registry_;
  LiveRoutes& live_;
  const StopSignals& stop_;
  const std::function<void()> published_;
  bool needs_all_ = true;
  std::uint64_t generation_ = 0;
  std::uint64_t cursor_ = 0;  ///< last change read
  std::uint64_t number_ = 0;
};

}  // namespace espalier::router
