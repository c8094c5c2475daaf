// What a router tells Prometheus (docs/metrics.md).
//
// Thread safety: fill() from any thread, one at a time. Ownership: borrows the counters and the routes.
#pragma once

#include "metrics/page.h"
#include "router/router.h"
#include "router/routes.h"

namespace espalier::router {

class RouterMetrics {
 public:
  RouterMetrics(const RouterCounters& counters, LiveRoutes& live) : counters_(counters), reader_(live) {}

  void fill(metrics::Page& page);

 private:
  const RouterCounters& counters_;
  LiveRoutes::Reader reader_;
};

}  // namespace espalier::router
