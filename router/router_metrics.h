// What a router tells Prometheus (docs/metrics.md).
//
// Thread safety: fill() from any thread, one at a time. Ownership: borrows all that it is made with.
#pragma once

#include "common/clock.h"
#include "metrics/feed_progress.h"
#include "metrics/page.h"
#include "metrics/top_series.h"
#include "router/router.h"
#include "router/routes.h"

namespace espalier::router {

class RouterMetrics {
 public:
  /// So many tenants have series of their own.
  static constexpr std::size_t kTenants = 50;

  RouterMetrics(const Router& router, const metrics::FeedProgress& progress, LiveRoutes& live, const Clock& clock)
      : router_(router), progress_(progress), reader_(live), clock_(clock), tenants_(kTenants) {}

  void fill(metrics::Page& page);

 private:
  void add_requests(metrics::Page& page);
  void add_parts(metrics::Page& page) const;
  void add_counters(metrics::Page& page) const;
  void add_state(metrics::Page& page);

  const Router& router_;
  const metrics::FeedProgress& progress_;
  LiveRoutes::Reader reader_;
  const Clock& clock_;
  metrics::TopSeries tenants_;
};

}  // namespace espalier::router
