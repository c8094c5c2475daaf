#include "router/router_metrics.h"

namespace espalier::router {

void RouterMetrics::fill(metrics::Page& page) {
  metrics::add_process(page, "router", "router");
  page.counter("espalier_router_requests_total", "Predictions taken in.", counters_.requests.value());
  page.counter("espalier_router_refused_total", "Predictions answered with an error by the router itself.",
               counters_.refused.value());
  page.counter("espalier_router_limited_total", "Requests refused by a tenant's limits or share.",
               counters_.limited.value());
  page.counter("espalier_router_waited_total", "Requests refused for having waited too long until they were taken up.",
               counters_.waited.value());
  page.counter("espalier_router_overloaded_total", "Pieces of requests for which no shard had room.",
               counters_.overloaded.value());
  page.counter("espalier_router_asked_again_total", "Pieces sent to another shard, after a refusal or silence.",
               counters_.asked_again.value());
  page.counter("espalier_router_not_asked_again_total",
               "Times that the retry budget kept a piece from being sent to another shard.",
               counters_.not_asked_again.value());
  page.counter("espalier_router_hedged_total", "Pieces for which a second shard was asked since the first took long.",
               counters_.hedged.value());
  page.counter("espalier_router_late_total", "Replies to requests that were over.", counters_.late.value());
  page.counter("espalier_router_dropped_total",
               "Messages that could not be answered, and replies to clients that are gone.", counters_.dropped.value());
  const auto routes = reader_.lease();
  page.gauge("espalier_router_view", "The number of the view that it goes by.",
             static_cast<double>(routes->view.number));
  page.gauge("espalier_router_shards", "Shards in it.", static_cast<double>(routes->view.shards.size()));
}

}  // namespace espalier::router
