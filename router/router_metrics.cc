#include "router/router_metrics.h"

#include <map>

namespace espalier::router {
namespace {

std::string name_of(std::size_t code) { return std::string(code_name(static_cast<Code>(code))); }
std::string name_of_reason(std::size_t reason) {
  return std::string(wire::reason_name(static_cast<wire::Reason>(reason)));
}

/// Of a tenant: requests by code, then parts by reason.
metrics::TopSeries::Counts counts_of(const TenantCounts& tenant) {
  metrics::TopSeries::Counts counts;
  for (const auto& count : tenant.requests) counts.push_back(count.value());
  for (const auto& count : tenant.answered) counts.push_back(count.value());
  return counts;
}

}  // namespace

void RouterMetrics::add_requests(metrics::Page& page) {
  std::map<std::string, metrics::TopSeries::Counts> tenants;
  metrics::DurationCounts took;
  router_.request_counts().for_each([&](const TenantCounts& tenant) {
    tenants[tenant.tenant.empty() ? metrics::TopSeries::kOthers : tenant.tenant] = counts_of(tenant);
    took += tenant.took.read();
  });
  tenants_.update(tenants, [&](const std::string& tenant, const metrics::TopSeries::Counts& counts) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      if (i < kCodes) {
        page.counter("espalier_router_requests_total", "Predictions answered, by the code of the reply.", counts[i],
                     {{"tenant", tenant}, {"code", name_of(i)}});
      } else {
        page.counter("espalier_router_parts_answered_total",
                     "Parts of predictions that were answered, by why the node that answered did.", counts[i],
                     {{"tenant", tenant}, {"reason", name_of_reason(i - kCodes)}});
      }
    }
  });
  page.durations("espalier_router_answering_seconds",
                 "From when a prediction was taken in until its reply was handed over.", took);
  add_parts(page);
}

void RouterMetrics::add_parts(metrics::Page& page) const {
  const RequestCounts& all = router_.request_counts();
  const auto add = [&](const char* name, const char* help, std::uint64_t count, std::size_t levels,
                       std::size_t reason) {
    if (count == 0) return;
    page.counter(name, help, count, {{"levels_above", std::to_string(levels)}, {"reason", name_of_reason(reason)}});
  };
  for (std::size_t levels = 0; levels < kLevelsAbove; ++levels) {
    for (std::size_t reason = 0; reason < kReasons; ++reason) {
      add("espalier_router_parts_by_level_total",
          "Parts answered, by how many levels above the node asked for the one that answered is, and why.",
          all.parts(levels, reason), levels, reason);
      add("espalier_router_parts_unused_total",
          "Parts that a shard answered and no client got: the request was over, or another shard answered better.",
          all.parts_unused(levels, reason), levels, reason);
    }
  }
  for (std::size_t code = 1; code < kCodes; ++code) {
    if (all.parts_failed(code) != 0) {
      page.counter("espalier_router_parts_failed_total", "Parts that have an error, of replies that are ok as a whole.",
                   all.parts_failed(code), {{"code", name_of(code)}});
    }
    if (all.parts_unused_failed(code) != 0) {
      page.counter("espalier_router_parts_unused_failed_total", "The same of replies that no client got.",
                   all.parts_unused_failed(code), {{"code", name_of(code)}});
    }
  }
}

void RouterMetrics::add_counters(metrics::Page& page) const {
  const RouterCounters& counters = router_.counters();
  page.counter("espalier_router_refused_total", "Predictions answered with an error by the router itself.",
               counters.refused.value());
  page.counter("espalier_router_limited_total", "Requests refused by a tenant's limits or share.",
               counters.limited.value());
  page.counter("espalier_router_waited_total", "Requests refused for having waited too long until they were taken up.",
               counters.waited.value());
  page.counter("espalier_router_unread_total",
               "Replies that became errors since their client had not read enough of those before.",
               counters.unread.value());
  page.counter("espalier_router_overloaded_total", "Pieces of requests for which no shard had room.",
               counters.overloaded.value());
  page.counter("espalier_router_sent_total", "Pieces of requests sent to shards.", counters.sent.value());
  page.counter("espalier_router_asked_again_total", "Of these, to another shard, after a refusal or silence.",
               counters.asked_again.value());
  page.counter("espalier_router_not_asked_again_total",
               "Times that the retry budget kept a piece from being sent to another shard.",
               counters.not_asked_again.value());
  page.counter("espalier_router_hedged_total", "Pieces for which a second shard was asked since the first took long.",
               counters.hedged.value());
  page.counter("espalier_router_late_total", "Replies to requests that were over.", counters.late.value());
  page.counter("espalier_router_dropped_total",
               "Messages that could not be answered, and replies to clients that are gone.", counters.dropped.value());
}

void RouterMetrics::add_state(metrics::Page& page) {
  const RouterState& state = router_.state();
  page.gauge("espalier_router_in_flight", "Requests taken in and not answered yet.",
             static_cast<double>(state.requests_in_flight.value()));
  page.gauge("espalier_router_in_flight_bytes", "Their bytes.", static_cast<double>(state.bytes_in_flight.value()));
  page.gauge("espalier_router_unread_bytes", "Bytes of large replies that clients have not read yet.",
             static_cast<double>(router_.unread_bytes()));
  for (const ShardState& shard : state.shards()) {
    page.gauge("espalier_router_shard_in_flight", "Messages that a shard has been sent and has not answered yet.",
               static_cast<double>(shard.in_flight), {{"shard", shard.name}});
    page.gauge("espalier_router_shard_answers",
               "The share of a shard's endpoints that answer: 0: it is asked only where no other is left.",
               shard.endpoints == 0 ? 0 : static_cast<double>(shard.answering) / shard.endpoints,
               {{"shard", shard.name}});
  }
  const auto routes = reader_.lease();
  page.gauge("espalier_router_view", "The number of the view that it goes by.",
             static_cast<double>(routes->view.number));
  page.gauge("espalier_router_shards", "Shards in it.", static_cast<double>(routes->view.shards.size()));
  page.gauge("espalier_router_epoch", "The registry's epoch that it goes by.", static_cast<double>(progress_.served()));
  page.gauge("espalier_router_generation", "The generation of that epoch.", static_cast<double>(routes->generation));
}

void RouterMetrics::fill(metrics::Page& page) {
  metrics::add_process(page, "router", "router");
  add_requests(page);
  add_counters(page);
  add_state(page);
  progress_.fill(page, "espalier_router", clock_.monotonic_us());
}

}  // namespace espalier::router
