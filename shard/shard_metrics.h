// What a shard tells Prometheus (docs/metrics.md): the same counts as its status, by tenant instead of by worst model.
//
// Thread safety: fill() from any thread, one at a time. Ownership: borrows the status and the table.
#pragma once

#include "common/clock.h"
#include "metrics/feed_progress.h"
#include "metrics/page.h"
#include "metrics/top_series.h"
#include "shard/model_table.h"
#include "shard/shard_status.h"

namespace espalier::shard {

class ShardMetrics {
 public:
  /// So many tenants have series of their own.
  static constexpr std::size_t kTenants = 50;

  ShardMetrics(const ShardStatus& status, std::string folder, const metrics::FeedProgress& progress, LiveTable& live,
               const Clock& clock)
      : status_(status),
        folder_(std::move(folder)),
        progress_(progress),
        reader_(live),
        clock_(clock),
        tenants_(kTenants) {}

  void fill(metrics::Page& page);

 private:
  void add_answers(metrics::Page& page);
  void add_requests(metrics::Page& page) const;
  void add_parts(metrics::Page& page) const;

  const ShardStatus& status_;
  const std::string folder_;
  const metrics::FeedProgress& progress_;
  LiveTable::Reader reader_;
  const Clock& clock_;
  metrics::TopSeries tenants_;
};

}  // namespace espalier::shard
