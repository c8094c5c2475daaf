#include "shard/shard.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "client/key_watch.h"
#include "client/registry_client.h"
#include "common/core_files.h"
#include "common/files.h"
#include "common/folder_lock.h"
#include "common/key_file.h"
#include "common/log.h"
#include "common/lost_pages.h"
#include "common/scheduling.h"
#include "metrics/endpoint.h"
#include "model/ids.h"
#include "model/pack.h"
#include "shard/admission.h"
#include "shard/damage.h"
#include "shard/fallback_watch.h"
#include "shard/feed.h"
#include "shard/registry_upstream.h"
#include "shard/scrub.h"
#include "shard/shard_metrics.h"
#include "shard/shard_status.h"
#include "shard/space.h"
#include "shard/worker.h"
#include "wire/endpoint.h"

namespace espalier::shard {
namespace {

constexpr int kFirstBackoffMs = 100;
constexpr int kLongestBackoffMs = 5000;
constexpr int kWatchEveryMs = 1000;
/// So long a shard that could answer from its own disk looks for the registry first.
constexpr std::int64_t kLookUs = 500'000;
/// A shard that has left the view ends when nobody has asked it for so long, and at the latest.
constexpr std::int64_t kUnaskedUs = 1'000'000;
constexpr std::int64_t kLongestLeaveUs = 10'000'000;
constexpr int kLeaveLookMs = 50;

/// Calls `turn` until a stop is asked for, or it was well and `is_enough` says so; after a failure waits, longer each
/// time.
template <class Turn, class IsEnough>
void repeat(const StopSignals& stop, Turn&& turn, IsEnough&& is_enough) {
  int backoff_ms = kFirstBackoffMs;
  while (!stop.requested()) {
    const Status status = turn();
    if (status.ok()) {
      if (is_enough()) return;
      backoff_ms = kFirstBackoffMs;
      continue;
    }
    if (stop.requested()) return;
    log::warn("shard", "trying again", {{"in_ms", backoff_ms}, {"why", status}});
    if (stop.wait(backoff_ms)) return;
    backoff_ms = std::min(backoff_ms * 2, kLongestBackoffMs);
  }
}

/// Until requests can be answered: the table holds what this shard owns, or all but leaves. false: a stop was asked for
/// first.
bool prepare(Feed& feed, RegistryUpstream& upstream, const StopSignals& stop) {
  const Status restored = feed.restore();
  if (!restored.ok() && restored.code() != Code::not_found)
    log::warn("shard", "no restart from disk", {{"why", restored}});
  if (restored.ok()) {
    Status synced = upstream.look(kLookUs);
    if (synced.ok()) synced = feed.sync();
    if (!synced.ok()) log::warn("shard", "answering from disk", {{"epoch", feed.epoch()}, {"why", synced}});
    feed.open();
    return !stop.requested();
  }
  bool is_synced = false;
  repeat(
      stop, [&] { return feed.sync(); }, [&] { return is_synced = true; });
  return is_synced;
}

/// Answers those who have not heard yet that this shard has left the view, then asks its threads to end.
void leave(const std::vector<std::unique_ptr<Worker>>& workers, StopSignals& stop, const Clock& clock) {
  const auto answered = [&] {
    std::uint64_t sum = 0;
    for (const auto& worker : workers) sum += worker->answered();
    return sum;
  };
  const std::int64_t end = clock.monotonic_us() + kLongestLeaveUs;
  std::uint64_t last = answered();
  std::int64_t last_us = clock.monotonic_us();
  while (!stop.wait(kLeaveLookMs)) {
    const std::int64_t now = clock.monotonic_us();
    if (const std::uint64_t sum = answered(); sum != last) last = sum, last_us = now;
    if (now - last_us >= kUnaskedUs || now >= end) break;
  }
  log::info("shard", "drained", {{"last_request_ms_ago", (clock.monotonic_us() - last_us) / 1000}});
  stop.request();
}

}  // namespace

Status run(const ShardOptions& options, StopSignals& stop, const std::function<void(const Addresses&)>& ready,
           const std::function<void()>& drained) {
  RETURN_IF_ERROR(model::check_name("name", options.name));
  KeyFile own;
  if (!options.key.empty()) {
    forbid_core_files();
    ASSIGN_OR_RETURN(own, read_key_file(options.key));
    if (own.name != options.name) return invalid_argument(options.key + ": is key " + own.name + ", not this shard's");
  }
  for (const std::string& endpoint : options.endpoints) {
    RETURN_IF_ERROR(wire::check_listen("shard", endpoint, own.pair != nullptr, options.insecure));
  }
  survive_lost_pages();
  Files& files = Files::system();
  const Clock& clock = Clock::system();
  RETURN_IF_ERROR(files.create_directories(options.folder));
  // Two on one folder would write over each other's segments.
  ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::take(options.folder, "a shard"));
  if (options.disk_budget != 0 && options.disk_budget < kLeastDiskBudget) {
    return invalid_argument("--disk-budget " + std::to_string(options.disk_budget) + ": at least " +
                            std::to_string(kLeastDiskBudget) + " bytes, or 0 for none");
  }
  model::PackOptions pack_options;
  SpaceOptions space_options;
  FeedOptions feed_options;
  if (options.disk_budget != 0) {
    feed_options.disk_budget = options.disk_budget;
    feed_options.disk = disk_shares(options.disk_budget);
    pack_options = {feed_options.disk.segment, feed_options.disk.added};
    space_options.most_held_back = feed_options.disk.segment;
  }
  ASSIGN_OR_RETURN(auto pack, model::Pack::open(files, options.folder + "/pack", pack_options));
  auto first = std::make_unique<ModelTable>();
  first->is_starting = true;
  LiveTable live(std::move(first));
  wire::Context context;
  std::unique_ptr<client::KeyWatch> keys;
  if (own.pair != nullptr) {
    client::KeyWatch::Options watched{"shard", options.registry, own.pair, options.folder + "/keys", options.insecure};
    ASSIGN_OR_RETURN(keys, client::KeyWatch::start(context, std::move(watched), files, clock));
  }
  wire::Keyring* const keyring = keys == nullptr ? nullptr : &keys->keyring();
  Damage damage;
  FallbackWatch watch(clock);
  ShardStatus status(options.name, watch, damage);
  std::vector<std::unique_ptr<Worker>> workers;
  feed_options.memory_budget = options.memory_budget;
  status.gauges.memory_budget = options.memory_budget;
  status.gauges.disk_budget = options.disk_budget;
  feed_options.self.name = options.name;
  feed_options.self.weight = options.weight;
  feed_options.self.zone = options.zone;
  feed_options.process = UuidSource(clock).next();
  for (const std::string& endpoint : options.endpoints) {
    ASSIGN_OR_RETURN(auto worker, Worker::make(context, options.name, endpoint, live, damage, options.verify, clock,
                                               &status, own.pair, keyring));
    status.add(worker->counts(), worker->versions(), [&counted = *worker] { return counted.undelivered(); });
    feed_options.self.endpoints.push_back(worker->endpoint());
    workers.push_back(std::move(worker));
  }
  ASSIGN_OR_RETURN(auto registry, client::RegistryClient::connect(options.registry, own.pair, options.insecure));
  RegistryUpstream upstream(*registry, stop.fd(), clock);
  Admission admission(*pack, damage, options.memory_budget == 0);
  StateFile state(files, options.folder + "/state");
  Space space(space_options, *pack, admission, damage, clock);
  Scrub scrub(options.scrub_interval_us, damage, clock);
  Feed feed(feed_options, upstream, admission, space, scrub, damage, live, state, clock);
  status.begin(clock, options.folder, feed.progress());
  ShardMetrics metrics(status, options.folder, feed.progress(), live, clock);
  std::unique_ptr<metrics::Endpoint> endpoint;
  if (!options.metrics.empty()) {
    ASSIGN_OR_RETURN(endpoint,
                     metrics::Endpoint::open(options.metrics, [&](metrics::Page& page) { metrics.fill(page); }));
  }
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&worker, &stop] { worker->run(stop.fd()); });
  threads.emplace_back([&] {
    while (!stop.wait(kWatchEveryMs)) watch.step(sum_of(status.counts()));
  });

  upstream.renew_with([&] {
    wire::RenewRequest request = feed.renewal();
    for (const auto& worker : workers) worker->busiest().add_to(request, clock.monotonic_us());
    keep_busiest(request);
    return request;
  });
  const bool is_ready = prepare(feed, upstream, stop);
  if (is_ready) {
    const NodeCounts& counts = live.current().counts;
    log::info("shard", "ready",
              {{"name", options.name},
               {"epoch", feed.epoch()},
               {"workers", workers.size()},
               {"nodes_ready", counts.ready},
               {"nodes_wanted", counts.wanted}});
    ready({feed_options.self.endpoints, endpoint == nullptr ? "" : endpoint->address()});
    yield_to_requests();
    repeat(
        stop,
        [&] {
          status.gauges.disk_bytes = pack->disk_bytes();
          status.gauges.memory_bytes = feed.memory_bytes();
          status.gauges.evicted = feed.evicted();
          status.gauges.scrubbed_bytes = scrub.bytes();
          const Status stepped = feed.step();
          std::vector<wire::HealthProblem> problems = feed.problems();
          if (!stepped.ok()) problems.push_back({"not_taking_in", stepped.text()});
          status.tell_problems(std::move(problems));
          return stepped;
        },
        [&] { return feed.is_drained(); });
    if (feed.is_drained() && !stop.requested()) {
      leave(workers, stop, clock);
      drained();
    }
  }
  for (std::thread& thread : threads) thread.join();
  const Status saved = is_ready ? feed.save() : Status();
  if (!saved.ok()) log::warn("shard", "state not saved", {{"why", saved}});
  endpoint.reset();  // it reads the workers' counts
  workers.clear();
  log::info("shard", "stopped", {{"name", options.name}});
  return {};
}

}  // namespace espalier::shard
