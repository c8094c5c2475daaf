#include "shard/shard_status.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/version.h"
#include "metrics/disk.h"
#include "model/ids.h"

namespace espalier::shard {
namespace {

constexpr std::size_t kModelsNamed = 20;

/// Those that there are.
std::vector<wire::ReasonCount> list_of(const Reasons& reasons) {
  std::vector<wire::ReasonCount> list;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i] > 0) list.push_back({static_cast<wire::Reason>(i), reasons[i]});
  }
  return list;
}

wire::TrafficRow traffic_of(const ModelCounts& model) {
  wire::TrafficRow row;
  row.tenant = model.tenant;
  row.model = model.model;
  const Reasons reasons = model.read();
  row.answered = count_of(reasons);
  row.unexpected = unexpected_of(reasons);
  row.failed = model.failed.value();
  const metrics::DurationCounts took = model.took.read();
  row.requests = took.count();
  row.took = took.buckets;
  return row;
}

/// The others go to the one without a name.
void keep_largest(std::vector<wire::TrafficRow>& rows) {
  constexpr std::size_t kMost = 256;
  if (rows.size() <= kMost) return;
  std::ranges::stable_sort(rows, std::ranges::greater{}, &wire::TrafficRow::requests);
  wire::TrafficRow rest;
  for (std::size_t i = kMost - 1; i < rows.size(); ++i) add_traffic(rest, rows[i]);
  rows.resize(kMost - 1);
  rows.push_back(std::move(rest));
}

}  // namespace

wire::ShardStatusReply ShardStatus::reply(const ModelTable& table) const {
  wire::ShardStatusReply reply;
  reply.name = name_;
  reply.version = std::string(version());
  reply.generation = table.generation;
  reply.epoch = table.epoch;
  reply.is_starting = table.is_starting;
  reply.nodes_wanted = table.counts.wanted;
  reply.nodes_ready = table.counts.ready;
  reply.not_ready = list_of(table.counts.not_ready);
  reply.memory_bytes = gauges.memory_bytes;
  reply.memory_budget = gauges.memory_budget;
  reply.disk_bytes = gauges.disk_bytes;
  reply.disk_budget = gauges.disk_budget;
  reply.evicted = gauges.evicted;
  reply.damaged = damage_.found();
  reply.scrubbed_bytes = gauges.scrubbed_bytes;
  for (const auto& undelivered : undelivered_) reply.undelivered += undelivered();

  Reasons all{};
  std::vector<std::pair<std::uint64_t, ModelReasons::const_iterator>> worst;
  const ModelReasons sums = sum_of(counts_);
  for (auto it = sums.begin(); it != sums.end(); ++it) {
    for (std::size_t i = 0; i < all.size(); ++i) all[i] += it->second[i];
    // What was erased is named no more.
    const bool is_known = table.models.find(model::model_key(it->first.first, it->first.second)) != nullptr;
    if (is_known) worst.emplace_back(unexpected_of(it->second), it);
  }
  reply.answered = list_of(all);
  std::ranges::stable_sort(worst, std::ranges::greater{}, [](const auto& entry) { return entry.first; });
  if (worst.size() > kModelsNamed) worst.resize(kModelsNamed);
  for (const auto& [unexpected, it] : worst) {
    reply.models.push_back({it->first.first, it->first.second, list_of(it->second)});
  }
  reply.alerts = watch_.alerts();
  if (clock_ != nullptr) reply.health = health();
  return reply;
}

Result<wire::TrafficReply> ShardStatus::traffic(const std::string& by) const {
  wire::TrafficReply reply;
  reply.name = name_;
  reply.process = process_;
  reply.running_us = clock_ == nullptr ? 0 : clock_->monotonic_us() - started_us_;
  if (by == "version") {
    std::map<Uuid, wire::TrafficRow> rows;
    for (const VersionTraffic* versions : versions_) versions->add_to(rows);
    for (auto& [version, row] : rows) reply.rows.push_back(std::move(row));
  } else if (by == "model") {
    std::map<std::pair<std::string, std::string>, wire::TrafficRow> rows;
    for (const AnswerCounts* counts : counts_) {
      counts->for_each_model([&](const ModelCounts& model) {
        wire::TrafficRow row = traffic_of(model);
        const auto [found, is_new] = rows.try_emplace({row.tenant, row.model}, row);
        if (!is_new) add_traffic(found->second, row);
      });
    }
    for (auto& [name, row] : rows) reply.rows.push_back(std::move(row));
  } else {
    return invalid_argument("by: \"model\" or \"version\" at a shard, got \"" + by.substr(0, 64) + "\"");
  }
  keep_largest(reply.rows);
  return reply;
}

void ShardStatus::begin(const Clock& clock, const std::string& folder, const metrics::FeedProgress& progress) {
  process_ = UuidSource(clock).next();
  folder_ = folder;
  progress_ = &progress;
  started_us_ = clock.monotonic_us();
  clock_ = &clock;
}

wire::Health ShardStatus::health() const {
  wire::Health health;
  const std::int64_t now_us = clock_->monotonic_us();
  health.process = process_;
  health.wall_us = clock_->wall_us();
  health.running_us = now_us - started_us_;
  health.newest = progress_->served() + progress_->lag();
  health.behind_us = static_cast<std::int64_t>(progress_->behind_seconds(now_us) * 1e6);
  const metrics::Disk disk = metrics::disk_of(folder_);
  health.disk_free = disk.free_bytes;
  health.disk_size = disk.size_bytes;
  health.is_disk_read_only = disk.is_read_only;
  const std::lock_guard lock(mutex_);
  health.problems = problems_;
  return health;
}

}  // namespace espalier::shard
