// How this shard is doing, in one reply: what `espalier shards` shows (docs/wire-protocol/shard-status.md).
//
// Thread safety: add() before there are threads; the gauges are written by the control thread and reply() may be called
// by any that holds a lease on the table. Ownership: borrows everything it is made with.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "metrics/feed_progress.h"
#include "shard/answer_counts.h"
#include "shard/damage.h"
#include "shard/fallback_watch.h"
#include "shard/model_table.h"
#include "shard/version_traffic.h"
#include "wire/shard_status_messages.h"
#include "wire/traffic_messages.h"

namespace espalier::shard {

class ShardStatus {
 public:
  struct Gauges {
    std::atomic<std::uint64_t> memory_bytes{0}, memory_budget{0};
    std::atomic<std::uint64_t> disk_bytes{0}, disk_budget{0};
    std::atomic<std::uint64_t> evicted{0};
    std::atomic<std::uint64_t> scrubbed_bytes{0};
  };

  ShardStatus(std::string name, const FallbackWatch& watch, const Damage& damage)
      : name_(std::move(name)), watch_(watch), damage_(damage) {}

  /// A worker's counts, and how many of its replies nobody took.
  void add(const AnswerCounts& counts, const VersionTraffic& versions, std::function<std::uint64_t()> undelivered) {
    counts_.push_back(&counts);
    versions_.push_back(&versions);
    undelivered_.push_back(std::move(undelivered));
  }

  Gauges gauges;
  /// What is the same as long as the process runs, and where its folder is.
  void begin(const Clock& clock, const std::string& folder, const metrics::FeedProgress& progress);
  /// From the control thread: what it knows to be wrong.
  void tell_problems(std::vector<wire::HealthProblem> problems) {
    const std::lock_guard lock(mutex_);
    problems_ = std::move(problems);
  }
  const std::vector<const AnswerCounts*>& counts() const { return counts_; }
  wire::ShardStatusReply reply(const ModelTable& table) const;
  /// Of all workers together. `by`: "model" or "version"; invalid_argument: another word.
  Result<wire::TrafficReply> traffic(const std::string& by) const;

 private:
  wire::Health health() const;

  const std::string name_;
  const Clock* clock_ = nullptr;  ///< null: before begin()
  std::string folder_;
  Uuid process_;
  std::int64_t started_us_ = 0;
  const metrics::FeedProgress* progress_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<wire::HealthProblem> problems_;  ///< guarded by mutex_
  const FallbackWatch& watch_;
  const Damage& damage_;
  std::vector<const AnswerCounts*> counts_;
  std::vector<const VersionTraffic*> versions_;
  std::vector<std::function<std::uint64_t()>> undelivered_;
};

}  // namespace espalier::shard
