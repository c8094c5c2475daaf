#include "registry/registry_metrics.h"

#include <algorithm>

#include "metrics/disk.h"

namespace espalier::registry {

void RegistryMetrics::count(std::string_view op, Code code, std::int64_t us) {
  answering_.record(static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)));
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(op), code}];
}

void RegistryMetrics::tell(Gauges gauges) {
  const std::lock_guard lock(mutex_);
  gauges_ = std::move(gauges);
}

void RegistryMetrics::fill(metrics::Page& page) const {
  metrics::add_process(page, "registry", "registry");
  page.durations("espalier_registry_answering_seconds", "How long the server's thread took for a request.", answering_);
  page.durations("espalier_registry_served_seconds",
                 "From a release's commit until every shard of the view answered from it.", served_);
  const std::lock_guard lock(mutex_);
  for (const auto& [what, count] : requests_) {
    page.counter("espalier_registry_requests_total", "Requests answered, by operation and code.", count,
                 {{"op", what.first}, {"code", std::string(code_name(what.second))}});
  }
  page.gauge("espalier_registry_generation", "The registry's generation.", static_cast<double>(gauges_.generation));
  page.gauge("espalier_registry_epoch", "The newest epoch.", static_cast<double>(gauges_.epoch));
  page.gauge("espalier_registry_being_served", "Releases that some shard has not acknowledged yet.",
             static_cast<double>(gauges_.being_served));
  page.gauge("espalier_registry_waiting", "Requests that wait for something to happen: readers of the feed among them.",
             static_cast<double>(gauges_.waiting));
  page.gauge("espalier_registry_writing", "1; 0 from a failed write until changes are taken again.",
             gauges_.is_writing);
  page.gauge("espalier_registry_jobs", "Collections and erasures, by whether they are under way.",
             gauges_.jobs > 0 && !gauges_.are_jobs_stuck ? 1 : 0, {{"state", "running"}});
  page.gauge("espalier_registry_jobs", "Collections and erasures, by whether they are under way.",
             static_cast<double>(gauges_.jobs) - (gauges_.jobs > 0 && !gauges_.are_jobs_stuck ? 1 : 0),
             {{"state", "waiting"}});
  page.gauge("espalier_registry_next_key_end_seconds",
             "When the next key ends by itself, in seconds since 1970; 0: none does.",
             static_cast<double>(gauges_.key_ends_us) / 1e6);
  metrics::add_disk(page, "espalier_registry", gauges_.folder);
  // Also those that there is none in: who looks for none finds a number.
  std::map<std::string, double> states = {{"serving", 0}, {"joining", 0}, {"draining", 0}, {"gone", 0}};
  for (const Gauges::Shard& shard : gauges_.shards) {
    ++states[shard.state];
    const std::uint64_t behind = gauges_.epoch - std::min(gauges_.epoch, shard.epoch);
    page.gauge("espalier_registry_shard_lag_epochs", "How far behind the newest epoch a shard of the view answers.",
               static_cast<double>(behind), {{"shard", shard.name}});
  }
  for (const auto& [state, count] : states)
    page.gauge("espalier_registry_shards", "Shards of the view, by state.", count, {{"state", state}});
}

}  // namespace espalier::registry
