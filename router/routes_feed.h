// The router's control thread: follows the registry's change feed for the view and the models' levels, and publishes
// new routes.
//
// A gap in the feed, a collected epoch or another generation leads to reading everything anew; the old routes hold
// until then, also while the registry is away. With a file the routes of the last run hold from the start, and new ones
// are written to it a little after they were published (docs/state-files.md).
//
// Thread safety: restore() before, run() on a thread of its own. Ownership: borrows everything it is made with. Errors:
// are logged, and what failed is tried again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/registry_client.h"
#include "common/clock.h"
#include "common/signals.h"
#include "common/status.h"
#include "metrics/feed_progress.h"
#include "router/routes.h"
#include "router/routes_file.h"
#include "wire/messages.h"

namespace espalier::router {

/// What a feed tells, on the thread that calls restore() or run().
struct RoutesEvents {
  std::function<void()> published;  ///< there are new routes
  /// Once: routes are known, of the registry or, where it didn't answer the first time it was asked, of the file.
  std::function<void()> ready;
};

class RoutesFeed {
 public:
  /// `file` may be null: nothing is kept then.
  RoutesFeed(client::RegistryClient& registry, LiveRoutes& live, RoutesFile* file, const StopSignals& stop,
             const Clock& clock, RoutesEvents events);

  /// Publishes what the file has; where there is none, or it does not hold, nothing happens.
  void restore();
  /// Until a stop is asked for.
  void run();
  const metrics::FeedProgress& progress() const { return progress_; }

 private:
  Status step();
  void save();
  void announce();
  Status read_all();
  Status follow();
  Status read_models(const std::string& tenant, const std::string& model, SnapshotMap<ModelShape>& models);
  void publish(cluster::View view, SnapshotMap<ModelShape> models);

  template <class Request>
  auto ask(const Request& request, std::int64_t timeout_us) -> Result<typename client::ReplyTo<Request>::type>;
  Result<client::Answer> wait_for(client::Ticket ticket);

  client::RegistryClient& registry_;
  LiveRoutes& live_;
  RoutesFile* const file_;
  const StopSignals& stop_;
  const Clock& clock_;
  const RoutesEvents events_;
  bool needs_all_ = true;
  bool was_announced_ = false;
  bool has_unsaved_ = false;
  std::int64_t may_save_us_ = 0;  ///< monotonic: not before
  std::int64_t failed_save_wait_us_;
  std::uint64_t generation_ = 0;
  std::uint64_t cursor_ = 0;  ///< last change read
  std::uint64_t number_ = 0;
  metrics::FeedProgress progress_;
};

}  // namespace espalier::router
